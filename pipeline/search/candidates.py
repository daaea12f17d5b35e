"""Random fields that about fill a file of a given size."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from quinr_lidar import Profile
from quinr_lidar.errors import ProfileError
from quinr_lidar.fields.field import parameter_count

OVERHEAD_BYTES = 34
"""Bytes of a file that are no rounded parameters."""


@dataclass(frozen=True)
class SearchSpace:
    """Settings to draw from; each is drawn at random from its choices.

    Attributes:
        target_bytes: Size of the file.
        channels: Number of channels of the image.
        qubits: Numbers of qubits.
        sine_layers: Numbers of sine layers.
        blocks: Numbers of uploads of the features.
        entangling_layers: Numbers of entangling layers of a block.
        learning_rates: Learning rates of AdamW.
        frequencies: Initial half-ranges of the first weights, radians.
        bits: Smallest and largest mean number of bits of a parameter.
    """

    target_bytes: int
    channels: int = 1
    qubits: tuple[int, ...] = (2, 3, 4, 5)
    sine_layers: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    blocks: tuple[int, ...] = (1, 2, 3, 4, 6)
    entangling_layers: tuple[int, ...] = (1,)
    learning_rates: tuple[float, ...] = (3e-3, 5e-3, 8e-3, 1.2e-2)
    frequencies: tuple[tuple[float, float], ...] = ((3.5, 6.0),)
    bits: tuple[float, float] = (5.0, 8.0)


def draw_candidates(space: SearchSpace, count: int, seed: int) -> list[dict[str, Any]]:
    """Draw settings of different fields that about fill the size.

    Args:
        space: The settings to draw from.
        count: Number of candidates; there are fewer where the space has no more.
        seed: Seed of the draw.
    """
    generator = random.Random(seed)  # noqa: S311 (no secret)
    found: dict[str, dict[str, Any]] = {}
    for _ in range(50 * count):
        settings = _draw(space, generator)
        if settings is not None:
            found.setdefault(repr(sorted(settings.items())), settings)
        if len(found) == count:
            break
    return list(found.values())


def _draw(space: SearchSpace, generator: random.Random) -> dict[str, Any] | None:
    qubits = generator.choice(space.qubits)
    settings: dict[str, Any] = {
        "optimizer": "adamw",
        "target_bytes": space.target_bytes,
        "qubits": qubits,
        "sine_layers": generator.choice(space.sine_layers),
        "blocks": generator.choice(space.blocks),
        "entangling_layers": generator.choice(space.entangling_layers),
        "learning_rate": generator.choice(space.learning_rates),
        "frequencies": generator.choice(space.frequencies),
    }
    if space.channels > 1:
        choices = [r for r in (space.channels, 4, 6, 8, 12, 16, 24, 32) if r <= 2**qubits]
        if not choices:
            return None
        settings["readout"] = generator.choice(choices)
    bits = generator.uniform(*space.bits)
    wanted = 8 * (space.target_bytes - OVERHEAD_BYTES) / bits
    features = _features_for(settings, space.channels, wanted)
    return None if features is None else settings | {"features": features}


def _features_for(settings: dict[str, Any], channels: int, wanted: float) -> int | None:
    """The number of features at which the field has about so many parameters.

    ``None`` if no number comes within a tenth of it.
    """

    def count(features: int) -> int:
        profile = Profile().with_overrides(**settings, features=features)
        return parameter_count(profile.field(channels))

    try:
        best = min(range(2, 65), key=lambda features: abs(count(features) - wanted))
    except ProfileError:
        return None
    return best if abs(math.log(count(best) / wanted)) < 0.1 else None
