"""``quinr bench paper`` and ``quinr bench rate``: baselines compared at equal bytes or errors."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.benchmark import paper as at_equal_bytes
from pipeline.benchmark import rate as at_an_error
from pipeline.benchmark import rate_page
from pipeline.benchmark.results import JOURNAL, Comparison, page_of, write_results
from pipeline.benchmark.runner import Job, Point, find_sources, known_points, run_jobs
from pipeline.cli.bench.options import (
    BaselineNames,
    MaxErrors,
    OutFolder,
    Quick,
    Seeds,
    Workers,
    progress,
)
from pipeline.cli.console import EXIT_PARTIAL, Json, print_json, print_table
from pipeline.jobs.workers import available_cores
from quinr_lidar.errors import DatasetError

DATA_VARIABLE = "QUINR_DATA"
SOURCES = (
    "kitti/odometry/sequences/00/velodyne/000000.bin",
    "kitti/object/training/velodyne/000000.bin",
    *(f"kodak/kodim{number}.png" for number in ("02", "03", "15", "23")),
)
QUICK_SIZES = (200, 400)
QUICK_NAMES = ("quinr", "siren", "fourier-tanh", "jpeg2000-8")
QUICK_SHARE = 0.1

Sizes = Annotated[list[int], typer.Option(min=1, help="Only this size in bytes; repeatable.")]
Report = Annotated[
    bool, typer.Option("--report", help="Measure nothing; write the results of OUT/points.jsonl.")
]


def paper(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help=f"Scans (.bin) and pictures; the papers' under ${DATA_VARIABLE} by default."
        ),
    ] = None,
    out: OutFolder = Path("data/results"),
    baseline: BaselineNames = [],  # noqa: B006 (typer copies it)
    size: Sizes = [],  # noqa: B006
    seeds: Seeds = 3,
    quick: Quick = False,
    report: Report = False,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Compare quINR with COIN, QIREN, Fourier features and codecs at equal bytes.

    Takes hours of one core, or minutes with --quick. Run it again to go on where it stopped:
    every point is kept in OUT/points.jsonl. Example: `quinr bench paper --quick -o data/quick`
    """

    def plan() -> list[Job]:
        paths = sources or _papers_sources()
        if not quick:
            return at_equal_bytes.plan_paper(find_sources(paths), baseline, size, seeds)
        scans = [path for path in paths if path.suffix == ".bin"]
        pictures = [path for path in paths if path not in scans]
        found = find_sources([*scans[:1], *pictures[:1]])
        return at_equal_bytes.plan_paper(
            found, baseline or QUICK_NAMES, size or QUICK_SIZES, 1, QUICK_SHARE
        )

    _run(at_equal_bytes.COMPARISON, None if report else plan, out, workers, as_json=json)


def rate(
    scans: Annotated[list[Path] | None, typer.Argument(help="Velodyne scans (.bin).")] = None,
    out: OutFolder = Path("data/rate"),
    baseline: BaselineNames = [],  # noqa: B006 (typer copies it)
    max_error: MaxErrors = [],  # noqa: B006
    entropy_models: Annotated[
        bool,
        typer.Option(help="Also what one entropy model for all errors and its rounding cost."),
    ] = False,
    report: Report = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Worker processes; more than one disturbs the seconds.")
    ] = 1,
    json: Json = False,
) -> None:
    """Compare quINR with JPEG XL, PNG, JPEG-LS, Draco, LASzip, zstd and JPEG 2000.

    For every codec and largest error (0.005 to 0.5 m by default): bytes, bits a point, errors of
    what was decoded, seconds. Run it again to go on where it stopped: every point is kept in
    OUT/points.jsonl. Exit code 1 if a point could not be measured.

    By name alone: quinr-unseen (with entropy models that have not seen the scan), quinr-field, mlp
    and context-mixing (code lengths of models), quinr-paper and quinr-preview (PSNR at equal
    bytes). Those that learn take minutes once, and the scans of the built-in entropy model.
    Example: `quinr bench rate 000000.bin 000001.bin -o data/rate --max-error 0.02 --max-error 0.1`
    """

    def plan() -> list[Job]:
        if not scans:
            raise DatasetError("expected velodyne scans (.bin), or --report")
        names = [*(baseline or at_an_error.USUAL), *(at_an_error.MODELS if entropy_models else ())]
        return at_an_error.plan_rate(find_sources(scans), names, max_error, out / "models")

    points = _run(rate_page.COMPARISON, None if report else plan, out, workers, as_json=json)
    for point in points:
        if point.error is not None:
            name = f"{point.source} {point.baseline} {point.setting:g}"
            typer.echo(f"{name}: {point.error}", err=True)
    if any(point.error for point in points):
        raise typer.Exit(EXIT_PARTIAL)


def _run(
    comparison: Comparison,
    plan: Callable[[], list[Job]] | None,
    out: Path,
    workers: int | None,
    *,
    as_json: bool,
) -> list[Point]:
    """Measure the points of a plan, or take those that are known; write and print the results."""
    if plan is None:
        points, command = known_points(out / JOURNAL), None
    else:
        jobs = plan()
        with progress(f"bench {comparison.name}", len(jobs), as_json) as advance:
            points = run_jobs(
                jobs,
                out / JOURNAL,
                workers or available_cores(),
                lambda point: advance(f"{point.source} {point.baseline} {point.setting:g}"),
            )
        command = shlex.join(["quinr", *sys.argv[1:]])
    document = write_results(comparison, out, points, command)
    if as_json:
        print_json(document)
    else:
        print_table([_row(point) for point in points if not point.error], str(page_of(out)))
    return points


def _row(point: Point) -> dict[str, Any]:
    names = ("bytes", "bpp", "bits_per_point", "largest_error_m", "psnr_db")
    row = {"source": point.source, "baseline": point.baseline, "asked for": point.setting}
    return row | {name: point.figures.get(name) for name in names} | {"variant": point.label}


def _papers_sources() -> list[Path]:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise DatasetError(f"name scans and pictures, or set {DATA_VARIABLE} to a folder of both")
    paths = [Path(folder) / name for name in SOURCES]
    if missing := [str(path) for path in paths if not path.exists()]:
        raise DatasetError(f"{DATA_VARIABLE}: expected {', '.join(missing)}")
    return paths
