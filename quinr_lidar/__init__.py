"""quinr-lidar: LiDAR scans as tiny quantum-inspired neural fields.

>>> import numpy as np, quinr_lidar
>>> points = np.random.default_rng(0).normal(scale=(20, 20, 1), size=(5000, 3))
>>> projection = quinr_lidar.SphericalProjection(height=16, width=64)
>>> image = projection.project(points)
>>> data = quinr_lidar.encode(image, "paper", qubits=3, features=6, blocks=2, steps=20)
>>> decoded = quinr_lidar.decode(data)
>>> cloud = projection.back_project(decoded)

Importing the package and decoding need NumPy, zstandard and the compiled kernel only. ``encode``
and ``Profile`` are loaded when they are first used: they need torch and Pydantic, the extra
``train``.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from quinr_lidar.codec.decoding import decode
from quinr_lidar.errors import QuinrError
from quinr_lidar.geometry import RangeImage, SphericalProjection

if TYPE_CHECKING:
    from quinr_lidar.codec.encoding import encode
    from quinr_lidar.codec.profiles import Profile

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


def __getattr__(name: str) -> Any:
    if name == "encode":
        from quinr_lidar.codec.encoding import encode

        return encode
    if name == "Profile":
        from quinr_lidar.codec.profiles import Profile

        return Profile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
