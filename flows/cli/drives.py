"""Commands of ``quinr-flows`` for many drives: archive-all, verify, nightly, serve."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.options import (
    Archives,
    ArchiveTimeout,
    AutoModel,
    FrameTimeout,
    Jobs,
    MaxFailed,
    MaxFailedDrives,
    Packed,
    Resume,
    RunnerAddress,
    RunnerKind,
    RunnerName,
    Settle,
    Source,
    finish,
    runner_of,
)
from flows.parameters import FRAME_TIMEOUT, Archiving
from pipeline.archive.overview import find_archives
from pipeline.cli.console import (
    EXIT_BAD_INPUT,
    MaxError,
    ProfileName,
    RelativeError,
    Settings,
    parse_settings,
)
from pipeline.datasets.discovery import drives_in
from pipeline.models.resolved import AUTO
from pipeline.nightly.report import REPORT
from pipeline.sequence.sequence import ARCHIVE_PROFILE, archive_settings


class Retention(StrEnum):
    """What becomes of originals."""

    OFF = "off"
    DRY_RUN = "dry-run"
    DELETE = "delete"


Sample = Annotated[int, typer.Option(min=0, help="Frames of each new drive to measure anew.")]
Retain = Annotated[
    Retention,
    typer.Option(
        help="Originals of drives that verified frame by frame: stay, are listed, or are removed."
    ),
]


def archive_all(
    source: Source,
    out: Archives,
    profile: ProfileName = ARCHIVE_PROFILE,
    max_error: MaxError = None,
    relative_error: RelativeError = None,
    entropy_model: AutoModel = None,
    settings: Settings = [],  # noqa: B006 (typer copies it)
    jobs: Jobs = None,
    packed: Packed = None,
    runner: RunnerName = RunnerKind.PROCESSES,
    runner_address: RunnerAddress = None,
    frame_timeout: FrameTimeout = FRAME_TIMEOUT,
    resume: Resume = True,
    settle_minutes: Settle = 0,
    max_failed_share: MaxFailed = 0.5,
    max_failed_drives: MaxFailedDrives = 0.5,
) -> None:
    """Archive every drive that is new or incomplete; several machines may share the folders.

    Example: `quinr-flows archive-all kitti/odometry archive --max-error 0.05`
    """
    values = {
        "profile": profile,
        "max_error": max_error,
        "relative_error": relative_error,
        "jobs": jobs,
    }
    values |= {"packed": packed, "max_failed_share": max_failed_share}
    values |= {"runner": runner_of(runner, runner_address), "frame_timeout": frame_timeout}
    how = _checked(source, out, entropy_model, settings, values)

    from flows._prefect.server import start_server
    from flows.archive_dataset import archive_dataset

    start_server()
    state = archive_dataset(
        str(source),
        str(out),
        how,
        resume=resume,
        settle_minutes=settle_minutes,
        max_failed_drives=max_failed_drives,
        return_state=True,
    )
    finish(state)


def verify(
    archive: Annotated[str, typer.Argument(help="A packed sequence, or a folder of them.")],
    originals: Annotated[
        Path | None, typer.Option(help="Data set to measure every frame against.")
    ] = None,
    sequence: Annotated[str | None, typer.Option(help="Of originals that have several.")] = None,
    jobs: Jobs = None,
    runner: RunnerName = RunnerKind.PROCESSES,
    runner_address: RunnerAddress = None,
    archive_timeout: ArchiveTimeout = 0,
    max_failed_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of bad archives above which it fails.")
    ] = 0,
) -> None:
    """Check packed archives, one worker process each; changes nothing.

    Example: `quinr-flows verify archive --originals kitti/odometry`
    """
    find_archives([archive])
    where = runner_of(runner, runner_address)

    from flows._prefect.server import start_server
    from flows.verify_archive import verify_archive

    start_server()
    scans = None if originals is None else str(originals)
    state = verify_archive(
        archive,
        scans,
        sequence,
        jobs,
        max_failed_share,
        runner=where,
        archive_timeout=archive_timeout,
        return_state=True,
    )
    finish(state)


def nightly(
    inbox: Source,
    archive: Archives,
    profile: ProfileName = ARCHIVE_PROFILE,
    max_error: MaxError = None,
    relative_error: RelativeError = None,
    entropy_model: AutoModel = None,
    settings: Settings = [],  # noqa: B006 (typer copies it)
    jobs: Jobs = None,
    packed: Packed = None,
    runner: RunnerName = RunnerKind.PROCESSES,
    runner_address: RunnerAddress = None,
    frame_timeout: FrameTimeout = FRAME_TIMEOUT,
    archive_timeout: ArchiveTimeout = 0,
    sample: Sample = 5,
    retention: Retain = Retention.OFF,
    settle_minutes: Settle = 10,
    max_failed_share: MaxFailed = 0.5,
    max_failed_drives: MaxFailedDrives = 0.5,
) -> None:
    """Archive what is new, verify it against the originals, measure a sample, report.

    Originals go only with `--retention delete`, and only those of a drive of which every frame
    has just been verified; `--retention dry-run` lists them.
    Example: `quinr-flows nightly inbox archive --retention dry-run`
    """
    values = {
        "profile": profile,
        "max_error": max_error,
        "relative_error": relative_error,
        "jobs": jobs,
    }
    values |= {"packed": packed, "max_failed_share": max_failed_share}
    values |= {"runner": runner_of(runner, runner_address), "frame_timeout": frame_timeout}
    how = _checked(inbox, archive, entropy_model, settings, values)

    from flows._prefect.server import start_server
    from flows.nightly import nightly as nightly_flow

    start_server()
    state = nightly_flow(
        str(inbox),
        str(archive),
        how,
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


def serve(
    inbox: Source,
    archive: Archives,
    cron: Annotated[str, typer.Option(help="When, as cron has it.")] = "0 2 * * *",
    timezone: Annotated[str, typer.Option(help="Of the time above.")] = "UTC",
    profile: ProfileName = ARCHIVE_PROFILE,
    max_error: MaxError = None,
    relative_error: RelativeError = None,
    entropy_model: AutoModel = None,
    settings: Settings = [],  # noqa: B006 (typer copies it)
    jobs: Jobs = None,
    packed: Packed = None,
    runner: RunnerName = RunnerKind.PROCESSES,
    runner_address: RunnerAddress = None,
    frame_timeout: FrameTimeout = FRAME_TIMEOUT,
    retention: Retain = Retention.OFF,
    name: Annotated[str, typer.Option(help="Of the deployment.")] = "nightly",
) -> None:
    """Run `nightly` every night, until stopped; needs a running Prefect server.

    Example: `PREFECT_API_URL=http://127.0.0.1:4200/api quinr-flows serve /data/inbox /data/archive`
    """
    values = {
        "profile": profile,
        "max_error": max_error,
        "relative_error": relative_error,
        "jobs": jobs,
    }
    values |= {"runner": runner_of(runner, runner_address), "frame_timeout": frame_timeout}
    how = _checked(inbox, archive, entropy_model, settings, values | {"packed": packed})
    if not os.environ.get("PREFECT_API_URL"):
        typer.echo(
            "quinr-flows: PREFECT_API_URL: expected the address of a running server, since nothing "
            "else schedules: `prefect server start`, then http://127.0.0.1:4200/api",
            err=True,
        )
        raise typer.Exit(EXIT_BAD_INPUT)

    from flows._prefect.serving import serve_nightly

    parameters = {
        "inbox": str(inbox.resolve()),
        "archive": str(archive.resolve()),
        "archiving": how.model_dump(mode="json"),
        "retention": retention.value,
    }
    serve_nightly(name, cron, timezone, parameters)


def _checked(
    source: Path, out: Path, entropy_model: Path | None, settings: list[str], values: dict[str, Any]
) -> Archiving:
    """The flows' settings; bad input ends the command before a server starts for the flow."""
    drives_in(source)
    overrides = parse_settings(settings)
    archive_settings(
        out,
        values["profile"],
        overrides,
        max_error=values["max_error"],
        relative_error=values["relative_error"],
        entropy_model=entropy_model,
    )
    carried = None
    if entropy_model is not None:
        carried = AUTO if str(entropy_model) == AUTO else str(entropy_model.resolve())
    return Archiving(overrides=overrides, entropy_model=carried, **values)
