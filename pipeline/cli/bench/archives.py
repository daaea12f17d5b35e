"""``quinr bench fidelity`` and ``quinr bench nightly``: archives of whole drives."""

from __future__ import annotations

import shlex
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.benchmark.fidelity import MAX_ERRORS, BenchFrame, bench_fidelity, profiles_for
from pipeline.benchmark.fidelity_page import drift_verdict, page
from pipeline.benchmark.nightly import PARTS, bench_nightly
from pipeline.cli.bench.options import (
    MaxErrors,
    OutFile,
    SequenceName,
    Source,
    Workers,
    drive_of,
    finish,
    progress,
)
from pipeline.cli.console import Json, print_table
from pipeline.jobs.workers import available_cores
from pipeline.storage.files import write_atomically

Folder = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder for fidelity.json and fidelity.md.")
]


def fidelity(
    source: Source = None,
    out: Folder = None,
    sequence: SequenceName = None,
    frames: Annotated[int, typer.Option(min=2, help="Number of frames, from the first.")] = 40,
    max_error: MaxErrors = [],  # noqa: B006 (typer copies it)
    preview: Annotated[
        str, typer.Option(help="Profile of the files without a largest error; empty for none.")
    ] = "preview",
    repeats: Annotated[
        int, typer.Option(min=0, help="Odometry runs with noise, which tell what is chance.")
    ] = 5,
    json: Json = False,
) -> None:
    """Tell what decoded scans are still good for, by largest error: distances, odometry and so on.

    Needs the extra evaluation; takes about ten seconds a frame.
    Example: `quinr bench fidelity kitti/odometry --sequence 00 -o data/fidelity`
    """
    profiles = profiles_for(max_error or MAX_ERRORS, preview)
    with drive_of(source, sequence, frames) as dataset:
        poses = dataset.poses()
        chosen = [
            BenchFrame(name, partial(lambda one: dataset.read(one).points, name), poses.get(name))
            for name in dataset.frame_ids[:frames]
        ]
        with progress("bench fidelity", len(chosen), json) as advance:
            document = bench_fidelity(chosen, profiles, repeats, advance)
    document = {"name": "fidelity", "source": str(source or "synthetic drive"), **document}
    document["verdict"] = drift_verdict(document)
    label = "A synthetic drive" if source is None else f"`{source.name}`"
    text = page(document, label, shlex.join(["quinr", *sys.argv[1:]]))
    if out:
        write_atomically(out / "fidelity.md", text.encode())
    finish(document, out and out / "fidelity.json", json, lambda: print(text))


def nightly(
    frames: Annotated[
        int, typer.Option(min=16, help="Frames of the drive; KITTI 00 has 4541.")
    ] = 4541,
    points: Annotated[int, typer.Option(min=1, help="Points of a scan.")] = 300,
    workers: Workers = None,
    out: OutFile = None,
    json: Json = False,
) -> None:
    """Measure what a nightly run costs beside its encoding: Prefect's time, memory, database.

    Copies of a few small scans are archived with a field of one step, by the flow and by the same
    workers without Prefect; needs the extra bench, and about a quarter of an hour for 4,541 frames.
    Example: `quinr bench nightly --frames 800 --workers 2`
    """
    count = workers or available_cores()
    with (
        tempfile.TemporaryDirectory() as folder,
        progress("bench nightly", PARTS, json) as advance,
    ):
        options: dict[str, Any] = {"points": points, "workers": count, "progress": advance}
        document = {"name": "nightly", **bench_nightly(Path(folder), frames=frames, **options)}

    def show() -> None:
        rows = [{"by": kind} | row for kind in ("plain", "flow") for row in document[kind]]
        print_table(rows, "runs")
        costs = [{"figure": name, "value": value} for name, value in document["costs"].items()]
        print_table(costs, f"{count} worker processes")

    finish(document, out, json, show)
