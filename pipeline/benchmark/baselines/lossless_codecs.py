"""Lossless image codecs on quantised ranges; invalid pixels are 0.

Several options are tried, the transposed image among them: its shape tells the decoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import zstandard
from numpy.typing import NDArray

from pipeline.benchmark.baseline import Baseline, Decoded, Encode, Encoded, Known, Request, packages
from quinr_lidar import RangeImage
from quinr_lidar.errors import GeometryError

LARGEST = 2**16 - 1
"""Largest integer: image codecs take 16 bits."""
ZSTD_LEVEL = 19
JPEG_XL_SPEEDS = (0, 1)
"""Decoding speeds; with such efforts those above 1 make the same file as 1."""
PNG_STRATEGIES = {"default": 0, "filtered": 1}
PNG_FILTERS = {"any filter": 248, "up": 16}
"""Numbers of zlib and libpng."""
BOX_HEAD, JPEG_XL_START = 8, b"\xff\x0a"

Integers = NDArray[np.uint8] | NDArray[np.uint16]
Compress = Callable[[Integers], Any]


def range_step(max_error: float, no_return: float) -> float:
    """The step whose half, and the rounding of a decoded range to float32, is the largest error.

    Raises:
        GeometryError: the largest error is not positive, or finer than float32 at the largest
            range (both in metres).
    """
    rounding = float(np.spacing(np.float32(no_return + max_error))) / 2
    if not (math.isfinite(max_error) and max_error > 2 * rounding):
        raise GeometryError(
            f"max_error: expected more than {2 * rounding:g} m, the resolution of float32 at "
            f"{no_return:g} m, got {max_error:g}"
        )
    return 2 * (max_error - rounding)


def integers_of(image: RangeImage, max_error: float) -> NDArray[np.uint16]:
    """A range image as integers, uint16 [H, W]: 0 is invalid, the others are their steps plus 1.

    Raises:
        GeometryError: the largest error is out of range, or an integer needs more than 16 bits
            (half a millimetre at 66 m). Nothing is split or clipped then.
    """
    steps = np.rint(image.ranges.astype(np.float64) / range_step(max_error, image.no_return)) + 1
    integers = np.where(image.valid, steps, 0)
    if (largest := int(integers.max())) > LARGEST:
        raise GeometryError(
            f"bound {max_error:g} m: {image.no_return:g} m are {largest} steps, image codecs take "
            f"{LARGEST} (16 bits)"
        )
    return integers.astype(np.uint16)


def decoded_of(integers: Integers, known: Known) -> Decoded:
    """The ranges of :func:`integers_of` in metres, within the largest error, and the mask."""
    steps = np.maximum(integers.astype(np.float64) - 1, 0)
    step = range_step(known.request.setting, known.no_return)
    return Decoded((steps * step).astype(np.float32), integers > 0)


def encode_jpeg_xl(integers: Integers, *, effort: int, speed: int = 0) -> bytes:
    """Lossless JPEG XL of integers [H, W], the codestream alone; effort 1..10, speed 0..4."""
    # No more bits than needed: above 12 libjxl insists on a container. It wants 9 of uint16.
    bits = max(9, int(integers.max()).bit_length()) if integers.dtype == np.uint16 else 8
    options: dict[str, Any] = {"effort": effort, "decodingspeed": speed, "bitspersample": bits}
    file = imagecodecs.jpegxl_encode(
        integers, lossless=True, usecontainer=False, numthreads=1, **options
    )
    return codestream_of(bytes(file))


def codestream_of(file: bytes) -> bytes:
    """A JPEG XL file without its container.

    Raises:
        GeometryError: the container holds no codestream.
    """
    if file.startswith(JPEG_XL_START):
        return file
    at, parts = 0, list[bytes]()
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


def _encode(compress: Compress, turned: bool, image: RangeImage, request: Request) -> Encoded:
    integers = integers_of(image, request.setting)
    # The shape of a square image would not tell that it was turned.
    if turned and image.shape[0] != image.shape[1]:
        integers = np.ascontiguousarray(integers.T)
    if integers.max() <= np.iinfo(np.uint8).max:
        integers = integers.astype(np.uint8)
    return Encoded.of(bytes(compress(integers)))


def _decode(decompress: Callable[[bytes], NDArray[Any]], data: bytes, known: Known) -> Decoded:
    integers = decompress(data)
    turned = integers.shape != (known.projection.height, known.projection.width)
    return decoded_of(integers.T if turned else integers, known)


def _ways(compressors: dict[str, Compress]) -> dict[str, Encode]:
    return {
        name + ", transposed" * turned: partial(_encode, compress, turned)
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


_PNG = _ways(
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


def compress_planes(rows: NDArray[Any]) -> bytes:
    """Rows [N, K] by zstd, every byte of a row a plane: smaller than as they come.

    By a tenth for integers of 16 bits, by a quarter for points of float32.
    """
    planes = rows.view(np.uint8).reshape(len(rows), -1).T
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(planes.tobytes())


def decompress_planes(data: bytes, row: str) -> NDArray[Any]:
    """The rows of :func:`compress_planes`, from the dtype of a row, such as ``3<f4``."""
    planes = np.frombuffer(zstandard.ZstdDecompressor().decompress(data), np.uint8)
    whole = np.ascontiguousarray(planes.reshape(np.dtype(row).itemsize, -1).T)
    return whole.view(np.dtype(row).base)


def _compress_integers(integers: Integers) -> bytes:
    return compress_planes(integers.astype("<u2").reshape(-1, 1))


def _decode_integers(data: bytes, known: Known) -> Decoded:
    integers = decompress_planes(data, "<u2")
    return decoded_of(integers.reshape(known.projection.height, known.projection.width), known)


def _baseline(
    name: str, title: str, ways: dict[str, Encode], decompress: Callable[[bytes], NDArray[Any]]
) -> Baseline:
    decode = partial(_decode, decompress)
    return Baseline(name, title, "max_error", ways, decode, packages("imagecodecs"))


LOSSLESS_CODECS = (
    _baseline("jpeg-xl", "JPEG XL lossless, effort 9", _jpeg_xl(9), imagecodecs.jpegxl_decode),
    _baseline("jpeg-xl-10", "JPEG XL lossless, effort 10", _jpeg_xl(10), imagecodecs.jpegxl_decode),
    _baseline("png", "PNG, level 9", _PNG, imagecodecs.png_decode),
    _baseline(
        "jpeg-ls",
        "JPEG-LS lossless",
        _ways({"rows": imagecodecs.jpegls_encode}),
        imagecodecs.jpegls_decode,
    ),
    Baseline(
        "zstd",
        "zstd, level 19, byte planes",
        "max_error",
        {"": partial(_encode, _compress_integers, False)},
        _decode_integers,
        packages("zstandard"),
    ),
)
"""Those that code integers [H, W] without loss."""
