"""The points of a comparison, measured in worker processes; a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.benchmark.baseline import Content, Request
from pipeline.benchmark.machine import torch_threads
from pipeline.benchmark.measure import Figures, measure
from pipeline.benchmark.registry import BASELINES
from pipeline.datasets.sources import read_source
from pipeline.jobs.processes import new_pool
from pipeline.storage.files import read_bytes, sha256_of
from pipeline.storage.journal import Journal
from quinr_lidar.errors import DatasetError, QuinrError

EDITION = 2
"""Points of another edition are not reused. Count it up where the meaning of a figure changes."""


@dataclass(frozen=True)
class SourceFile:
    """A scan or a picture: its path, its name for people and its SHA-256."""

    path: Path
    label: str
    digest: str


@dataclass(frozen=True)
class Job:
    """What to measure. Small and picklable, because it travels to worker processes."""

    source: SourceFile
    baseline: str
    request: Request

    @property
    def key(self) -> str:
        """16 digits, the same in every run unless source, baseline or its software change."""
        request, training_set = self.request, self.request.training_set
        described = [EDITION, self.source.digest, self.baseline, request.setting, request.channels]
        described += [request.variant, request.seed, request.share]
        described += [
            sorted(BASELINES[self.baseline].ways),
            BASELINES[self.baseline].version(request),
        ]
        described += [training_set.described()] if training_set else []
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Point:
    """One measured file.

    Attributes:
        key: Key of the job.
        source: Name of the scan or picture.
        digest: SHA-256 of the scan or picture.
        baseline: Name of the baseline.
        setting: What was asked for: metres, or bytes.
        variant: Number of the baseline's variant.
        seed: Seed of the training.
        label: The variant, or the way that made the smallest file.
        parts: Bytes of each layer.
        figures: See :func:`~pipeline.benchmark.measure.measure`.
        error: Why there are no figures.
    """

    key: str
    source: str
    digest: str
    baseline: str
    setting: float
    variant: int = 0
    seed: int = 0
    label: str = ""
    parts: dict[str, float] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def find_sources(paths: Sequence[Path]) -> list[SourceFile]:
    """Sources with names: all KITTI scans have the same file names, so their sequence is added.

    Raises:
        StorageError: a file cannot be read.
    """
    paths = list(dict.fromkeys(paths))
    resolved = [path.resolve() for path in paths]
    names = [
        "/".join(path.parts[-3::2]) if path.parent.name.startswith("velodyne") else path.name
        for path in resolved
    ]
    often = Counter(names)
    return [
        SourceFile(path, name if often[name] == 1 else str(path), sha256_of(read_bytes(path)))
        for path, name in zip(paths, names, strict=True)
    ]


def require_known(names: Sequence[str]) -> None:
    """Check names of baselines.

    Raises:
        DatasetError: one is unknown.
    """
    if unknown := [name for name in names if name not in BASELINES]:
        raise DatasetError(
            f"baselines: expected some of {', '.join(BASELINES)}, got {', '.join(unknown)}"
        )


def known_points(journal: Path) -> list[Point]:
    """All points of a journal; of several for the same file the last one."""
    return list(
        {
            (one.source, one.baseline, one.setting, one.variant, one.seed): one
            for one in Journal(journal, Point).entries.values()
        }.values()
    )


def run_jobs(
    jobs: Sequence[Job],
    journal: Path,
    workers: int = 1,
    progress: Callable[[Point], None] | None = None,
) -> list[Point]:
    """Measure what the journal does not know yet, each point written as soon as it is known.

    Failures are tried again. With one worker, jobs run in this process.

    Returns:
        Points in the order of the jobs.

    Raises:
        QuinrError: a source cannot be read, or the journal cannot be written.
    """
    say = progress or (lambda _: None)
    kept = Journal(journal, Point)
    kept.prepare()
    points = {key: one for key, one in kept.entries.items() if one.error is None}
    keys = [job.key for job in jobs]
    waiting = {key: job for key, job in zip(keys, jobs, strict=True) if key not in points}
    for key, job in zip(keys, jobs, strict=True):
        if key not in waiting:
            say(replace(points[key], source=job.source.label))
    for point in _measured(list(waiting.values()), workers):
        kept.add(point)
        points[point.key] = point
        say(point)
    # Equal sources share a point, and the journal may have had another name for it.
    return [
        replace(points[key], source=job.source.label) for key, job in zip(keys, jobs, strict=True)
    ]


def run_job(job: Job) -> Point:
    """Measure one job; what a baseline cannot do, or fails at, is a point with an error.

    Raises:
        QuinrError: the source cannot be read.
    """
    request, source = job.request, job.source
    content = read_content(source.path)
    point = Point(job.key, source.label, source.digest, job.baseline, request.setting)
    point = replace(point, variant=request.variant, seed=request.seed)
    try:
        return replace(point, **measure(content, BASELINES[job.baseline], request))
    except QuinrError as error:
        return replace(point, error=str(error))
    except Exception as error:  # each codec has exceptions of its own
        return replace(point, error=f"{type(error).__name__}: {error}")


@lru_cache(maxsize=4)
def read_content(path: Path) -> Content:
    """A scan's range image, or a picture.

    Raises:
        QuinrError: it cannot be read.
    """
    return read_source(path).content


def _measured(jobs: Sequence[Job], workers: int) -> Iterator[Point]:
    if workers == 1 or len(jobs) < 2:
        with torch_threads(1):
            yield from map(run_job, jobs)
        return
    with new_pool(workers) as pool:
        for future in as_completed([pool.submit(run_job, job) for job in jobs]):
            yield future.result()
