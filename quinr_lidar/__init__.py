"""quinr-lidar: LiDAR scans as tiny quantum-inspired neural fields.

>>> import numpy as np, quinr_lidar
>>> points = np.random.default_rng(0).normal(scale=(20, 20, 1), size=(5000, 3))
>>> projection = quinr_lidar.SphericalProjection(height=16, width=64)
>>> image = projection.project(points)
>>> data = quinr_lidar.encode(image, "paper", qubits=3, features=6, blocks=2, steps=20)
>>> decoded = quinr_lidar.decode(data)
>>> cloud = projection.back_project(decoded)

Names are loaded when they are first used. Decoding needs NumPy, zstandard and the compiled kernel
only; ``encode`` and ``Profile`` need torch and Pydantic, the extra ``train``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from quinr_lidar.errors import QuinrError

if TYPE_CHECKING:
    from quinr_lidar.codec.decoding import decode
    from quinr_lidar.codec.encoding import encode
    from quinr_lidar.codec.profiles import Profile
    from quinr_lidar.geometry import RangeImage, SphericalProjection
    from quinr_lidar.version import __version__

__all__ = [
    "Profile",
    "QuinrError",
    "RangeImage",
    "SphericalProjection",
    "__version__",
    "decode",
    "encode",
]

_MODULES = {
    "Profile": "quinr_lidar.codec.profiles",
    "RangeImage": "quinr_lidar.geometry",
    "SphericalProjection": "quinr_lidar.geometry",
    "__version__": "quinr_lidar.version",
    "decode": "quinr_lidar.codec.decoding",
    "encode": "quinr_lidar.codec.encoding",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
