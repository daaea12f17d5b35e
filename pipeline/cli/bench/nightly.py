"""``quinr bench nightly``: the command."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from pipeline.cli.console import Json, print_json, print_table
from pipeline.jobs.workers import available_cores
from pipeline.storage.files import write_json_atomically
from quinr_lidar.errors import BackendError

_PARTS = 5


def nightly(
    frames: Annotated[int, typer.Option(min=16, help="Of the drive; KITTI 00 has 4541.")] = 4541,
    points: Annotated[int, typer.Option(min=1, help="Of a scan.")] = 300,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Worker processes; all cores if unset."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON document here.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure what a nightly run costs beside its encoding: Prefect's time, memory, database.

    Copies of a few small scans are archived with a field of one step, by the flow and by the same
    workers without Prefect; needs the extra bench, and about a quarter of an hour for 4,541 frames.
    Example: `quinr bench nightly --frames 800 --jobs 2`
    """
    try:
        from pipeline.benchmark.nightly import bench_nightly
    except ModuleNotFoundError as error:
        raise BackendError(
            f"{error.name} is not installed: pip install 'quinr-lidar[bench]'"
        ) from error

    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=_PARTS, desc="bench nightly", unit="part", disable=json) as bar,
    ):

        def begin(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()

        result = bench_nightly(
            Path(folder),
            frames=frames,
            points=points,
            jobs=jobs or available_cores(),
            progress=begin,
        )
    document = {
        "name": "nightly",
        "description": "What a nightly run costs beside its encoding",
        **result,
    }
    if out:
        write_json_atomically(out, document)
    if json:
        print_json(document)
        return
    print_table([_row(kind, run) for kind in ("workers", "flow") for run in document[kind]], "runs")
    print_table(
        [{"figure": name, "value": document[name]} for name in _FIGURES],
        f"{document['jobs']} worker processes",
    )


_FIGURES = (
    "start_seconds",
    "prefect_seconds_per_frame",
    "prefect_share",
    "real_frame_seconds",
    "prefect_share_of_real_frames",
    "parent_bytes_per_frame",
    "plain_parent_bytes_per_frame",
    "server_bytes_per_frame",
    "manifest_bytes_per_frame",
    "database_bytes_per_frame",
)


def _row(kind: str, run: dict[str, Any]) -> dict[str, Any]:
    megabytes = {
        title: None if run[name] is None else round(run[name] / 1e6, 2)
        for title, name in (
            ("process [MB]", "parent_bytes"),
            ("Prefect's server [MB]", "server_bytes"),
            ("database [MB]", "database_bytes"),
            ("manifest [MB]", "manifest_bytes"),
        )
    }
    return {"by": kind, "frames": run["frames"], "seconds": round(run["seconds"], 1)} | megabytes
