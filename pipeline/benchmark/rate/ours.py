"""QuINR with a guaranteed bound: profile ``bounded``, layer by layer.

The preview is trained once a scan, as no bound changes it; files are those of
:func:`quinr_lidar.codec.encoding.encode`, byte by byte. Seconds are of the layers that do depend
on the bound, mask and ranges.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path

import quinr_lidar
from pipeline.benchmark.rate.baselines import Baseline, Decoded, Encoded, Known
from pipeline.benchmark.rate.measure import median_seconds
from pipeline.benchmark.rate.training_sets import ENTROPY_MODEL, TrainingSet
from pipeline.models.training import train_model
from quinr_lidar import RangeImage, codec
from quinr_lidar.container import Container, Section, pack, unpack
from quinr_lidar.entropy.models import EntropyModel, choose_model, unpack_model
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.registry import LAYERS

PROFILE = "bounded"
REPEATS = 5
CODING = (
    *("circuit", "codec", "entropy", "fields", "layers", "native", "quantization", "training"),
    *("container.py", "geometry/projection.py", "geometry/range_image.py"),
)
"""Folders and files of the library that decide what a file is."""


def _encode(
    image: RangeImage, max_error: float, *, entropy_model: EntropyModel | None = None
) -> Encoded:
    container, training_seconds = _trained_preview(image)
    chosen = entropy_model or choose_model(ENTROPY_MODEL)

    def code() -> bytes:
        source = Source(image, chosen, {"max_error": max_error})
        sections = [Section(name, LAYERS[name].pack(source)) for name in ("mask", "ranges")]
        return pack(container.header, [container.require("preview"), *sections])

    data, seconds = median_seconds(code, REPEATS)
    return Encoded.of(
        data,
        parts=dict(codec.inspect(data).sections),
        seconds=seconds,
        training_seconds=training_seconds,
    )


@lru_cache(maxsize=2)
def _trained_preview(image: RangeImage) -> tuple[Container, float]:
    """A file without ranges, and the seconds it took."""
    began = time.perf_counter()
    data = codec.encode_frame(image, PROFILE, layers=("preview", "mask")).data
    return unpack(data), time.perf_counter() - began


def _decode(data: bytes, known: Known, *, entropy_model: EntropyModel | None = None) -> Decoded:  # noqa: ARG001
    image = codec.decode(data, entropy_models=() if entropy_model is None else (entropy_model,))
    return Decoded(image.ranges, image.valid)


@cache
def library_version() -> str:
    """Digest of all that decides a file: models and presets change without a new version."""
    root = Path(quinr_lidar.__file__).parent
    entries = [root / name for name in CODING]
    files = {file for entry in entries for file in (entry, *entry.rglob("*")) if file.is_file()}
    digest = hashlib.sha256()
    for path in sorted(files):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def model_for(training_set: TrainingSet) -> EntropyModel:
    """The built-in entropy model; for a scan that it has seen, one trained on the others.

    Raises:
        QuinrError: training fails, or its folder cannot be written.
    """
    if not training_set.seen:
        return choose_model(ENTROPY_MODEL)
    return training_set.model(
        "entropy_model",
        [],
        lambda: train_model(training_set.images(), training_set.settings),
        lambda entropy_model: entropy_model.data,
        unpack_model,
    )


def _unseen(training_set: TrainingSet) -> Baseline:
    entropy_model = model_for(training_set)
    ways = dict.fromkeys(QUINR.ways, partial(_encode, entropy_model=entropy_model))
    return replace(UNSEEN, ways=ways, decode=partial(_decode, entropy_model=entropy_model))


QUINR = Baseline(
    "quinr",
    "quINR, bounded",
    "max_error",
    {PROFILE: _encode},
    _decode,
    library_version,
    repeats=REPEATS,
)
UNSEEN = Baseline(
    "quinr-unseen",
    "quINR, bounded, no entropy model has seen the scan",
    "max_error",
    {},
    None,
    library_version,
    optional=True,
    repeats=REPEATS,
    taught=_unseen,
)
