"""``quinr archive verify`` and ``repair``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from pipeline.archive.repair import repair_archive
from pipeline.archive.verify import Verification, verify_archive
from pipeline.cli.console import EXIT_PARTIAL, Json, SequenceName, bar_to, print_json
from quinr_lidar.errors import ArchiveError

_SHOWN = 20
"""Lines of problems for people; --json has all."""

Archive = Annotated[str, typer.Argument(help="A packed sequence: folder or URL.")]


def verify(
    archive: Archive,
    originals: Annotated[
        Path | None,
        typer.Option(metavar="SOURCE", help="Data set to measure every frame against."),
    ] = None,
    sequence: SequenceName = None,
    json: Json = False,
) -> None:
    """Check every byte of an archive, and that every frame decodes; changes nothing.

    With `--originals`, every frame is compared with its original: the mask must be exact and no
    range may err by more than promised. Exit code 0: all is well, and with `--originals` these
    may go; 1: something is wrong.
    Example: `quinr archive verify archive/00 --originals kitti/odometry`
    """
    with tqdm(unit="frame", disable=json) as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar_to(bar, done)

        found = verify_archive(archive, originals, sequence, advance)
    if json:
        print_json(found.as_dict())
    else:
        _print_verification(found)
    if not found.ok:
        raise typer.Exit(EXIT_PARTIAL)


def _print_verification(found: Verification) -> None:
    lines = [*found.problems, *(frame.error for frame in found.frames if frame.error)]
    if found.deep:
        lines += [
            f"frame {name} was not archived: {why}" for name, why in found.not_archived.items()
        ]
    for line in lines[:_SHOWN]:
        typer.echo(line)
    if len(lines) > _SHOWN:
        typer.echo(f"... and {len(lines) - _SHOWN} more, see --json")
    count = f"{len(found.frames)} frames, {len(found.not_archived)} failed when archived"
    if not found.ok:
        typer.echo(f"{found.archive}: {count}: NOT intact, keep the originals")
    elif found.deep:
        typer.echo(f"{found.archive}: {count}: intact, and all within max error")
    else:
        typer.echo(f"{found.archive}: {count}: intact")


def repair(
    archive: Archive,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Folder or URL of the new archive.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace the damaged archive by the new one.")
    ] = False,
    json: Json = False,
) -> None:
    """Rebuild index and manifest of an archive that is cut or damaged.

    Loses at most what was damaged; of a cut file the frames of the last chunk. Exit code 1:
    frames are lost.
    Example: `quinr archive repair archive/00 --out mended/00`
    """
    if (out is None) != in_place:
        raise ArchiveError(
            f"{archive}: expected --out FOLDER for a new archive, or --in-place to replace this one"
        )
    done = repair_archive(archive, out)
    if json:
        print_json(asdict(done))
    else:
        for line in done.damage[:_SHOWN]:
            typer.echo(line)
        typer.echo(
            f"{done.archive}: {done.frames} frames, {len(done.lost)} known to be lost, "
            f"{done.unknown} more that nothing is left of"
        )
    if done.lost or done.unknown:
        raise typer.Exit(EXIT_PARTIAL)
