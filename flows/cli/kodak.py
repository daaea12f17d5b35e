"""``quinr-flows kodak``: a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import (
    check_executor,
    finish,
)
from flows.parameters import RUN_PICTURES
from pipeline.cli.config_options import options_from
from pipeline.cli.console import Json, print_json, print_table
from pipeline.config.archive_config import ArchiveConfig, RunConfig
from pipeline.config.profile_files import find_profile


@options_from(RUN_PICTURES, "run", file=False)
@options_from(ArchiveConfig(profile="kodak-400"), only=("profile", "overrides"), file=False)
def kodak(
    source: Annotated[Path, typer.Argument(help="A folder of pictures (.png, .jpg, ...).")],
    out: Annotated[Path, typer.Argument(help="Folder for files, decoded pictures and results.")],
    config: ArchiveConfig,
    resume: Annotated[
        bool, typer.Option("--resume/--overwrite", help="Skip finished pictures, or do all again.")
    ] = True,
    json: Json = False,
    *,
    run: RunConfig,
) -> None:
    """Compress a folder of pictures, decode them, and report bpp, PSNR and SSIM.

    Run it again to go on where it stopped.
    Example: `quinr-flows kodak kodak out --profile kodak-400 -j 4`
    """
    # scikit-image takes long to import, and only this command needs it.
    from pipeline.kodak.pictures import picture_jobs, read_picture_record
    from pipeline.kodak.results import CONTACT_SHEET, mean_row, picture_rows

    # Bad input ends the command before a server starts for the flow.
    chosen = find_profile(config.profile).with_overrides(**config.overrides)
    pictures = picture_jobs(source, out, chosen)
    check_executor(run)

    from flows._prefect.server import start_server
    from flows.kodak import kodak_track

    start_server()
    state = kodak_track(
        str(source), str(out), config.profile, config.overrides, run, resume, return_state=True
    )
    records = [record for job in pictures if (record := read_picture_record(job))]
    rows, mean = picture_rows(records), mean_row(records)
    if json:
        shown = {name: mean[name] for name in mean if name not in ("file", "status", "error")}
        print_json({"state": state.name, "message": state.message, "pictures": rows, "mean": shown})
    else:
        print_table([*rows, mean], f"{source}, profile {chosen.name}")
        if (sheet := out / CONTACT_SHEET).is_file():
            print(f"contact sheet  {sheet}")
    finish(state, quiet=json)
