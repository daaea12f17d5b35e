"""The files of an archive, each read once: which are damaged, and what the others promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pipeline.archive import PackedSequence
from pipeline.archive.manifest import FIGURES, FrameRow
from pipeline.evaluation.tasks import EvaluationRecord
from pipeline.fidelity import Promise, promise_of_file
from pipeline.report.document import Failure
from quinr_lidar import codec
from quinr_lidar.codec.inspection import FileInfo
from quinr_lidar.errors import ArchiveError, BitstreamError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FrameFiles:
    """The files of an archive.

    Attributes:
        infos: Descriptions of the sound files, by frame id.
        failures: Frames that were not archived, and files that are damaged.
    """

    infos: dict[str, FileInfo]
    failures: list[Failure]

    def promise(self, frame_id: str) -> Promise | None:
        """What a frame's file promises; ``None`` where there is no sound file."""
        info = self.infos.get(frame_id)
        return None if info is None else promise_of_file(info)


def read_files(archive: PackedSequence, progress: Progress | None = None) -> FrameFiles:
    """Read all files and compare their checksums; decodes none.

    Args:
        archive: The archive; a bad frame does not stop the others.
        progress: Called with the number of frames done and of all frames.

    Raises:
        StorageError: the archive cannot be read.
    """
    infos: dict[str, FileInfo] = {}
    failures = []
    for done, row in enumerate(archive.rows):
        if not row.ok:
            failures.append(failure_of(row, "archiving", row.error or "failed"))
        else:
            try:
                _, data = next(archive.frames([row]))
                infos[row.frame_id] = codec.inspect(data)
            except ArchiveError as error:
                failures.append(failure_of(row, "reading", error))
            except BitstreamError as error:
                failures.append(failure_of(row, "decoding", error))
        if progress:
            progress(done + 1, len(archive.rows))
    return FrameFiles(infos, failures)


def failure_of(row: FrameRow, stage: str, error: Exception | str) -> Failure:
    """A failure with its reason in one line."""
    return Failure.model_validate(
        {"frame": row.frame_id, "stage": stage, "error": " ".join(str(error).split())}
    )


def known_rows(
    archive: PackedSequence, files: FrameFiles, records: Mapping[str, EvaluationRecord]
) -> list[FrameRow]:
    """The manifest's rows, with missing figures filled in from the files and an evaluation.

    A manifest made by ``quinr archive repair`` has only a few figures. Its own figures win.
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
