"""Range images and pictures to the bytes of a file, and back.

Names are loaded when they are first used: decoding and inspecting need NumPy, zstandard and the
compiled kernel only; encoding needs torch and Pydantic.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quinr_lidar.codec.decoding import Salvaged, decode, salvage
    from quinr_lidar.codec.encoding import (
        EncodedFrame,
        FrameEncoder,
        encode,
        encode_frame,
        framing_bytes,
    )
    from quinr_lidar.codec.inspection import FileInfo, inspect, read_parameters

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

_MODULES = {
    "decoding": ("Salvaged", "decode", "salvage"),
    "encoding": ("EncodedFrame", "FrameEncoder", "encode", "encode_frame", "framing_bytes"),
    "inspection": ("FileInfo", "inspect", "read_parameters"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"quinr_lidar.codec.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
