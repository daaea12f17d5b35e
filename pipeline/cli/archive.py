"""``quinr archive``: packed sequences, to be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from pipeline.archive.extract import KINDS, choose_frames, extract_frames
from pipeline.archive.overview import details_of, find_archives, frame_rows, summary_of
from pipeline.archive.query import SHOWN, query_manifests
from pipeline.archive.reader import PackedSequence
from pipeline.archive.writer import PackResult, pack_sequence
from pipeline.cli.archive_check import repair, verify
from pipeline.cli.console import EXIT_PARTIAL, Json, print_json, print_table, value_rows
from pipeline.sequence.sequence import archived_sequences
from pipeline.storage.locations import locate
from quinr_lidar.errors import QuinrError

app = typer.Typer(
    help="Packed sequences: one MCAP and one manifest a drive; local folders or s3://.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.command()(verify)
app.command()(repair)

Archive = Annotated[str, typer.Argument(help="A packed sequence: folder or URL.")]
Archives = Annotated[
    list[str], typer.Argument(help="Packed sequences, or folders of them; folders or URLs.")
]


@app.command()
def add(
    sequence_folder: Annotated[
        Path, typer.Argument(help="What `quinr-flows archive` wrote: a sequence, or several.")
    ],
    out: Annotated[
        str | None,
        typer.Argument(help="Folder or URL for archives; beside the frames if left out."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Even over an archive that holds other frames.")
    ] = False,
    json: Json = False,
) -> None:
    """Pack archived sequences: frames.mcap and manifest.parquet, in a folder each of OUT.

    What is there already is replaced only if no frame of it is lost or changed. Frames that
    failed are listed in the manifest, and the exit code is 1.
    Example: `quinr archive add archive/00 s3://fleet/drives`
    """
    packed = []
    for folder in archived_sequences(sequence_folder):
        target = locate(folder) if out is None else locate(out) / folder.resolve().name
        packed.append(pack_sequence(folder, target, overwrite=overwrite))
    if json:
        print_json([_packed_row(one) for one in packed])
    else:
        print_table([_packed_row(one) for one in packed], "packed")
    if any(one.failed for one in packed):
        raise typer.Exit(EXIT_PARTIAL)


def _packed_row(packed: PackResult) -> dict[str, Any]:
    return {
        "archive": packed.archive,
        "sequence": packed.sequence,
        "frames": packed.frames,
        "failed": packed.failed,
        "bytes": packed.mcap_bytes,
        "written": packed.written,
    }


@app.command(name="list")
def list_archives(archives: Archives, json: Json = False) -> None:
    """List the frames of an archive, or the archives in folders.

    Example: `quinr archive list s3://fleet/drives`
    """
    found = find_archives(archives)
    if len(found) == 1 and len(archives) == 1 and found[0].path == locate(archives[0]).path:
        archive = PackedSequence.open(found[0])
        if json:
            print_json([row.as_dict() for row in archive.rows])
        else:
            print_table(frame_rows(archive), archive.name)
        return
    rows = []
    for location in found:
        try:
            rows.append(summary_of(PackedSequence.open(location)) | {"error": None})
        except QuinrError as error:
            rows.append({"archive": location.name, "error": str(error)})
    if json:
        print_json(rows)
    else:
        shown = ("archive", "frames", "failed", "bytes", "mean_psnr_db", "max_error_m", "error")
        print_table([{key: row.get(key) for key in shown} for row in rows], "archives")
    if any(row["error"] for row in rows):
        raise typer.Exit(EXIT_PARTIAL)


@app.command()
def info(archive: Archive, json: Json = False) -> None:
    """Show what an archive holds, and how it is decoded.

    Frames whose time is not after that of the one before are counted as clock jumps.
    Example: `quinr archive info archive/00 --json`
    """
    details = details_of(PackedSequence.open(archive))
    if json:
        print_json(details)
        return
    flat = {key: value for key, value in details.items() if not isinstance(value, (dict, list))}
    flat |= {key: ", ".join(details[key]) for key in ("entropy_models", "compression")}
    flat["projection"] = ", ".join(f"{key} {value}" for key, value in details["projection"].items())
    flat["profiles"] = ", ".join(str(one.get("name")) for one in details["profiles"].values())
    print_table(value_rows(flat), archive)


@app.command()
def extract(
    archive: Archive,
    frames: Annotated[
        list[str] | None,
        typer.Argument(help="Frame ids, or ranges such as 10-20; all if left out."),
    ] = None,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder or URL to write to.")] = ".",
    kind: Annotated[str, typer.Option("--as", help=f"One of {', '.join(KINDS)}.")] = "quinr",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of another content.")
    ] = False,
    json: Json = False,
) -> None:
    """Take frames out of an archive, as files or as point clouds.

    Example: `quinr archive extract archive/00 10-20 000042 --as ply --out clouds`
    """
    opened = PackedSequence.open(archive)
    rows = choose_frames(opened, frames or [])
    done = [
        {"frame": one.frame_id, "file": one.file, "error": one.error}
        for one in tqdm(
            extract_frames(opened, rows, out, kind, overwrite=overwrite),
            total=len(rows),
            unit="frame",
            disable=json,
        )
    ]
    failed = [one for one in done if one["error"]]
    if json:
        print_json(done)
    else:
        if failed:
            print_table(failed, "failed")
        typer.echo(f"{out}: {len(done) - len(failed)} frames")
    if failed:
        raise typer.Exit(EXIT_PARTIAL)


@app.command()
def query(
    condition: Annotated[str, typer.Argument(help="An SQL condition, such as 'psnr_db < 40'.")],
    archives: Archives,
    columns: Annotated[str, typer.Option(help="Which to show, separated by commas.")] = ",".join(
        SHOWN
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="Frames at most.")] = None,
    json: Json = False,
) -> None:
    """Find frames in any number of archives by a condition on their manifests.

    Short names: psnr, chamfer, max_error, largest_error, and time in seconds.
    Example: `quinr archive query 'psnr < 40' archive s3://fleet/drives`
    """
    opened = [PackedSequence.open(location) for location in find_archives(archives)]
    manifests = [(archive.name, archive.manifest) for archive in opened]
    wanted = [column.strip() for column in columns.split(",")]
    rows = query_manifests(manifests, condition, wanted, limit)
    if json:
        print_json(rows)
    else:
        if rows:
            print_table(rows, condition)
        typer.echo(f"{len(rows)} frames of {len(manifests)} archives")
