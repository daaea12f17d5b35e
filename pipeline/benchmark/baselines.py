"""Classical image codecs that neural fields are compared with, each at its best for a size.

Every codec is given the care a competitor deserves: several settings are tried, the best PSNR that
fits counts, and bytes that a decoder does without (comments, boxes) do not.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quinr_lidar.errors import GeometryError
from quinr_lidar.metrics.images import psnr

Samples = NDArray[np.uint8] | NDArray[np.uint16]

BELOW, ABOVE = 5, 2
"""Qualities tried around the largest that fits: neither size nor PSNR is quite monotonic."""

J2K_RESOLUTIONS = (5, 6, 7)
J2K_BLOCKS = ((64, 64), (128, 32), (32, 32))
J2K_SMALLEST = 64
"""Bytes below which there is no JPEG 2000 codestream: its headers are longer."""
J2K_SLACK = 96
"""OpenJPEG stays below its target, and counts the 39 bytes of a comment that is cut off."""
J2K_COMMENT, JPEG_JFIF = 0x64, 0xE0
HEADER_ENDS = (0x90, 0xDA)
"""Second bytes of the markers SOT of JPEG 2000 and SOS of JPEG."""

# From 20 on libjxl halves the resolution: often its best for a size is at the very edge.
JPEG_XL_DISTANCES = sorted([*np.geomspace(25, 0.05, 120), 20.0], reverse=True)
JPEG_XL_EFFORTS = (3, 7, 9)
WEBP_METHODS = (4, 6)


@dataclass(frozen=True)
class Setting:
    """One way to run a codec, all but its quality decided.

    Attributes:
        bits: Of a sample, 8 or 16.
        qualities: What ``encode`` takes, the smallest files first.
        encode: File of samples [H, W] or [H, W, 3] at a quality; None where the codec fails
            because the file would be too small for it.
    """

    bits: int
    qualities: Sequence[Any]
    encode: Callable[[Samples, Any], bytes | None]


@dataclass(frozen=True)
class Peer:
    """A codec.

    Attributes:
        name: Its key in :data:`PEERS`.
        bits: Bits of a sample, those tried.
        channels: Numbers of channels it is used for, of 1 (grey) and 3 (RGB).
        settings: All that is worth a try, from the image's shape (H, W, C) and the bytes allowed.
        decode: Samples [H, W] or [H, W, 3] of a file, uint8 or uint16.
    """

    name: str
    bits: tuple[int, ...]
    channels: tuple[int, ...]
    settings: Callable[[tuple[int, ...], int], Iterator[Setting]]
    decode: Callable[[bytes], NDArray[Any]]


@dataclass(frozen=True)
class PeerPoint:
    """A file of a codec.

    Attributes:
        name: The codec's.
        bytes: Size of the file.
        psnr_db: PSNR of values in [0, 1] with peak 1, over all pixels and channels, dB.
        decoded: float64 [H, W, C], values in [0, 1].
    """

    name: str
    bytes: int
    psnr_db: float
    decoded: NDArray[np.float64]


def encode_to_fit(peer: Peer, image: NDArray[np.float64], budget: int) -> PeerPoint | None:
    """The file of best PSNR that has at most so many bytes.

    Args:
        peer: The codec, of :data:`PEERS`.
        image: float64 [H, W, C], values in [0, 1]; C is one of ``peer.channels``.
        budget: Bytes allowed, >= 1.

    Returns:
        The best file found; None where the codec cannot make one as small.

    Raises:
        GeometryError: the image is of another shape or dtype or has values outside [0, 1], or the
            budget is below 1.
    """
    _require_image(peer, image)
    if budget < 1:
        raise GeometryError(f"budget: expected at least 1 byte, got {budget}")
    best: PeerPoint | None = None
    for setting in peer.settings(image.shape, budget):
        for file in _files_that_fit(setting, _quantise(image, setting.bits), budget):
            decoded = _values(peer.decode(file), image.shape)
            quality = psnr(image, decoded, max_value=1.0)
            if best is None or (quality, -len(file)) > (best.psnr_db, -best.bytes):
                best = PeerPoint(peer.name, len(file), quality, decoded)
    return best


def smallest_size(peer: Peer, image: NDArray[np.float64]) -> int:
    """Bytes of the smallest file a codec makes of an image with the settings tried.

    Args:
        peer: The codec, of :data:`PEERS`.
        image: float64 [H, W, C], values in [0, 1]; C is one of ``peer.channels``.

    Returns:
        Bytes.

    Raises:
        GeometryError: the image is of another shape or dtype, or has values outside [0, 1].
    """
    _require_image(peer, image)
    sizes = []
    for setting in peer.settings(image.shape, image.size):
        samples, encode = _quantise(image, setting.bits), setting.encode
        first = bisect_left(
            setting.qualities,
            True,
            key=lambda quality: encode(samples, quality) is not None,
        )
        file = encode(samples, setting.qualities[min(first, len(setting.qualities) - 1)])
        if file is not None:
            sizes.append(len(file))
    if not sizes:
        raise GeometryError(f"{peer.name}: cannot encode an image {list(image.shape)}")
    return min(sizes)


def _files_that_fit(setting: Setting, samples: Samples, budget: int) -> Iterator[bytes]:
    """Files around the best quality that fits, found by bisection."""
    files: dict[int, bytes | None] = {}

    def file(index: int) -> bytes | None:
        if index not in files:
            files[index] = setting.encode(samples, setting.qualities[index])
        return files[index]

    # The codec fails where it is asked for too little, so that counts as fitting.
    if len(file(0) or b"") > budget:
        return
    beyond = bisect_left(
        range(len(setting.qualities)), True, key=lambda index: len(file(index) or b"") > budget
    )
    for index in range(max(0, beyond - BELOW), min(len(setting.qualities), beyond + ABOVE)):
        file(index)
    yield from (data for data in files.values() if data is not None and len(data) <= budget)


def _require_image(peer: Peer, image: NDArray[np.float64]) -> None:
    if image.ndim != 3 or image.shape[2] not in peer.channels or image.size == 0:
        allowed = " or ".join(map(str, peer.channels))
        raise GeometryError(
            f"{peer.name}: expected an image [H, W, C = {allowed}], got {list(image.shape)}"
        )
    if image.dtype != np.float64:
        raise GeometryError(f"{peer.name}: expected float64, got {image.dtype}")
    if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
        raise GeometryError(f"{peer.name}: expected values in [0, 1]")


def _quantise(image: NDArray[np.float64], bits: int) -> Samples:
    # Codecs take grey images as [H, W].
    flat = image[..., 0] if image.shape[2] == 1 else image
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.ascontiguousarray(np.rint(flat * (2**bits - 1)).astype(dtype))


def _values(samples: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return samples.reshape(shape) / float(np.iinfo(samples.dtype).max)


def _without_segment(data: bytes, marker: int) -> bytes:
    """A JPEG or JPEG 2000 codestream without the marker segments of a kind in its header."""
    kept, at = bytearray(data[:2]), 2
    while data[at + 1] not in HEADER_ENDS:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] != marker:
            kept += data[at:end]
        at = end
    return bytes(kept) + data[at:]


def _jpeg2000_settings(bits: int, shape: tuple[int, ...], budget: int) -> Iterator[Setting]:
    raw = int(np.prod(shape)) * bits // 8
    most = max(J2K_SMALLEST, min(budget, raw)) + J2K_SLACK
    targets = [raw / size for size in range(J2K_SMALLEST, most, max(1, budget // 200))]
    for irreversible, resolutions, block in product((True, False), J2K_RESOLUTIONS, J2K_BLOCKS):
        # There is nothing to split in a side of 1 pixel.
        if resolutions == min(J2K_RESOLUTIONS) or 2 ** (resolutions - 1) <= min(shape[:2]):
            encode = partial(
                _encode_jpeg2000,
                irreversible=irreversible,
                num_resolutions=resolutions,
                codeblock_size=block,
                mct=int(shape[2] == 3),
            )
            yield Setting(bits, targets, encode)


def _encode_jpeg2000(samples: Samples, ratio: float, **options: Any) -> bytes | None:
    """OpenJPEG through Pillow, which offers its rate control.

    imagecodecs offers but a PSNR to aim at; at 180 bytes of a range image that costs 1.5 dB.
    """
    file = io.BytesIO()
    options |= {"no_jp2": True, "quality_mode": "rates", "quality_layers": [ratio]}
    try:
        Image.fromarray(samples).save(file, "JPEG2000", **options)
    except OSError:
        # Of a write to memory, this means that the headers alone exceed the target.
        return None
    return _without_segment(file.getvalue(), J2K_COMMENT)


def _jpeg_settings(shape: tuple[int, ...], _budget: int) -> Iterator[Setting]:
    # Tables of the standard, made for eyes, and flat ones, made for PSNR.
    tables: list[list[dict[str, Any]]] = [
        [{"quality": quality} for quality in range(1, 101)],
        [{"qtables": [[step] * 64] * 2} for step in range(255, 0, -1)],
    ]
    subsamplings = ("4:4:4", "4:2:0") if shape[2] == 3 else ("4:4:4",)
    for subsampling, progressive, table in product(subsamplings, (False, True), tables):
        yield Setting(
            8, table, partial(_encode_jpeg, subsampling=subsampling, progressive=progressive)
        )


def _encode_jpeg(samples: Samples, tables: dict[str, Any], **options: Any) -> bytes:
    """libjpeg-turbo through Pillow: imagecodecs has neither tables nor progressive files."""
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "JPEG", optimize=True, **tables, **options)
    return _without_segment(file.getvalue(), JPEG_JFIF)


def _jpeg_xl_settings(_shape: tuple[int, ...], _budget: int) -> Iterator[Setting]:
    # High efforts serve the eye; low ones often have the better PSNR.
    for bits, effort in product((8, 16), JPEG_XL_EFFORTS):
        yield Setting(bits, JPEG_XL_DISTANCES, partial(_encode_jpeg_xl, effort=effort))


def _encode_jpeg_xl(samples: Samples, distance: float, effort: int) -> bytes:
    return bytes(
        imagecodecs.jpegxl_encode(
            samples, distance=distance, effort=effort, usecontainer=False, numthreads=1
        )
    )


def _webp_settings(_shape: tuple[int, ...], _budget: int) -> Iterator[Setting]:
    for method in WEBP_METHODS:
        yield Setting(8, range(101), partial(_encode_webp, method=method))


def _encode_webp(samples: Samples, level: int, method: int) -> bytes:
    return bytes(imagecodecs.webp_encode(samples, level=level, lossless=False, method=method))


PEERS = {
    peer.name: peer
    for peer in (
        Peer("jpeg2000-8", (8,), (1, 3), partial(_jpeg2000_settings, 8), imagecodecs.jpeg2k_decode),
        # Pillow has no RGB images of 16 bits, and those compared are of 8.
        Peer(
            "jpeg2000-16", (16,), (1,), partial(_jpeg2000_settings, 16), imagecodecs.jpeg2k_decode
        ),
        Peer("jpeg", (8,), (1, 3), _jpeg_settings, imagecodecs.jpeg8_decode),
        Peer("jpeg-xl", (8, 16), (1, 3), _jpeg_xl_settings, imagecodecs.jpegxl_decode),
        Peer("webp", (8,), (3,), _webp_settings, imagecodecs.webp_decode),
    )
}
"""The codecs by name."""
