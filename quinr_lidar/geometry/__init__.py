"""Points <-> range images. Knows nothing of fields, files or compression."""

from quinr_lidar.geometry.projection import SphericalProjection, usable_points
from quinr_lidar.geometry.range_image import ProjectionStats, RangeImage

__all__ = ["ProjectionStats", "RangeImage", "SphericalProjection", "usable_points"]
