"""The ``quinr`` command: single scans and folders, no server, no Prefect."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from tqdm import tqdm

import quinr_lidar
from pipeline.benchmark.cli import app as bench_app
from pipeline.clouds import cloud_bytes
from pipeline.console import (
    EXIT_PARTIAL,
    Json,
    ProfileName,
    Settings,
    bar_to,
    parse_settings,
    print_json,
    print_table,
    run_app,
)
from pipeline.datasets import parse_velodyne
from pipeline.evaluate import evaluate_archive, evaluate_file
from pipeline.files import read_bytes, write_atomically
from pipeline.frames import decode_file, named
from pipeline.search.cli import rd_search
from pipeline.sequences import table_rows
from quinr_lidar import SphericalProjection, codec
from quinr_lidar.errors import BitstreamError, ScanError
from quinr_lidar.profiles import get_profile
from quinr_lidar.training import FitProgress

app = typer.Typer(
    help="Archive LiDAR scans as tiny quantum-inspired neural fields.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.add_typer(bench_app, name="bench")
app.command(name="rd-search")(rd_search)


def _version(shown: bool) -> None:
    if shown:
        print(f"quinr {quinr_lidar.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Archive LiDAR scans as tiny quantum-inspired neural fields."""


@app.command()
def encode(
    scan: Annotated[Path, typer.Argument(help="A KITTI velodyne scan (.bin).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Compressed file; SCAN.quinr by default.")
    ] = None,
    profile: ProfileName = "paper",
    settings: Settings = [],  # noqa: B006 (typer copies it)
    seed: Annotated[int, typer.Option(help="Makes a run repeatable.")] = 0,
    height: Annotated[int, typer.Option(help="Rows of the range image.")] = 64,
    width: Annotated[int, typer.Option(help="Columns of the range image.")] = 1024,
    fov_up: Annotated[float, typer.Option(help="Upper edge of the view, degrees.")] = 3.0,
    fov_down: Annotated[float, typer.Option(help="Lower edge of the view, degrees.")] = -25.0,
    json: Json = False,
) -> None:
    """Compress a scan.

    Example: `quinr encode 000000.bin -o 000000.quinr --set target_bytes=200`
    """
    out = out or scan.with_suffix(".quinr")
    chosen = get_profile(profile).with_overrides(**({"seed": seed} | parse_settings(settings)))
    data = read_bytes(scan)
    projection = SphericalProjection(height, width, fov_up, fov_down)
    image = projection.project(parse_velodyne(data, str(scan)))
    if not image.measured.any():
        raise ScanError(f"{scan}: no point with a range above 0 m, nothing to encode")
    # As the workers that archive sequences do: the sums of matrix products depend on threads.
    torch.set_num_threads(1)
    with tqdm(total=chosen.steps, desc=scan.name, unit="step", disable=json) as bar:
        encoded = codec.encode_frame(image, chosen, progress=_advance(bar))
    write_atomically(out, encoded.data)
    figures = {
        "file": str(out),
        "bytes": len(encoded.data),
        "bpp": round(8 * len(encoded.data) / (height * width), 5),
        "ratio_raw": round(len(data) / len(encoded.data), 1),
        "psnr_db": round(encoded.psnr, 3),
        "psnr_before_quantisation_db": round(encoded.float_psnr, 3),
        "seconds": round(encoded.fit.seconds, 2),
        "backend": encoded.fit.backend,
        "optimizer": encoded.fit.optimizer,
        "steps": encoded.fit.steps,
        "stop_reason": encoded.fit.stop_reason,
    }
    if json:
        print_json(figures)
    else:
        print_table([{"": key, "value": value} for key, value in figures.items()], "encoded")


@app.command()
def decode(
    file: Annotated[Path, typer.Argument(help="A .quinr file.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Cloud .bin or .ply, or range image .npy."),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Stop after this many layers.", min=1)] = None,
) -> None:
    """Decompress a file to a point cloud, or to a range image.

    Example: `quinr decode 000000.quinr -o cloud.ply`
    """
    out = out or file.with_suffix(".bin")
    encoder = cloud_bytes(out)
    image = decode_file(read_bytes(file), file, layers)
    write_atomically(out, encoder(image))
    print(f"{out}: {image.measured_count:,} points")


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A .quinr file.")],
    json: Json = False,
) -> None:
    """Show what a file holds, and the bytes of each layer.

    Example: `quinr info 000000.quinr --json`
    """
    try:
        shown = codec.inspect(read_bytes(file)).as_dict()
    except BitstreamError as error:
        raise named(error, file) from error
    if json:
        print_json(shown)
        return
    sections = shown.pop("sections")
    rows = {"file": str(file)} | shown | {f"{k} bytes": v for k, v in sections.items()}
    print_table([{"": key, "value": value} for key, value in rows.items()], "quinr file")


@app.command()
def evaluate(
    original: Annotated[Path, typer.Argument(help="A scan (.bin), or a data set.")],
    archived: Annotated[Path, typer.Argument(help="A .quinr file, or an archived sequence.")],
    sequence: Annotated[
        str | None, typer.Option(help="Sequence of a data set that has several.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare decoded scans with their originals: PSNR, Chamfer, sizes, mask, range errors.

    Example: `quinr evaluate kitti/odometry archive/00 --sequence 00`
    """
    if archived.is_file():
        fidelity = evaluate_file(original, archived).as_dict()
        if json:
            print_json(fidelity)
        else:
            print_table([{"": k, "value": v} for k, v in fidelity.items()], str(archived))
        return
    results, records = evaluate_archive(original, archived, sequence, show_progress=not json)
    if json:
        print_json(results)
    else:
        print_table(table_rows(records), str(archived))
    if any(record.status == "failed" for record in records):
        raise typer.Exit(EXIT_PARTIAL)


@app.command()
def synth(
    folder: Annotated[Path, typer.Argument(help="Root of the new KITTI odometry data set.")],
    frames: Annotated[int, typer.Option(help="Number of scans.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Another seed, another street.", min=0)] = 0,
    sequence: Annotated[str, typer.Option(help="Name of the sequence.")] = "00",
) -> None:
    """Write a synthetic drive: an HDL-64E ray-cast through a street, as KITTI odometry.

    Example: `quinr synth drive --frames 20 --seed 3`
    """
    # Open3D takes seconds to import, and only this command needs it.
    from pipeline.datasets.synthetic import write_drive

    with tqdm(total=frames, desc="synthetic drive", unit="frame") as bar:
        write_drive(
            folder,
            frames=frames,
            seed=seed,
            sequence=sequence,
            progress=partial(bar_to, bar),
        )
    print(f"{folder}: sequence {sequence}, {frames} frames")


def main() -> None:
    """Entry point of the ``quinr`` command."""
    run_app(app, "quinr")


def _advance(bar: tqdm) -> Callable[[FitProgress], None]:
    def advance(progress: FitProgress) -> None:
        bar.set_postfix(loss=f"{progress.loss:.5f}", refresh=False)
        bar_to(bar, progress.step)

    return advance


if __name__ == "__main__":
    main()
