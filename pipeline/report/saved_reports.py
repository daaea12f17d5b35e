"""Reports that were written before, read again; every byte may be anything."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from pipeline.report.document import FORMAT, KIND, Report
from pipeline.storage.locations import Location, locate
from quinr_lidar.errors import ArchiveError

DOCUMENT = "report.json"
FOLDER = "report"
"""Of an archive, where its report is unless somebody wanted it elsewhere."""


def read_report(where: str) -> Report:
    """A report by its folder, its archive, or the file itself; a path or a URL.

    Raises:
        ArchiveError: there is none, it is damaged or of a newer format; names file and field.
        StorageError: it cannot be read.
    """
    place = _find(where)
    try:
        values = json.loads(place.read())
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{place.name}: not a report, expected JSON: {error}") from error
    _check_kind(values, place.name)
    try:
        return Report.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        shown = repr(first.get("input"))[:80]
        raise ArchiveError(f"{place.name}: {field}: {first['msg']}, got {shown}") from error


def _find(where: str) -> Location:
    if where.endswith(".json"):
        return locate(where)
    tried = [locate(where) / DOCUMENT, locate(where) / FOLDER / DOCUMENT]
    for place in tried:
        if place.exists():
            return place
    raise ArchiveError(
        f"{where}: no report, expected {DOCUMENT} there or in its folder {FOLDER}; "
        "`quinr report make` makes one"
    )


def _check_kind(values: Any, name: str) -> None:
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind != KIND:
        raise ArchiveError(f"{name}: kind: expected {KIND!r}, got {kind!r}")
    version = values.get("format")
    if isinstance(version, bool) or not isinstance(version, int):
        raise ArchiveError(f"{name}: format: expected a number, got {version!r}")
    if version != FORMAT:
        raise ArchiveError(
            f"{name}: format: report version {version}, but this software reads version {FORMAT}; "
            "a newer quinr-lidar may read it, or make the report anew"
        )
