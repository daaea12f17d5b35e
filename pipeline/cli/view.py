"""``quinr view``: archived scans in a window, as files, or on Rerun's time line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from tqdm import tqdm

from pipeline.archive.extract import choose_frames
from pipeline.archive.originals import open_originals
from pipeline.cli.console import EXIT_PARTIAL, Json, print_json
from pipeline.sequence.model_files import read_model
from pipeline.viewing.frame import ViewedFrame, view_frame, with_scan
from pipeline.viewing.sources import Frames, choose_frame, open_frames
from quinr_lidar.errors import BackendError

if TYPE_CHECKING:
    from pipeline.datasets import Dataset
    from pipeline.viewing.colours import Cloud, Colouring
    from pipeline.viewing.rerun_export import Exported

_COLOURINGS = ("height", "range", "error")
_SHOWN = 20
"""Lines of complaints for people; --json has all."""


def view(
    archive: Annotated[
        str,
        typer.Argument(
            metavar="ARCHIVE",
            help="A .quinr file, an archived sequence's folder, or a packed archive (or its URL).",
        ),
    ],
    frame: Annotated[
        str | None,
        typer.Option(metavar="ID|NUMBER", help="Frame of an archive; the first by default."),
    ] = None,
    originals: Annotated[
        Path | None,
        typer.Option(
            metavar="SOURCE",
            help="The scan (.bin), or the data set in which it is found by its id.",
        ),
    ] = None,
    sequence: Annotated[
        str | None, typer.Option(help="Which sequence, where archive or originals have several.")
    ] = None,
    colour: Annotated[
        str,
        typer.Option(
            "--colour",
            "--color",
            help=f"One of {', '.join(_COLOURINGS)}; error needs --originals.",
        ),
    ] = "height",
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Both clouds in one place, the original grey.")
    ] = False,
    save: Annotated[
        list[Path],
        typer.Option(help="Open no window, write this .png or .ply; repeatable."),
    ] = [],  # noqa: B006 (typer copies it)
    rerun: Annotated[
        Path | None, typer.Option(metavar="OUT.rrd", help="Write all frames for Rerun's viewer.")
    ] = None,
    frames: Annotated[
        list[str],
        typer.Option(metavar="ID|FROM-TO", help="Only these frames for Rerun; repeatable."),
    ] = [],  # noqa: B006
    entropy_model: Annotated[
        list[Path],
        typer.Option(help="An entropy model (.qmodel) files may be coded with; repeatable."),
    ] = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Look at an archived scan, beside its original if that is given.

    Opens Open3D's viewer (Q closes it). Without a display a picture and coloured clouds are
    written into the current folder instead: view-FRAME.png, view-FRAME.ply and, with an original,
    view-FRAME-original.ply.
    Example: `quinr view archive/00 --frame 000042 --originals kitti/odometry --colour error`, or
    `quinr view s3://fleet/drives/00 --rerun drive.rrd --frames 0-100`
    """
    _check_options(colour, frame, save, rerun, frames)
    opened = open_frames(archive, sequence, tuple(read_model(path) for path in entropy_model))
    scans = None if originals is None else open_originals(originals, sequence, opened.sequence)
    if colour == "error" and scans is None:
        raise typer.BadParameter("error needs the scan: --originals", param_hint="--colour")
    colouring = cast("Colouring", colour)
    if rerun is not None:
        _export(opened, rerun, frames, scans, colouring, overlay=overlay, json=json)
        return
    viewed = view_frame(opened, choose_frame(opened, frame))
    if scans is not None:
        viewed = with_scan(viewed, scans)
    if viewed.doubt is not None:
        typer.echo(f"quinr: {viewed.doubt}", err=True)
    if not json:
        typer.echo(viewed.headline)
    written = _show(viewed, colouring, save, overlay=overlay, json=json)
    if json:
        print_json(viewed.as_dict() | {"saved": [str(path) for path in written]})


def _check_options(
    colour: str, frame: str | None, save: list[Path], rerun: Path | None, frames: list[str]
) -> None:
    if colour not in _COLOURINGS:
        raise typer.BadParameter(
            f"{colour!r}: expected one of {', '.join(_COLOURINGS)}", param_hint="--colour"
        )
    if rerun is None and frames:
        raise typer.BadParameter("goes with --rerun; --frame shows one", param_hint="--frames")
    if rerun is not None and (frame is not None or save):
        wrong = "--save" if save else "--frame"
        raise typer.BadParameter("does not go with --rerun; see --frames", param_hint=wrong)
    # matplotlib, which draws, takes a while to import.
    from pipeline.viewing.saving import check_targets

    check_targets(save)


def _show(
    viewed: ViewedFrame, colouring: Colouring, save: list[Path], *, overlay: bool, json: bool
) -> list[Path]:
    """A window, or what was written instead of it."""
    from pipeline.viewing.colours import clouds_of, scale_of
    from pipeline.viewing.saving import save_clouds

    scale = scale_of(viewed, colouring)
    clouds = clouds_of(viewed, scale, overlay=overlay)
    if not json:
        typer.echo(scale.text)
    reason = None
    if not save:
        reason = _window(clouds, f"{viewed.headline}; {scale.text}", overlay=overlay)
        if reason is None:
            return []
        name = f"view-{viewed.row.frame_id}"
        save = [Path(f"{name}.png"), Path(f"{name}.ply")]
    written = save_clouds(save, clouds, scale, viewed.headline, overlay=overlay)
    because = "" if reason is None else f"no window: {reason}; "
    line = f"{because}saved {', '.join(map(str, written))}"
    if not json:
        typer.echo(line)
    elif reason is not None:
        typer.echo(f"quinr: {line}", err=True)
    return written


def _window(clouds: list[Cloud], title: str, *, overlay: bool) -> str | None:
    """Show a window until it is closed, or say why there is none."""
    from pipeline.viewing.window import missing_display, show_clouds

    if (reason := missing_display()) is not None:
        return reason
    try:
        opened = show_clouds(clouds, title, overlay=overlay)
    except BackendError as error:
        return str(error)
    return None if opened else "Open3D cannot open one on this display (does it have OpenGL?)"


def _export(
    opened: Frames,
    out: Path,
    wanted: list[str],
    scans: Dataset | None,
    colouring: Colouring,
    *,
    overlay: bool,
    json: bool,
) -> None:
    from pipeline.viewing.rerun_export import export_rerun

    rows = choose_frames(opened, wanted)
    with tqdm(total=len(rows), desc=out.name, unit="frame", disable=json) as bar:
        done = export_rerun(
            opened,
            rows,
            out,
            colouring=colouring,
            original=scans,
            overlay=overlay,
            progress=bar.update,
        )
    if json:
        print_json(vars(done))
    else:
        _print_export(done)
    if done.complaints:
        raise typer.Exit(EXIT_PARTIAL)


def _print_export(done: Exported) -> None:
    lines = [*done.doubts, *done.complaints.values()]
    for line in lines[:_SHOWN]:
        typer.echo(f"quinr: {line}", err=True)
    if len(lines) > _SHOWN:
        typer.echo(f"quinr: ... and {len(lines) - _SHOWN} more, see --json", err=True)
    typer.echo(
        f"{done.file}: {done.frames} frames, {done.bytes:,} bytes; rerun {done.file} shows it"
    )
