"""The ``quinr-flows`` command: the flows, run here and now.

Commands import Prefect themselves: a spawned worker imports the main module again, and this one
must not cost it seconds for what it never uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.console import (
    EXIT_BAD_INPUT,
    EXIT_PARTIAL,
    Json,
    ProfileName,
    Settings,
    parse_settings,
    print_json,
    print_table,
    run_app,
)
from pipeline.datasets import open_dataset
from pipeline.profile_files import find_profile
from pipeline.records import read_record
from pipeline.sequences import archive_jobs, restore_jobs, table_rows

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

app = typer.Typer(
    help="Sequences of scans and folders of pictures, as Prefect flows. No server needs to run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes; all cores if unset.")
]
MaxFailed = Annotated[
    float, typer.Option(min=0, max=1, help="Share of failed frames above which the flow fails.")
]


@app.command()
def archive(
    source: Annotated[Path, typer.Argument(help="A data set, sequence, drive or folder of scans.")],
    out: Annotated[Path, typer.Argument(help="Folder for archives.")],
    sequence: Annotated[str | None, typer.Option(help="Which sequence of a data set.")] = None,
    profile: ProfileName = "paper",
    settings: Settings = [],  # noqa: B006 (typer copies it)
    n_scans: Annotated[int | None, typer.Option(min=1, help="Only the first scans.")] = None,
    jobs: Jobs = None,
    resume: Annotated[
        bool, typer.Option("--resume/--overwrite", help="Skip finished frames, or do all again.")
    ] = True,
    max_failed_share: MaxFailed = 0.5,
    json: Json = False,
) -> None:
    """Archive a sequence; run it again to go on where it stopped.

    Example: `quinr-flows archive kitti/odometry archive --sequence 00 --jobs 4`
    """
    # Bad input ends the command before a server starts for the flow.
    overrides = parse_settings(settings)
    chosen = find_profile(profile).with_overrides(**overrides)
    dataset = open_dataset(source, sequence)

    from flows.archive_sequence import archive_sequence

    state = archive_sequence(
        str(source),
        str(out),
        sequence,
        profile=profile,
        overrides=overrides,
        limit=n_scans,
        jobs=jobs,
        resume=resume,
        max_failed_share=max_failed_share,
        return_state=True,
    )
    folder = out / dataset.name
    frames = archive_jobs(dataset, out, chosen, limit=n_scans)
    records = [r for job in frames if (r := read_record(folder, job.frame_id))]
    rows = table_rows(records)
    if json:
        print_json({"state": state.name, "message": state.message, "frames": rows})
    else:
        print_table(rows, f"{folder}")
    _finish(state, quiet=json)


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="An archived sequence, or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="Root of the restored data set.")],
    jobs: Jobs = None,
    max_failed_share: MaxFailed = 0.5,
) -> None:
    """Restore KITTI velodyne scans from an archive.

    Example: `quinr-flows restore archive/00 restored`
    """
    restore_jobs(archive, out)

    from flows.restore_sequence import restore_sequence

    state = restore_sequence(
        str(archive), str(out), jobs, max_failed_share=max_failed_share, return_state=True
    )
    _finish(state)


@app.command()
def kodak(
    folder: Annotated[Path, typer.Argument(help="A folder of pictures (.png, .jpg, ...).")],
    out: Annotated[Path, typer.Argument(help="Folder for files, decoded pictures and results.")],
    profile: ProfileName = "kodak-400",
    settings: Settings = [],  # noqa: B006 (typer copies it)
    jobs: Jobs = None,
    resume: Annotated[
        bool, typer.Option("--resume/--overwrite", help="Skip finished pictures, or do all again.")
    ] = True,
    max_failed_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of failed pictures above which the flow fails."),
    ] = 0.5,
    json: Json = False,
) -> None:
    """Compress a folder of pictures, decode them, and report bpp, PSNR and SSIM.

    Run it again to go on where it stopped.
    Example: `quinr-flows kodak kodak out --profile kodak-400 --jobs 4`
    """
    # scikit-image takes long to import, and only this command needs it.
    from pipeline.picture_results import CONTACT_SHEET, mean_row, picture_rows
    from pipeline.pictures import picture_jobs, read_picture_record

    # Bad input ends the command before a server starts for the flow.
    overrides = parse_settings(settings)
    chosen = find_profile(profile).with_overrides(**overrides)
    pictures = picture_jobs(folder, out, chosen)

    from flows.kodak_track import kodak_track

    state = kodak_track(
        str(folder),
        str(out),
        profile=profile,
        overrides=overrides,
        jobs=jobs,
        resume=resume,
        max_failed_share=max_failed_share,
        return_state=True,
    )
    records = [record for job in pictures if (record := read_picture_record(job))]
    rows, mean = picture_rows(records), mean_row(records)
    if json:
        shown = {name: mean[name] for name in mean if name not in ("file", "status", "error")}
        print_json({"state": state.name, "message": state.message, "pictures": rows, "mean": shown})
    else:
        print_table([*rows, mean], f"{folder}, profile {chosen.name}")
        if (sheet := out / CONTACT_SHEET).is_file():
            print(f"contact sheet  {sheet}")
    _finish(state, quiet=json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("data/demo"),
    frames: Annotated[int, typer.Option(min=1, help="Scans of the synthetic drive.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another street.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps a frame; the profile's by default.")
    ] = None,
) -> None:
    """A synthetic drive: archive, restore, evaluate, a table and a picture.

    Example: `quinr-flows demo --out data/demo --frames 3`
    """
    from flows.demo import run_demo

    run_demo(out, frames=frames, seed=seed, steps=steps)


def main() -> None:
    """Entry point of the ``quinr-flows`` command."""
    run_app(app, "quinr-flows")


def _finish(state: State, *, quiet: bool = False) -> None:
    """Say how the flow ended; exit 0 complete, 1 some failed, 2 the flow failed."""
    if not quiet:
        print(f"{state.name}: {state.message or ''}")
    if not state.is_completed():
        raise typer.Exit(EXIT_BAD_INPUT)
    if state.name == "CompletedWithFailures":
        raise typer.Exit(EXIT_PARTIAL)


if __name__ == "__main__":
    main()
