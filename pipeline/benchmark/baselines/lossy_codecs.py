"""Image codecs at a size: JPEG 2000, JPEG, JPEG XL and WebP, each at its best.

Several options of each are tried, and the best PSNR that fits counts. Bytes that a decoder can do
without (comments, boxes) do not count.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.benchmark.baseline import (
    Baseline,
    Content,
    Decoded,
    Encoded,
    Kind,
    Request,
    packages,
    values_of,
)
from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.images import psnr

Samples = NDArray[np.uint8] | NDArray[np.uint16]
Options = tuple[int, Sequence[Any], Callable[[Samples, Any], bytes | None]]
"""Bits of a sample, qualities in the order of rising files, and an encoder of samples at a quality,
which returns ``None`` where the file would be too small for the codec."""

BELOW, ABOVE = 5, 2
"""Qualities tried around the largest that fits: neither size nor PSNR is quite monotonic."""

J2K_RESOLUTIONS = (5, 6, 7)
J2K_BLOCKS = ((64, 64), (128, 32), (32, 32))
J2K_SMALLEST = 64
"""Bytes of the smallest JPEG 2000 codestream: its headers are as long."""
J2K_SLACK = 96
"""OpenJPEG stays below its target, and counts the 39 bytes of a comment that is cut off."""
J2K_COMMENT, JPEG_JFIF = 0x64, 0xE0
HEADER_ENDS = (0x90, 0xDA)
"""Second bytes of the markers SOT of JPEG 2000 and SOS of JPEG."""
# From 20 on libjxl halves the resolution: often its best for a size is at the very edge.
JPEG_XL_DISTANCES = sorted([*np.geomspace(25, 0.05, 120), 20.0], reverse=True)
JPEG_XL_EFFORTS = (3, 7, 9)
WEBP_METHODS = (4, 6)


def encode_to_fit(
    codec: Codec, values: NDArray[np.floating], budget: int
) -> tuple[bytes, NDArray[np.float64]]:
    """The file of the best PSNR of at most ``budget`` bytes, and what it decodes to.

    Values [H, W, C] are in [0, 1].

    Raises:
        GeometryError: the codec cannot make so small a file.
    """
    image = values.astype(np.float64)
    options, decode = codec
    best: tuple[float, int, bytes, NDArray[np.float64]] | None = None
    for bits, qualities, encode in options(image.shape, budget) if budget > 0 else ():
        # Codecs take grey images as [H, W].
        flat = image[..., 0] if image.shape[2] == 1 else image
        dtype = np.uint8 if bits == 8 else np.uint16
        samples = np.ascontiguousarray(np.rint(flat * (2**bits - 1)).astype(dtype))
        for file in _files_that_fit(qualities, partial(encode, samples), budget):
            found = decode(file)
            decoded = found.reshape(image.shape) / float(np.iinfo(found.dtype).max)
            quality = psnr(image, decoded, max_value=1.0)
            if best is None or (quality, -len(file)) > best[:2]:
                best = quality, -len(file), file, decoded
    if best is None:
        raise GeometryError(f"cannot write {max(budget, 0)} bytes")
    return best[2:]


def _files_that_fit(
    qualities: Sequence[Any], encode: Callable[[Any], bytes | None], budget: int
) -> Iterator[bytes]:
    """Files around the best quality that fits, found by bisection."""
    files: dict[int, bytes | None] = {}

    def size(index: int) -> int:
        if index not in files:
            files[index] = encode(qualities[index])
        # The codec fails where it is asked for too little, so that counts as fitting.
        return len(files[index] or b"")

    if size(0) > budget:
        return
    beyond = bisect_left(range(len(qualities)), True, key=lambda index: size(index) > budget)
    for index in range(max(0, beyond - BELOW), min(len(qualities), beyond + ABOVE)):
        size(index)
    yield from (file for file in files.values() if file is not None and len(file) <= budget)


def _without_segment(data: bytes, marker: int) -> bytes:
    """A JPEG or JPEG 2000 codestream without the marker segments of a kind in its header."""
    kept, at = bytearray(data[:2]), 2
    while data[at + 1] not in HEADER_ENDS:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] != marker:
            kept += data[at:end]
        at = end
    return bytes(kept) + data[at:]


def _jpeg2000(bits: int, shape: tuple[int, ...], budget: int) -> Iterator[Options]:
    raw = int(np.prod(shape)) * bits // 8
    most = max(J2K_SMALLEST, min(budget, raw)) + J2K_SLACK
    targets = [raw / size for size in range(J2K_SMALLEST, most, max(1, budget // 200))]
    for irreversible, resolutions, block in product((True, False), J2K_RESOLUTIONS, J2K_BLOCKS):
        # There is nothing to split in a side of 1 pixel.
        if resolutions == min(J2K_RESOLUTIONS) or 2 ** (resolutions - 1) <= min(shape[:2]):
            options = {"irreversible": irreversible, "num_resolutions": resolutions}
            options |= {"codeblock_size": block, "mct": int(shape[2] == 3)}
            yield bits, targets, partial(_encode_jpeg2000, options)


def _encode_jpeg2000(options: dict[str, Any], samples: Samples, ratio: float) -> bytes | None:
    """OpenJPEG through Pillow, which offers its rate control.

    imagecodecs only offers a PSNR to aim at; at 180 bytes of a range image that costs 1.5 dB.
    """
    file = io.BytesIO()
    rate = {"no_jp2": True, "quality_mode": "rates", "quality_layers": [ratio]}
    try:
        Image.fromarray(samples).save(file, "JPEG2000", **options, **rate)
    except OSError:
        # When writing to memory this means that the headers alone exceed the target.
        return None
    return _without_segment(file.getvalue(), J2K_COMMENT)


def _jpeg(shape: tuple[int, ...], _budget: int) -> Iterator[Options]:
    # Tables of the standard, made for eyes, and flat ones, made for PSNR.
    tables: list[list[dict[str, Any]]] = [
        [{"quality": quality} for quality in range(1, 101)],
        [{"qtables": [[step] * 64] * 2} for step in range(255, 0, -1)],
    ]
    subsamplings = ("4:4:4", "4:2:0") if shape[2] == 3 else ("4:4:4",)
    for subsampling, progressive, table in product(subsamplings, (False, True), tables):
        options = {"subsampling": subsampling, "progressive": progressive}
        yield 8, table, partial(_encode_jpeg, options)


def _encode_jpeg(options: dict[str, Any], samples: Samples, tables: dict[str, Any]) -> bytes:
    """libjpeg-turbo through Pillow: imagecodecs has neither tables nor progressive files."""
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "JPEG", optimize=True, **tables, **options)
    return _without_segment(file.getvalue(), JPEG_JFIF)


def _jpeg_xl(_shape: tuple[int, ...], _budget: int) -> Iterator[Options]:
    # High efforts serve the eye; low ones often have the better PSNR.
    for bits, effort in product((8, 16), JPEG_XL_EFFORTS):
        options = {"effort": effort, "usecontainer": False, "numthreads": 1}

        def encode(samples: Samples, distance: float, options: dict[str, Any] = options) -> bytes:
            return bytes(imagecodecs.jpegxl_encode(samples, distance=distance, **options))

        yield bits, JPEG_XL_DISTANCES, encode


def _webp(_shape: tuple[int, ...], _budget: int) -> Iterator[Options]:
    for method in WEBP_METHODS:

        def encode(samples: Samples, level: int, method: int = method) -> bytes:
            return bytes(
                imagecodecs.webp_encode(samples, level=level, lossless=False, method=method)
            )

        yield 8, range(101), encode


Codec = tuple[Callable[[tuple[int, ...], int], Iterator[Options]], Callable[[bytes], NDArray[Any]]]
"""All options that are worth a try, from the image's shape and the bytes allowed, and a decoder."""

