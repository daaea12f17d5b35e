"""Neural fields: small networks from pixel coordinates to values, one network a frame."""

from quinr_lidar.fields.coordinates import pixel_coordinates
from quinr_lidar.fields.field import Field, Parameters
from quinr_lidar.fields.fourier import FourierField
from quinr_lidar.fields.qiren import QirenField
from quinr_lidar.fields.quinr import QuinrField
from quinr_lidar.fields.siren import SirenField

__all__ = [
    "Field",
    "FourierField",
    "Parameters",
    "QirenField",
    "QuinrField",
    "SirenField",
    "pixel_coordinates",
]
