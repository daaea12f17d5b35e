"""The ``quinr-flows`` command: the flows, run here and now.

Commands import Prefect themselves: a spawned worker imports the main module again, and this one
must not cost it seconds for what it never uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.drives import archive_all, nightly, serve, verify
from flows.cli.evaluate import evaluate
from flows.cli.options import (
    Archives,
    NScans,
    Resume,
    SequenceName,
    check_executor,
    finish,
)
from flows.parameters import RUN_FRAMES, RUN_PICTURES
from pipeline.cli.config_options import options_from
from pipeline.cli.console import Json, print_json, print_table, run_app
from pipeline.config.archive_config import ArchiveConfig, RunConfig
from pipeline.config.profile_files import find_profile
from pipeline.datasets import open_dataset
from pipeline.jobs.log_lines import json_wanted
from pipeline.nightly.inbox import check_settings
from pipeline.sequence.records import read_record
from pipeline.sequence.sequence import restore_jobs, table_rows
from pipeline.sequence.target import resolve_target
from pipeline.storage.lock import check_unlocked

app = typer.Typer(
    help="Sequences of scans and folders of pictures, as Prefect flows. No server needs to run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def check_environment() -> None:
    """What the environment asks for must be something that there is."""
    json_wanted()


app.command(name="archive-all")(archive_all)
app.command()(verify)
app.command()(evaluate)
app.command()(nightly)
app.command()(serve)


@app.command()
@options_from(ArchiveConfig(), file=True)
def archive(
    source: Annotated[Path, typer.Argument(help="A data set, sequence, drive or folder of scans.")],
    archive: Archives,
    config: ArchiveConfig,
    sequence: SequenceName = None,
    n_scans: NScans = None,
    resume: Resume = True,
    json: Json = False,
) -> None:
    """Archive a sequence and pack it; run it again to go on where it stopped.

    The default profile, bounded, keeps every range to within 2 cm; `--profile paper` writes
    previews of a few hundred bytes.
    Example: `quinr-flows archive kitti/odometry archive --sequence 00 --max-error 0.05 -j 4`
    """
    # Bad input ends the command before a server starts for the flow.
    config = config.with_absolute_paths()
    dataset = open_dataset(source, sequence)
    target = resolve_target(dataset, archive, config)
    check_unlocked(target.folder)
    if resume:
        check_settings(target.packed, target.settings)
    check_executor(config.run)

    from flows._prefect.server import start_server
    from flows.archive_sequence import archive_sequence

    start_server()
    state = archive_sequence(
        str(source), str(archive), config, sequence, n_scans, resume, return_state=True
    )
    # One after the other: a record is larger than its row, and there may be thousands.
    records = (read_record(target.folder, frame_id) for frame_id in dataset.frame_ids[:n_scans])
    rows = [row for record in records if record for row in table_rows([record])]
    if json:
        print_json({"state": state.name, "message": state.message, "frames": rows})
    else:
        print_table(rows, f"{target.folder}")
    finish(state, quiet=json)


@app.command()
@options_from(RUN_FRAMES, "run", file=False)
def restore(
    archive: Annotated[Path, typer.Argument(help="An archived sequence, or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="Root of the restored data set.")],
    run: RunConfig,
) -> None:
    """Restore KITTI velodyne scans from an archive.

    Example: `quinr-flows restore archive/00 restored`
    """
    restore_jobs(archive, out)
    check_executor(run)

    from flows._prefect.server import start_server
    from flows.restore_sequence import restore_sequence

    start_server()
    finish(restore_sequence(str(archive), str(out), run, return_state=True))


@app.command()
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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("data/demo"),
    frames: Annotated[int, typer.Option(min=1, help="Scans of the synthetic drive.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another street.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps a frame; the profile's by default.")
    ] = None,
    max_error: Annotated[
        float | None, typer.Option(metavar="METRES", help="Largest error of a range.")
    ] = None,
) -> None:
    """A synthetic drive: archive within a bound, restore, evaluate, a table and a picture.

    Example: `quinr-flows demo --out data/demo --frames 3 --max-error 0.05`
    """
    from flows._prefect.server import start_server
    from flows.demo import run_demo

    start_server()
    run_demo(out, frames=frames, seed=seed, steps=steps, max_error=max_error)


def main() -> None:
    """Entry point of the ``quinr-flows`` command."""
    run_app(app, "quinr-flows")


if __name__ == "__main__":
    main()
