"""Packing a sequence: files are written, read back, and only then put in their places."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.archive.layout import CHUNK_BYTES, CHUNK_FRAMES, MANIFEST, MCAP, Description
from pipeline.archive.manifest import FrameRow, Manifest, pack_manifest
from pipeline.archive.mcap.frame_writer import FrameWriter, written_messages
from pipeline.archive.plan import plan_sequence
from pipeline.archive.replacement import check_replacement, is_same_file
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.sequence.records import FrameRecord
from pipeline.storage.files import sha256_of
from pipeline.storage.locations import Location, locate
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import ArchiveError

Frames = Iterable[tuple[FrameRow, bytes | None]]
"""Rows in the order of their numbers, each with its file unless it failed."""

_BLOCK = 1 << 22


@dataclass(frozen=True)
class PackResult:
    """What was packed.

    Attributes:
        archive: Path or URL of the archive.
        sequence: Name of the sequence.
        frames: Number of rows of the manifest.
        failed: Number of these without a message.
        mcap_bytes: Size of the MCAP.
        written: Whether anything changed; ``False`` where the same archive was there.
    """

    archive: str
    sequence: str
    frames: int
    failed: int
    mcap_bytes: int
    written: bool


def pack_sequence(
    folder: Path | str,
    out: Path | str | Location | None = None,
    *,
    records: Iterable[FrameRecord] | None = None,
    settings: EncoderSettings | None = None,
    overwrite: bool = False,
) -> PackResult:
    """Pack an archived sequence's folder into ``frames.mcap`` and ``manifest.parquet``.

    The same records give the same bytes. A frame that failed, is not finished or whose file is
    damaged becomes a row with the reason, and no message.

    Args:
        folder: The sequence's folder, see :mod:`pipeline.sequence.records`.
        out: Folder or URL of the packed sequence; ``folder`` itself if left out.
        records: Records of the frames, in their order; by default those in the folder.
        settings: Settings of the encoder; by default those in ``metrics.json``.
        overwrite: Replace an archive there even if it holds frames that the new one lacks or
            holds with other content.

    Raises:
        ArchiveError: no frames, a frame id twice, or frames of an archive there would be lost.
        BitstreamError: an entropy model that the frames name is damaged.
        StorageError: something cannot be read or written; then nothing has changed.
    """
    plan = plan_sequence(Path(folder), records, settings)
    frames = ((row, plan.payload(row)) for row in plan.rows)
    return write_archive(
        locate(folder if out is None else out),
        plan.description,
        plan.entropy_models,
        frames,
        overwrite=overwrite,
    )


def write_archive(
    out: Location,
    description: Description,
    entropy_models: Iterable[EntropyModel],
    frames: Frames,
    *,
    overwrite: bool = False,
) -> PackResult:
    """Write an archive from frames of any origin; see :func:`pack_sequence`.

    Raises:
        ArchiveError: frames of an archive there would be lost.
        StorageError: it cannot be written; then nothing has changed.
    """
    target, manifest_target = out / MCAP, out / MANIFEST
    with target.staging(2) as staged:
        rows = _write_both(staged, description, tuple(entropy_models), frames)
        # Ties are uncompressed: a frame of it is read without its chunk.
        best = min(staged, key=lambda path: path.stat().st_size)
        rows = _placed(rows, best)
        digest, size = _sha256(best), best.stat().st_size
        manifest = Manifest(description.sequence, tuple(rows), size, digest)
        data = pack_manifest(manifest)
        same = is_same_file(target, size, digest)
        if not (overwrite or same):
            check_replacement(out, rows)
        unchanged = same and is_same_file(manifest_target, len(data), sha256_of(data))
        with manifest_target.staging() as (page,):
            # Written before either is published: a full disk leaves both as they were.
            page.write_bytes(data)
            if not same:
                target.publish(best)
            if not unchanged:
                manifest_target.publish(page)
    failed = sum(not row.ok for row in rows)
    return PackResult(out.name, description.sequence, len(rows), failed, size, not unchanged)


def _write_both(
    staged: list[Path],
    description: Description,
    entropy_models: tuple[EntropyModel, ...],
    frames: Frames,
) -> list[FrameRow]:
    """The same MCAP without and with compression, from one pass over the frames."""
    rows: list[FrameRow] = []
    with ExitStack() as stack:
        writers = [
            FrameWriter(
                stack.enter_context(path.open("wb")),
                description,
                entropy_models,
                compressed=compressed,
            )
            for path, compressed in zip(staged, (False, True), strict=True)
        ]
        for group in _groups(frames):
            rows += [row for row, _ in group]
            for writer in writers:
                writer.add_chunk(group)
        for writer in writers:
            writer.finish()
    return rows


def _groups(frames: Frames) -> Iterator[list[tuple[FrameRow, bytes | None]]]:
    """Frames by chunks."""
    group: list[tuple[FrameRow, bytes | None]] = []
    size = 0
    for row, data in frames:
        group.append((row, data))
        size += len(data or b"")
        if len(group) == CHUNK_FRAMES or size >= CHUNK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _placed(rows: list[FrameRow], path: Path) -> list[FrameRow]:
    """Rows with their frames' places, from the file as it was written.

    Raises:
        ArchiveError: a frame reads back as something else.
    """
    places: dict[int, tuple[int, int]] = {}
    for chunk_offset, message_offset, message in written_messages(RangedFile(locate(path), _BLOCK)):
        if sha256_of(message.data) == rows[message.sequence].file_sha256:
            places[message.sequence] = (chunk_offset, message_offset)
    missing = [row.frame_id for row in rows if row.ok and row.number not in places]
    if missing:
        raise ArchiveError(
            f"{path}: frame {missing[0]} was not written as it is; is the disk sound?"
        )
    return [
        replace(row, chunk_offset=places[row.number][0], message_offset=places[row.number][1])
        if row.ok
        else row
        for row in rows
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
