"""Lossless image codecs on quantised ranges, invalid pixels being 0.

Several settings are tried, the image's transpose among them: its shape tells a decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import zstandard
from numpy.typing import NDArray

from pipeline.benchmark.rate.baselines import Baseline, Decoded, Encode, Encoded, Known
from pipeline.benchmark.rate.quantiser import integers_of, ranges_of
from quinr_lidar import RangeImage
from quinr_lidar.errors import GeometryError

ZSTD_LEVEL = 19

JPEG_XL_SPEEDS = (0, 1)
"""Decoding speeds; with such efforts those above 1 make the same file as 1."""

PNG_STRATEGIES = {"default": 0, "filtered": 1}
PNG_FILTERS = {"any filter": 248, "up": 16}
"""zlib's and libpng's numbers."""

BOX_HEAD, JPEG_XL_START = 8, b"\xff\x0a"

Integers = NDArray[np.uint8] | NDArray[np.uint16]


def encode_jpeg_xl(integers: Integers, *, effort: int, speed: int = 0) -> bytes:
    """Lossless JPEG XL, the codestream alone.

    Args:
        integers: [H, W].
        effort: 1..10.
        speed: Decoding speed, 0..4.
    """
    # No more bits than there are: above 12 libjxl insists on a container. It wants 9 of uint16.
    bits = max(9, int(integers.max()).bit_length()) if integers.dtype == np.uint16 else 8
    file = imagecodecs.jpegxl_encode(
        integers,
        lossless=True,
        effort=effort,
        decodingspeed=speed,
        bitspersample=bits,
        usecontainer=False,
        numthreads=1,
    )
    return codestream_of(bytes(file))


def codestream_of(file: bytes) -> bytes:
    """A JPEG XL file without its container.

    Raises:
        GeometryError: a container without a codestream.
    """
    if file.startswith(JPEG_XL_START):
        return file
    at = 0
    parts: list[bytes] = []
    while at < len(file):
        size, kind = int.from_bytes(file[at : at + 4], "big"), file[at + 4 : at + 8]
        # Size 0 means: to the end of the file.
        end = at + size if size else len(file)
        if size == 1 or end < at + BOX_HEAD:
            raise GeometryError("JPEG XL: a container of boxes that libjxl does not write")
        content = file[at + BOX_HEAD : end]
        # Partial codestreams begin with their number.
        parts += [content] if kind == b"jxlc" else [content[4:]] if kind == b"jxlp" else []
        at = end
    if not parts:
        raise GeometryError("JPEG XL: a container without a codestream")
    return b"".join(parts)


def _encode(
    compress: Callable[[Integers], Any], image: RangeImage, max_error: float, *, turned: bool
) -> Encoded:
    integers = integers_of(image, max_error)
    # The shape of a square image would not tell that it was turned.
    if turned and image.shape[0] != image.shape[1]:
        integers = np.ascontiguousarray(integers.T)
    if integers.max() <= np.iinfo(np.uint8).max:
        integers = integers.astype(np.uint8)
    return Encoded.of(bytes(compress(integers)))


def _decode(decompress: Callable[[bytes], NDArray[Any]], data: bytes, known: Known) -> Decoded:
    integers = decompress(data)
    if integers.shape != (known.projection.height, known.projection.width):
        integers = integers.T
    return Decoded(ranges_of(integers, known), integers > 0)


def _ways(compressors: dict[str, Callable[[Integers], Any]]) -> dict[str, Encode]:
    return {
        name + ", transposed" * turned: partial(_encode, compress, turned=turned)
        for (name, compress), turned in product(compressors.items(), (False, True))
    }


def _jpeg_xl(effort: int) -> dict[str, Encode]:
    return _ways(
        {
            f"effort {effort}, decoding speed {speed}": partial(
                encode_jpeg_xl, effort=effort, speed=speed
            )
            for speed in JPEG_XL_SPEEDS
        }
    )


def _png() -> dict[str, Encode]:
    return _ways(
        {
            f"{strategy}, {chosen}": partial(
                imagecodecs.png_encode,
                level=9,
                strategy=PNG_STRATEGIES[strategy],
                filter=PNG_FILTERS[chosen],
            )
            for strategy, chosen in product(PNG_STRATEGIES, PNG_FILTERS)
        }
    )


def _compress_planes(integers: Integers) -> bytes:
    """All low bytes, then all high ones: a tenth smaller than as they come."""
    planes = integers.astype("<u2").view(np.uint8).reshape(-1, 2).T
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(planes.tobytes())


def _decode_planes(data: bytes, known: Known) -> Decoded:
    planes = np.frombuffer(zstandard.ZstdDecompressor().decompress(data), np.uint8).reshape(2, -1)
    integers = np.ascontiguousarray(planes.T).view("<u2")
    integers = integers.reshape(known.projection.height, known.projection.width)
    return Decoded(ranges_of(integers, known), integers > 0)


def _imagecodecs() -> str:
    return version("imagecodecs")


IMAGE_CODECS = (
    Baseline(
        "jpeg-xl",
        "JPEG XL lossless, effort 9",
        "max_error",
        _jpeg_xl(9),
        partial(_decode, imagecodecs.jpegxl_decode),
        _imagecodecs,
    ),
    Baseline(
        "jpeg-xl-10",
        "JPEG XL lossless, effort 10",
        "max_error",
        _jpeg_xl(10),
        partial(_decode, imagecodecs.jpegxl_decode),
        _imagecodecs,
    ),
    Baseline(
        "png",
        "PNG, level 9",
        "max_error",
        _png(),
        partial(_decode, imagecodecs.png_decode),
        _imagecodecs,
    ),
    Baseline(
        "jpeg-ls",
        "JPEG-LS lossless",
        "max_error",
        _ways({"rows": imagecodecs.jpegls_encode}),
        partial(_decode, imagecodecs.jpegls_decode),
        _imagecodecs,
    ),
    Baseline(
        "zstd",
        "zstd, level 19, byte planes",
        "max_error",
        {"": partial(_encode, _compress_planes, turned=False)},
        _decode_planes,
        lambda: version("zstandard"),
    ),
)
"""Those that code integers [H, W] without loss."""
