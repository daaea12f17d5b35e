"""Parts of results that are the same for scans and for photographs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.jobs.job import FileRecord, Record


def name_of(settings: dict[str, Any]) -> str:
    """The method's name in plots: quINR and the profile's name."""
    return f"quINR {settings.get('profile', {}).get('name', '')}".strip()


def counts_of(records: Sequence[Record]) -> dict[str, int]:
    """Numbers of all records, of those that were done, and of those that failed."""
    return {
        "total": len(records),
        "ok": sum(record.status == "ok" for record in records),
        "failed": sum(record.status == "failed" for record in records),
    }


def lists_of(
    records: Sequence[FileRecord], figures: Sequence[str]
) -> dict[str, list[float | int | None]]:
    """The values of every figure, in the order of the records."""
    return {name: [(record.fidelity or {}).get(name) for record in records] for name in figures}


def rounded(value: float | None, digits: int) -> float | int | None:
    """A figure with a few digits, for tables."""
    return round(value, digits) if isinstance(value, float) else value
