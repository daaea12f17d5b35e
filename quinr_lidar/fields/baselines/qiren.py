"""QIREN (Zhao et al. 2024, "Quantum Implicit Neural Representations").

Hybrid layers in a row, each a linear map, batch normalisation and a data re-uploading circuit
whose expectations <Z> of every qubit go on; a linear map ends it. The circuit is this library's
(one RX embedding a qubit and block, entangling layers of Sim et al.'s circuit 5), where QIREN has
RZ embeddings between two strongly entangling layers: as many trainable angles, on one kernel.

Batch normalisation is an affine map once a training is over, and a file has no use for it apart
from the linear map before it. So it is done where it matters, at the start: the linear maps begin
normalised over the square of coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.arrays import Array, namespace
from quinr_lidar.circuit import probabilities
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.fields.baselines.mlp import linear, require, uniform
from quinr_lidar.fields.circuit_angles import angle_shapes, stage_angles
from quinr_lidar.fields.defaults import FieldDefaults
from quinr_lidar.fields.field import Parameters
from quinr_lidar.fields.quinr import MAX_STAGES

if TYPE_CHECKING:
    import torch

_REFERENCE = 16
"""Points a side of the grid over which initial values are normalised."""


@dataclass(frozen=True)
class QirenField(FieldDefaults):
    """Sizes of a QIREN.

    Attributes:
        qubits: Number of qubits, n, also the width of every hybrid layer.
        blocks: How often a layer's values are uploaded.
        stages: Number of hybrid layers.
        entangling_layers: Entangling layers in a block.
        inputs: Number of coordinates of a sample.
        outputs: Number of values of a sample.

    Raises:
        CircuitError: a size is out of range.
    """

    qubits: int
    blocks: int
    stages: int = 2
    entangling_layers: int = 1
    inputs: int = 2
    outputs: int = 1

    def __post_init__(self) -> None:
        require("stages", self.stages, 1, MAX_STAGES)
        require("outputs", self.outputs, 1, 16)
        _ = self.circuit  # its own checks

    @cached_property
    def circuit(self) -> CircuitSpec:
        """The circuit of every hybrid layer, read out completely."""
        return CircuitSpec(
            qubits=self.qubits,
            features=self.qubits,
            blocks=self.blocks,
            entangling_layers=self.entangling_layers,
            outputs=2**self.qubits,
        )

    @property
    def cost(self) -> int:
        """State updates for each sample."""
        return self.stages * self.blocks * (self.entangling_layers + 1) * (1 << self.qubits)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter array of one frame, in the order files store them."""
        return self._shapes

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        inputs = self.inputs
        for stage in range(self.stages):
            shapes[f"weight{stage}"] = (self.qubits, inputs)
            shapes[f"bias{stage}"] = (self.qubits,)
            shapes |= angle_shapes(self.circuit, stage)
            inputs = self.qubits
        shapes["readout"] = (self.outputs, self.qubits)
        return shapes | {"output_offset": (self.outputs,)}

    @property
    def periods(self) -> dict[str, float]:
        """Rotations and embedded angles, but not controlled rotations (period 4 pi)."""
        names = ("bias", "rotations", "controlled")
        return {
            name: (4 if name.startswith("controlled") else 2) * math.pi
            for name in self.shapes
            if name.startswith(names)
        }

    def initial_parameters(self, frames: int, generator: torch.Generator) -> Parameters:
        """Random float32 parameters on the CPU, linear maps normalised layer by layer.

        Needs torch.
        """
        import torch

        parameters: Parameters = {}
        for name, shape in self.shapes.items():
            if name.startswith(("rotations", "controlled")):
                parameters[name] = uniform((frames, *shape), math.pi, generator)
            elif name == "output_offset":
                parameters[name] = torch.full((frames, *shape), 0.5)
            elif name == "readout":
                parameters[name] = uniform((frames, *shape), 0.5, generator)
            else:
                parameters[name] = uniform((frames, *shape), 1.0, generator)
        axis = torch.linspace(-1, 1, _REFERENCE)
        values = torch.cartesian_prod(*[axis] * self.inputs).reshape(-1, self.inputs)[None]
        for stage in range(self.stages):
            self._normalise(parameters, stage, values)
            values = self._stage(parameters, stage, values)
        return parameters

    def _normalise(self, parameters: Parameters, stage: int, values: torch.Tensor) -> None:
        weight, bias = parameters[f"weight{stage}"], parameters[f"bias{stage}"]
        bias.zero_()
        plain = values @ weight.transpose(1, 2)
        deviation = plain.std(1).clamp_min(1e-3)
        weight /= deviation[:, :, None]
        bias -= plain.mean(1) / deviation

    def evaluate(self, parameters: Mapping[str, Array], coordinates: Array) -> Array:
        """Values [F, P, outputs] at coordinates [F or 1, P, inputs]."""
        values = coordinates
        for stage in range(self.stages):
            values = self._stage(parameters, stage, values)
        return linear(parameters, "readout", "output_offset", values)

    def _stage(self, parameters: Mapping[str, Array], stage: int, values: Array) -> Array:
        """<Z> of every qubit, [F, P, n]."""
        embedding = linear(parameters, f"weight{stage}", f"bias{stage}", values)
        angles = stage_angles(parameters, self.circuit, stage)
        found = probabilities(self.circuit, embedding, *angles)
        signs = namespace(found).asarray(self._signs, dtype=found.dtype, device=found.device)
        return found @ signs

    @cached_property
    def _signs(self) -> NDArray[np.float64]:
        """<Z_q> of every basis state, [2^n, n]: qubit 0 is the most significant bit."""
        states = np.arange(2**self.qubits)[:, None]
        return 1.0 - 2.0 * (states >> np.arange(self.qubits - 1, -1, -1) & 1)
