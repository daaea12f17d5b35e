"""Range images and pictures to the bytes of a file, and back.

Decoding and inspecting need NumPy, zstandard and the compiled kernel only; what encodes is loaded
when it is first used, and needs torch and Pydantic.
"""

from typing import TYPE_CHECKING, Any

from quinr_lidar.codec.decoding import Salvaged, decode, salvage
from quinr_lidar.codec.inspection import FileInfo, inspect, read_parameters

if TYPE_CHECKING:
    from quinr_lidar.codec.encoding import (
        EncodedFrame,
        FrameEncoder,
        encode,
        encode_frame,
        framing_bytes,
    )

__all__ = [
    "EncodedFrame",
    "FileInfo",
    "FrameEncoder",
    "Salvaged",
    "decode",
    "encode",
    "encode_frame",
    "framing_bytes",
    "inspect",
    "read_parameters",
    "salvage",
]

_ENCODING = ("EncodedFrame", "FrameEncoder", "encode", "encode_frame", "framing_bytes")


def __getattr__(name: str) -> Any:
    if name in _ENCODING:
        from quinr_lidar.codec import encoding

        return getattr(encoding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
