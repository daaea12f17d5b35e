"""Making an archive anew from what is left of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.damaged import Damaged
from pipeline.archive.writer import write_archive
from pipeline.storage.locations import Location, locate


@dataclass(frozen=True)
class Repaired:
    """What a repair found and wrote.

    Attributes:
        archive: Path or URL of the new archive.
        frames: Number of frames in it.
        lost: Frames that are known to have been in the old one, and are not in it.
        unknown: How many more the old one had, of which nothing is left.
        damage: What could not be read.
        written: Whether anything changed.
    """

    archive: str
    frames: int
    lost: tuple[str, ...]
    unknown: int
    damage: tuple[str, ...]
    written: bool


def repair_archive(
    where: Path | str | Location, out: Path | str | Location | None = None
) -> Repaired:
    """Rebuild index and manifest from an MCAP that is cut or damaged anywhere.

    Every frame whose bytes are intact is kept; frames that are known to be lost become failed
    rows. An intact archive comes out as it was, byte for byte.

    Args:
        where: Its folder; a manifest there is used as far as it fits.
        out: Where the new archive goes; ``None`` replaces the damaged one. An archive that is
            at another place already must not hold frames that the new one does not.

    Raises:
        ArchiveError: not an MCAP, of a newer version, nothing of an archive, a frame twice, or
            frames of an archive at ``out`` would be lost.
        StorageError: it cannot be read or written; then nothing has changed.
    """
    location = locate(where)
    target = location if out is None else locate(out)
    damaged = Damaged(location)
    in_place = (target.fs, target.path.rstrip("/")) == (location.fs, location.path.rstrip("/"))
    packed = write_archive(
        target, damaged.description, damaged.entropy_models, damaged.frames(), overwrite=in_place
    )
    return Repaired(
        archive=target.name,
        frames=packed.frames - packed.failed,
        lost=tuple(damaged.lost),
        unknown=damaged.unknown,
        damage=tuple(dict.fromkeys(damaged.damage)),
        written=packed.written,
    )
