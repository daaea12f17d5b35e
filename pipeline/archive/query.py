"""Which frames of which archives: a condition in SQL over their manifests.

The condition is one expression. It is evaluated over a copy in memory by a DuckDB that reads no
file, reaches no network and takes no setting, so that it may come from anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.archive.manifest import COLUMNS as FACTS
from pipeline.archive.manifest import Manifest, table_of
from pipeline.facts import columns_of
from quinr_lidar.errors import ArchiveError

SHOWN = ("archive", *(fact.name for fact in columns_of("archive", FACTS.values())))
"""Columns of an answer, unless others are asked for."""

ALIASES = {
    "psnr": "psnr_db",
    "chamfer": "chamfer_m",
    "max_error": "max_error_m",
    "largest_error": "largest_error_m",
    "time": "time_ns / 1e9",
}
"""Short names for conditions; ``time`` is in seconds."""

QUERY_COLUMNS = ("archive", "sequence", *FACTS)

_LOCKS = (
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET lock_configuration = true",
)


def query_manifests(
    manifests: Sequence[tuple[str, Manifest]],
    condition: str,
    columns: Sequence[str] = SHOWN,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Rows of all manifests that fulfil a condition, by archive and number.

    Args:
        manifests: With the names of their archives.
        condition: An SQL expression over :data:`QUERY_COLUMNS` and :data:`ALIASES`.
        columns: To give, of :data:`QUERY_COLUMNS`.
        limit: Rows at most.

    Raises:
        ArchiveError: no such column, or not a condition; says why.
    """
    for column in columns:
        if column not in QUERY_COLUMNS:
            raise ArchiveError(f"column {column!r}: expected one of {', '.join(QUERY_COLUMNS)}")
    with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "2GB"}) as database:
        _load(database, manifests)
        for lock in _LOCKS:
            database.execute(lock)
        try:
            # A relation's filter takes one expression: no second statement, no way out of it.
            found = database.table("frames").filter(condition).order("archive, number")
            if limit is not None:
                found = found.limit(limit)
            rows = found.project(", ".join(f'"{column}"' for column in columns)).fetchall()
        except duckdb.Error as error:
            reason = (str(error).strip().splitlines() or ["not understood"])[0]
            raise ArchiveError(
                f"condition {condition!r}: {reason} (columns: {', '.join(QUERY_COLUMNS)})"
            ) from error
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _load(database: duckdb.DuckDBPyConnection, manifests: Sequence[tuple[str, Manifest]]) -> None:
    """The table ``frames``, copied into the database."""
    tables = []
    for name, manifest in manifests:
        table = table_of(manifest.rows)
        for column, value in (("sequence", manifest.sequence), ("archive", name)):
            values = pa.array([value] * len(table), pa.string())
            table = table.add_column(0, column, values)
        tables.append(table)
    aliases = "".join(f', {source} AS "{name}"' for name, source in ALIASES.items())
    database.register("manifests", pa.concat_tables(tables))
    database.execute(f"CREATE TABLE frames AS SELECT *{aliases} FROM manifests")  # noqa: S608 (ours)
    database.unregister("manifests")
