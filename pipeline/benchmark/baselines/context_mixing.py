"""A hand-made model of bounded ranges: adaptive counters in ten contexts, mixed as they come.

What one would write without a neural field (after PAQ: Mahoney, 2005). It learns from nothing but
the scan, while coding it. Its result is a code length, not a file.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.baseline import Baseline, Encoded, Request
from pipeline.benchmark.baselines.bounded import library_version
from pipeline.benchmark.baselines.code_length import with_mask
from pipeline.benchmark.training_sets import ENTROPY_MODEL
from quinr_lidar import RangeImage
from quinr_lidar.entropy.models import choose_model
from quinr_lidar.layers.range_steps import choose_steps

CONTEXTS = 10
INPUTS = 2 * CONTEXTS + 1
FIRST_WEIGHT, MIXER_RATE = 0.15, 0.02
SLOWEST, SURE = 0.012, 30
BIAS = 0.3
LEAST, MIXED_LEAST = 5e-4, 1e-4
FIRST_GUESS = 400
"""Prediction in steps where no neighbour is valid."""
FARTHEST_LEFT, FARTHEST_UP, FARTHEST_SECOND_UP = 12, 4, 3
STEEPEST = 64
MANTISSA_BITS = 2
"""Bits of an error behind its first one that are modelled; the rest is as good as random."""


class _Cell:
    """A counter: the probability of a 1, its logit, and how often it was seen."""

    __slots__ = ("count", "logit", "probability")

    def __init__(self) -> None:
        self.probability, self.logit, self.count = 0.5, 0.0, 0

    def update(self, bit: int) -> None:
        rate = max(1 / (self.count + 1.6), SLOWEST)
        moved = self.probability + (bit - self.probability) * rate
        self.probability = min(max(moved, LEAST), 1 - LEAST)
        self.logit = math.log(self.probability / (1 - self.probability))
        self.count += 1


class BitMixer:
    """Costs of binary decisions, learnt as they come."""

    def __init__(self) -> None:
        self._tables: dict[Hashable, list[defaultdict[Hashable, _Cell]]] = defaultdict(
            lambda: [defaultdict(_Cell) for _ in range(CONTEXTS)]
        )
        self._weights: dict[Hashable, list[float]] = defaultdict(lambda: [FIRST_WEIGHT] * INPUTS)

    def cost(
        self, bit: int, node: Hashable, contexts: Sequence[Hashable], weights: Hashable
    ) -> float:
        """Bits of one decision, after which all that was used learns from it.

        ``node`` tells which decision it is, ``contexts`` what is known, :data:`CONTEXTS` times, and
        ``weights`` which weights of the mixer to use.
        """
        cells = [table[one] for table, one in zip(self._tables[node], contexts, strict=True)]
        inputs = [BIAS]
        for cell in cells:
            sure = 0.15 * min(cell.count, SURE)
            inputs += (cell.logit, (cell.probability - 0.5) * sure)
        chosen = self._weights[weights]
        logit = sum(weight * value for weight, value in zip(chosen, inputs, strict=True))
        mixed = 1 / (1 + math.exp(-max(min(logit, 30.0), -30.0)))
        mixed = min(max(mixed, MIXED_LEAST), 1 - MIXED_LEAST)
        error = (bit - mixed) * MIXER_RATE
        chosen[:] = [w + error * value for w, value in zip(chosen, inputs, strict=True)]
        for cell in cells:
            cell.update(bit)
        return -math.log2(mixed if bit else 1 - mixed)


class _Neighbourhood:
    """Steps [H, W], mask [H, W] and errors of all pixels before the one that is coded."""

    def __init__(self, steps: NDArray[np.integer], mask: NDArray[np.bool_]) -> None:
        self._width = mask.shape[1]
        self._steps = steps.ravel().tolist()
        self._mask = mask.ravel().tolist()
        self.errors = [0] * mask.size

    def _at(self, row: int, column: int) -> int | None:
        """A valid pixel's place; rows above wrap round in yaw."""
        if row < 0:
            return None
        place = row * self._width + column % self._width
        return place if self._mask[place] else None

    def _above(self, row: int, column: int, farthest: int) -> tuple[int | None, int]:
        """The nearest valid pixel above and its distance, 0 if there is none."""
        for distance in range(1, farthest + 1):
            if (place := self._at(row - distance, column)) is not None:
                return place, distance
        return None, 0

    def look(self, row: int, column: int) -> tuple[int, tuple[Hashable, ...], int]:
        """The predicted step of a pixel, its contexts, and how large errors nearby are (0..15)."""
        start = row * self._width
        near = range(start + column - 1, max(start, start + column - FARTHEST_LEFT) - 1, -1)
        left, second, *_ = [*[place for place in near if self._mask[place]][:2], None, None]
        up, gap = self._above(row, column, FARTHEST_UP)
        up_left = up_right = second_up = None
        if up is not None:
            up_left, up_right = (self._at(row - gap, column + one) for one in (-1, 1))
            second_up, _ = self._above(row - gap, column, FARTHEST_SECOND_UP)
        known = left if left is not None else up
        base = FIRST_GUESS if known is None else self._steps[known]

        def difference(place: int | None, otherwise: int = 0) -> int:
            return otherwise if place is None else self._steps[place] - base

        above = difference(up)
        slope_above = above - difference(up_left, above)
        slope = -difference(second)
        ahead = 0
        if left is not None:
            gentle = [one if abs(one) < STEEPEST else 0 for one in (slope_above, slope)]
            ahead = round(0.45 * gentle[0] + 0.25 * gentle[1])
        e_left, e_up, e_right, e_up_left = (
            0 if place is None else self.errors[place] for place in (left, up, up_right, up_left)
        )
        noise = fine(2 * abs(e_left) + abs(e_up) + abs(e_right) + abs(e_up_left))
        to_up = fine(above - ahead)
        to_right = fine(difference(up_right, above) - ahead)
        contexts = (
            noise,
            (fine(e_left), fine(e_up)),
            (to_up, e_left.bit_length()),
            (fine(slope_above), fine(slope)),
            (row, noise),
            (fine(base), noise),
            (to_up, to_right, left is None, up is None),
            (coarse(e_left), coarse(e_up), coarse(e_right), coarse(-slope)),
            (fine(difference(second_up, above) - above), to_up),
            (gap, 15 if left is None else column - left % self._width, noise),
        )
        return base + ahead, contexts, min(15, (abs(e_left) + abs(e_up)).bit_length())


