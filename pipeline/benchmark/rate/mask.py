"""The mask of valid pixels on its own, for codecs that have no way to say "invalid".

Stands in for quINR's mask layer: of the bilevel coders at hand JPEG XL makes the smallest files
(KITTI odometry 00/000000: 1,131 bytes; zstd on packed bits 1,479, Group 4 1,784, PNG 1,879).
"""

from __future__ import annotations

from itertools import product

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.rate.image_codecs import encode_jpeg_xl

EFFORTS = (9, 10)


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """A mask [H, W] as the smallest file found."""
    samples = mask.astype(np.uint8)
    turns = (samples, samples.T) if mask.shape[0] != mask.shape[1] else (samples,)
    files = [
        encode_jpeg_xl(np.ascontiguousarray(turned), effort=effort)
        for turned, effort in product(turns, EFFORTS)
    ]
    return min(files, key=len)


def decode_mask(data: bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask: bool [H, W]."""
    samples = imagecodecs.jpegxl_decode(data)
    return (samples if samples.shape == shape else samples.T) > 0
