"""Spherical projection of a scan onto an image, and back.

The formulas are those of RangeNet++ (Milioto et al., 2019), which the quINR paper uses:
rows follow the elevation angle, columns the azimuth, the nearest return wins a pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry.range_image import ProjectionStats, RangeImage

ANGLE_RESOLUTION = 1e-6
"""Fields of view are multiples of this many degrees: the resolution a file stores."""

NumberT = TypeVar("NumberT", bound=np.number)

MAX_SIDE = 1 << 16
MAX_PIXELS = 1 << 24


@dataclass(frozen=True)
class SphericalProjection:
    """A virtual sensor with evenly spaced rows (elevation) and columns (azimuth).

    Attributes:
        height: Rows, H.
        width: Columns, W, covering 360 degrees.
        fov_up: Elevation of the upper edge of row 0, degrees.
        fov_down: Elevation of the lower edge of row H - 1, degrees.

    Raises:
        GeometryError: a size or field of view is out of range.
    """

    height: int = 64
    width: int = 1024
    fov_up: float = 3.0
    fov_down: float = -25.0

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            value = getattr(self, name)
            if not 1 <= value <= MAX_SIDE:
                raise GeometryError(f"projection {name}: expected 1..{MAX_SIDE}, got {value}")
        if self.height * self.width > MAX_PIXELS:
            raise GeometryError(
                f"projection size: expected at most {MAX_PIXELS} pixels, "
                f"got {self.height} x {self.width}"
            )
        for name in ("fov_up", "fov_down"):
            value = getattr(self, name)
            if not (math.isfinite(value) and -90 <= value <= 90):
                raise GeometryError(f"projection {name}: expected -90..90 degrees, got {value}")
            # What a file can store is what the projection uses, so that a decoded image
            # back-projects to exactly the same directions.
            object.__setattr__(self, name, round(value / ANGLE_RESOLUTION) * ANGLE_RESOLUTION)
        if self.fov_up - self.fov_down < ANGLE_RESOLUTION:
            raise GeometryError(
                f"projection: expected fov_up > fov_down, got {self.fov_up} and {self.fov_down}"
            )

    def project(self, points: ArrayLike) -> RangeImage:
        """Project a scan; the nearest return wins a pixel.

        Args:
            points: [N, 3] or wider, metres; columns beyond x, y, z are ignored.

        Returns:
            The range image with :class:`ProjectionStats`. Points whose range is not a finite
            float32 or is zero are dropped and counted; points outside the field of view are
            clamped to the first or last row and counted.

        Raises:
            GeometryError: ``points`` is not a numeric [N, >=3] array.
        """
        xyz = _as_xyz(points)
        ranges = _ranges(xyz)
        finite, kept = np.isfinite(ranges), _have_a_range(ranges)
        usable, ranges = xyz[kept], ranges[kept]
        row, outside = self._rows(usable)
        column = self._columns(usable)
        nearest = np.full(self.height * self.width, np.inf, dtype=np.float32)
        np.minimum.at(nearest, row * self.width + column, ranges)
        nearest = nearest.reshape(self.height, self.width)
        valid = np.isfinite(nearest)
        count = int(np.count_nonzero(valid))
        no_return = float(nearest[valid].max()) if count else 0.0
        stats = ProjectionStats(
            points=len(xyz),
            non_finite=len(xyz) - int(np.count_nonzero(finite)),
            zero_range=int(np.count_nonzero(finite & ~kept)),
            outside_fov=outside,
            collisions=len(usable) - count,
            valid=count,
        )
        nearest[~valid] = no_return
        return RangeImage(nearest, valid, self, no_return, stats)

    def back_project(self, image: RangeImage) -> NDArray[np.float32]:
        """Put every valid pixel at its decoded range along the pixel's centre direction.

        Args:
            image: An image of this projection's shape.

        Returns:
            float32 [valid pixels, 3], metres, in row-major pixel order.

        Raises:
            GeometryError: the image's shape is not this projection's.
        """
        if image.shape != (self.height, self.width):
            raise GeometryError(
                f"back_project: expected a {self.height} x {self.width} image, "
                f"got {image.shape[0]} x {image.shape[1]}"
            )
        directions = self.directions()[image.valid]
        return (directions * image.ranges[image.valid, None]).astype(np.float32)

    def directions(self) -> NDArray[np.float64]:
        """Unit vectors through the pixel centres: float64 [H, W, 3], read-only."""
        return _directions(self)

    def _rows(self, xyz: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
        # In float64 although ranges are kept as float32: a rounded range would move points
        # that lie close to a row's edge.
        norm = np.sqrt(np.einsum("ij,ij->i", xyz, xyz))
        pitch = np.arcsin(np.clip(xyz[:, 2] / norm, -1, 1))
        up, down = math.radians(self.fov_up), math.radians(self.fov_down)
        row = np.floor(self.height * (1 - (pitch - down) / (up - down))).astype(np.int64)
        outside = int(np.count_nonzero((row < 0) | (row >= self.height)))
        return row.clip(0, self.height - 1), outside

    def _columns(self, xyz: NDArray[np.float64]) -> NDArray[np.int64]:
        yaw = -np.arctan2(xyz[:, 1], xyz[:, 0])
        column = np.floor(self.width * (yaw / np.pi + 1) / 2).astype(np.int64)
        return column.clip(0, self.width - 1)


def usable_points(points: NDArray[NumberT]) -> NDArray[NumberT]:
    """The points of a scan that were measured: those that a projection does not drop.

    Args:
        points: [N, 3 or more], metres.

    Returns:
        [M, 3], in the same order and of the same dtype: those whose range is a finite float32
        above zero.

    Raises:
        GeometryError: ``points`` is not a numeric [N, >=3] array.
    """
    return points[_have_a_range(_ranges(_as_xyz(points))), :3]


def _have_a_range(ranges: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.isfinite(ranges) & (ranges > 0)


def _ranges(xyz: NDArray[np.float64]) -> NDArray[np.float32]:
    """Ranges [N] of points [N, 3], metres, in the precision that decides what is dropped."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sqrt(np.einsum("ij,ij->i", xyz, xyz)).astype(np.float32)


def _as_xyz(points: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(points)
    if array.ndim != 2 or array.shape[1] < 3 or array.dtype.kind not in "fiu":
        raise GeometryError(
            f"points: expected a numeric array [N, 3 or more], "
            f"got {array.dtype} {list(array.shape)}"
        )
    return array[:, :3].astype(np.float64)


@lru_cache(maxsize=8)
def _directions(projection: SphericalProjection) -> NDArray[np.float64]:
    up, down = math.radians(projection.fov_up), math.radians(projection.fov_down)
    rows = (np.arange(projection.height) + 0.5) / projection.height
    columns = (np.arange(projection.width) + 0.5) / projection.width
    pitch = down + (1 - rows) * (up - down)
    yaw = (2 * columns - 1) * np.pi
    directions = np.empty((projection.height, projection.width, 3))
    directions[..., 0] = np.cos(pitch)[:, None] * np.cos(yaw)
    directions[..., 1] = -np.cos(pitch)[:, None] * np.sin(yaw)
    directions[..., 2] = np.sin(pitch)[:, None]
    directions.flags.writeable = False
    return directions
