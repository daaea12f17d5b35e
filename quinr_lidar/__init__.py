"""quinr-lidar: LiDAR scans as tiny quantum-inspired neural fields.

>>> import numpy as np, quinr_lidar
>>> points = np.random.default_rng(0).normal(scale=(20, 20, 1), size=(5000, 3))
>>> projection = quinr_lidar.SphericalProjection(height=16, width=64)
>>> image = projection.project(points)
>>> data = quinr_lidar.encode(image, "paper", qubits=3, features=6, blocks=2, steps=20)
>>> decoded = quinr_lidar.decode(data)
>>> cloud = projection.back_project(decoded)
"""

from importlib.metadata import PackageNotFoundError, version

from quinr_lidar.codec.encoding import decode, encode
from quinr_lidar.codec.profiles import Profile
from quinr_lidar.errors import QuinrError
from quinr_lidar.geometry import RangeImage, SphericalProjection

try:
    __version__ = version("quinr-lidar")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

__all__ = [
    "Profile",
    "QuinrError",
    "RangeImage",
    "SphericalProjection",
    "__version__",
    "decode",
    "encode",
]
