"""JPEG 2000 at given rates: it has no bound on the error, but a curve of PSNR.

Twice: on the paper's image, whose invalid pixels hold the maximum range, and on one whose holes
are filled smoothly, the mask being sent apart.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from pipeline.benchmark.baselines import PEERS, PeerPoint, encode_to_fit
from pipeline.benchmark.rate.baselines import Baseline, Decoded, Encoded
from pipeline.benchmark.rate.mask import decode_mask, encode_mask
from quinr_lidar import RangeImage
from quinr_lidar.errors import GeometryError

PEER = "jpeg2000-16"


def _encode_paper(image: RangeImage, bpp: float) -> Encoded:
    budget = int(bpp * image.ranges.size / 8)
    found = _best(image.filled(), image.no_return, budget)
    return Encoded(found.bytes, decoded=Decoded(found.decoded[..., 0] * image.no_return))


def _encode_inpainted(image: RangeImage, bpp: float) -> Encoded:
    mask = encode_mask(image.valid)
    budget = int(bpp * image.ranges.size / 8) - len(mask)
    found = _best(fill_holes(image.ranges, image.valid), image.no_return, budget)
    decoded = Decoded(found.decoded[..., 0] * image.no_return, decode_mask(mask, image.shape))
    parts = {"mask": len(mask), "ranges": found.bytes}
    return Encoded(len(mask) + found.bytes, parts=parts, decoded=decoded)


def _best(ranges: NDArray[np.floating], no_return: float, budget: int) -> PeerPoint:
    values = np.clip(ranges.astype(np.float64) / no_return, 0, 1)[..., None]
    found = encode_to_fit(PEERS[PEER], values, budget) if budget > 0 else None
    if found is None:
        raise GeometryError(f"JPEG 2000: cannot write {max(budget, 0)} bytes")
    return found


def fill_holes(values: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """An image whose holes are filled harmonically: each pixel is the mean of its neighbours.

    Args:
        values: [H, W].
        known: bool [H, W], at least one true; values elsewhere are ignored.

    Returns:
        float64 [H, W].
    """
    filled = values.astype(np.float64)
    holes = int(np.count_nonzero(~known))
    if not holes:
        return filled
    number = np.full(known.shape, -1)
    number[~known] = np.arange(holes)
    rows, columns, weights = [np.arange(holes)], [np.arange(holes)], [np.zeros(holes)]
    target = np.zeros(holes)
    for here, there in _neighbours():
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


def _neighbours() -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Slices of all pixels that have a neighbour on one of four sides, and of those neighbours."""
    every, first, last = slice(None), slice(None, -1), slice(1, None)
    pairs = [((first, every), (last, every)), ((every, first), (every, last))]
    return pairs + [(there, here) for here, there in pairs]


def _versions() -> str:
    return f"{version('pillow')} {version('imagecodecs')}"


JPEG_2000 = (
    Baseline(
        "jpeg-2000",
        "JPEG 2000, 16 bits, invalid = maximum",
        "rate",
        {"": _encode_paper},
        None,
        _versions,
    ),
    Baseline(
        "jpeg-2000-inpainted",
        "JPEG 2000, 16 bits, holes filled, mask apart",
        "rate",
        {"": _encode_inpainted},
        None,
        _versions,
    ),
)
"""Those asked for a rate."""
