"""Layer 3, bounded ranges: the range of every valid pixel, within a stated error.

The step, the knee where there is one, and the range coder's bytes. See docs/format.md.
"""

from __future__ import annotations

import math
import struct
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.byte_io import ByteReader
from quinr_lidar.entropy.layer_models import ModelShape
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import GeometryError
from quinr_lidar.kernel import format_constants, instruction_set, load_kernel
from quinr_lidar.layers.layer import Draft, Source
from quinr_lidar.layers.mask import MASK
from quinr_lidar.layers.range_steps import RangeSteps, allowed_error, choose_steps, step_limits

NAME = "ranges"
LINEAR = "linear"
"""Name of the parameter that moves the means of the mixture with the neighbours."""

EVEN, GROWING = 0, 1
STEPS_A_KNEE = 16
"""The largest step in knees: beyond it the ranges of one step differ by factors."""


@cache
def model_shape() -> ModelShape:
    """What the layer asks of its model: a pixel's surroundings to a mixture of distributions."""
    constants = format_constants()
    return ModelShape(
        constants.range_inputs,
        constants.range_outputs,
        {LINEAR: (constants.components, constants.neighbours)},
    )


class RangesLayer:
    """Bounded ranges, see :class:`quinr_lidar.layers.layer.Layer`."""

    name = NAME
    number = 3
    needs = (MASK.name,)
    gives = ("ranges",)
    any_grid = False
    settings = ("max_error", "relative_error")
    promise = "Every range is within the largest error that the file states."

    def pack(self, source: Source) -> bytes:
        """Write the section; ``max_error`` is in metres, ``relative_error`` is 0 by default.

        Raises:
            EntropyModelError: there is no entropy model, or none for ranges.
            GeometryError: the largest error is too small for the largest range.
        """
        image, model = source.image, source.model()
        max_error = source.settings["max_error"]
        relative_error = source.settings.get("relative_error", 0.0)
        valid = image.ranges[image.valid]
        grid = choose_steps(max_error, relative_error, float(valid.max(initial=0)))
        steps = np.zeros(image.shape, np.int32)
        steps[image.valid] = grid.to_steps(valid)
        _verify(valid, grid.to_ranges(steps[image.valid]), max_error, relative_error)
        coded = load_kernel().encode_ranges(
            model.layer(NAME, model_shape()).strict,
            linear_of(model),
            np.ascontiguousarray(image.valid, np.uint8),
            grid.step,
            steps,
            isa=instruction_set(),
        )
        return _pack_grid(grid) + coded

    def unpack(self, payload: bytes, start: int, draft: Draft) -> None:
        """Read the section: invalid pixels hold ``no_return``.

        Raises:
            BitstreamError: the bytes are too few, or their steps impossible.
            EntropyModelError: the file's entropy model does not code ranges.
        """
        mask, model = draft.valid, draft.entropy_model
        assert mask is not None  # noqa: S101 (the mask is one of its needs)
        assert model is not None  # noqa: S101
        reader = ByteReader(payload, NAME, start)
        grid = _unpack_grid(reader)
        steps = np.zeros(mask.shape, np.int32)
        sound = load_kernel().decode_ranges(
            model.layer(NAME, model_shape()).strict,
            linear_of(model),
            payload[reader.position :],
            np.ascontiguousarray(mask, np.uint8),
            grid.step,
            steps,
            isa=instruction_set(),
        )
        if not sound:
            raise reader.error("the coded pixels end too early")
        draft.ranges = np.full(mask.shape, draft.no_return, np.float32)
        draft.ranges[mask] = grid.to_ranges(steps[mask])

    def describe(self, payload: bytes, start: int, draft: Draft) -> dict[str, Any]:  # noqa: ARG002
        """The largest errors: ``max_error`` in metres, and ``relative_error`` if there is one.

        A hair below what was asked for, by what rounding to float32 may add.

        Raises:
            BitstreamError: the section is too short, or its steps impossible.
        """
        grid = _unpack_grid(ByteReader(payload, NAME, start))
        errors = {"max_error": grid.step / 2}
        if grid.knee is not None:
            errors["relative_error"] = math.expm1(grid.step / 2 / grid.knee)
        return errors


def linear_of(entropy_model: EntropyModel) -> NDArray[np.float32]:
    """How neighbours move the means of the mixture: float32 [components, neighbours]."""
    parameters = entropy_model.layer(NAME, model_shape()).parameters
    return np.ascontiguousarray(parameters[LINEAR], np.float32)


def _verify(
    original: NDArray[np.float32],
    decoded: NDArray[np.float32],
    max_error: float,
    relative_error: float,
) -> None:
    error = np.abs(original.astype(np.float64) - decoded)
    beyond = error > allowed_error(original, max_error, relative_error)
    if beyond.any():
        worst = float(error[beyond].max())
        raise GeometryError(
            f"max_error: {max_error:g} m cannot be kept, an error would be {worst:g} m"
        )


def _pack_grid(grid: RangeSteps) -> bytes:
    if grid.knee is None:
        return struct.pack("<Bf", EVEN, grid.step)
    return struct.pack("<Bff", GROWING, grid.step, grid.knee)


def _unpack_grid(reader: ByteReader) -> RangeSteps:
    kind = reader.byte("kind of steps")
    if kind not in (EVEN, GROWING):
        raise reader.error(f"unknown kind of steps {kind}; a newer quinr-lidar may read it")
    step = reader.number("f", "step")
    smallest, largest = step_limits()
    if not smallest <= step <= largest:
        raise reader.error(f"step: expected {smallest:g}..{largest:g} m, got {step}")
    if kind == EVEN:
        return RangeSteps(step)
    knee = reader.number("f", "knee")
    least = max(smallest, step / STEPS_A_KNEE)
    if not (math.isfinite(knee) and knee >= least):
        raise reader.error(f"knee: expected at least {least:g} m, got {knee}")
    return RangeSteps(step, knee)


RANGES = RangesLayer()
