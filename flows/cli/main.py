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
    AutoModel,
    FrameTimeout,
    Jobs,
    MaxFailed,
    Packed,
    RunnerAddress,
    RunnerKind,
    RunnerName,
    finish,
    runner_of,
)
from flows.parameters import FRAME_TIMEOUT, PICTURE_TIMEOUT
from pipeline.cli.console import (
    Json,
    MaxError,
    ProfileName,
    RelativeError,
    Settings,
    parse_settings,
    print_json,
    print_table,
    run_app,
)
from pipeline.config.profile_files import find_profile
from pipeline.datasets import open_dataset
from pipeline.jobs.log_lines import json_wanted
from pipeline.nightly.inbox import check_settings, packed_location
from pipeline.sequence.records import read_record
from pipeline.sequence.sequence import (
    ARCHIVE_PROFILE,
    archive_jobs,
    archive_settings,
    restore_jobs,
    table_rows,
)
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
def archive(
    source: Annotated[Path, typer.Argument(help="A data set, sequence, drive or folder of scans.")],
    out: Annotated[Path, typer.Argument(help="Folder for archives.")],
    sequence: Annotated[str | None, typer.Option(help="Which sequence of a data set.")] = None,
    profile: ProfileName = ARCHIVE_PROFILE,
    max_error: MaxError = None,
    relative_error: RelativeError = None,
    entropy_model: AutoModel = None,
    settings: Settings = [],  # noqa: B006 (typer copies it)
    n_scans: Annotated[int | None, typer.Option(min=1, help="Only the first scans.")] = None,
    jobs: Jobs = None,
    resume: Annotated[
        bool, typer.Option("--resume/--overwrite", help="Skip finished frames, or do all again.")
    ] = True,
    max_failed_share: MaxFailed = 0.5,
    packed: Packed = None,
    runner: RunnerName = RunnerKind.PROCESSES,
    runner_address: RunnerAddress = None,
    frame_timeout: FrameTimeout = FRAME_TIMEOUT,
    json: Json = False,
) -> None:
    """Archive a sequence and pack it; run it again to go on where it stopped.

    The default profile, bounded, keeps every range to within 2 cm; `--profile paper` writes
    previews of a few hundred bytes.
    Example: `quinr-flows archive kitti/odometry archive --sequence 00 --max-error 0.05 --jobs 4`
    """
    # Bad input ends the command before a server starts for the flow.
    overrides = parse_settings(settings)
    dataset = open_dataset(source, sequence)
    folder = out / dataset.name
    target = packed_location(folder, packed)
    chosen, _ = archive_settings(
        folder,
        profile,
        overrides,
        max_error=max_error,
        relative_error=relative_error,
        entropy_model=entropy_model,
        archive=target,
    )
    check_unlocked(folder)
    if resume:
        check_settings(target, chosen)
    where = runner_of(runner, runner_address)

    from flows._prefect.server import start_server
    from flows.archive_sequence import archive_sequence

    start_server()
    state = archive_sequence(
        str(source),
        str(out),
        sequence,
        profile=profile,
        overrides=overrides,
        max_error=max_error,
        relative_error=relative_error,
        entropy_model=None if entropy_model is None else str(entropy_model),
        limit=n_scans,
        jobs=jobs,
        resume=resume,
        max_failed_share=max_failed_share,
        packed=packed,
        runner=where,
        frame_timeout=frame_timeout,
        return_state=True,
    )
    frames = archive_jobs(dataset, out, chosen, limit=n_scans)
    # One after the other: a record is larger than its row, and there may be thousands.
    records = (read_record(folder, job.frame_id) for job in frames)
    rows = [row for record in records if record for row in table_rows([record])]
    if json:
        print_json({"state": state.name, "message": state.message, "frames": rows})
    else:
        print_table(rows, f"{folder}")
    finish(state, quiet=json)


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="An archived sequence, or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="Root of the restored data set.")],
    jobs: Jobs = None,
    max_failed_share: MaxFailed = 0.5,
    runner: RunnerName = RunnerKind.PROCESSES,
    runner_address: RunnerAddress = None,
    frame_timeout: FrameTimeout = FRAME_TIMEOUT,
) -> None:
    """Restore KITTI velodyne scans from an archive.

    Example: `quinr-flows restore archive/00 restored`
    """
    restore_jobs(archive, out)
    where = runner_of(runner, runner_address)

    from flows._prefect.server import start_server
    from flows.restore_sequence import restore_sequence

    start_server()
    state = restore_sequence(
        str(archive),
        str(out),
        jobs,
        max_failed_share=max_failed_share,
        runner=where,
        frame_timeout=frame_timeout,
        return_state=True,
    )
    finish(state)


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
    runner: RunnerName = RunnerKind.PROCESSES,
    runner_address: RunnerAddress = None,
    picture_timeout: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="An attempt at a picture fails after that; 0: no limit."
        ),
    ] = PICTURE_TIMEOUT,
    json: Json = False,
) -> None:
    """Compress a folder of pictures, decode them, and report bpp, PSNR and SSIM.

    Run it again to go on where it stopped.
    Example: `quinr-flows kodak kodak out --profile kodak-400 --jobs 4`
    """
    # scikit-image takes long to import, and only this command needs it.
    from pipeline.kodak.pictures import picture_jobs, read_picture_record
    from pipeline.kodak.results import CONTACT_SHEET, mean_row, picture_rows

    # Bad input ends the command before a server starts for the flow.
    overrides = parse_settings(settings)
    chosen = find_profile(profile).with_overrides(**overrides)
    pictures = picture_jobs(folder, out, chosen)
    where = runner_of(runner, runner_address)

    from flows._prefect.server import start_server
    from flows.kodak import kodak_track

    start_server()
    state = kodak_track(
        str(folder),
        str(out),
        profile=profile,
        overrides=overrides,
        jobs=jobs,
        resume=resume,
        max_failed_share=max_failed_share,
        runner=where,
        picture_timeout=picture_timeout,
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
    finish(state, quiet=json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("data/demo"),
    frames: Annotated[int, typer.Option(min=1, help="Scans of the synthetic drive.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another street.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps a frame; the profile's by default.")
    ] = None,
    max_error: MaxError = None,
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
