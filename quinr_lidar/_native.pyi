"""The fused circuit kernel (C++, quinr_lidar/native); arrays in, arrays filled.

Only :mod:`quinr_lidar.quantum.native` and :mod:`quinr_lidar.fields.native_quinr` call it. Arrays
are C-contiguous, float32 or float64 (all of a call alike), and never converted; F frames, P
pixels or samples, R = L E 4 n rotations, C = L E pairs controlled rotations. Every function
releases the GIL.

Raises:
    ValueError: a shape or size does not fit, or the machine lacks the instruction set ``isa``.
    TypeError: an array of another dtype or memory layout.
"""

from typing import Any

from numpy.typing import NDArray

class CircuitSpec:
    def __init__(
        self,
        qubits: int,
        features: int,
        blocks: int,
        layers: int,
        outputs: int,
        order: list[int],
        pairs: list[int],
    ) -> None:
        """``order``: the feature at each position of each block; ``pairs``: control, target, ..."""

class FieldSpec:
    def __init__(
        self,
        circuit: CircuitSpec,
        inputs: int,
        sine_layers: int,
        w0: float,
        channels: int,
        mixed: bool,
    ) -> None:
        """``mixed``: a channel is a mixture of all outputs of the circuit, else of one each."""
    @property
    def size(self) -> int:
        """Parameters of a frame, S."""

class Trainer:
    def run(self, rates: list[float]) -> list[float]:
        """A step for each rate; their losses, fewer when the last is not finite."""
    def rotate(self, basis: NDArray[Any], turn: NDArray[Any]) -> None:
        """[F, S, S] float32 each; see :class:`quinr_lidar.training.loops.AxesLoop`."""
    def parameters(self) -> list[float]:
        """F x S numbers."""

def trainer(
    spec: FieldSpec,
    coordinates: NDArray[Any],
    targets: NDArray[Any],
    parameters: NDArray[Any],
    factors: NDArray[Any],
    batch: int,
    weight_decay: float,
    beta1: float,
    beta2: float,
    seed: int,
    threads: int,
    isa: str,
) -> Trainer:
    """[P, inputs], [F, P, channels], [F, S] and [S], all float32 and copied."""

def probabilities(
    spec: CircuitSpec,
    embedding: NDArray[Any],
    rotations: NDArray[Any],
    controlled: NDArray[Any],
    out: NDArray[Any],
    threads: int,
    isa: str,
) -> None:
    """[F, P, M], [F, R], [F, C] -> [F, P, outputs]."""

def gradients(
    spec: CircuitSpec,
    embedding: NDArray[Any],
    rotations: NDArray[Any],
    controlled: NDArray[Any],
    cotangent: NDArray[Any],
    out: NDArray[Any],
    by_embedding: NDArray[Any],
    by_rotations: NDArray[Any],
    by_controlled: NDArray[Any],
    threads: int,
    isa: str,
) -> None:
    """As probabilities, with a cotangent [F, P, outputs] -> gradients in the inputs' shapes."""

def jacobian(
    spec: CircuitSpec,
    embedding: NDArray[Any],
    rotations: NDArray[Any],
    controlled: NDArray[Any],
    out: NDArray[Any],
    by_embedding: NDArray[Any],
    by_rotations: NDArray[Any],
    by_controlled: NDArray[Any],
    threads: int,
    isa: str,
) -> None:
    """-> [F, outputs, P], [F, outputs, M, P], [F, outputs, R, P], [F, outputs, C, P]."""

def values(
    spec: FieldSpec,
    parameters: NDArray[Any],
    coordinates: NDArray[Any],
    out: NDArray[Any],
    threads: int,
    isa: str,
) -> None:
    """[F, S], [F or 1, P, inputs] -> [F, P, outputs]."""

def draw_batch(seed: int, step: int, samples: int, size: int) -> list[int]:
    """As :func:`quinr_lidar.training.batches.draw_batch`."""

def fma_peak(isa: str, repeats: int) -> float:
    """Fused multiply-adds a second of one thread, float32."""

def instruction_sets() -> list[str]:
    """Those of this machine, best first."""
