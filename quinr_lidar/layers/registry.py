"""All layers there are. A new layer is one module beside this one and one entry in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quinr_lidar.layers.layer import Layer
from quinr_lidar.layers.mask import MASK
from quinr_lidar.layers.preview import PREVIEW
from quinr_lidar.layers.ranges import RANGES

LAYERS: dict[str, Layer] = {
    layer.name: layer for layer in sorted((PREVIEW, MASK, RANGES), key=lambda one: one.number)
}
"""Layers by their names, in the order of their sections."""

NAMES = tuple(LAYERS)

REQUIRED = PREVIEW.name
"""The layer that every file has."""


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of layers in the order of their sections.

    Raises:
        ValueError: there is no such layer.
    """
    wanted = set(names)
    if unknown := wanted.difference(NAMES):
        raise ValueError(
            f"no such layer: {', '.join(sorted(unknown))}; there is {', '.join(NAMES)}"
        )
    return tuple(name for name in NAMES if name in wanted)


def with_needs(names: Iterable[str]) -> tuple[str, ...]:
    """These layers and all that they need, in the order of their sections.

    Raises:
        ValueError: there is no such layer.
    """
    wanted = set(in_order(names))
    for name in reversed(NAMES):
        if name in wanted:
            wanted.update(LAYERS[name].needs)
    return in_order(wanted)


def missing_needs(names: Sequence[str]) -> str | None:
    """Which layer lacks another one, in words; ``None`` if all have what they need."""
    for name in names:
        for need in LAYERS[name].needs:
            if need not in names:
                return f"{name} without a {need} layer"
    return None


def layers_of_file(names: Iterable[str]) -> tuple[str, ...]:
    """The layers that a file is asked to hold, in the order of their sections.

    Raises:
        ValueError: there is no such layer, one lacks another one, or the preview is missing.
    """
    layers = in_order(names)
    if REQUIRED not in layers:
        raise ValueError(f"every file has a {REQUIRED}")
    if (missing := missing_needs(layers)) is not None:
        raise ValueError(missing)
    return layers


def to_decode(names: Sequence[str], *, any_grid: bool = False) -> tuple[str, ...]:
    """Which of these layers an image is decoded from: for all they give, the last that gives it.

    Args:
        names: Layers that are wanted and there, in the order of their sections.
        any_grid: Leave out layers that know the scan's own grid only.
    """
    given: set[str] = set()
    used: set[str] = set()
    for name in reversed(names):
        layer = LAYERS[name]
        if (any_grid and not layer.any_grid) or given.issuperset(layer.gives):
            continue
        given.update(layer.gives)
        used.update(with_needs((name,)))
    return tuple(name for name in names if name in used)
