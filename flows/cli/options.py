"""What the commands of ``quinr-flows`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import EXIT_BAD_INPUT, EXIT_PARTIAL
from pipeline.config.archive_config import CLUSTERS, RunConfig

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


ArchiveTimeout = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="An attempt to verify an archive fails after so many seconds; 0: no limit.",
    ),
]
MaxFailedDrives = Annotated[
    float,
    typer.Option(
        min=0, max=1, metavar="SHARE", help="Share of failed drives above which the flow fails."
    ),
]
NScans = Annotated[int | None, typer.Option(min=1, help="Only the first scans.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--overwrite", help="Skip what is done, or do all again and replace archives."
    ),
]
Settle = Annotated[
    float,
    typer.Option(min=0, metavar="MINUTES", help="Leave drives that changed less than so long ago."),
]
Drives = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="A KITTI root, or a folder of drives.")
]
Archives = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="Folder for archives.")]
PackedArchive = Annotated[
    str,
    typer.Argument(
        metavar="ARCHIVE", help="A packed sequence, or a folder of them; folder or URL."
    ),
]


def check_executor(run: RunConfig) -> None:
    """End a command before a server starts if there is no such cluster to be had.

    Raises:
        BackendError: the package that a cluster needs is not installed.
    """
    if run.executor.kind in CLUSTERS:
        from flows._prefect.executors import import_cluster_package

        import_cluster_package(run.executor)


def finish(state: State, *, quiet: bool = False) -> None:
    """Say how the flow ended; exit 0 complete, 1 some failed, 2 the flow failed."""
    if not quiet:
        typer.echo(f"{state.name}: {state.message or ''}")
    if not state.is_completed():
        raise typer.Exit(EXIT_BAD_INPUT)
    if state.name == "CompletedWithFailures":
        raise typer.Exit(EXIT_PARTIAL)
