"""What entropy models learn from: pixels, seen as the layers' coders will see them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry import RangeImage
from quinr_lidar.kernel import format_constants, instruction_set, load_kernel
from quinr_lidar.training.code_length import MaskBatch, RangeBatch


class MaskSamples:
    """The pixels of masks.

    Args:
        masks: One or more masks, bool [H, W] each.
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
    """The valid pixels of range images; the max error is chosen when they are drawn.

    Args:
        images: Range images with at least one valid pixel among them.
    """

    def __init__(self, images: Sequence[RangeImage]) -> None:
        contexts, ranges, first = [], [], 0
        here = format_constants()
        for image in images:
            context = range_context(image.valid)
            neighbours = context[: here.neighbours]
            neighbours[neighbours != here.missing] += first
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
        """Pixels drawn at random, each with a max error of its own.

        Args:
            count: Number of pixels.
            generator: Generator of random numbers.
            max_errors: Smallest and largest error to draw, metres; their logarithms are uniform.
        """
        chosen = torch.randint(len(self), (count,), generator=generator).numpy()
        low, high = map(math.log, max_errors)
        draws = torch.rand(count, generator=generator).numpy()
        return self._batch(chosen, np.exp(low + (high - low) * draws))

    def everything(self, max_error: float) -> RangeBatch:
        """All pixels at one max error, metres."""
        return self._batch(np.arange(len(self)), np.full(len(self), max_error))

    def _batch(self, chosen: NDArray[np.int64], max_errors: NDArray[np.floating]) -> RangeBatch:
        here, count = format_constants(), len(chosen)
        padded = -(-count // here.batch_step) * here.batch_step
        chosen = np.resize(chosen, padded)
        step = np.resize(2 * max_errors, padded).astype(np.float32)
        context = self._context[chosen]
        neighbours = context[:, : here.neighbours]
        known = neighbours != here.missing
        steps = np.rint(self._ranges[neighbours] / step[:, None]).astype(np.int32)
        context[:, : here.neighbours] = np.where(known, steps, here.missing)
        base = base_of(context, step)
        unit = np.sqrt(step**2 + np.float32(here.noise) ** 2)
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
    here = format_constants()
    left, above = context[:, 0], context[:, here.straight_up]
    guess = (here.first_guess / step.astype(np.float64)).astype(np.int32)
    return np.where(left != here.missing, left, np.where(above != here.missing, above, guess))


def mask_inputs(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Inputs of the mask's field: float32 [mask_inputs, H W]."""
    inputs = np.empty((format_constants().mask_inputs, mask.size), np.float32)
    load_kernel().mask_inputs(np.ascontiguousarray(mask, np.uint8), inputs)
    return inputs


def range_context(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """What is known of every valid pixel: int32 [context_rows, N].

    The first 14 rows are neighbours, as places among the valid pixels, or ``missing``.
    """
    context = np.empty((format_constants().context_rows, np.count_nonzero(mask)), np.int32)
    load_kernel().range_context(np.ascontiguousarray(mask, np.uint8), context)
    return context


def range_inputs(
    context: NDArray[np.int32],
    base: NDArray[np.int32],
    step: NDArray[np.float32],
    unit: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inputs of the ranges' field and differences of neighbours, as the coder sees them.

    Args:
        context: What is known of each pixel, int32 [context_rows, N], neighbours in steps; N is a
            multiple of 16.
        base: What pixels are predicted from, int32 [N], steps.
        step: Step of each pixel, float32 [N], metres.
        unit: Unit of differences for each pixel, float32 [N], metres.

    Returns:
        Inputs, float32 [range_inputs, N], and differences in units, float32 [neighbours, N].
    """
    here = format_constants()
    inputs = np.empty((here.range_inputs, len(base)), np.float32)
    differences = np.empty((here.neighbours, len(base)), np.float32)
    load_kernel().range_inputs(
        context, base, step, unit, differences, inputs, isa=instruction_set()
    )
    return inputs, differences
