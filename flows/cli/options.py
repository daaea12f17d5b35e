"""What the commands of ``quinr-flows`` share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import EXIT_BAD_INPUT, EXIT_PARTIAL
from quinr_lidar.errors import BackendError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.parameters import Runner


class RunnerKind(StrEnum):
    """Where frames are encoded."""

    PROCESSES = "processes"
    THREADS = "threads"
    DASK = "dask"
    RAY = "ray"


Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Jobs at a time; one a core if unset.")
]
RunnerName = Annotated[
    RunnerKind,
    typer.Option("--runner", help="Where jobs run: on this machine, or on a cluster's workers."),
]
RunnerAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Of a running cluster: tcp://host:8786, ray://host:10001, auto; without it one is "
        "started on this machine.",
    ),
]
FrameTimeout = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="An attempt at a frame fails after that; 0: no limit."
    ),
]
ArchiveTimeout = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="An attempt to verify an archive fails after that; 0: no limit.",
    ),
]
AutoModel = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|auto",
        help="Entropy model (.qmodel) that codes masks and ranges; or auto: the best at hand for "
        "the drive, or one trained on it (a minute or so).",
    ),
]
MaxFailed = Annotated[
    float, typer.Option(min=0, max=1, help="Share of failed frames above which the flow fails.")
]
MaxFailedDrives = Annotated[
    float, typer.Option(min=0, max=1, help="Share of failed drives above which the flow fails.")
]
Packed = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|URL", help="Where packed archives go; beside the frames if left out."
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--overwrite", help="Skip finished frames, or do all again and replace archives."
    ),
]
Settle = Annotated[
    float,
    typer.Option(min=0, metavar="MINUTES", help="Leave drives that changed less than this ago."),
]
Source = Annotated[Path, typer.Argument(help="A KITTI root, or a folder of drives.")]
Archives = Annotated[Path, typer.Argument(help="Folder for archives.")]


def runner_of(kind: RunnerKind, address: str | None) -> Runner:
    """The flows' parameter.

    Raises:
        BackendError: the kind has no address, or its package is not installed.
    """
    from flows.parameters import ON_CLUSTERS, Runner

    if address and kind.value not in ON_CLUSTERS:
        raise BackendError(
            f"--runner-address {address}: expected --runner {' or '.join(ON_CLUSTERS)} with it, "
            f"found {kind.value}"
        )
    runner = Runner(kind=kind.value, address=address)
    if kind.value in ON_CLUSTERS:
        from flows._prefect.runners import import_runner

        import_runner(runner)
    return runner


def finish(state: State, *, quiet: bool = False) -> None:
    """Say how the flow ended; exit 0 complete, 1 some failed, 2 the flow failed."""
    if not quiet:
        typer.echo(f"{state.name}: {state.message or ''}")
    if not state.is_completed():
        raise typer.Exit(EXIT_BAD_INPUT)
    if state.name == "CompletedWithFailures":
        raise typer.Exit(EXIT_PARTIAL)
