"""The procedural street: ground, facades, trees, poles and parked cars, block by block.

Every block depends on the seed and its own number only, so a drive of any length needs no
more memory than the blocks in sight.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from pipeline.datasets.synthetic.mesh import (
    Material,
    Mesh,
    box,
    car,
    column,
    foliage,
    merge,
)
from pipeline.datasets.synthetic.trajectory import Road

BLOCK = 30.0
"""Length of a block along the road, metres."""

SIGHT = 90.0
"""Blocks nearer than this to the sensor are built, metres along the road."""

_BLOCK_NUMBER_OFFSET = 1 << 20
"""Random generators take no negative numbers; blocks behind the start have some."""

# (metres left of the centre line, metres above it, material from here to the next)
_CROSS_SECTION = (
    (-70.0, 1.2, Material.GRASS),
    (-30.0, 0.4, Material.GRASS),
    (-9.2, 0.16, Material.PAVEMENT),
    (-6.72, 0.12, Material.PAVEMENT),
    (-6.70, -0.02, Material.ASPHALT),
    (-4.2, 0.0, Material.ASPHALT),
    (0.0, 0.05, Material.ASPHALT),
    (4.2, 0.0, Material.ASPHALT),
    (6.70, -0.02, Material.PAVEMENT),
    (6.72, 0.12, Material.PAVEMENT),
    (9.2, 0.16, Material.GRASS),
    (30.0, -0.3, Material.GRASS),
    (70.0, -0.8, Material.GRASS),
)


def street_around(road: Road, along: float) -> Mesh:
    """Everything that stands still within sight of a place on the road, in world coordinates."""
    first = int(np.floor((along - SIGHT) / BLOCK))
    last = int(np.floor((along + SIGHT) / BLOCK))
    return merge(_block(road, number) for number in range(first, last + 1))


def traffic(road: Road, frame: int) -> Mesh:
    """The moving cars in sight at a frame: an oncoming stream, and cars before and behind.

    Oncoming cars drive 0.8 m a frame; the others keep pace with the sensor's own car, their
    distance breathing by a few metres.
    """
    ego = road.ego_along(frame)
    cars = []
    spacing, advance = 42.0, 0.8
    first = int(np.ceil((ego - SIGHT + advance * frame) / spacing))
    last = int(np.floor((ego + SIGHT + advance * frame) / spacing))
    for number in range(first, last + 1):
        rng = np.random.default_rng([road.seed, 3, number + _BLOCK_NUMBER_OFFSET])
        jitter, scale, height = rng.uniform(-12, 12), rng.uniform(0.9, 1.1), rng.uniform(0.95, 1.4)
        place = number * spacing + jitter - advance * frame
        cars.append(_stand(road, car(scale, height), place, 2.1, turn=np.pi))
    rng = np.random.default_rng([road.seed, 4])
    for distance in (rng.uniform(16, 30), -rng.uniform(12, 25)):
        phase, scale = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.15)
        place = ego + distance + 4 * np.sin(2 * np.pi * frame / 70 + phase)
        cars.append(_stand(road, car(scale), place, -2.1))
    return merge(cars)


@lru_cache(maxsize=32)
def _block(road: Road, number: int) -> Mesh:
    rng = np.random.default_rng([road.seed, 2, number + _BLOCK_NUMBER_OFFSET])
    start = number * BLOCK
    parts = [_ground(road, start)]
    for side in (-1.0, 1.0):
        kind = rng.choice(["buildings", "gardens", "open"], p=[0.5, 0.34, 0.16])
        if kind == "buildings":
            parts += _buildings(road, rng, start, side)
        elif kind == "gardens":
            parts += _gardens(road, rng, start, side)
        else:
            parts += _park(road, rng, start, side)
        parts += _kerbside(road, rng, start, side)
    return merge(parts)


def _ground(road: Road, start: float) -> Mesh:
    """A strip of ground, rough outside the carriageway by a few centimetres."""
    along = start + np.arange(0, BLOCK + 0.5, 1.0)
    left = np.array([point[0] for point in _CROSS_SECTION])
    up = np.array([point[1] for point in _CROSS_SECTION])
    grid_along, grid_left = np.meshgrid(along, left, indexing="ij")
    # A function of the place alone, so that neighbouring blocks meet without a gap.
    rough = 0.05 * np.sin(1.3 * grid_along + 0.7 * grid_left) * np.sin(0.31 * grid_along)
    heights = up + np.where(np.abs(grid_left) > 9.5, rough, 0.0)
    vertices = road.place(grid_along, grid_left, heights).reshape(-1, 3)
    index = np.arange(grid_along.size).reshape(grid_along.shape)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    triangles = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2)
    materials = np.array([point[2] for point in _CROSS_SECTION[:-1]], np.uint8)
    materials = np.broadcast_to(materials[None, :, None], triangles.shape[:3]).reshape(-1)
    return Mesh(vertices, triangles.reshape(-1, 3), materials.copy())


def _buildings(road: Road, rng: np.random.Generator, start: float, side: float) -> list[Mesh]:
    """Two or three houses of different height and setback, now and then with an alley."""
    parts = []
    ends = start + BLOCK * np.array([0, *np.sort(rng.uniform(0.25, 0.75, rng.integers(1, 3))), 1])
    for begin, end in itertools.pairwise(ends):
        alley = rng.uniform(0.5, 2.5) if rng.uniform() < 0.3 else 0.0
        if end - begin - alley < 4:
            continue
        setback = rng.uniform(9.4, 13.0)
        house = _house(rng, end - begin - alley, rng.uniform(6, 14))
        parts.append(_stand(road, house, (begin + end - alley) / 2, side * setback, side=side))
    return parts


def _house(rng: np.random.Generator, length: float, height: float) -> Mesh:
    """A house with its facade in the plane y = 0, middle of it at the origin, towards +y."""
    half = length / 2
    parts = [box((-half, 0, -1.5), (half, 10, height), Material.FACADE)]
    door = rng.uniform(-half + 1, half - 1)
    parts.append(box((door - 0.6, -0.25, 0), (door + 0.6, 0, 2.2), Material.METAL))
    for floor in range(int(height // 3)):
        low = floor * 3 + 1.0
        for middle in np.arange(-half + 1.4, half - 1.2, rng.uniform(2.0, 3.2)):
            parts.append(box((middle - 0.5, -0.04, low), (middle + 0.5, 0, low + 1.3),
                             Material.GLASS))  # fmt: skip
            if floor and rng.uniform() < 0.2:
                parts.append(
                    box((middle - 1, -1.0, low - 0.9), (middle + 1, 0, low), Material.FACADE)
                )
    return merge(parts)


def _gardens(road: Road, rng: np.random.Generator, start: float, side: float) -> list[Mesh]:
    """A hedge or wall along the pavement; behind it trees and a house set back."""
    height = rng.uniform(0.9, 1.9)
    parts = []
    if rng.uniform() < 0.5:
        for place in np.arange(start + 1.5, start + BLOCK - 1, 2.5):
            bush = foliage(rng, (1.5, 0.5, height / 2), 260, 0.22).moved((0, 0, height / 2))
            parts.append(_stand(road, bush, place, side * 10.0, side=side))
    else:
        wall = box((-4.9, 0, -0.5), (4.9, 0.25, height), Material.FACADE)
        places = start + np.array([5.0, 15.0, 25.0])[rng.uniform(size=3) < 0.8]
        parts += [_stand(road, wall, place, side * 9.8, side=side) for place in places]
    for _ in range(rng.integers(1, 4)):
        place, setback = start + rng.uniform(3, BLOCK - 3), rng.uniform(12, 17)
        parts.append(_stand(road, _tree(rng), place, side * setback))
    house = _house(rng, rng.uniform(12, 20), rng.uniform(5, 9))
    parts.append(_stand(road, house, start + BLOCK / 2, side * rng.uniform(17, 24), side=side))
    return parts


def _park(road: Road, rng: np.random.Generator, start: float, side: float) -> list[Mesh]:
    """Open ground with trees far and near, and sky between them."""
    return [
        _stand(
            road, _tree(rng), start + rng.uniform(0, BLOCK), side * rng.uniform(12, 50)
        )
        for _ in range(rng.integers(5, 11))
    ]  # fmt: skip


def _kerbside(road: Road, rng: np.random.Generator, start: float, side: float) -> list[Mesh]:
    """Parked cars, lamp posts, signs and street trees between carriageway and facades."""
    parts = []
    for executor in np.arange(start + 3, start + BLOCK - 2, 6.0):
        if rng.uniform() < 0.3:
            parked = car(rng.uniform(0.9, 1.05), rng.uniform(0.9, 1.3))
            turn = 0.0 if side < 0 else np.pi
            place = executor + rng.uniform(-0.5, 0.5)
            lateral = side * rng.uniform(5.55, 5.75)
            parts.append(_stand(road, parked, place, lateral, turn=turn))
    lamp = merge(
        [
            column(0.09, 7.0, Material.METAL),
            box((-0.1, -1.6, 6.9), (0.1, 0, 7.0), Material.METAL),
        ]
    )
    parts.append(_stand(road, lamp, start + rng.uniform(2, 8), side * 7.2, side=side))
    sign = merge(
        [
            column(0.04, 2.9, Material.METAL),
            box((-0.02, -0.3, 2.2), (0.02, 0.3, 2.8), Material.METAL),
        ]
    )
    if rng.uniform() < 0.6:
        parts.append(_stand(road, sign, start + rng.uniform(10, 25), side * 7.1))
    if rng.uniform() < 0.5:
        parts.append(_stand(road, _tree(rng), start + rng.uniform(10, 28), side * 8.2))
    return parts


def _tree(rng: np.random.Generator) -> Mesh:
    trunk = rng.uniform(1.8, 3.2)
    width, height = rng.uniform(1.2, 2.4), rng.uniform(1.5, 3.0)
    crown = foliage(rng, (width, width, height), 500, 0.35).moved((0, 0, trunk + 0.8 * height))
    # The trunk begins below the ground, which is not level where a tree may stand.
    stem = column(rng.uniform(0.1, 0.25), trunk + height + 1.5, Material.BARK).moved((0, 0, -1.5))
    return merge([stem, crown])


def _stand(
    road: Road, mesh: Mesh, along: float, left: float, *, turn: float = 0.0, side: float = 1.0
) -> Mesh:
    """Put a mesh on the ground beside the road; ``side`` -1 turns its +y away to the right."""
    heading = float(road.heading(along)) + turn + (np.pi if side < 0 else 0.0)
    up = np.interp(left, [p[0] for p in _CROSS_SECTION], [p[1] for p in _CROSS_SECTION])
    return mesh.turned(heading).moved(road.place(along, left, float(up)))
