"""quINR: a quantum-classical implicit neural representation (paper section 3.2).

``h = sin(w0 W x + b)`` feeds a folded-angle embedding, re-uploaded in every block of the
circuit; the probabilities of the last basis states, passed through QReLU (the identity on
probabilities), a learned scale and an offset, are the values. Stages may be stacked: the next
stage's input is the 2^n probabilities of the one before.

Three things go beyond the paper. The embedding may have several sine layers, each
``h' = sin(w0 W' h + b')``, as SIREN has: depth buys far more than width or blocks do. ``h`` is
multiplied by one learned *embedding scale* a stage (1 in the paper), which trains better at the
same size. And values may be mixtures of the last r states' probabilities by a learned *read-out*
matrix, without which colours train badly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from quinr_lidar.arrays import Array, namespace
from quinr_lidar.circuit import probabilities
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.errors import CircuitError
from quinr_lidar.fields import fused
from quinr_lidar.fields.circuit_angles import angle_shapes, stage_angles
from quinr_lidar.fields.field import Parameters

if TYPE_CHECKING:
    import torch

Simulator = Callable[[CircuitSpec, Any, Any, Any], Any]
"""The signature of :func:`quinr_lidar.circuit.probabilities`."""

MAX_STAGES = 4
MAX_OUTPUTS = 16
MAX_SINE_LAYERS = 15
READOUT_BOUND = 1.0
"""Largest magnitude of a read-out matrix's initial entries."""

WEIGHT_RATE = 2.0
"""Learning rate factor of the weights of a single sine layer."""

BIAS_RATE = 10.0
"""Learning rate factor of the biases of several sine layers; w0 makes their weights fast anyway."""


