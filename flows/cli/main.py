"""The ``quinr-flows`` command: the flows, run here and now.

A command is one line of this table and a module of its own, which is imported when it runs: a
spawned worker imports the main module again, and must not pay for what it never uses.
"""

from __future__ import annotations

import typer

from pipeline.cli.commands import LazyCommand, lazy_group
from pipeline.cli.console import run_app
from pipeline.jobs.log_lines import json_wanted

COMMANDS = (
    LazyCommand(
        "archive-all",
        "flows.cli.drives:archive_all",
        "Archive every drive that is new or incomplete; several machines may share the folders.",
        "flows",
    ),
    LazyCommand(
        "verify",
        "flows.cli.drives:verify",
        "Check packed archives, several at a time; changes nothing.",
        "flows",
    ),
    LazyCommand(
        "evaluate",
        "flows.cli.evaluate:evaluate",
        "Measure what decoded frames are still good for, and report it as a page (index.html).",
        "flows",
    ),
    LazyCommand(
        "nightly",
        "flows.cli.drives:nightly",
        "Archive what is new, verify it against the originals, measure a sample, report.",
        "flows",
    ),
    LazyCommand(
        "serve",
        "flows.cli.drives:serve",
        "Run `nightly` every night, until stopped; needs a running Prefect server.",
        "flows",
    ),
    LazyCommand(
        "archive",
        "flows.cli.sequences:archive",
        "Archive a sequence and pack it; run it again to go on where it stopped.",
        "flows",
    ),
    LazyCommand(
        "restore",
        "flows.cli.sequences:restore",
        "Restore scans from an archive: as a KITTI data set, or as other files that hold clouds.",
        "flows",
    ),
    LazyCommand(
        "kodak",
        "flows.cli.kodak:kodak",
        "Compress a folder of pictures, decode them, and report bpp, PSNR and SSIM.",
        "flows",
    ),
    LazyCommand(
        "demo",
        "flows.cli.demo:demo",
        "A synthetic drive: archive it, restore it, evaluate it; a table and a picture.",
        "flows",
    ),
)

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    help="Sequences of scans and folders of pictures, as Prefect flows. No server needs to run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def check_environment() -> None:
    """What the environment asks for must be something that there is."""
    json_wanted()


def main() -> None:
    """Entry point of the ``quinr-flows`` command."""
    run_app(app, "quinr-flows", COMMANDS)


if __name__ == "__main__":
    main()
