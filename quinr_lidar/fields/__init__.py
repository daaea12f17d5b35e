"""Neural fields: small networks from pixel coordinates to values, one network a frame."""

from quinr_lidar.fields.baselines.fourier import FourierField
from quinr_lidar.fields.baselines.qiren import QirenField
from quinr_lidar.fields.baselines.siren import SirenField
from quinr_lidar.fields.coordinates import pixel_coordinates
from quinr_lidar.fields.field import Field, Parameters
from quinr_lidar.fields.quinr import QuinrField

__all__ = [
    "Field",
    "FourierField",
    "Parameters",
    "QirenField",
    "QuinrField",
    "SirenField",
    "pixel_coordinates",
]
