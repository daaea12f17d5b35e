"""Results of a folder of encoded pictures: results.json, tables and the contact sheet."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import quinr_lidar
from pipeline.datasets.pictures import parse_picture
from pipeline.jobs.results import counts_of, lists_of, name_of, rounded
from pipeline.kodak.contact_sheet import MAX_ROWS, SheetRow, contact_sheet
from pipeline.kodak.fidelity import FIGURES, summarise_pictures
from pipeline.kodak.pictures import PictureJob, PictureRecord
from pipeline.storage.files import read_bytes, write_atomically, write_json_atomically
from quinr_lidar.errors import QuinrError

RESULTS, CONTACT_SHEET = "results.json", "contact_sheet.png"

COLUMNS = ("encoded_bytes", "bpp", "psnr_db", "ssim")
"""Figures shown in tables."""

_DIGITS = 5
_NAME_LENGTH = 40


def picture_rows(records: Sequence[PictureRecord]) -> list[dict[str, Any]]:
    """Rows for people: file, figures of :data:`COLUMNS`, seconds, status and error."""
    return [
        _row(Path(record.source).name, record.fidelity or {}, record.seconds)
        | {"status": record.status, "error": record.error}
        for record in records
    ]


def mean_row(records: Sequence[PictureRecord]) -> dict[str, Any]:
    """The mean of every column over the pictures that have it, as a row of the same keys."""
    summary = summarise_pictures(r.fidelity for r in records if r.fidelity)
    means = {name: statistics["mean"] for name, statistics in summary.items()}
    seconds = [record.seconds for record in records if record.seconds is not None]
    mean_seconds = sum(seconds) / len(seconds) if seconds else None
    return _row("mean", means, mean_seconds) | {"status": None, "error": None}


def write_picture_results(
    out: Path, records: Sequence[PictureRecord], settings: dict[str, Any]
) -> dict[str, Any]:
    """Write ``results.json``: lists by figure in the order of ``pictures``, and their summary.

    Returns:
        What was written.

    Raises:
        StorageError: the folder cannot be written.
    """
    done = [record for record in records if record.fidelity]
    results = {
        "name": name_of(settings),
        "description": f"quinr-lidar {quinr_lidar.__version__}; psnr in dB over all pixels and "
        "channels of the 8-bit picture, peak 255; raw bytes are those of the source files",
        "settings": settings,
        "counts": counts_of(records),
        "failures": {r.stem: r.error for r in records if r.status == "failed"},
        "pictures": [record.stem for record in done],
        "results": lists_of(done, tuple(FIGURES)),
        "seconds": [record.seconds for record in done],
        "summary": summarise_pictures(r.fidelity for r in done if r.fidelity),
    }
    write_json_atomically(out / RESULTS, results)
    return results


def write_contact_sheet(
    out: Path, jobs: Sequence[PictureJob], records: Sequence[PictureRecord]
) -> Path | None:
    """Write ``contact_sheet.png`` of the pictures that were done.

    It shows the first :data:`~pipeline.kodak.contact_sheet.MAX_ROWS`, and its title says of
    how many. A picture whose files changed meanwhile is left out with a warning.

    Args:
        out: Folder of results.
        jobs: All jobs.
        records: One record per job, in the order of the jobs.

    Returns:
        Its path; ``None`` without any picture, and an old sheet is then deleted.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = out / CONTACT_SHEET
    done = [
        (job, record)
        for job, record in zip(jobs, records, strict=True)
        if record.status == "ok" and record.fidelity
    ]
    rows = list(_sheet_rows(done[:MAX_ROWS]))
    if not rows:
        path.unlink(missing_ok=True)
        return None
    title = f"{len(rows)} of {len(jobs)} pictures, profile {jobs[0].profile.name}"
    write_atomically(path, contact_sheet(rows, title))
    return path


def _sheet_rows(done: Sequence[tuple[PictureJob, PictureRecord]]) -> Iterator[SheetRow]:
    for job, record in done:
        try:
            original, decoded = (
                parse_picture(read_bytes(path), str(path)) for path in (job.source, job.decoded)
            )
            yield SheetRow.of(original, decoded, _caption(job, record.fidelity or {}))
        except QuinrError as error:
            logging.getLogger(__name__).warning("left out of the contact sheet: %s", error)


def _caption(job: PictureJob, figures: dict[str, Any]) -> str:
    psnr, ssim = figures["psnr_db"], figures["ssim"]
    name = job.source.name
    # The figures must not be pushed off the page.
    name = name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 3]}..."
    return ", ".join(
        [
            f"{name}: {figures['encoded_bytes']:,} bytes",
            f"{figures['bpp']:.4f} bpp",
            # Not finite means without any error.
            "PSNR infinite" if psnr is None else f"PSNR {psnr:.2f} dB",
            "no SSIM (too small)" if ssim is None else f"SSIM {ssim:.3f}",
        ]
    )


def _row(file: str, figures: dict[str, Any], seconds: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"file": file}
    row |= {FIGURES[name].heading: rounded(figures.get(name), _DIGITS) for name in COLUMNS}
    return row | {"seconds": rounded(seconds, _DIGITS)}
