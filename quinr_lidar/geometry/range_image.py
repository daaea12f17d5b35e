"""The range image: what is compressed, and what a decoder returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError

if TYPE_CHECKING:
    from quinr_lidar.geometry.projection import SphericalProjection


@dataclass(frozen=True)
class ProjectionStats:
    """What became of every point of a scan when it was projected.

    ``points == non_finite + zero_range + collisions + valid`` always holds.
    ``outside_fov`` points are clamped to the first or last row (as the paper does) and are
    counted among ``collisions`` or ``valid`` as well.

    Attributes:
        points: Points in the scan.
        non_finite: Points dropped because a coordinate is NaN or infinite.
        zero_range: Points dropped because they lie at the sensor's origin.
        outside_fov: Points above or below the vertical field of view.
        collisions: Points hidden by a nearer point that fell on the same pixel.
        valid: Pixels that hold a point.
    """

    points: int
    non_finite: int
    zero_range: int
    outside_fov: int
    collisions: int
    valid: int

    @property
    def kept_fraction(self) -> float:
        """Share of the scan's points that the range image keeps, in [0, 1]."""
        return self.valid / self.points if self.points else 0.0


@dataclass(frozen=True, eq=False)
class RangeImage:
    """One scan as an image of ranges.

    Attributes:
        ranges: float32 [H, W], metres. In a projected scan invalid pixels hold ``no_return``;
            in a decoded image they hold whatever the decoder reconstructed there, so that
            whole-image PSNR (the paper's metric) can be computed.
        valid: bool [H, W], true where a point was measured.
        projection: The projection that made the image, and that puts its points back.
        no_return: Maximum measured range in metres (0 for an image without any valid pixel).
        stats: Point counts of the projection; ``None`` for decoded images.
        interpolated: Whether a field was evaluated on another grid than the scan's: then most
            pixels were never measured by anything.

    Raises:
        GeometryError: shapes, dtypes or values do not fit together.
    """

    ranges: NDArray[np.float32]
    valid: NDArray[np.bool_]
    projection: SphericalProjection
    no_return: float
    stats: ProjectionStats | None = None
    interpolated: bool = False

    def __post_init__(self) -> None:
        expected = (self.projection.height, self.projection.width)
        for name, array, dtype in (
            ("ranges", self.ranges, np.float32),
            ("valid", self.valid, np.bool_),
        ):
            if array.shape != expected or array.dtype != dtype:
                raise GeometryError(
                    f"RangeImage.{name}: expected {np.dtype(dtype).name} {list(expected)}, "
                    f"got {array.dtype.name} {list(array.shape)}"
                )
        if not np.isfinite(self.ranges).all() or (self.ranges < 0).any():
            raise GeometryError("RangeImage.ranges: expected finite ranges >= 0 m")
        if not (np.isfinite(self.no_return) and self.no_return >= 0):
            raise GeometryError(
                f"RangeImage.no_return: expected a finite range >= 0 m, got {self.no_return}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.projection.height, self.projection.width

    @property
    def valid_count(self) -> int:
        """Number of valid pixels."""
        return int(np.count_nonzero(self.valid))

    def filled(self) -> NDArray[np.float32]:
        """Ranges with every invalid pixel set to ``no_return``: float32 [H, W], metres."""
        return np.where(self.valid, self.ranges, np.float32(self.no_return)).astype(np.float32)
