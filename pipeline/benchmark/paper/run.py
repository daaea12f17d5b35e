"""All points of a comparison, in worker processes, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

from pipeline.benchmark.paper.baselines import BASELINES, PICTURE_SIZES, SCAN_SIZES
from pipeline.benchmark.paper.points import Point, PointJob, run_point
from pipeline.datasets.sources import is_picture
from pipeline.jobs.processes import new_pool
from pipeline.storage.journal import Journal
from quinr_lidar.errors import DatasetError

SCAN_CODECS = ("jpeg2000-8", "jpeg2000-16", "jpeg-xl")
PICTURE_CODECS = ("jpeg2000-8", "jpeg", "jpeg-xl", "webp")
CODEC_EXTRA = (2500, 5000)
"""Sizes beyond the fields', where codecs come into their own."""

MAIN = ("quinr", "quinr-1", "siren")
"""Who has several seeds and all pictures; the rest, far behind, one seed and one picture."""


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        sources: Scans and pictures.
        seeds: Of each field.
        share: Of the trainings' steps.
        sizes: Only these; all by default.
        names: Only these baselines; all by default.
        codecs: Only these; all by default.
    """

    sources: tuple[Path, ...]
    seeds: int = 3
    share: float = 1.0
    sizes: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None
    codecs: tuple[str, ...] | None = None

    def jobs(self) -> list[PointJob]:
        """Every point, the quick ones first.

        Raises:
            DatasetError: a baseline is unknown.
        """
        unknown = set(self.names or ()) - set(BASELINES)
        if unknown:
            known = ", ".join(BASELINES)
            raise DatasetError(f"baselines: expected some of {known}, got {', '.join(unknown)}")
        found = [job for source in self.sources for job in self._of(source)]
        return sorted(found, key=lambda job: (job.size, job.seed))

    @property
    def _further_pictures(self) -> list[Path]:
        return [source for source in self.sources if is_picture(source)][1:]

    def _of(self, source: Path) -> Iterable[PointJob]:
        picture = is_picture(source)
        sizes = PICTURE_SIZES if picture else SCAN_SIZES
        for size in sizes if self.sizes is None else self.sizes:
            for name, baseline in BASELINES.items():
                if (self.names is not None and name not in self.names) or (
                    baseline.mask != "value" and picture
                ):
                    continue
                if name not in MAIN and source in self._further_pictures:
                    continue
                seeds = self.seeds if name in MAIN else 1
                entries = baseline.enter(size, 3 if picture else 1)
                for entry in range(len(entries)):
                    for seed in range(seeds):
                        yield PointJob(source, name, size, entry, seed, self.share)
        for name in PICTURE_CODECS if picture else SCAN_CODECS:
            if self.codecs is None or name in self.codecs:
                for size in (*(sizes if self.sizes is None else self.sizes), *CODEC_EXTRA):
                    yield PointJob(source, f"codec:{name}", size)


def run_plan(
    plan: Plan,
    journal: Path,
    workers: int,
    progress: Callable[[str], None] | None = None,
    *,
    only_known: bool = False,
) -> list[Point]:
    """Run what the journal does not know yet; a line of it for each point, as soon as it is done.

    Args:
        plan: What is compared.
        journal: Of points, JSON lines.
        workers: Processes.
        progress: Called with a line for each point.
        only_known: Run nothing.

    Raises:
        DatasetError: a baseline is unknown.
        QuinrError: a source cannot be read, or the journal not be written.
    """
    say = progress or (lambda _: None)
    jobs = plan.jobs()
    points = Journal(journal, Point)
    found = [points.entries[job.key] for job in jobs if job.key in points.entries]
    waiting = [job for job in jobs if job.key not in points.entries]
    for point in found:
        say(f"known: {_line(point)}")
    if only_known or not waiting:
        return found
    points.prepare()
    with new_pool(workers) as pool:
        futures = [pool.submit(run_point, job) for job in waiting]
        for future in as_completed(futures):
            point = future.result()
            points.add(point)
            found.append(point)
            say(_line(point))
    return found


def _line(point: Point) -> str:
    result = point.error or f"{point.psnr_db:.3f} dB, {point.bytes} B"
    return f"{point.source} {point.name} {point.label} {point.size} seed {point.seed}: {result}"
