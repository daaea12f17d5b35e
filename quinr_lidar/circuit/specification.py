"""What a quINR circuit is: sizes, gate order and parameter shapes. No simulation.

One *block* is a folded-angle embedding of all features followed by entangling layers of Sim et
al.'s circuit 5 (paper section 3.2). From the second block on the same features are embedded
again in a fixed, seeded order ("re-uploading with shuffle").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

from quinr_lidar.circuit.random import split_mix_words
from quinr_lidar.errors import CircuitError

MAX_QUBITS = 10
MAX_FEATURES = 1024
MAX_BLOCKS = 255
MAX_ENTANGLING_LAYERS = 15


@dataclass(frozen=True)
class CircuitSpec:
    """A parametrised circuit with data re-uploading.

    Qubit 0 is the most significant bit of a basis state's index (PennyLane's wire order).

    Attributes:
        qubits: n, number of qubits.
        features: M, angles embedded in every block.
        blocks: L, times the features are uploaded.
        entangling_layers: E, entangling layers after each embedding.
        outputs: Number of basis states read out: the last ``outputs`` of the 2^n.
        shuffle_seed: Seed of the order in which re-uploads embed the features.

    Raises:
        CircuitError: a size is out of range.
    """

    qubits: int
    features: int
    blocks: int
    entangling_layers: int = 1
    outputs: int = 1
    shuffle_seed: int = 0

    def __post_init__(self) -> None:
        _require("qubits", self.qubits, 1, MAX_QUBITS)
        _require("features", self.features, 1, MAX_FEATURES)
        _require("blocks", self.blocks, 1, MAX_BLOCKS)
        _require("entangling_layers", self.entangling_layers, 1, MAX_ENTANGLING_LAYERS)
        _require("outputs", self.outputs, 1, 2**self.qubits)
        _require("shuffle_seed", self.shuffle_seed, 0, 2**32 - 1)

    @property
    def states(self) -> int:
        """2^n, the dimension of the state vector."""
        return 1 << self.qubits

    @property
    def folds(self) -> int:
        """Embedding gates per qubit and block, ceil(M / n)."""
        return -(-self.features // self.qubits)

    @cached_property
    def pair_list(self) -> tuple[tuple[int, int], ...]:
        """(control, target) of every controlled rotation of a layer, in parameter order.

        Each pair of qubits has one, the lower qubit is the control. The paper has a second one the
        other way round, which adds nothing: ``CRZ_ba(t) = CRZ_ab(t) RZ_a(t / 2) RZ_b(-t / 2)``,
        and every qubit has an RZ of its own.
        """
        return tuple(combinations(range(self.qubits), 2))

    @property
    def rotation_shape(self) -> tuple[int, int, int, int]:
        """[L, E, 4, n]: the RZ, RX before and the RZ, RX after the controlled rotations."""
        return self.blocks, self.entangling_layers, 4, self.qubits

    @property
    def controlled_shape(self) -> tuple[int, int, int]:
        """[L, E, pairs]: the CRZ angles, ordered as ``pair_list``."""
        return self.blocks, self.entangling_layers, len(self.pair_list)

    @cached_property
    def feature_order(self) -> tuple[tuple[int, ...], ...]:
        """[L][M]: the order in which each block embeds the features.

        Position p of a block's order sits on qubit ``p % n``, fold ``p // n``; even folds are
        RX gates, odd folds RZ gates.
        """
        first = tuple(range(self.features))
        later = (_shuffled(self.features, self.shuffle_seed, b) for b in range(1, self.blocks))
        return (first, *later)

    def gate(self, fold: int) -> Literal["RX", "RZ"]:
        """The rotation that embeds a feature on the given fold."""
        return "RX" if fold % 2 == 0 else "RZ"


def check_arrays(spec: CircuitSpec, embedding: Any, rotations: Any, controlled: Any) -> None:
    """Check that arrays fit a circuit and share frames and dtype.

    Args:
        spec: The circuit.
        embedding: Real array of NumPy or torch, [F, P, M].
        rotations: The same dtype, [F, L, E, 4, n].
        controlled: The same dtype, [F, L, E, pairs].

    Raises:
        CircuitError: one of them does not fit.
    """
    if embedding.ndim != 3 or "float" not in str(embedding.dtype):
        raise CircuitError(
            f"embedding: expected a real array [frames, pixels, {spec.features}], "
            f"got {embedding.dtype} {list(embedding.shape)}"
        )
    frames, pixels, _ = embedding.shape
    for name, array, shape in (
        ("embedding", embedding, (frames, pixels, spec.features)),
        ("rotations", rotations, (frames, *spec.rotation_shape)),
        ("controlled", controlled, (frames, *spec.controlled_shape)),
    ):
        if tuple(array.shape) != shape or array.dtype != embedding.dtype:
            raise CircuitError(
                f"{name}: expected {embedding.dtype} {list(shape)}, "
                f"got {array.dtype} {list(array.shape)}"
            )


def _require(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        raise CircuitError(f"{name}: expected an integer in {low}..{high}, got {value!r}")


def _shuffled(count: int, seed: int, block: int) -> tuple[int, ...]:
    """Fisher-Yates, the order that a file's seed stands for."""
    order = list(range(count))
    words = split_mix_words(seed << 32 | block, count - 1)
    for last, word in zip(range(count - 1, 0, -1), words, strict=True):
        other = word % (last + 1)
        order[last], order[other] = order[other], order[last]
    return tuple(order)
