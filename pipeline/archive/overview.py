"""What archives hold, at a glance: from their manifests, without decoding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.manifest import COLUMNS, FrameRow
from pipeline.archive.reader import PackedSequence
from pipeline.facts import columns_of
from pipeline.storage.locations import Location, locate
from quinr_lidar.errors import ArchiveError

DEPTH = 4
"""Folders below the one given in which archives are looked for."""


def find_archives(places: Iterable[Location | str]) -> list[Location]:
    """Packed sequences at or below places.

    Raises:
        ArchiveError: there is none at one of them.
        StorageError: a place cannot be listed.
    """
    found: dict[str, Location] = {}
    for place in map(locate, places):
        files = place.find((MCAP, MANIFEST), DEPTH + 1)
        if not files:
            raise ArchiveError(f"{place.name}: no archive, expected <sequence>/{MCAP}")
        for file in files:
            end = -len(file.base) - 1
            found[file.path[:end]] = Location(file.fs, file.path[:end], file.name[:end])
    return list(found.values())


def summary_of(archive: PackedSequence) -> dict[str, Any]:
    """An archive in one row: counts, sizes, times, means and extremes of the figures."""
    held = [row for row in archive.rows if row.ok]
    times = [row.time_ns for row in archive.rows]
    return {
        "archive": archive.name,
        "sequence": archive.manifest.sequence,
        "frames": len(held),
        "failed": len(archive.rows) - len(held),
        "bytes": archive.manifest.mcap_bytes,
        "mean_frame_bytes": _mean([float(row.bytes or 0) for row in held]),
        "ratio_raw": _ratio(held, archive.manifest.mcap_bytes),
        "mean_psnr_db": _mean(_figures(held, "psnr_db")),
        "mean_chamfer_m": _mean(_figures(held, "chamfer_m")),
        "largest_error_m": max(_figures(held, "largest_error_m"), default=None),
        "max_error_m": max(_figures(held, "max_error_m"), default=None),
        "unbounded": len(held) - len(_figures(held, "max_error_m")),
        "seconds": (max(times) - min(times)) / 1e9 if times else None,
        "assumed_times": sum(row.time_assumed for row in archive.rows),
        "clock_jumps": sum(after <= before for before, after in pairwise(times)),
        "encode_seconds": sum(row.encode_seconds or 0 for row in held),
    }


def details_of(archive: PackedSequence) -> dict[str, Any]:
    """All of :func:`summary_of`, and what the MCAP says of how to decode it.

    Raises:
        ArchiveError: the MCAP is damaged.
        StorageError: it cannot be read.
    """
    description, index = archive.description, archive.index
    return summary_of(archive) | {
        "software": description.software,
        "projection": dict(description.projection),
        "entropy_models": list(description.entropy_models),
        "profiles": dict(description.profiles),
        "chunks": len(index.chunks),
        "compression": sorted({chunk.compression or "none" for chunk in index.chunks.values()}),
        "first_frame": archive.rows[0].frame_id if archive.rows else None,
        "last_frame": archive.rows[-1].frame_id if archive.rows else None,
        "failures": {row.frame_id: row.error for row in archive.rows if not row.ok},
    }


def frame_rows(archive: PackedSequence) -> list[dict[str, Any]]:
    """A row for every frame: the facts and figures of the table "archive"."""
    columns = columns_of("archive", COLUMNS.values())
    values = (row.as_dict() for row in archive.rows)
    return [{fact.heading: fact.shown(row[fact.name]) for fact in columns} for row in values]


def _figures(rows: Sequence[FrameRow], name: str) -> list[float]:
    return [value for row in rows if (value := row.figures.get(name)) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _ratio(rows: Sequence[FrameRow], packed: int) -> float | None:
    """The scans' bytes over the MCAP's, all of it."""
    raw = _figures(rows, "raw_bytes")
    return sum(raw) / packed if len(raw) == len(rows) and raw else None