JPEG_2000: Codec = (partial(_jpeg2000, 8), imagecodecs.jpeg2k_decode)
JPEG_2000_16: Codec = (partial(_jpeg2000, 16), imagecodecs.jpeg2k_decode)


def _encode(codec: Codec, content: Content, request: Request) -> Encoded:
    data, decoded = encode_to_fit(codec, values_of(content), int(request.setting))
    return Encoded.of(data, decoded=Decoded(values=decoded))


def _baseline(name: str, title: str, codec: Codec, *codes: Kind) -> Baseline:
    ways = {"": partial(_encode, codec)}
    return Baseline(name, title, "size", ways, None, packages("pillow", "imagecodecs"), codes)


LOSSY_CODECS = (
    _baseline("jpeg2000-8", "JPEG 2000, 8 bits", JPEG_2000, "scan", "picture"),
    # Pillow has no RGB images of 16 bits, and those compared are of 8.
    _baseline("jpeg2000-16", "JPEG 2000, 16 bits", JPEG_2000_16, "scan"),
    _baseline("jpeg", "JPEG", (_jpeg, imagecodecs.jpeg8_decode), "picture"),
    _baseline("jpeg-xl-lossy", "JPEG XL", (_jpeg_xl, imagecodecs.jpegxl_decode), "scan", "picture"),
    _baseline("webp", "WebP", (_webp, imagecodecs.webp_decode), "picture"),
)
