"""Neural fields: small networks from pixel coordinates to values, one network a frame."""

from quinr_lidar.fields.coordinates import pixel_coordinates
from quinr_lidar.fields.field import Field, Parameters
from quinr_lidar.fields.quinr import QuinrField

__all__ = ["Field", "Parameters", "QuinrField", "pixel_coordinates"]
