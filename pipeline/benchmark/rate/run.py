"""All rows of a comparison, in worker processes, resumable."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.benchmark.rate.baselines import Baseline
from pipeline.benchmark.rate.measure import Row, measure
from pipeline.benchmark.rate.registry import BASELINES
from pipeline.benchmark.rate.training_sets import TrainingSet, training_set_for
from pipeline.benchmark.timing import torch_threads
from pipeline.datasets.sources import is_picture, read_source
from pipeline.jobs.processes import new_pool
from pipeline.storage.files import read_bytes, sha256_of
from pipeline.storage.journal import Journal
from quinr_lidar import RangeImage
from quinr_lidar.errors import DatasetError, QuinrError

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Largest errors allowed, metres."""
RATES = (0.2, 0.4, 0.8, 1.6, 3.2)
"""Bits a pixel asked of those that know no bound."""
EDITION = 1
"""Of this benchmark: rows of another one are not reused. Count on where a row's meaning changes."""


@dataclass(frozen=True)
class Job:
    """What to measure. Small and picklable: it travels to worker processes.

    Attributes:
        path: A scan.
        scan: Its label.
        digest: SHA-256 of the scan.
        codec: A baseline's name.
        setting: Of the baseline.
        training_set: For a baseline that learns.
    """

    path: Path
    scan: str
    digest: str
    codec: str
    setting: float
    training_set: TrainingSet | None = None

    @property
    def key(self) -> str:
        """The same in every run, unless scan, baseline or its software change: 16 digits."""
        one = BASELINES[self.codec]
        described = [EDITION, self.digest, self.codec, self.setting]
        described += [sorted(one.ways), one.version()]
        described += [self.training_set.described()] if self.training_set else []
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]


def plan(
    scans: Sequence[Path],
    codecs: Sequence[str],
    max_errors: Sequence[float],
    models: Path = Path("models"),
) -> list[Job]:
    """Every job, scan by scan.

    Args:
        scans: Velodyne scans (.bin).
        codecs: Names of baselines; all but the optional ones where there is none.
        max_errors: Largest errors allowed, metres.
        models: Folder for those that learn.

    Raises:
        DatasetError: an unknown name, a picture, a bound that is not positive, or nothing to learn
            from for a baseline that learns.
        StorageError: a scan cannot be read.
    """
    unknown = [name for name in codecs if name not in BASELINES]
    if unknown:
        raise DatasetError(
            f"codecs: expected some of {', '.join(BASELINES)}, got {', '.join(unknown)}"
        )
    wrong = [max_error for max_error in max_errors if not 0 < max_error < float("inf")]
    if wrong:
        raise DatasetError(f"max_errors: expected metres above 0, got {wrong[0]:g}")
    chosen = [
        one for name, one in BASELINES.items() if name in codecs or not (codecs or one.optional)
    ]
    digests = {path: sha256_of(_scan_bytes(path)) for path in scans}
    known = {digest: path for path, digest in digests.items()}
    jobs: list[Job] = []
    for path, label in _labelled(list(digests)):
        digest = digests[path]
        for one in chosen:
            training_set = training_set_for(digest, known, models) if one.taught else None
            jobs += [
                Job(path, label, digest, one.name, setting, training_set)
                for setting in _settings(one, max_errors)
            ]
    return jobs


def _scan_bytes(path: Path) -> bytes:
    if is_picture(path):
        raise DatasetError(f"{path}: expected a velodyne scan (.bin), not a picture")
    return read_bytes(path)


def run_jobs(
    jobs: Sequence[Job],
    journal: Path,
    workers: int = 1,
    progress: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Measure what the journal does not know yet.

    Args:
        jobs: Of :func:`plan`.
        journal: JSON lines, one for each row as soon as it is known. Failures are not kept: they
            are tried again.
        workers: Processes; with one, jobs run here.
        progress: Called with every row.

    Returns:
        Rows in the order of the jobs.

    Raises:
        QuinrError: a scan cannot be read, or the journal not be written.
    """
    say = progress or (lambda _: None)
    known = Journal(journal, Row)
    known.prepare()
    rows: dict[str, Row] = {}
    waiting: list[Job] = []
    for job in jobs:
        row = known.entries.get(job.key)
        if row is None:
            waiting.append(job)
        else:
            rows[job.key] = row
            say(replace(row, scan=job.scan))
    for row in _measured(waiting, workers):
        if row.error is None:
            known.add(row)
        rows[row.key] = row
        say(row)
    # Equal scans share a row, and the journal's may have had another label.
    return [replace(rows[job.key], scan=job.scan) for job in jobs]


def run_job(job: Job) -> Row:
    """Measure one job; what a baseline cannot do, or fails at, is a row with an error.

    Raises:
        QuinrError: the scan cannot be read.
    """
    image = read_image(job.path)
    baseline = BASELINES[job.codec]
    row: dict[str, Any] = {"key": job.key, "scan": job.scan, "codec": job.codec}
    row |= {"goal": baseline.goal, "setting": job.setting, "points": image.valid_count}
    try:
        if baseline.taught and job.training_set:
            baseline = baseline.taught(job.training_set)
        return Row(**row, **measure(image, baseline, job.setting))
    except QuinrError as error:
        return Row(**row, error=str(error))
    except Exception as error:  # each codec has exceptions of its own
        return Row(**row, error=f"{type(error).__name__}: {error}")


def _measured(jobs: Sequence[Job], workers: int) -> Iterator[Row]:
    if workers == 1:
        with torch_threads(1):
            yield from map(run_job, jobs)
        return
    with new_pool(workers) as pool:
        for future in as_completed([pool.submit(run_job, job) for job in jobs]):
            yield future.result()


def _settings(one: Baseline, max_errors: Sequence[float]) -> Sequence[float]:
    return (
        one.settings
        or {"max_error": sorted(set(max_errors)), "rate": RATES, "lossless": (0.0,)}[one.goal]
    )


def _labelled(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Scans with names for people: all KITTI scans are called alike, so their sequence counts."""
    paths = list(paths)
    short = [
        "/".join(path.parts[-3::2]) if path.parent.name.startswith("velodyne") else path.name
        for path in (path.resolve() for path in paths)
    ]
    often = Counter(short)
    return [
        (path, label if often[label] == 1 else str(path))
        for path, label in zip(paths, short, strict=True)
    ]


@lru_cache(maxsize=2)
def read_image(path: Path) -> RangeImage:
    """A scan's range image.

    Raises:
        DatasetError: it is a picture.
        QuinrError: it cannot be read.
    """
    content = read_source(path).content
    if not isinstance(content, RangeImage):
        raise DatasetError(f"{path}: expected a velodyne scan (.bin), not a picture")
    return content
