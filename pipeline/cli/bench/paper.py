"""``quinr bench paper``: the papers' figures 3 and 4, their claims, and everything beside."""

from __future__ import annotations

import json as json_library
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from pipeline.benchmark.machine import describe_machine
from pipeline.benchmark.paper.claims import judge
from pipeline.benchmark.paper.curves import Curve, make_curves
from pipeline.benchmark.paper.page import write_page
from pipeline.benchmark.paper.run import Plan, run_plan
from pipeline.cli.console import Json, print_json, print_table
from pipeline.jobs.workers import available_cores
from pipeline.storage.files import write_atomically, write_json_atomically
from quinr_lidar.errors import DatasetError

DATA_VARIABLE = "QUINR_DATA"
FIGURE = "rate-distortion.svg"
SOURCES = (
    "kitti/odometry/sequences/00/velodyne/000000.bin",
    "kitti/object/training/velodyne/000000.bin",
    "kodak/kodim02.png",
    "kodak/kodim03.png",
    "kodak/kodim15.png",
    "kodak/kodim23.png",
)
QUICK_SIZES = (200, 400)
QUICK_NAMES = ("quinr", "siren", "fourier-tanh")
QUICK_CODECS = ("jpeg2000-8",)


def paper(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help=f"Scans (.bin) and pictures; the papers' under ${DATA_VARIABLE} by default."
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder of points, JSON and figure; OUT.md is the page."),
    ] = Path("data/results"),
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of every field.")] = 3,
    sizes: Annotated[str | None, typer.Option(help="Only these bytes, e.g. 100,200.")] = None,
    baselines: Annotated[str | None, typer.Option(help="Only these, e.g. quinr,siren.")] = None,
    codecs: Annotated[bool, typer.Option(help="JPEG 2000 and the like as well.")] = True,
    quick: Annotated[
        bool, typer.Option("--quick", help="A look: two sources, small sizes, short trainings.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Only write the results of the points so far.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as cores by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare quINR with COIN, QIREN, Fourier features and codecs at equal bytes.

    Takes hours of one core, or minutes with --quick. Run it again to go on where it stopped:
    every point is kept in points.jsonl beside the results.
    Example: `quinr bench paper --quick -o data/quick`
    """
    plan = _plan(sources, seeds, sizes, baselines, codecs=codecs, quick=quick)
    total = len(plan.jobs())
    with tqdm(total=total, desc="bench paper", unit="point", disable=json) as bar:

        def advance(line: str) -> None:
            bar.write(line)
            bar.update()

        points = run_plan(
            plan,
            out / "points.jsonl",
            workers or available_cores(),
            None if json else advance,
            only_known=report,
        )
    curves = make_curves(points)
    _write(out, curves, plan)
    if json:
        print_json([curve.as_dict() for curve in curves])
    else:
        print_table(_rows(curves), str(_page_of(out)))


def _plan(
    sources: list[Path] | None,
    seeds: int,
    sizes: str | None,
    baselines: str | None,
    *,
    codecs: bool,
    quick: bool,
) -> Plan:
    found = tuple(sources or _papers_sources())
    chosen = None if sizes is None else tuple(int(size) for size in sizes.split(","))
    names = None if baselines is None else tuple(baselines.split(","))
    if quick:
        first = [p for p in found if p.suffix == ".bin"][:1] + [
            p for p in found if p.suffix != ".bin"
        ][:1]
        few = QUICK_CODECS if codecs else ()
        return Plan(tuple(first), 1, 0.1, chosen or QUICK_SIZES, names or QUICK_NAMES, few)
    return Plan(found, seeds, 1.0, chosen, names, None if codecs else ())


def _papers_sources() -> list[Path]:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise DatasetError(f"name scans and pictures, or set {DATA_VARIABLE} to a folder of both")
    paths = [Path(folder) / name for name in SOURCES]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DatasetError(f"{DATA_VARIABLE}: expected {', '.join(missing)}")
    return paths


def _write(out: Path, curves: list[Curve], plan: Plan) -> None:
    # matplotlib takes a while to import.
    from pipeline.benchmark.paper.figure import draw_curves

    claims = judge(curves, {name: _other(out, name) for name in ("shots", "small-images")})
    write_atomically(out / FIGURE, draw_curves(curves))
    write_json_atomically(
        out / "results.json",
        {
            "curves": [curve.as_dict() for curve in curves],
            "claims": [vars(claim) for claim in claims],
            "seeds": plan.seeds,
            "share_of_steps": plan.share,
            "machine": describe_machine(),
        },
    )
    command = "quinr bench paper" + (" --quick" if plan.share < 1 else f" --seeds {plan.seeds}")
    page = write_page(curves, claims, Path(out.name) / FIGURE, command)
    write_atomically(_page_of(out), page.encode())


def _page_of(out: Path) -> Path:
    return out.with_name(out.name + ".md")


def _other(out: Path, name: str) -> dict[str, Any] | None:
    """The result of another benchmark, if it was written into the same folder."""
    path = out / f"{name}.json"
    return json_library.loads(path.read_bytes()) if path.exists() else None


def _rows(curves: list[Curve]) -> list[dict[str, Any]]:
    return [
        {
            "source": curve.source,
            "baseline": curve.title,
            "bytes": round(point.bytes),
            "bpp": point.bpp,
            "psnr_db": point.psnr_db,
            "field": point.label,
        }
        for curve in curves
        for point in curve.points
    ]
