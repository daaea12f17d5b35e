"""``quinr evaluate``: decoded scans against their originals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import (
    EXIT_PARTIAL,
    Json,
    SequenceName,
    print_json,
    print_table,
    value_rows,
)
from pipeline.datasets.single_file import scan_file
from pipeline.evaluation.files import measure_file, measure_sequence
from pipeline.sequence.sequence import table_rows

Originals = Annotated[
    Path, typer.Option(metavar="SOURCE", help="The scan (.bin), or the data set of the scans.")
]


def evaluate(
    archive: Annotated[
        Path, typer.Argument(metavar="ARCHIVE", help="A .quinr file, or an archived sequence.")
    ],
    originals: Originals,
    sequence: SequenceName = None,
    json: Json = False,
) -> None:
    """Compare decoded scans with their originals: PSNR, Chamfer, sizes, mask, range errors.

    Example: `quinr evaluate archive/00 --originals kitti/odometry --sequence 00`
    """
    if archive.is_file():
        fidelity = measure_file(scan_file(originals), archive).as_dict()
        if json:
            print_json(fidelity)
        else:
            print_table(value_rows(fidelity), str(archive))
        return
    results, records = measure_sequence(originals, archive, sequence, show_progress=not json)
    if json:
        print_json(results)
    else:
        print_table(table_rows(records), str(archive))
    if any(record.status == "failed" for record in records):
        raise typer.Exit(EXIT_PARTIAL)
