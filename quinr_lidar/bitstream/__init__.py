"""Everything that becomes bytes: the container and one module for each layer's section."""

from quinr_lidar.bitstream.container import Container, Header, ImageHeader, Section, pack, unpack
from quinr_lidar.bitstream.preview import Preview, pack_preview, unpack_preview

__all__ = [
    "Container",
    "Header",
    "ImageHeader",
    "Preview",
    "Section",
    "pack",
    "pack_preview",
    "unpack",
    "unpack_preview",
]
