"""Triangle meshes with a material per triangle, and the simple solids a street is made of."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


class Material(enum.IntEnum):
    """What a triangle is made of; the sensor model gives each its reflectance."""

    ASPHALT = 0
    PAVEMENT = 1
    GRASS = 2
    FACADE = 3
    GLASS = 4
    PAINT = 5
    METAL = 6
    BARK = 7
    LEAF = 8


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles.

    Attributes:
        vertices: float64 [V, 3], metres.
        triangles: int64 [T, 3], indices into ``vertices``.
        materials: uint8 [T], values of :class:`Material`.
    """

    vertices: FloatArray
    triangles: NDArray[np.int64]
    materials: NDArray[np.uint8]

    def turned(self, yaw: float) -> Mesh:
        """The mesh turned about the vertical axis through the origin, radians."""
        cos, sin = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        return Mesh(self.vertices @ turn.T, self.triangles, self.materials)

    def moved(self, offset: ArrayLike) -> Mesh:
        """The mesh moved by [3] metres."""
        return Mesh(self.vertices + np.asarray(offset), self.triangles, self.materials)


def merge(meshes: Iterable[Mesh]) -> Mesh:
    """All triangles of the meshes as one mesh."""
    parts = list(meshes)
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.materials for part in parts]),
    )


def _mesh(vertices: ArrayLike, triangles: ArrayLike, material: Material) -> Mesh:
    faces = np.asarray(triangles, dtype=np.int64)
    return Mesh(np.asarray(vertices, float), faces, np.full(len(faces), material, np.uint8))


def box(low: ArrayLike, high: ArrayLike, material: Material) -> Mesh:
    """An axis-aligned box between two corners, [3] metres each."""
    corners = np.array([low, high], dtype=float)
    vertices = [
        [corners[i, 0], corners[j, 1], corners[k, 2]]
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    ]
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return _mesh(vertices, faces, material)


def column(radius: float, height: float, material: Material, sides: int = 8) -> Mesh:
    """An upright prism around the vertical axis, standing at height 0 (poles, trunks)."""
    angle = 2 * np.pi * np.arange(sides) / sides
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    low = np.column_stack([ring, np.zeros(sides)])
    high = np.column_stack([ring, np.full(sides, height)])
    here = np.arange(sides)
    after = (here + 1) % sides
    faces = np.concatenate(
        [
            np.stack([here, after, after + sides], axis=1),
            np.stack([here, after + sides, here + sides], axis=1),
        ]
    )
    return _mesh(np.concatenate([low, high]), faces, material)


def foliage(rng: np.random.Generator, radii: ArrayLike, leaves: int, size: float) -> Mesh:
    """A crown or bush: loose triangles in an ellipsoid around the origin, so that rays pass.

    Args:
        rng: Places the leaves.
        radii: [3] half axes, metres.
        leaves: Number of triangles.
        size: Length scale of a triangle, metres.
    """
    direction = rng.normal(size=(leaves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    # The cube root would fill the ball evenly; a smaller power keeps leaves near the surface.
    centres = direction * rng.uniform(size=(leaves, 1)) ** 0.2 * np.asarray(radii)
    corners = centres[:, None] + rng.normal(scale=size / 2, size=(leaves, 3, 3))
    return _mesh(corners.reshape(-1, 3), np.arange(3 * leaves).reshape(-1, 3), Material.LEAF)


CAR_PROFILE = np.array(
    [
        (2.10, 0.25),
        (2.15, 0.70),
        (1.10, 0.95),
        (0.40, 1.45),
        (-1.20, 1.48),
        (-1.90, 1.00),
        (-2.15, 0.85),
        (-2.10, 0.25),
    ]
)
"""Side view of a car of average size, (forward, up) metres, from the front bumper over the roof."""

WINDSCREENS = (2, 4)
"""Edges of the profile that are glass; the side windows lie under the roof edge between them."""


def car(scale: float = 1.0, height: float = 1.0) -> Mesh:
    """A car standing on height 0, pointing along +x.

    Args:
        scale: Factor on length and width (1 is 4.3 m by 1.8 m).
        height: Factor on height (1 is 1.48 m; 1.4 makes a van).
    """
    count = len(CAR_PROFILE)
    half_width = 0.9 * scale
    outline = CAR_PROFILE * (scale, height)
    middle = np.array([[0.0, 0.9 * height]])
    sides = [
        np.column_stack([points[:, 0], np.full(len(points), y), points[:, 1]])
        for y in (half_width, -half_width)
        for points in (outline, middle)
    ]
    left, left_middle, right, right_middle = 0, count, count + 1, 2 * count + 1
    faces, materials = [], []
    for edge in range(count):
        after = (edge + 1) % count
        shell = Material.GLASS if edge in WINDSCREENS else Material.PAINT
        window = Material.GLASS if edge == WINDSCREENS[0] + 1 else Material.PAINT
        faces += [
            (left + edge, left + after, right + after),
            (left + edge, right + after, right + edge),
            (left_middle, left + edge, left + after),
            (right_middle, right + edge, right + after),
        ]
        materials += [shell, shell, window, window]
    return Mesh(
        np.concatenate(sides), np.array(faces, np.int64), np.array(materials, dtype=np.uint8)
    )
