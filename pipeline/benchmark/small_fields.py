"""Families of fields of equal size, for ``quinr bench small-images``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from quinr_lidar.errors import ProfileError
from quinr_lidar.fields import Field, FourierField, QirenField, QuinrField, SirenField
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.training import Optimizer

TOLERANCE = 0.05
"""Share of the wanted number of parameters by which a field's may differ from it."""

Rates = dict[Optimizer, tuple[float, ...]]


@dataclass(frozen=True)
class Configuration:
    """A field and how it is trained."""

    field: Field
    optimizer: Optimizer
    learning_rate: float

    def describe(self) -> dict[str, Any]:
        """For JSON."""
        sizes = {"field": repr(self.field), "parameters": parameter_count(self.field)}
        return sizes | {"optimizer": self.optimizer, "learning_rate": self.learning_rate}


@dataclass(frozen=True)
class Family:
    """A kind of field ("classical", "qiren" or "quinr") and all that it may choose from."""

    name: str
    kind: str
    configurations: tuple[Configuration, ...]


def families(target: int) -> list[Family]:
    """All families with about so many parameters.

    Raises:
        ProfileError: one of them comes in no size within :data:`TOLERANCE` of it.
    """
    adam_or_axes: Rates = {"adamw": (1e-2, 3e-2), "gn-adam": (2e-2, 5e-2)}
    sines: Rates = {"adamw": (3e-3, 1e-2), "gn-adam": (5e-3, 1e-2)}
    siren = [
        [SirenField(width, layers, frequencies=(start, start)) for width in range(2, 65)]
        for layers, start in product((2, 3, 4), (6.0, 12.0, 24.0))
    ]
    fourier = {
        activation: [
            [
                FourierField(width + more, width, layers, activation, deviations=(start, start))
                for width, more in product(range(4, 49), range(-2, 5))
            ]
            for layers, start in product((1, 2), (0.5, 1.0, 2.0))
        ]
        for activation in ("relu", "tanh")
    }
    # The paper's quINR with about these shares of its parameters in the circuit.
    shares = ((5, 0.88), (5, 0.7), (4, 0.82))
    published = [
        [
            QuinrField(n, m, max(1, round(share * target / size)), frequencies=(start, start))
            for m in range(2, 257)
        ]
        for (n, share), start in product(shares, (4.0, 8.0, 16.0))
        for size in [n * (n - 1) // 2 + 4 * n]
    ]
    deep = [
        [
            QuinrField(5, m, blocks, sine_layers=layers, frequencies=(start, start))
            for m, blocks in product(range(4, 41), (3, 4, 5, 6))
        ]
        for layers, start in product((3, 4), (4.0, 8.0, 16.0))
    ]
    qiren = [[QirenField(n, blocks) for blocks in range(1, 41)] for n in (4, 5, 6)]
    quantum: Rates = {"adamw": (5e-2, 1e-1, 2e-1)}
    # Second-order looks through autograd are slow, and gained nothing at four qubits.
    with_axes: Rates = {"gn-adam": (3e-2, 1e-1)}
    circuits = _grid(target, qiren, quantum) + _grid(target, qiren[1:2], with_axes)
    return [
        Family("SIREN", "classical", _grid(target, siren, sines)),
        Family("Fourier relu", "classical", _grid(target, fourier["relu"], adam_or_axes)),
        Family("Fourier tanh", "classical", _grid(target, fourier["tanh"], adam_or_axes)),
        Family("QIREN", "qiren", circuits),
        Family("quINR, one sine layer", "quinr", _grid(target, published, adam_or_axes)),
        Family("quINR, 3-4 sine layers", "quinr", _grid(target, deep, sines)),
    ]


def _grid(
    target: int, shapes: Iterable[Sequence[Field]], rates: Rates
) -> tuple[Configuration, ...]:
    """The field nearest in size of each shape, with every optimiser and rate.

    Shapes that have none of the size are left out.
    """

    def distance(field: Field) -> int:
        return abs(parameter_count(field) - target)

    nearest = [min(fields, key=distance) for fields in shapes]
    near = [one for one in nearest if distance(one) <= TOLERANCE * target]
    if not near:
        kind = type(nearest[0]).__name__
        raise ProfileError(f"parameters: no {kind} has {target} to within {TOLERANCE:.0%}")
    return tuple(
        Configuration(field, optimizer, rate)
        for field in near
        for optimizer, some in rates.items()
        for rate in some
    )
