"""Frames out of an archive, as .quinr files or decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.archive.manifest import FrameRow
from pipeline.archive.reader import PackedSequence
from pipeline.datasets import cloud_files
from pipeline.sequence.records import SUFFIX
from pipeline.storage.locations import locate
from quinr_lidar.errors import ArchiveError, QuinrError, StorageError

KINDS = (SUFFIX[1:], *cloud_files.KINDS)
"""What a frame can be extracted as: as it is in the archive, or decoded."""


@dataclass(frozen=True)
class Extracted:
    """A frame that was extracted.

    Attributes:
        frame_id: Its id.
        file: The file that was written, or was there already with the same content.
        error: Why it was not written.
    """

    frame_id: str
    file: str
    error: str | None = None


class Rows(Protocol):
    """Frames by their ids: a packed sequence, or anything else that has rows."""

    @property
    def name(self) -> str:
        """Where they are, for messages."""
        ...

    @property
    def rows(self) -> tuple[FrameRow, ...]:
        """All of them, in their order."""
        ...

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """Ids of the frames that were archived."""
        ...

    def row(self, frame_id: str) -> FrameRow:
        """One of them.

        Raises:
            ArchiveError: there is no such frame.
        """
        ...


def choose_frames(archive: Rows, wanted: Sequence[str]) -> list[FrameRow]:
    """Rows by ids and ranges.

    Args:
        archive: Holds them.
        wanted: Ids as they are (``000010``), or ranges of numeric ids, both ends included
            (``10-20``). Without any, all frames that were archived.

    Returns:
        Rows in the archive's order, each once.

    Raises:
        ArchiveError: something names no frame, or one that failed.
    """
    if not wanted:
        return [row for row in archive.rows if row.ok]
    chosen: set[str] = set()
    for text in wanted:
        match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", text)
        ids = {row.frame_id for row in archive.rows}
        if text in ids or match is None:
            row = archive.row(text)
            if not row.ok:
                raise ArchiveError(f"{archive.name}: frame {text} was not archived: {row.error}")
            chosen.add(text)
            continue
        first, last = int(match[1]), int(match[2])
        found = {
            row.frame_id
            for row in archive.rows
            if row.ok and _is_number(row.frame_id) and first <= int(row.frame_id) <= last
        }
        if not found:
            raise ArchiveError(f"{archive.name}: no frame in {text}; there are {_span(archive)}")
        chosen |= found
    return [row for row in archive.rows if row.frame_id in chosen]


def extract_frames(
    archive: PackedSequence,
    rows: Sequence[FrameRow],
    out: Path | str,
    kind: str = "quinr",
    *,
    overwrite: bool = False,
) -> Iterator[Extracted]:
    """Write frames to ``out/<frame id>.<kind>``; a bad one does not stop the others.

    Args:
        archive: Holds them.
        rows: Which of its frames.
        out: Folder or URL.
        kind: One of :data:`KINDS`.
        overwrite: Replace files that are there with another content; else these are errors.

    Raises:
        ArchiveError: no such kind.
    """
    if kind not in KINDS:
        raise ArchiveError(f"--as {kind}: expected one of {', '.join(KINDS)}")
    folder = locate(out)
    for row in rows:
        target = folder / f"{row.frame_id}.{kind}"
        try:
            data = archive.read(row.frame_id)
            if kind in cloud_files.KINDS:
                write = cloud_files.image_writer(Path(f"{row.frame_id}.{kind}"))
                data = write(archive.decode_bytes(row.frame_id, data))
            if not target.exists():
                target.write(data)
            elif target.read() != data:
                if not overwrite:
                    # It may be an original.
                    raise StorageError(f"{target.name}: is there already, with another content")
                target.write(data)
            yield Extracted(row.frame_id, target.name)
        except QuinrError as error:
            yield Extracted(row.frame_id, target.name, str(error))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _span(archive: Rows) -> str:
    ids = archive.frame_ids
    return f"{ids[0]} to {ids[-1]}" if ids else "none"
