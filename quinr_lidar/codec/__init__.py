"""Range images and pictures to the bytes of a file, and back."""

from quinr_lidar.codec.encoding import (
    EncodedFrame,
    FileInfo,
    Salvaged,
    decode,
    encode,
    encode_frame,
    framing_bytes,
    inspect,
    read_parameters,
    salvage,
)

__all__ = [
    "EncodedFrame",
    "FileInfo",
    "Salvaged",
    "decode",
    "encode",
    "encode_frame",
    "framing_bytes",
    "inspect",
    "read_parameters",
    "salvage",
]
