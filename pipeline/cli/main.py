"""The ``quinr`` command: single scans and folders, no server, no Prefect.

A command is one line of this table and a module of its own, which is imported when it runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.commands import LazyCommand, lazy_group
from pipeline.cli.console import run_app

COMMANDS = (
    LazyCommand(
        "encode",
        "pipeline.cli.encode:encode",
        "Compress a scan or a picture.",
        "train",
    ),
    LazyCommand(
        "decode",
        "pipeline.cli.decode:decode",
        "Decompress a file to a point cloud, a range image or a picture.",
    ),
    LazyCommand(
        "view",
        "pipeline.cli.view:view",
        "Look at an archived scan, beside its original if that is given.",
        "viewer",
    ),
    LazyCommand(
        "rd-search",
        "pipeline.cli.search:rd_search",
        "Search qubits, features, depth, blocks and read-out for a size; write a preset.",
        "train",
    ),
    LazyCommand(
        "train-model",
        "pipeline.cli.train_model:train_model_command",
        "Train an entropy model for masks and bounded ranges, in about a minute.",
        "train",
    ),
    LazyCommand(
        "info",
        "pipeline.cli.info:info",
        "Show what a file holds: bytes of each layer, max error, entropy model, field's sizes.",
    ),
    LazyCommand(
        "evaluate",
        "pipeline.cli.evaluate:evaluate",
        "Compare decoded scans with their originals: PSNR, Chamfer, sizes, mask, range errors.",
        "evaluation",
    ),
    LazyCommand(
        "synth",
        "pipeline.cli.synth:synth",
        "Write a synthetic drive: an HDL-64E ray-cast through a street, as KITTI odometry.",
        "viewer",
    ),
    LazyCommand(
        "archive",
        "pipeline.cli.archive:app",
        "Packed sequences: one MCAP and one manifest a drive; local folders or s3://.",
        "archive",
    ),
    LazyCommand(
        "bench",
        "pipeline.cli.bench.main:app",
        "Measure the software on this machine.",
        "bench",
    ),
    LazyCommand(
        "report",
        "pipeline.cli.report:app",
        "Pages about packed sequences: one file each, to open in any browser.",
        "evaluation",
    ),
)

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    help="Archive LiDAR scans as tiny quantum-inspired neural fields.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(shown: bool) -> None:
    if shown:
        from quinr_lidar.version import __version__

        print(f"quinr {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Archive LiDAR scans as tiny quantum-inspired neural fields."""


def main() -> None:
    """Entry point of the ``quinr`` command."""
    run_app(app, "quinr", COMMANDS)


if __name__ == "__main__":
    main()
