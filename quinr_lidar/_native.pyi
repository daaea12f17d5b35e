"""The fused circuit kernel (C++, quinr_lidar/native); arrays in, arrays filled.

It is loaded by :mod:`quinr_lidar.kernel`. What is called strict, and the range coder, gives the
same bits on every machine. Arrays are C-contiguous, float32 or float64 (all of a call alike), and
never converted; F frames, P pixels or samples, R = L E 4 n rotations, C = L E pairs controlled
rotations. Every function releases the GIL.

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

class StrictField:
    """A conditional quINR: h1 = sin(W1 x + b1), ..., out = R [2^n p - 1; h1; h2; ...] + c.

    p are all probabilities of the circuit, whose angles are ``embedding_scale`` h of the last one.
    """

    def __init__(
        self,
        circuit: CircuitSpec,
        inputs: int,
        outputs: int,
        widths: list[int],
        weight: NDArray[Any],
        bias: NDArray[Any],
        embedding_scale: float,
        rotations: NDArray[Any],
        controlled: NDArray[Any],
        readout: NDArray[Any],
        offset: NDArray[Any],
    ) -> None:
        """Float32 of any shape, layer behind layer; copied. ``widths[-1]`` is the circuit's M.

        Raises:
            ValueError: also where a value is not finite, or an angle beyond +-8192, or another
                parameter beyond +-2^20.
        """
    def evaluate(self, x: NDArray[Any], out: NDArray[Any], isa: str) -> None:
        """[N, inputs] -> [N, outputs], float32."""

def strict_function(name: str, x: NDArray[Any], out: NDArray[Any], isa: str) -> None:
    """[N] -> [N], float32; sin, cos, exp, log or sigmoid."""

def strict_sincos(x: NDArray[Any], sine: NDArray[Any], cosine: NDArray[Any]) -> None:
    """[N] each, float64."""

def range_encode(bits: NDArray[Any], probabilities: NDArray[Any]) -> bytes:
    """[N] uint8 and [N] uint16: the probability of a 1, of 65536; 0 counts as 1."""

def range_decode(data: bytes, probabilities: NDArray[Any], bits: NDArray[Any]) -> int:
    """Fills ``bits``; returns how many zeros were taken for bytes behind the end."""

def format_constants() -> dict[str, Any]:
    """See :class:`quinr_lidar.kernel.FormatConstants`."""

def encode_mask(field: StrictField, mask: NDArray[Any], isa: str) -> bytes:
    """Mask [H, W], uint8."""

def decode_mask(field: StrictField, data: bytes, mask: NDArray[Any], isa: str) -> bool:
    """Fills mask [H, W]; false where the bytes end long before the pixels do."""

def encode_ranges(
    field: StrictField,
    linear: NDArray[Any],
    mask: NDArray[Any],
    step: float,
    steps: NDArray[Any],
    isa: str,
) -> bytes:
    """Linear [10, 14], mask [H, W] uint8, steps [H, W] int32 (0..2^30 where measured)."""

def decode_ranges(
    field: StrictField,
    linear: NDArray[Any],
    data: bytes,
    mask: NDArray[Any],
    step: float,
    steps: NDArray[Any],
    isa: str,
) -> bool:
    """Fills steps where measured; false where the bytes end long before the pixels do."""

def mask_inputs(mask: NDArray[Any], inputs: NDArray[Any]) -> None:
    """Mask [H, W] uint8 -> [29, H W], float32."""

def range_context(mask: NDArray[Any], context: NDArray[Any]) -> None:
    """Mask [H, W] uint8 -> [21, measured], int32; neighbours count the valid pixels."""

def range_inputs(
    context: NDArray[Any],
    base: NDArray[Any],
    step: NDArray[Any],
    unit: NDArray[Any],
    differences: NDArray[Any],
    inputs: NDArray[Any],
    isa: str,
) -> None:
    """Context [21, N] in steps, [N] each -> differences [14, N], inputs [51, N]; 16 divides N."""

def mixture(
    differences: NDArray[Any],
    outputs: NDArray[Any],
    linear: NDArray[Any],
    step: NDArray[Any],
    unit: NDArray[Any],
    mean: NDArray[Any],
    sharpness: NDArray[Any],
    weight: NDArray[Any],
    isa: str,
) -> None:
    """A field's outputs [30, N] -> components [10, N], in steps; 16 divides N."""
