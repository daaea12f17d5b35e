"""JPEG 2000 on an image whose holes are filled smoothly; the mask is sent as a file of its own."""

from __future__ import annotations

from itertools import product

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from pipeline.benchmark.baseline import Baseline, Decoded, Encoded, Request, packages
from pipeline.benchmark.baselines.lossless_codecs import encode_jpeg_xl
from pipeline.benchmark.baselines.lossy_codecs import JPEG_2000_16, encode_to_fit
from quinr_lidar import RangeImage

EFFORTS = (9, 10)


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """A mask [H, W] as the smallest JPEG XL file found.

    Of the bilevel coders at hand JPEG XL makes the smallest files (KITTI odometry 00/000000:
    1,131 bytes; zstd on packed bits 1,479, Group 4 1,784, PNG 1,879).
    """
    samples = mask.astype(np.uint8)
    turns = (samples, samples.T) if mask.shape[0] != mask.shape[1] else (samples,)
    files = [
        encode_jpeg_xl(np.ascontiguousarray(turned), effort=effort)
        for turned, effort in product(turns, EFFORTS)
    ]
    return min(files, key=len)


def decode_mask(data: bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask in a file of :func:`encode_mask`, bool [H, W]."""
    samples = imagecodecs.jpegxl_decode(data)
    return (samples if samples.shape == shape else samples.T) > 0


def fill_holes(values: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """An image whose holes are filled harmonically: each pixel is the mean of its neighbours.

    Values [H, W] and bool [H, W], of which at least one is true, make float64 [H, W].
    """
    filled = values.astype(np.float64)
    holes = int(np.count_nonzero(~known))
    if not holes:
        return filled
    number = np.full(known.shape, -1)
    number[~known] = np.arange(holes)
    rows, columns, weights = [np.arange(holes)], [np.arange(holes)], [np.zeros(holes)]
    target = np.zeros(holes)
    every, first, last = slice(None), slice(None, -1), slice(1, None)
    sides = [((first, every), (last, every)), ((every, first), (every, last))]
    for here, there in [*sides, *((there, here) for here, there in sides)]:
        one, other = number[here].ravel(), number[there].ravel()
        inside, rim = (one >= 0) & (other >= 0), (one >= 0) & (other < 0)
        np.add.at(weights[0], one[one >= 0], 1)
        np.add.at(target, one[rim], filled[there].ravel()[rim])
        rows.append(one[inside])
        columns.append(other[inside])
        weights.append(np.full(np.count_nonzero(inside), -1.0))
    where = (np.concatenate(rows), np.concatenate(columns))
    laplacian = coo_array((np.concatenate(weights), where), shape=(holes, holes))
    filled[~known] = np.asarray(spsolve(laplacian.tocsc(), target))
    return filled


def _encode(image: RangeImage, request: Request) -> Encoded:
    mask = encode_mask(image.valid)
    values = np.clip(fill_holes(image.ranges, image.valid) / image.no_return, 0, 1)[..., None]
    data, found = encode_to_fit(JPEG_2000_16, values, int(request.setting) - len(mask))
    decoded = Decoded(found[..., 0] * image.no_return, decode_mask(mask, image.shape))
    parts = {"mask": len(mask), "ranges": len(data)}
    return Encoded(sum(parts.values()), parts=parts, decoded=decoded)


INPAINTED = Baseline(
    "jpeg2000-inpainted",
    "JPEG 2000, 16 bits, holes filled, mask apart",
    "size",
    {"": _encode},
    None,
    packages("pillow", "imagecodecs"),
)
