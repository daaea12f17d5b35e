"""An archive's rows with whatever else is known of their frames filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeline.archive import PackedSequence
from pipeline.archive.manifest import FIGURES, FrameRow
from pipeline.evaluation.tasks import EvaluationRecord
from pipeline.report.frame_files import FrameFiles


def known_rows(
    archive: PackedSequence, files: FrameFiles, records: Mapping[str, EvaluationRecord]
) -> list[FrameRow]:
    """The manifest's rows; figures that it lacks come from the files and an evaluation.

    A manifest made anew by ``quinr archive repair`` has a few figures only. What it has counts.
    """
    return [_filled(row, files, records.get(row.frame_id)) for row in archive.rows]


def _filled(row: FrameRow, files: FrameFiles, record: EvaluationRecord | None) -> FrameRow:
    found: dict[str, float | int | bool | None] = {}
    if record is not None:
        found = {name: value for name, value in record.figures.items() if name in FIGURES}
    info = files.infos.get(row.frame_id)
    if info is not None:
        found["bpp"] = 8 * info.total_bytes / (info.height * info.width)
    known = {name: value for name, value in row.figures.items() if value is not None}
    missing = found.keys() - known.keys()
    return replace(row, figures=found | known) if missing else row
