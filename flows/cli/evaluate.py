"""The command ``quinr-flows evaluate``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.options import PackedArchive, check_executor, finish
from flows.parameters import RUN_EVALUATION
from pipeline.cli.config_options import options_from
from pipeline.cli.console import Json, SequenceName, print_json, print_table
from pipeline.config.archive_config import RunConfig
from quinr_lidar.errors import QuinrError

Every = Annotated[int, typer.Option(min=1, metavar="N", help="Figures of every Nth frame only.")]
Sample = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Figures of N frames, spread evenly.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the report; ARCHIVE/report, or ./report/SEQUENCE of a URL."),
]

_SHOWN = (
    "d1_psnr_db",
    "d2_psnr_db",
    "chamfer_m",
    "registration_m",
    "ground_iou",
    "occupancy_iou",
)
"""Figures in the table: means of the codec's own loss, see :mod:`pipeline.evaluation.figures`."""


@options_from(RUN_EVALUATION, "run", file=False)
def evaluate(
    source: Annotated[str, typer.Argument(help="Data set of the scans that were archived.")],
    archive: PackedArchive,
    sequence: SequenceName = None,
    out: Out = None,
    every: Every = 1,
    sample: Sample = None,
    odometry: Annotated[
        bool, typer.Option(help="Follow the drive with KISS-ICP; reads every frame.")
    ] = True,
    registration: Annotated[
        bool, typer.Option(help="Register frames with those before them.")
    ] = True,
    json: Json = False,
    *,
    run: RunConfig,
) -> None:
    """Measure what decoded frames are still good for, and report it as a page (index.html).

    Distances between clouds, registration, ground, occupancy, and where odometry goes. Run it again
    to go on where it stopped.
    Example: `quinr-flows evaluate kitti/odometry archive/00 --sample 50 -j 4`
    """
    if sample is not None and every > 1:
        raise typer.BadParameter("either --every or --sample, not both")

    from pipeline.evaluation.archive import check_backends
    from pipeline.evaluation.archive.requests import evaluation_requests
    from pipeline.evaluation.tasks import TaskSettings

    tasks = TaskSettings(every=every, sample=sample, odometry=odometry, registration=registration)
    # Bad input ends the command before a server starts for the flow.
    check_backends(tasks)
    requests = evaluation_requests(archive, source, tasks, sequence=sequence, out=out)
    if len(requests) == 1:
        requests[0].plan()
    check_executor(run)

    from flows._prefect.server import start_server
    from flows.evaluate_archive import evaluate_archive

    start_server()
    state = evaluate_archive(
        source,
        archive,
        tasks,
        run,
        sequence,
        None if out is None else str(out),
        command=shlex.join(["quinr-flows", *sys.argv[1:]]),
        return_state=True,
    )
    found = summaries(requests)
    if json:
        print_json({"state": state.name, "message": state.message, "archives": found})
    else:
        print_table([_row(one) for one in found], f"{archive} against {source}")
        for one in found:
            if one["report"]:
                typer.echo(f"report  {one['report']}")
    finish(state, quiet=json)


def summaries(requests: Sequence[Any]) -> list[dict[str, Any]]:
    """What is known of archives by now: JSON's types.

    Args:
        requests: Result of :func:`pipeline.evaluation.archive.requests.evaluation_requests`.
    """
    from pipeline.evaluation.archive import read_evaluation
    from pipeline.evaluation.tasks import summarise_evaluation

    found = []
    for request in requests:
        page = request.out / "index.html"
        known: dict[str, Any] = {"archive": request.archive, "originals": request.originals}
        known |= {"report": str(page) if page.is_file() else None, "error": None, "summary": None}
        try:
            evaluation = read_evaluation(request.plan())
            known["settings"] = evaluation.settings.as_dict()
            known["summary"] = summarise_evaluation(evaluation.records)
            known["failures"] = {one.frame: one.error for one in evaluation.records if one.error}
        except QuinrError as error:
            known["error"] = str(error)
        found.append(known)
    return found


def _row(found: dict[str, Any]) -> dict[str, Any]:
    from pipeline.evaluation.figures import PAIRS

    summary = found["summary"] or {}
    figures, odometry = summary.get("figures", {}), summary.get("odometry", {})
    row = {"archive": found["archive"]}
    row |= {name: summary.get(name) for name in ("frames", "measured", "failed")}
    row |= {PAIRS[name].heading: figures.get(f"codec_{name}", {}).get("mean") for name in _SHOWN}
    drift = odometry.get("decoded to truth") or odometry.get("decoded to scan") or {}
    row["drift [m/m]"] = drift.get("translation_per_m")
    return row | {"error": found["error"]}
