"""What one entropy model for all bounds loses, and what the rounding of its parameters costs."""

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
    ENTROPY_MODEL,
    QUICK,
    QUICK_COPIES,
    TrainingSet,
    provenance,
    scans_to_learn,
)
from pipeline.models.training import BOUNDS, measure_model
from quinr_lidar import RangeImage
from quinr_lidar.arrays import to_tensors
from quinr_lidar.entropy.models import choose_model, pack_model
from quinr_lidar.fields.field import Parameters

ONE_BOUND = 0.02
SHOWN_BOUNDS = (0.01, 0.02, 0.05, 0.1)
BITS = (16, 10, 8, 6)


@dataclass(frozen=True)
class ModelRow:
    """An entropy model and what it costs on scans it has not seen.

    Attributes:
        name: For people.
        bytes: Of the entropy model; ``None`` where its parameters are not rounded.
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


def model_rows(
    scans: Mapping[str, Path], images: Sequence[RangeImage], models: Path
) -> list[ModelRow]:
    """Entropy models for all bounds and for one, with ever fewer bits.

    Args:
        scans: All scans at hand, by SHA-256.
        images: To measure on, at least one; none of a scan the built-in entropy model has seen.
        models: Folder of what is trained.

    Raises:
        DatasetError: a scan of the built-in entropy model is not at hand.
        QuinrError: training fails.
    """
    training_set = TrainingSet(models, scans_to_learn(scans), False, QUICK, QUICK_COPIES)
    field = choose_model(ENTROPY_MODEL)["ranges"].field
    rows = []
    for name, max_errors, widths in (
        ("all bounds", BOUNDS, BITS),
        (f"{100 * ONE_BOUND:g} cm alone", (ONE_BOUND, ONE_BOUND), BITS[1:2]),
    ):
        shown = SHOWN_BOUNDS if max_errors == BOUNDS else (ONE_BOUND,)
        parameters = training_set.model(
            "ranges",
            [repr(field), max_errors],
            partial(
                train_ranges, field, training_set, provenance().settings.range_rate, max_errors
            ),
            pack_parameters,
            unpack_parameters,
        )
        rows.append(ModelRow(f"{name}, float", None, _lengths(parameters, images, shown), {}))
        rows += [_rounded(name, parameters, bits, images, shown) for bits in widths]
    return rows


def _rounded(
    name: str,
    parameters: Parameters,
    bits: int,
    images: Sequence[RangeImage],
    max_errors: Sequence[float],
) -> ModelRow:
    built_in = choose_model(ENTROPY_MODEL)
    mask, ranges = built_in["mask"], built_in["ranges"].field
    entropy_model = pack_model(
        {"mask": (mask.field, mask.parameters), "ranges": (ranges, parameters)}, bits
    )
    lengths = _lengths(to_tensors(entropy_model["ranges"].parameters), images, max_errors)
    file = measure_model(entropy_model, images, max_errors).bits_per_point
    return ModelRow(f"{name}, {bits} bits", len(entropy_model.data), lengths, file)


def _lengths(
    parameters: Parameters, images: Sequence[RangeImage], max_errors: Sequence[float]
) -> dict[float, float]:
    field = choose_model(ENTROPY_MODEL)["ranges"].field

    def bits(image: RangeImage, max_error: float) -> float:
        return 8 * ideal_bytes(field, parameters, image, max_error) / image.valid_count

    return {
        max_error: float(np.mean([bits(image, max_error) for image in images]))
        for max_error in max_errors
    }
