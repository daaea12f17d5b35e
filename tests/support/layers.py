"""Sections of single layers, written and read without a file around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.layers.layer import Draft, Source
from quinr_lidar.layers.mask import MASK
from quinr_lidar.layers.ranges import RANGES


def draft_of(shape: tuple[int, int], *entropy_models: EntropyModel) -> Draft:
    """An image of this size of which nothing is decoded."""
    grid = SphericalProjection(*shape)
    return Draft(grid, 1.0, ("preview", "mask", "ranges"), entropy_models, grid=grid)


def pack_mask(mask: NDArray[np.bool_], entropy_model: EntropyModel) -> bytes:
    ranges = np.ones(mask.shape, np.float32)
    image = RangeImage(ranges, mask, SphericalProjection(*mask.shape), 1.0)
    return MASK.pack(Source(image, entropy_model))


def unpack_mask(
    payload: bytes, shape: tuple[int, int], entropy_model: EntropyModel, start: int = 0
) -> NDArray[np.bool_]:
    draft = draft_of(shape, entropy_model)
    MASK.unpack(payload, start, draft)
    assert draft.entropy_model is not None
    assert draft.valid is not None
    return draft.valid


def pack_ranges(
    ranges: NDArray[np.float32],
    mask: NDArray[np.bool_],
    entropy_model: EntropyModel,
    max_error: float,
    relative_error: float = 0.0,
) -> bytes:
    image = RangeImage(ranges, mask, SphericalProjection(*mask.shape), 1.0)
    settings = {"max_error": max_error, "relative_error": relative_error}
    return RANGES.pack(Source(image, entropy_model, settings))


def unpack_ranges(
    payload: bytes, mask: NDArray[np.bool_], entropy_model: EntropyModel, start: int = 0
) -> NDArray[np.float32]:
    """Ranges of the valid pixels, float32 [N]."""
    draft = draft_of(mask.shape)
    draft.valid, draft.entropy_model = mask, entropy_model
    RANGES.unpack(payload, start, draft)
    assert draft.ranges is not None
    assert (draft.ranges[~mask] == draft.no_return).all()
    return draft.ranges[mask]


def largest_errors(payload: bytes) -> dict[str, float]:
    """What a section of ranges says about its errors."""
    return RANGES.describe(payload, 0, draft_of((1, 1)))