@dataclass(frozen=True)
class QuinrField:
    """Sizes of a quINR; see :class:`~quinr_lidar.circuit.CircuitSpec` for the circuit's.

    Attributes:
        qubits: Number of qubits, n.
        features: Number of sine features and embedded angles, M.
        blocks: How often the features are uploaded, L.
        entangling_layers: Entangling layers in a block, E.
        stages: Number of circuits in a row.
        inputs: Number of coordinates of a sample.
        outputs: Number of values of a sample; at most 2^n without a read-out matrix.
        sine_layers: Sine layers before each circuit; 1 in the paper.
        readout: Number of basis states that every value is a mixture of, r; 0 gives each value a
            basis state of its own, as the paper does.
        shuffle_seed: Seed of the order in which re-uploads embed the features.
        w0: Factor inside the sine.
        frequencies: Initial half-range of ``w0 W`` for each coordinate, radians per unit.
            Only :meth:`initial_parameters` uses it.

    Raises:
        CircuitError: a size is out of range.
    """

    qubits: int
    features: int
    blocks: int
    entangling_layers: int = 1
    stages: int = 1
    inputs: int = 2
    outputs: int = 1
    shuffle_seed: int = 0
    w0: float = 30.0
    frequencies: tuple[float, ...] = (3.5, 6.0)
    readout: int = 0
    sine_layers: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.stages <= MAX_STAGES:
            raise CircuitError(f"stages: expected 1..{MAX_STAGES}, got {self.stages}")
        if len(self.frequencies) != self.inputs:
            raise CircuitError(
                f"frequencies: expected {self.inputs} values, got {len(self.frequencies)}"
            )
        if not (math.isfinite(self.w0) and self.w0 > 0):
            raise CircuitError(f"w0: expected a positive number, got {self.w0}")
        if not 1 <= self.sine_layers <= MAX_SINE_LAYERS:
            raise CircuitError(
                f"sine_layers: expected 1..{MAX_SINE_LAYERS}, got {self.sine_layers}"
            )
        if not 0 <= self.readout <= 2**self.qubits:
            raise CircuitError(f"readout: expected 0..{2**self.qubits}, got {self.readout}")
        if not 1 <= self.outputs <= MAX_OUTPUTS:
            raise CircuitError(f"outputs: expected 1..{MAX_OUTPUTS}, got {self.outputs}")
        _ = self.circuits  # their own checks

    @cached_property
    def circuits(self) -> tuple[CircuitSpec, ...]:
        """One circuit a stage; all but the last are read out completely."""
        read_out = [2**self.qubits] * (self.stages - 1) + [self.readout or self.outputs]
        return tuple(
            CircuitSpec(
                qubits=self.qubits,
                features=self.features,
                blocks=self.blocks,
                entangling_layers=self.entangling_layers,
                outputs=outputs,
                shuffle_seed=self.shuffle_seed,
            )
            for outputs in read_out
        )

    @property
    def cost(self) -> int:
        """State updates for each sample."""
        layers = self.stages * self.blocks * (self.entangling_layers + 1)
        sines = self.stages * (self.sine_layers - 1) * self.features**2
        return layers * max(1 << self.qubits, self.features) + sines

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter array of one frame, in the order files store them."""
        return self._shapes

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        inputs = self.inputs
        for stage, circuit in enumerate(self.circuits):
            for weight, bias in self.sine_names(stage):
                shapes[weight] = (self.features, inputs)
                shapes[bias] = (self.features,)
                inputs = self.features
            shapes[f"embedding_scale{stage}"] = (1,)
            shapes |= angle_shapes(circuit, stage)
            inputs = circuit.states
        if self.readout:
            shapes["readout"] = (self.outputs, self.readout)
        else:
            shapes["output_scale"] = (self.outputs,)
        return shapes | {"output_offset": (self.outputs,)}

    @property
    def scalars(self) -> tuple[str, ...]:
        """Scales and offsets, which files keep as float16."""
        return ("embedding_scale", "output_scale", "output_offset")

    def sine_names(self, stage: int) -> list[tuple[str, str]]:
        """Names of the weight and bias of each sine layer of a stage."""
        later = [f"{stage}_{layer}" for layer in range(1, self.sine_layers)]
        return [(f"weight{name}", f"bias{name}") for name in (str(stage), *later)]

    @property
    def periods(self) -> dict[str, float]:
        """Every angle has period 2 pi; see :meth:`canonical` for controlled rotations."""
        angles = ("bias", "rotations", "controlled")
        return {name: 2 * math.pi for name in self.shapes if name.startswith(angles)}

    def wraps(self, name: str) -> bool:
        """True for all angles but controlled rotations, whose own period is 4 pi."""
        return not name.startswith("controlled")

    @property
    def learning_rates(self) -> dict[str, float]:
        """Factors of the sine layers."""
        name, rate = ("weight", WEIGHT_RATE) if self.sine_layers == 1 else ("bias", BIAS_RATE)
        return {full: rate for full in self.shapes if full.startswith(name)}

    def initial_parameters(self, frames: int, generator: torch.Generator) -> Parameters:
        """Random float32 parameters on the CPU, independent for each frame; needs torch."""
        import torch

        def uniform(name: str, half_range: float) -> torch.Tensor:
            values = torch.rand(frames, *self.shapes[name], generator=generator)
            return (2 * values - 1) * half_range

        parameters: Parameters = {}
        for name in self.shapes:
            if name == "weight0":
                half_ranges = torch.tensor(self.frequencies) / self.w0
                parameters[name] = uniform(name, 1.0) * half_ranges
            elif name.startswith("weight"):
                inputs = self.shapes[name][1]
                parameters[name] = uniform(name, math.sqrt(6 / inputs) / self.w0)
            elif name.startswith("bias"):
                parameters[name] = uniform(name, math.pi)
            elif name.startswith(("rotations", "controlled")):
                parameters[name] = uniform(name, 1.5)
            elif name.startswith("embedding_scale"):
                parameters[name] = torch.full((frames, 1), 1.5)
            elif name == "readout":
                parameters[name] = uniform(name, READOUT_BOUND)
            else:
                start = 1.0 if name == "output_scale" else 0.5 if self.readout else 0.0
                parameters[name] = torch.full((frames, self.outputs), start)
        return parameters

    def canonical(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Equivalent parameters with all angles in [-pi, pi).

        A controlled rotation has period 4 pi, but ``CRZ(t + 2 pi) = Z_control CRZ(t)``: two pi
        are taken off by adding pi to the RZ that follows on the control qubit.
        """
        canonical = dict(parameters)
        for stage, circuit in enumerate(self.circuits):
            if not circuit.pair_list:
                continue
            controlled, rotations = (
                parameters[f"controlled{stage}"],
                parameters[f"rotations{stage}"],
            )
            library = namespace(controlled)
            turns = library.floor((controlled + math.pi) / (2 * math.pi))
            rotations = library.asarray(rotations, copy=True)
            for pair, (control, _) in enumerate(circuit.pair_list):
                rotations[:, :, :, 2, control] += math.pi * turns[..., pair]
            canonical[f"controlled{stage}"] = controlled - 2 * math.pi * turns
            canonical[f"rotations{stage}"] = rotations
        for name in self.periods:
            turns = namespace(canonical[name]).floor((canonical[name] + math.pi) / (2 * math.pi))
            canonical[name] = canonical[name] - 2 * math.pi * turns
        return canonical

    def evaluate(
        self,
        parameters: Mapping[str, Array],
        coordinates: Array,
        *,
        simulate: Simulator | None = None,
    ) -> Array:
        """Values [F, P, outputs] at coordinates [F or 1, P, inputs].

        The dtype and device are those of the parameters, which the coordinates must share.
        Differentiable where a parameter requires it; otherwise one call of the kernel does all.

        Args:
            parameters: NumPy arrays or tensors [F, ...].
            coordinates: Where to evaluate.
            simulate: Runs the circuits instead of the backend, for instance on a PennyLane device.
        """
        fits = fused.is_supported(self, coordinates.device, coordinates.dtype)
        if fits and simulate is None and not _needs_gradients(parameters, coordinates):
            return fused.values(self, parameters, coordinates)
        run = simulate or probabilities
        values: Any = coordinates
        for stage, circuit in enumerate(self.circuits):
            embedding = self.embed(parameters, stage, values)
            values = run(circuit, embedding, *self.angles(parameters, stage))
        return self.read_out(parameters, values)

    def embed(self, parameters: Mapping[str, Array], stage: int, values: Array) -> Array:
        """The angles [F, P, M] that a stage embeds of its inputs [F or 1, P, ...]."""
        library = namespace(values)
        for weight, bias in self.sine_names(stage):
            linear = self.w0 * (values @ parameters[weight].mT)
            values = library.sin(linear + parameters[bias][:, None])
        return parameters[f"embedding_scale{stage}"][:, None] * values

    def angles(self, parameters: Mapping[str, Array], stage: int) -> tuple[Array, Array]:
        """A stage's rotations and controlled rotations; a single qubit has none of the latter."""
        return stage_angles(parameters, self.circuits[stage], stage)

    def read_out(self, parameters: Mapping[str, Array], probabilities: Array) -> Array:
        """Values [F, P, outputs] from the last circuit's probabilities [F, P, its outputs]."""
        offset = parameters["output_offset"][:, None]
        if self.readout:
            return probabilities @ parameters["readout"].mT + offset
        return probabilities * parameters["output_scale"][:, None] + offset


def _needs_gradients(parameters: Mapping[str, Any], coordinates: Any) -> bool:
    if isinstance(coordinates, np.ndarray):
        return False
    import torch

    arrays = (coordinates, *parameters.values())
    return torch.is_grad_enabled() and any(array.requires_grad for array in arrays)
