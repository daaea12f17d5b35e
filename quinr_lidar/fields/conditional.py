"""Conditional quINR: from what is known around a pixel to the distribution of its value.

The same construction as :mod:`quinr_lidar.fields.quinr`, with other inputs and outputs: inputs
are features of causal neighbours instead of coordinates, and outputs describe a probability
instead of being a value. ``h1 = sin(W1 x + b1)``, ``h2 = sin(W2 h1 + b2)``, ...; the last layer's
angles, times an *embedding scale*, run through a re-uploading circuit; a linear read-out sees all
2^n probabilities and all sine layers. Trained once on any scans, as part of an
*entropy model*, and not for each frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from quinr_lidar.arrays import Array, namespace
from quinr_lidar.circuit import probabilities
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.errors import CircuitError
from quinr_lidar.fields.field import Parameters

if TYPE_CHECKING:
    import torch

MAX_WIDTH = 128
MAX_SINE_LAYERS = 4
MAX_QUBITS = 6
MAX_BLOCKS = 32

FIRST_WEIGHTS = 0.3
"""Standard deviation of the first layer's initial weights; its inputs are of order one."""
READOUT_WEIGHTS = 0.08
EMBEDDING_SCALE = 1.5


@dataclass(frozen=True)
class ConditionalField:
    """Sizes of a conditional quINR.

    Attributes:
        inputs: Number of a pixel's features, F.
        outputs: Number of values that describe its distribution, O.
        widths: Widths of the sine layers; the last one is the circuit's number of features, M.
        qubits: Number of qubits, n.
        blocks: How often the last sine layer is uploaded, L.

    Raises:
        CircuitError: a size is out of range.
    """

    inputs: int
    outputs: int
    widths: tuple[int, ...]
    qubits: int
    blocks: int

    def __post_init__(self) -> None:
        for name, value, most in (
            ("inputs", self.inputs, MAX_WIDTH),
            ("outputs", self.outputs, MAX_WIDTH),
            ("sine layers", len(self.widths), MAX_SINE_LAYERS),
            ("width", min(self.widths, default=1), MAX_WIDTH),
            ("width", max(self.widths, default=1), MAX_WIDTH),
            ("qubits", self.qubits, MAX_QUBITS),
            ("blocks", self.blocks, MAX_BLOCKS),
        ):
            if not 1 <= value <= most:
                raise CircuitError(f"conditional field, {name}: expected 1..{most}, got {value}")

    @cached_property
    def circuit(self) -> CircuitSpec:
        """The circuit, read out completely."""
        return CircuitSpec(
            qubits=self.qubits,
            features=self.widths[-1],
            blocks=self.blocks,
            outputs=1 << self.qubits,
        )

    @property
    def read(self) -> int:
        """How many numbers the read-out sees."""
        return self.circuit.states + sum(self.widths)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter array, in the order entropy models store them."""
        shapes: dict[str, tuple[int, ...]] = {}
        inputs = self.inputs
        for layer, width in enumerate(self.widths):
            shapes[f"weight{layer}"] = (width, inputs)
            shapes[f"bias{layer}"] = (width,)
            inputs = width
        shapes["embedding_scale"] = (1,)
        shapes["rotations"] = self.circuit.rotation_shape
        shapes["controlled"] = self.circuit.controlled_shape
        shapes["readout"] = (self.outputs, self.read)
        shapes["offset"] = (self.outputs,)
        return shapes

    def initial_parameters(self, generator: torch.Generator) -> Parameters:
        """Random float32 tensors to start a training from; needs torch."""
        import torch

        parameters: Parameters = {}
        for name, shape in self.shapes.items():
            normal = torch.randn(shape, generator=generator)
            if name.startswith("weight"):
                first = name == "weight0"
                normal *= FIRST_WEIGHTS if first else shape[1] ** -0.5
            elif name.startswith("bias") or name in ("rotations", "controlled"):
                normal = (torch.rand(shape, generator=generator) * 2 - 1) * math.pi
            elif name == "readout":
                normal *= READOUT_WEIGHTS
            elif name == "offset":
                normal.zero_()
            else:
                normal.fill_(EMBEDDING_SCALE)
            parameters[name] = normal
        return parameters

    def evaluate(self, parameters: Mapping[str, Array], inputs: Array) -> Array:
        """Outputs [N, O] of inputs [N, F]; differentiable for tensors of torch.

        The definition. What steers a range coder is computed by the strict kernel instead, which
        agrees to rounding and gives the same bits on every machine.
        """
        library = namespace(inputs)
        hidden, read = inputs, []
        for layer in range(len(self.widths)):
            weight, bias = parameters[f"weight{layer}"], parameters[f"bias{layer}"]
            hidden = library.sin(hidden @ weight.T + bias)
            read.append(hidden)
        states = probabilities(
            self.circuit,
            (parameters["embedding_scale"] * hidden)[None],
            parameters["rotations"][None],
            parameters["controlled"][None],
        )[0]
        seen = library.concat([self.circuit.states * states - 1, *read], 1)
        return seen @ parameters["readout"].T + parameters["offset"]
