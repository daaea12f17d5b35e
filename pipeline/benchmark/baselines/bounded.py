"""quINR with a guaranteed largest error: profile ``bounded``, layer by layer.

The preview is trained once a scan, as no largest error changes it; files are byte by byte those of
:func:`quinr_lidar.encode`. Seconds are those of mask and ranges, the layers that depend on it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import quinr_lidar
from pipeline.benchmark.baseline import Baseline, Decoded, Encoded, Known, Request
from pipeline.benchmark.machine import median_seconds
from pipeline.benchmark.training_sets import ENTROPY_MODEL, TrainingSet
from pipeline.models.training import train_model
from quinr_lidar import RangeImage, codec
from quinr_lidar.codec.profiles import get_profile
from quinr_lidar.container import Container, Section, pack, unpack
from quinr_lidar.entropy.models import EntropyModel, choose_model, unpack_model
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.registry import LAYERS

PROFILE = "bounded"
REPEATS = 5


def library_version(_request: Request) -> str:
    """What decides a file: the library, the settings and the built-in entropy model."""
    version, profile = quinr_lidar.__version__, get_profile(PROFILE)
    return f"{version} {profile.digest()} {choose_model(ENTROPY_MODEL).name}"


@lru_cache(maxsize=16)
def model_for(training_set: TrainingSet | None) -> EntropyModel:
    """The built-in entropy model; for a scan that it has seen, one trained on the other scans.

    Raises:
        QuinrError: training fails, or its folder cannot be written.
    """
    if training_set is None or not training_set.seen:
        return choose_model(ENTROPY_MODEL)
    return training_set.model(
        "entropy_model",
        [],
        lambda: train_model(training_set.images(), training_set.settings),
        lambda entropy_model: entropy_model.data,
        unpack_model,
    )


@lru_cache(maxsize=2)
def _trained_preview(image: RangeImage, steps: int) -> tuple[Container, float]:
    """A file without ranges, and the seconds it took."""
    layers = ("preview", "mask")
    frame, seconds = median_seconds(
        lambda: codec.encode_frame(image, PROFILE, layers=layers, steps=steps)
    )
    return unpack(frame.data), seconds


def _encode(image: RangeImage, request: Request) -> Encoded:
    steps = request.steps(get_profile(PROFILE).steps)
    container, training_seconds = _trained_preview(image, steps)
    chosen = model_for(request.training_set)

    def code() -> bytes:
        source = Source(image, chosen, {"max_error": request.setting})
        sections = [Section(name, LAYERS[name].pack(source)) for name in ("mask", "ranges")]
        return pack(container.header, [container.require("preview"), *sections])

    data, seconds = median_seconds(code, REPEATS)
    parts = dict(codec.inspect(data).sections)
    return Encoded.of(
        data, parts=parts, seconds=seconds, figures={"training_seconds": training_seconds}
    )


def decode_scan(data: bytes, known: Known) -> Decoded:
    """Ranges and mask of a file of several layers."""
    image = codec.decode(data, entropy_models=(model_for(known.request.training_set),))
    return Decoded(image.ranges, image.valid)


QUINR = Baseline(
    "quinr-bounded",
    "quINR, bounded",
    "max_error",
    {PROFILE: _encode},
    decode_scan,
    library_version,
    repeats=REPEATS,
)
UNSEEN = replace(
    QUINR,
    name="quinr-unseen",
    title="quINR, bounded, no entropy model has seen the scan",
    optional=True,
    learns=True,
)
BOUNDED = (QUINR, UNSEEN)
