"""What entropy models learn from: pixels, seen as the layers' coders will see them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry import RangeImage
from quinr_lidar.kernel import instruction_set, load_kernel
from quinr_lidar.training.code_length import NEIGHBOURS, STRAIGHT_UP, MaskBatch, RangeBatch

MASK_INPUTS = 29
RANGE_INPUTS = 51
CONTEXT_ROWS = 21
"""Sizes of the kernel's tables; its bindings check them."""

NOISE = 0.03
"""Metres, as in native/strict/range_model.hpp."""
FIRST_GUESS = 10.0
"""Metres, as in native/strict/range_model.hpp."""
MISSING = -1
_BATCH_STEP = 16


class MaskSamples:
    """The pixels of masks.

    Args:
        masks: bool [H, W] each, at least one.
    """

    def __init__(self, masks: Sequence[NDArray[np.bool_]]) -> None:
        if not masks:
            raise GeometryError("an entropy model needs at least one range image to learn from")
        inputs = [mask_inputs(mask).T for mask in masks]
        self._inputs = torch.from_numpy(np.concatenate(inputs))
        valid = np.concatenate([mask.reshape(-1) for mask in masks])
        self._measured = torch.from_numpy(valid.astype(np.float32))

    def draw(self, count: int, generator: torch.Generator) -> MaskBatch:
        """Pixels drawn at random."""
        chosen = torch.randint(len(self._measured), (count,), generator=generator)
        return MaskBatch(self._inputs[chosen], self._measured[chosen])


class RangeSamples:
    """The valid pixels of range images; the bound is chosen when they are drawn.

    Args:
        images: At least one pixel of them is measured.
    """

    def __init__(self, images: Sequence[RangeImage]) -> None:
        contexts, ranges, first = [], [], 0
        for image in images:
            context = range_context(image.valid)
            neighbours = context[:NEIGHBOURS]
            neighbours[neighbours != MISSING] += first
            contexts.append(context)
            ranges.append(image.ranges[image.valid])
            first += len(ranges[-1])
        if not first:
            raise GeometryError("an entropy model needs valid pixels to learn from")
        self._context = np.ascontiguousarray(np.concatenate(contexts, 1).T)
        self._ranges = np.concatenate(ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    def draw(
        self, count: int, generator: torch.Generator, max_errors: tuple[float, float]
    ) -> RangeBatch:
        """Pixels drawn at random, each with a bound of its own.

        Args:
            count: Number of pixels.
            generator: Draws the pixels and their bounds.
            max_errors: Smallest and largest, metres; logarithms are uniform between them.
        """
        chosen = torch.randint(len(self), (count,), generator=generator).numpy()
        low, high = map(math.log, max_errors)
        draws = torch.rand(count, generator=generator).numpy()
        return self._batch(chosen, np.exp(low + (high - low) * draws))

    def everything(self, max_error: float) -> RangeBatch:
        """All pixels at one bound, metres."""
        return self._batch(np.arange(len(self)), np.full(len(self), max_error))

    def _batch(self, chosen: NDArray[np.int64], max_errors: NDArray[np.floating]) -> RangeBatch:
        count = len(chosen)
        padded = -(-count // _BATCH_STEP) * _BATCH_STEP
        chosen = np.resize(chosen, padded)
        step = np.resize(2 * max_errors, padded).astype(np.float32)
        context = self._context[chosen]
        neighbours = context[:, :NEIGHBOURS]
        known = neighbours != MISSING
        steps = np.rint(self._ranges[neighbours] / step[:, None]).astype(np.int32)
        context[:, :NEIGHBOURS] = np.where(known, steps, MISSING)
        base = base_of(context, step)
        unit = np.sqrt(step**2 + np.float32(NOISE**2))
        inputs, differences = range_inputs(np.ascontiguousarray(context.T), base, step, unit)
        target = np.rint(self._ranges[chosen] / step) - base
        return RangeBatch(
            torch.from_numpy(inputs.T[:count]),
            torch.from_numpy(differences.T[:count]),
            torch.from_numpy(target[:count].astype(np.float32)),
            torch.from_numpy((step / unit)[:count]),
        )


def base_of(context: NDArray[np.int32], step: NDArray[np.float32]) -> NDArray[np.int32]:
    """What pixels are predicted from: left, else above, else a guess; int32 [N], steps."""
    left, above = context[:, 0], context[:, STRAIGHT_UP]
    guess = (FIRST_GUESS / step.astype(np.float64)).astype(np.int32)
    return np.where(left != MISSING, left, np.where(above != MISSING, above, guess))


def mask_inputs(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The mask field's inputs: float32 [MASK_INPUTS, H W]."""
    inputs = np.empty((MASK_INPUTS, mask.size), np.float32)
    load_kernel().mask_inputs(np.ascontiguousarray(mask, np.uint8), inputs)
    return inputs


def range_context(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """What is known of every valid pixel: int32 [CONTEXT_ROWS, N].

    The first 14 rows are neighbours, as places among the valid pixels, or ``MISSING``.
    """
    context = np.empty((CONTEXT_ROWS, np.count_nonzero(mask)), np.int32)
    load_kernel().range_context(np.ascontiguousarray(mask, np.uint8), context)
    return context


def range_inputs(
    context: NDArray[np.int32],
    base: NDArray[np.int32],
    step: NDArray[np.float32],
    unit: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The ranges field's inputs [RANGE_INPUTS, N] and neighbours' differences [14, N] in units.

    Args:
        context: int32 [CONTEXT_ROWS, N], neighbours in steps; N is a multiple of 16.
        base: int32 [N], steps.
        step: float32 [N], metres.
        unit: float32 [N], metres.
    """
    inputs = np.empty((RANGE_INPUTS, len(base)), np.float32)
    differences = np.empty((NEIGHBOURS, len(base)), np.float32)
    load_kernel().range_inputs(
        context, base, step, unit, differences, inputs, isa=instruction_set()
    )
    return inputs, differences
