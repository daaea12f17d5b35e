"""What one prior for all bounds loses, and what the rounding of its parameters costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.benchmark.rate.code_length import (
    ideal_bytes,
    pack_parameters,
    train_ranges,
    unpack_parameters,
)
from pipeline.benchmark.rate.training_sets import (
    PRIOR,
    QUICK,
    QUICK_COPIES,
    Lessons,
    provenance,
    scans_to_learn,
)
from pipeline.models.training import BOUNDS, measure_prior
from quinr_lidar import RangeImage
from quinr_lidar.entropy.models import choose_prior, pack_prior
from quinr_lidar.fields.field import Parameters

ONE_BOUND = 0.02
SHOWN_BOUNDS = (0.01, 0.02, 0.05, 0.1)
BITS = (16, 10, 8, 6)


@dataclass(frozen=True)
class PriorRow:
    """A prior and what it costs on scans it has not seen.

    Attributes:
        name: For people.
        bytes: Of the prior; ``None`` where its parameters are not rounded.
        code_length: Bits a point by bound in metres, by the field's probabilities alone.
        file: Bits a point of the ranges layer, which adapts as well; empty if not rounded.
    """

    name: str
    bytes: int | None
    code_length: Mapping[float, float]
    file: Mapping[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def prior_rows(
    scans: Mapping[str, Path], images: Sequence[RangeImage], models: Path
) -> list[PriorRow]:
    """Priors for all bounds and for one, with ever fewer bits.

    Args:
        scans: All scans at hand, by SHA-256.
        images: To measure on, at least one; none of a scan the built-in prior has seen.
        models: Folder of what is trained.

    Raises:
        DatasetError: a scan of the built-in prior is not at hand.
        QuinrError: training fails.
    """
    lessons = Lessons(models, scans_to_learn(scans), False, QUICK, QUICK_COPIES)
    field = choose_prior(PRIOR).ranges.field
    rows = []
    for name, bounds, widths in (
        ("all bounds", BOUNDS, BITS),
        (f"{100 * ONE_BOUND:g} cm alone", (ONE_BOUND, ONE_BOUND), BITS[1:2]),
    ):
        shown = SHOWN_BOUNDS if bounds == BOUNDS else (ONE_BOUND,)
        parameters = lessons.model(
            "ranges",
            [repr(field), bounds],
            partial(train_ranges, field, lessons, provenance().settings.range_rate, bounds),
            pack_parameters,
            unpack_parameters,
        )
        rows.append(PriorRow(f"{name}, float", None, _lengths(parameters, images, shown), {}))
        rows += [_rounded(name, parameters, bits, images, shown) for bits in widths]
    return rows


def _rounded(
    name: str,
    parameters: Parameters,
    bits: int,
    images: Sequence[RangeImage],
    bounds: Sequence[float],
) -> PriorRow:
    built_in = choose_prior(PRIOR)
    mask, ranges = built_in.mask, built_in.ranges.field
    prior = pack_prior((mask.field, mask.parameters), (ranges, parameters), bits)
    lengths = _lengths(prior.ranges.parameters, images, bounds)
    file = measure_prior(prior, images, bounds).bits_per_point
    return PriorRow(f"{name}, {bits} bits", len(prior.data), lengths, file)


def _lengths(
    parameters: Parameters, images: Sequence[RangeImage], bounds: Sequence[float]
) -> dict[float, float]:
    field = choose_prior(PRIOR).ranges.field

    def bits(image: RangeImage, bound: float) -> float:
        return 8 * ideal_bytes(field, parameters, image, bound) / image.measured_count

    return {bound: float(np.mean([bits(image, bound) for image in images])) for bound in bounds}
