"""``quinr evaluate``: decoded scans against their originals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import EXIT_PARTIAL, Json, print_json, print_table, value_rows
from pipeline.datasets.single_file import scan_file
from pipeline.evaluation.files import measure_file, measure_sequence
from pipeline.sequence.sequence import table_rows


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
        fidelity = measure_file(scan_file(original), archived).as_dict()
        if json:
            print_json(fidelity)
        else:
            print_table(value_rows(fidelity), str(archived))
        return
    results, records = measure_sequence(original, archived, sequence, show_progress=not json)
    if json:
        print_json(results)
    else:
        print_table(table_rows(records), str(archived))
    if any(record.status == "failed" for record in records):
        raise typer.Exit(EXIT_PARTIAL)
