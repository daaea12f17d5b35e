"""Whether an archive is what it says: checksums, index, manifest, and every frame decodes.

With the originals at hand, whether every frame keeps its promise: what they may be deleted by.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.archive.layout import MCAP
from pipeline.archive.manifest import FrameRow
from pipeline.archive.mcap.scan import Damage, Notes, Placed, scan
from pipeline.archive.originals import Originals
from pipeline.archive.reader import PackedSequence
from pipeline.storage.files import sha256_of
from pipeline.storage.locations import Location
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar import codec
from quinr_lidar.errors import ArchiveError, QuinrError

_BLOCK = 1 << 22


@dataclass(frozen=True)
class FrameCheck:
    """What the check of a frame found.

    Attributes:
        frame_id: Its id.
        error: What is wrong, or ``None``.
        largest_error_m: Largest error of a range, measured against the original, metres; ``None``
            without originals.
        max_error_m: The largest error that the file promises.
    """

    frame_id: str
    error: str | None = None
    largest_error_m: float | None = None
    max_error_m: float | None = None


@dataclass(frozen=True)
class Verification:
    """What the check of an archive found.

    Attributes:
        archive: Where it is.
        sequence: Its name.
        deep: Whether the originals were compared.
        frames: A check for every frame that the archive holds.
        not_archived: Frames that failed when they were archived, with the reason.
        problems: What else is wrong.
    """

    archive: str
    sequence: str
    deep: bool
    frames: tuple[FrameCheck, ...]
    not_archived: dict[str, str]
    problems: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong.

        With originals: whether all of them may be deleted. Then a frame that was not archived is
        wrong as well.
        """
        bad = any(frame.error for frame in self.frames)
        return not (bad or self.problems or (self.deep and self.not_archived))

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"ok": self.ok}


def verify_archive(
    where: Path | str | Location,
    originals: Path | None = None,
    sequence: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Check an archive completely; changes nothing.

    Every byte is covered: by the CRC of the data, by that of the index, and by the SHA-256 in the
    manifest. Every frame is found through the index, is the manifest's, and decodes with the
    entropy models that the archive carries.

    Args:
        where: Its folder.
        originals: Data set that it was made from; every frame is then measured again.
        sequence: Which sequence, where the data set has several.
        progress: Called with the number of frames done and of all frames.

    Raises:
        ArchiveError: not an archive, of a newer version, or the manifest is unreadable or that of
            another MCAP.
        DatasetError: the originals cannot be opened.
        StorageError: it cannot be read.
    """
    archive = PackedSequence.open(where)
    scans = None if originals is None else Originals.open(originals, sequence, archive)
    problems = list(_file_problems(archive))
    checks = []
    held = [row for row in archive.rows if row.ok]
    for done, row in enumerate(held):
        checks.append(_check_frame(archive, row, scans))
        if progress:
            progress(done + 1, len(held))
    if scans is not None:
        problems += scans.missing(archive)
    return Verification(
        archive=archive.name,
        sequence=archive.manifest.sequence,
        deep=scans is not None,
        frames=tuple(checks),
        not_archived={row.frame_id: row.error or "failed" for row in archive.rows if not row.ok},
        problems=tuple(problems),
    )


def _check_frame(archive: PackedSequence, row: FrameRow, scans: Originals | None) -> FrameCheck:
    try:
        data = archive.read(row.frame_id)
        info = codec.inspect(data)
        if info.entropy_model is not None and info.entropy_model not in {
            entropy_model.name for entropy_model in archive.entropy_models
        }:
            raise ArchiveError(f"the archive does not carry its entropy model {info.entropy_model}")
        image = archive.decode_bytes(row.frame_id, data)
        max_error = info.scan.get("max_error")
        claimed = row.figures.get("max_error_m")
        # The file's own is a hair narrower than the one it was asked for.
        if claimed is not None and not (
            max_error is not None and max_error <= claimed * (1 + 1e-6)
        ):
            raise ArchiveError(
                f"max_error_m: the manifest says {claimed:g} m, but the file promises "
                f"{'nothing' if max_error is None else f'{max_error:g} m'}"
            )
        if scans is None:
            return FrameCheck(row.frame_id, max_error_m=max_error)
        return FrameCheck(row.frame_id, None, scans.check(row, info, image), max_error)
    except QuinrError as error:
        named = f"frame {row.frame_id}" in str(error)
        return FrameCheck(row.frame_id, str(error) if named else f"frame {row.frame_id}: {error}")


def _file_problems(archive: PackedSequence) -> Iterator[str]:
    """What is wrong with the MCAP as a whole, and where manifest and MCAP disagree."""
    data = RangedFile(archive.location / MCAP, _BLOCK)
    chunks: set[int] = set()
    try:
        yield from _checksum_problems(archive, data)
        index = archive.index
        frames, held = archive.description.frames, sum(row.ok for row in archive.rows)
        if frames != len(archive.rows):
            yield f"{data.name}: frames: packed with {frames}, the manifest has {len(archive.rows)}"
        if index.statistics.message_count != held:
            count = index.statistics.message_count
            yield f"{data.name}: its index counts {count} messages, the manifest {held} frames"
        rows = {row.number: row for row in archive.rows}
        seen: set[int] = set()
        for found in scan(data):
            if isinstance(found, Placed):
                chunks.add(found.chunk_offset)
                number = found.message.sequence
                row = None if number in seen else rows.get(number)
                seen.add(number)
                problem = _placed_problem(found, row)
                if problem:
                    yield f"{data.name}: message {number}: {problem}"
            elif isinstance(found, Notes):
                yield from (
                    f"{data.name}: frame {note.frame_id}: the manifest's row says otherwise"
                    for note in found.rows
                    if not _agree(note, rows.get(note.number))
                )
            elif isinstance(found, Damage):
                yield found.reason
        if chunks != set(index.chunks):
            yield f"{data.name}: its index does not name the chunks that are there"
    except ArchiveError as error:
        yield str(error)


def _checksum_problems(archive: PackedSequence, data: RangedFile) -> Iterator[str]:
    digest = hashlib.sha256()
    crc = 0
    for block in data.blocks(0, archive.index.data_end):
        crc = zlib.crc32(block, crc)
        digest.update(block)
    for block in data.blocks(archive.index.data_end):
        digest.update(block)
    if crc != archive.index.data_crc:
        yield f"{data.name}: checksum mismatch of the data, it is damaged"
    if digest.hexdigest() != archive.manifest.mcap_sha256:
        yield f"{data.name}: SHA-256: not the MCAP that the manifest is of"


def _placed_problem(found: Placed, row: FrameRow | None) -> str | None:
    """Why a message is not the one of its row."""
    if row is None or not row.ok:
        return "the manifest has no such frame, or it is there twice"
    if (row.chunk_offset, row.message_offset) != (found.chunk_offset, found.message_offset):
        return f"frame {row.frame_id}: the manifest has another place"
    if row.time_ns != found.message.log_time:
        return f"frame {row.frame_id}: the manifest has another time"
    if sha256_of(found.message.data) != row.file_sha256 or row.bytes != len(found.message.data):
        return f"frame {row.frame_id}: the manifest has another SHA-256 or size"
    return None


def _agree(note: FrameRow, row: FrameRow | None) -> bool:
    """Whether the MCAP's own note of a frame and its row in the manifest say the same."""
    if row is None:
        return False
    names = ("frame_id", "status", "source_sha256", "time_assumed")
    same = all(getattr(note, name) == getattr(row, name) for name in names)
    return same and all(row.figures.get(key) == value for key, value in note.figures.items())