def fine(value: int) -> int:
    """A whole number's class: exact up to 3, then two classes an octave."""
    size = abs(value)
    if size >= 4:
        octave = size.bit_length() - 1
        size = 2 * octave + (size >> (octave - 1) & 1)
    return -size if value < 0 else size


def coarse(value: int) -> int:
    """A whole number's class: one an octave."""
    return -value.bit_length() if value < 0 else value.bit_length()


def mixed_bits(steps: NDArray[np.integer], mask: NDArray[np.bool_]) -> list[float]:
    """Bits of each valid pixel, row by row, of steps int [H, W] with a mask bool [H, W]."""
    neighbourhood, mixer = _Neighbourhood(steps, mask), BitMixer()
    costs = []
    for row, column in zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True):
        predicted, contexts, activity = neighbourhood.look(row, column)
        error = int(steps[row, column]) - predicted
        costs.append(_error_bits(mixer, contexts, activity, error))
        neighbourhood.errors[row * mask.shape[1] + column] = error
    return costs


def _error_bits(
    mixer: BitMixer, contexts: tuple[Hashable, ...], activity: int, error: int
) -> float:
    """An error: whether there is one, its sign, its octave in unary, its first bits."""

    def cost(bit: bool | int, node: Hashable, weights: Hashable) -> float:
        return mixer.cost(int(bit), node, contexts, (weights, activity))

    bits = cost(error != 0, "any", "any")
    if not error:
        return bits
    bits += cost(error < 0, "sign", "sign")
    size = abs(error)
    length = size.bit_length()
    for octave in range(1, length + 1):
        bits += cost(length > octave, ("octave", octave), ("octave", min(octave, 8)))
    for place in range(1, length):
        bit = size >> (length - 1 - place) & 1
        before = size >> (length - place) & 1 if place > 1 else 0
        modelled = place <= MANTISSA_BITS
        bits += cost(bit, ("bit", length, place, before), ("bit", place)) if modelled else 1
    return bits


def _encode(image: RangeImage, request: Request) -> Encoded:
    grid = choose_steps(request.setting, 0.0, float(image.ranges[image.valid].max()))
    bits = sum(mixed_bits(grid.to_steps(image.ranges), image.valid))
    return with_mask(image, choose_model(ENTROPY_MODEL), ranges=bits / 8)


CONTEXT_MIXING = Baseline(
    "context-mixing",
    "hand-made context mixing, code length",
    "max_error",
    {"": _encode},
    None,
    library_version,
    optional=True,
)
