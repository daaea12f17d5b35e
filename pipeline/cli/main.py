"""The ``quinr`` command: single scans and folders, no server, no Prefect."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

import quinr_lidar
from pipeline.cli.archive import app as archive_app
from pipeline.cli.bench.main import app as bench_app
from pipeline.cli.console import (
    EXIT_PARTIAL,
    Json,
    bar_to,
    print_json,
    print_table,
    run_app,
    value_rows,
)
from pipeline.cli.decode import decode
from pipeline.cli.encode import encode
from pipeline.cli.report import app as report_app
from pipeline.cli.search import rd_search
from pipeline.cli.train_model import train_prior_command
from pipeline.cli.view import view
from pipeline.datasets.single_file import scan_file
from pipeline.evaluation.files import evaluate_archive, evaluate_file
from pipeline.fidelity import promise_of_file
from pipeline.models.files import built_in_name
from pipeline.sequence.sequence import table_rows
from pipeline.storage.files import named, read_bytes
from quinr_lidar import codec
from quinr_lidar.errors import BitstreamError

app = typer.Typer(
    help="Archive LiDAR scans as tiny quantum-inspired neural fields.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.add_typer(archive_app, name="archive")
app.add_typer(bench_app, name="bench")
app.add_typer(report_app, name="report")
app.command()(encode)
app.command()(decode)
app.command()(view)
app.command(name="rd-search")(rd_search)
app.command(name="train-model")(train_prior_command)


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
def info(
    file: Annotated[Path, typer.Argument(help="A .quinr file.")],
    json: Json = False,
) -> None:
    """Show what a file holds: bytes of each layer, bound, entropy model, sizes of the field.

    Example: `quinr info 000000.quinr --json`
    """
    try:
        inspected = codec.inspect(read_bytes(file))
    except BitstreamError as error:
        raise named(error, file) from error
    shown, promise = inspected.as_dict(), promise_of_file(inspected)
    if promise.max_error is not None:
        # With the rounding of ranges: what no error exceeds.
        shown["max_error"] = promise.max_error
    if (entropy_model := shown["entropy_model"]) is not None:
        shown["built_in_model"] = built_in_name(entropy_model)
    if json:
        print_json(shown)
        return
    if entropy_model is not None:
        built_in = shown.pop("built_in_model")
        shown["entropy_model"] = (
            f"{entropy_model} (built in: {built_in})"
            if built_in
            else f"{entropy_model} (not built in)"
        )
    print_table(value_rows({"file": str(file)} | shown), "quinr file")


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
        fidelity = evaluate_file(scan_file(original), archived).as_dict()
        if json:
            print_json(fidelity)
        else:
            print_table(value_rows(fidelity), str(archived))
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


if __name__ == "__main__":
    main()
