"""QuINR with a guaranteed bound: profile ``bounded``, layer by layer.

The preview is trained once a scan, as no bound changes it; files are those of
:func:`quinr_lidar.codec.encoding.encode`, byte by byte. Seconds are of the layers that do depend on the
bound, mask and ranges.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path

import quinr_lidar
from pipeline.benchmark.rate.baselines import Contestant, Decoded, Encoded, Known
from pipeline.benchmark.rate.measure import median_seconds
from pipeline.benchmark.rate.training_sets import PRIOR, Lessons
from pipeline.models.training import train_prior
from quinr_lidar import RangeImage, codec
from quinr_lidar.container import Container, Section, pack, unpack
from quinr_lidar.entropy.models import Prior, choose_prior, unpack_prior
from quinr_lidar.layers.mask import pack_mask
from quinr_lidar.layers.ranges import pack_ranges

PROFILE = "bounded"
REPEATS = 5
CODING = (
    *("bitstream", "fields", "native", "presets", "priors", "quantum", "training"),
    *("codec.py", "decoding.py", "field_codec.py", "profiles.py"),
    *("geometry/projection.py", "geometry/range_image.py"),
)
"""Folders and files of the library that decide what a file is."""


def _encode(image: RangeImage, bound: float, *, prior: Prior | None = None) -> Encoded:
    container, training_seconds = _trained_preview(image)
    chosen = prior or choose_prior(PRIOR)

    def code() -> bytes:
        mask = pack_mask(image.measured, chosen)
        ranges = pack_ranges(image.ranges, image.measured, chosen, bound)
        sections = [Section("mask", mask), Section("ranges", ranges)]
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
    data = codec.encode(image, PROFILE, layers=2)
    return unpack(data), time.perf_counter() - began


def _decode(data: bytes, known: Known, *, prior: Prior | None = None) -> Decoded:  # noqa: ARG001
    image = codec.decode(data, priors=() if prior is None else (prior,))
    return Decoded(image.ranges, image.measured)


@cache
def library_version() -> str:
    """Of all that decides a file: priors and presets change results without a new version."""
    root = Path(quinr_lidar.__file__).parent
    entries = [root / name for name in CODING]
    files = {file for entry in entries for file in (entry, *entry.rglob("*")) if file.is_file()}
    digest = hashlib.sha256()
    for path in sorted(files):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def prior_for(lessons: Lessons) -> Prior:
    """The built-in prior; for a scan that it has seen, one trained on the others.

    Raises:
        QuinrError: training fails, or its folder cannot be written.
    """
    if not lessons.seen:
        return choose_prior(PRIOR)
    return lessons.model(
        "prior",
        [],
        lambda: train_prior(lessons.images(), lessons.settings),
        lambda prior: prior.data,
        unpack_prior,
    )


def _unseen(lessons: Lessons) -> Contestant:
    prior = prior_for(lessons)
    ways = dict.fromkeys(QUINR.ways, partial(_encode, prior=prior))
    return replace(UNSEEN, ways=ways, decode=partial(_decode, prior=prior))


QUINR = Contestant(
    "quinr",
    "quINR, bounded",
    "bound",
    {PROFILE: _encode},
    _decode,
    library_version,
    repeats=REPEATS,
)
UNSEEN = Contestant(
    "quinr-unseen",
    "quINR, bounded, no prior has seen the scan",
    "bound",
    {},
    None,
    library_version,
    optional=True,
    repeats=REPEATS,
    taught=_unseen,
)
