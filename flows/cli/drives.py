"""Commands of ``quinr-flows`` for many drives: archive-all, verify, nightly, serve."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import (
    Archives,
    ArchiveTimeout,
    Drives,
    MaxFailedDrives,
    PackedArchive,
    Resume,
    Settle,
    check_executor,
    finish,
)
from flows.parameters import RUN_VERIFICATION
from pipeline.archive.overview import find_archives
from pipeline.archive.target import encoder_settings
from pipeline.cli.config_options import options_from
from pipeline.cli.console import (
    EXIT_BAD_INPUT,
    SequenceName,
)
from pipeline.config.archive_config import ArchiveConfig, RunConfig
from pipeline.datasets.discovery import drives_in
from pipeline.nightly.report import REPORT
from quinr_lidar.errors import QuinrError


class Retention(StrEnum):
    """What becomes of originals."""

    OFF = "off"
    DRY_RUN = "dry-run"
    DELETE = "delete"


Sample = Annotated[
    int, typer.Option(min=0, help="Frames of each new drive to measure for its report.")
]
Retain = Annotated[
    Retention,
    typer.Option(
        help="Originals of drives that verified frame by frame: stay, are listed, or are removed."
    ),
]


@options_from(ArchiveConfig(), file=True)
def archive_all(
    source: Drives,
    archive: Archives,
    config: ArchiveConfig,
    resume: Resume = True,
    settle_minutes: Settle = 0,
    max_failed_drives: MaxFailedDrives = 0.5,
) -> None:
    """Archive every drive that is new or incomplete; several machines may share the folders.

    Example: `quinr-flows archive-all kitti/odometry archive --max-error 0.05`
    """
    config = _checked(source, archive, config)

    from flows._prefect.server import start_server
    from flows.archive_dataset import archive_dataset

    start_server()
    state = archive_dataset(
        str(source),
        str(archive),
        config,
        resume=resume,
        settle_minutes=settle_minutes,
        max_failed_drives=max_failed_drives,
        return_state=True,
    )
    finish(state)


@options_from(RUN_VERIFICATION, "run", file=False)
def verify(
    archive: PackedArchive,
    originals: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Data set to measure every frame against.")
    ] = None,
    sequence: SequenceName = None,
    *,
    run: RunConfig,
) -> None:
    """Check packed archives, several at a time; changes nothing.

    Example: `quinr-flows verify archive --originals kitti/odometry`
    """
    find_archives([archive])
    check_executor(run)

    from flows._prefect.server import start_server
    from flows.verify_archive import verify_archive

    start_server()
    finish(verify_archive(archive, originals, sequence, run, return_state=True))


@options_from(ArchiveConfig(), file=True)
def nightly(
    source: Drives,
    archive: Archives,
    config: ArchiveConfig,
    archive_timeout: ArchiveTimeout = 0,
    sample: Sample = 5,
    retention: Retain = Retention.OFF,
    settle_minutes: Settle = 10,
    max_failed_drives: MaxFailedDrives = 0.5,
) -> None:
    """Archive what is new, verify it against the originals, measure a sample, report.

    Originals go only with `--retention delete`, and only those of a drive of which every frame
    has just been verified; `--retention dry-run` lists them.
    Example: `quinr-flows nightly inbox archive --retention dry-run`
    """
    config = _checked(source, archive, config)

    from flows._prefect.server import start_server
    from flows.nightly import nightly as nightly_flow

    start_server()
    state = nightly_flow(
        str(source),
        str(archive),
        config,
        sample=sample,
        retention=retention.value,
        settle_minutes=settle_minutes,
        max_failed_drives=max_failed_drives,
        archive_timeout=archive_timeout,
        return_state=True,
    )
    if (archive / REPORT).is_file():
        typer.echo((archive / REPORT).read_text())
    finish(state)


@options_from(ArchiveConfig(), file=True)
def serve(
    source: Drives,
    archive: Archives,
    config: ArchiveConfig,
    cron: Annotated[str, typer.Option(help="When to run, as a cron expression.")] = "0 2 * * *",
    timezone: Annotated[str, typer.Option(help="Time zone of --cron.")] = "UTC",
    archive_timeout: ArchiveTimeout = 0,
    sample: Sample = 5,
    retention: Retain = Retention.OFF,
    settle_minutes: Settle = 10,
    max_failed_drives: MaxFailedDrives = 0.5,
    name: Annotated[str, typer.Option(help="Name of the deployment.")] = "nightly",
) -> None:
    """Run `nightly` every night, until stopped; needs a running Prefect server.

    Example: `PREFECT_API_URL=http://127.0.0.1:4200/api quinr-flows serve /data/inbox /data/archive`
    """
    config = _checked(source, archive, config)
    if not os.environ.get("PREFECT_API_URL"):
        typer.echo(
            "quinr-flows: PREFECT_API_URL: expected the address of a running server, since nothing "
            "else schedules: `prefect server start`, then http://127.0.0.1:4200/api",
            err=True,
        )
        raise typer.Exit(EXIT_BAD_INPUT)

    from flows.serving import serve_nightly

    parameters = {
        "source": str(source.resolve()),
        "archive": str(archive.resolve()),
        "config": config.model_dump(mode="json"),
        "sample": sample,
        "retention": retention.value,
        "settle_minutes": settle_minutes,
        "max_failed_drives": max_failed_drives,
        "archive_timeout": archive_timeout,
    }
    serve_nightly(name, cron, timezone, parameters)


def _checked(source: Path, archive: Path, config: ArchiveConfig) -> ArchiveConfig:
    """Settings for the flow; bad input ends the command before a server starts for it.

    The settings must do for some drive: one drive's folder may carry the entropy model that they
    name, and what fails for the others is their own failure, which the flow reports.
    """
    drives = drives_in(source)
    check_executor(config.run)
    config = config.with_absolute_paths()
    folders = [archive / drive.name for drive in drives]
    if archive.is_dir():
        folders += [path for path in sorted(archive.iterdir()) if path.is_dir()]
    first: QuinrError | None = None
    for folder in folders or [archive]:
        try:
            encoder_settings(folder, config)
        except QuinrError as error:
            first = first or error
        else:
            return config
    raise first or AssertionError("no folder to check")
