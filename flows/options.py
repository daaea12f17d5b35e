"""What the commands of ``quinr-flows`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.console import EXIT_BAD_INPUT, EXIT_PARTIAL

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes; all cores if unset.")
]
AutoPrior = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|auto",
        help="A prior (.qprior) to code masks and ranges with; or auto: the best at hand for the "
        "drive, or one trained on it (a minute or so).",
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


def finish(state: State, *, quiet: bool = False) -> None:
    """Say how the flow ended; exit 0 complete, 1 some failed, 2 the flow failed."""
    if not quiet:
        typer.echo(f"{state.name}: {state.message or ''}")
    if not state.is_completed():
        raise typer.Exit(EXIT_BAD_INPUT)
    if state.name == "CompletedWithFailures":
        raise typer.Exit(EXIT_PARTIAL)
