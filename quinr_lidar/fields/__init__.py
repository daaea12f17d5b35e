"""Neural fields: small networks from pixel coordinates to values, one network for each frame.

Importing this package loads NumPy and the compiled kernel only; what trains a field imports torch.
"""

from quinr_lidar.fields.baselines.fourier import FourierField
from quinr_lidar.fields.baselines.qiren import QirenField
from quinr_lidar.fields.baselines.siren import SirenField
from quinr_lidar.fields.coordinates import pixel_centres, pixel_coordinates
from quinr_lidar.fields.field import Field, ParameterArrays, Parameters
from quinr_lidar.fields.quinr import QuinrField

__all__ = [
    "Field",
    "FourierField",
    "ParameterArrays",
    "Parameters",
    "QirenField",
    "QuinrField",
    "SirenField",
    "pixel_centres",
    "pixel_coordinates",
]
