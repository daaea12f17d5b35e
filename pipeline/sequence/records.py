"""What a sequence's folder keeps of its frames.

Layout of an archived sequence::

    <sequence>/frames/<frame id>.quinr    the compressed scan
    <sequence>/records/<frame id>.json    what it was made from, and its figures
    <sequence>/<name>.qmodel              an entropy model of its files that is not built in
    <sequence>/entropy_model.json         how that was chosen, if it was

A record is written last, so a frame whose record fits its file is finished.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pipeline.facts import Fact
from pipeline.jobs.job import read_dataclass, read_finished
from pipeline.storage.files import write_json_atomically

if TYPE_CHECKING:
    from pipeline.config.encoder_settings import EncoderSettings

SUFFIX = ".quinr"
FRAMES_FOLDER = "frames"

StartKind = Literal["cold", "warm", "restart"]


@dataclass(frozen=True)
class FrameFacts:
    """What a frame's record and its row in a manifest both say: see :mod:`pipeline.facts`.

    Attributes:
        frame_id: Stem of the scan's file name.
        status: "ok", or "failed" (then ``error`` says why).
        error: One line that names the file and the reason.
        source: The scan's path when it was archived.
        source_sha256: SHA-256 of the scan's bytes, 64 hexadecimal digits.
        file_sha256: SHA-256 of the compressed file.
        settings: Digest of all settings that its bytes depend on: profile and projection.
        software: Version of quinr-lidar that encoded the frame.
        start: "cold" from random parameters; "warm" from the predecessor's; "restart" when a warm
            start came out too badly and a cold one was tried as well.
        kept: Whose parameters the file holds; after a restart the better of both, "cold" or
            "warm".
        encode_seconds: Encoding time, of both starts after a restart.
        steps: Training steps, of both starts after a restart.
        stop_reason: Why the kept training ended.
    """

    frame_id: Annotated[str, Fact("frame", tables=("sequence", "archive"), in_notes=True)]
    status: Annotated[Literal["ok", "failed"], Fact(tables=("sequence", "archive"), in_notes=True)]
    error: Annotated[str | None, Fact(tables=("sequence", "archive"), in_notes=True)] = None
    source: str | None = None
    source_sha256: Annotated[str | None, Fact(in_notes=True)] = None
    file_sha256: str | None = None
    settings: Annotated[str | None, Fact(in_notes=True)] = None
    software: Annotated[str | None, Fact(in_notes=True)] = None
    start: Annotated[StartKind | None, Fact(tables=("sequence",))] = None
    kept: Literal["cold", "warm"] | None = None
    encode_seconds: Annotated[
        float | None,
        Fact(
            "encoding time",
            "seconds",
            tables=("sequence", "report"),
            meaning="Time to encode one frame, on the machine that did it.",
        ),
    ] = None
    steps: int | None = None
    stop_reason: str | None = None


@dataclass(frozen=True)
class FrameRecord(FrameFacts):
    """What became of a frame.

    Attributes:
        start_sha256: SHA-256 of the predecessor's file, ``None`` where no warm start was tried.
        timestamp: Seconds, if the data set has times.
        fidelity: :class:`~pipeline.fidelity.FrameFidelity` as a dictionary.
    """

    start_sha256: str | None = None
    timestamp: float | None = None
    fidelity: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The frame's id, as the name of its job."""
        return self.frame_id


def frame_path(folder: Path, frame_id: str) -> Path:
    """Where a sequence keeps a frame's compressed file."""
    return folder / FRAMES_FOLDER / f"{frame_id}{SUFFIX}"


def record_path(folder: Path, frame_id: str) -> Path:
    """Where a sequence keeps a frame's record."""
    return folder / "records" / f"{frame_id}.json"


def write_record(folder: Path, record: FrameRecord) -> None:
    """Keep a frame's record.

    Raises:
        StorageError: the folder cannot be written.
    """
    write_json_atomically(record_path(folder, record.frame_id), asdict(record))


def read_record(folder: Path, frame_id: str) -> FrameRecord | None:
    """A frame's record, or ``None`` when there is none that can be understood."""
    return read_dataclass(record_path(folder, frame_id), FrameRecord)


def read_archived(
    folder: Path, frame_id: str, settings: EncoderSettings
) -> tuple[FrameRecord, bytes] | None:
    """A finished frame's record and file.

    Returns:
        ``None`` unless the frame was archived with these settings by this version of the
        software, and the file is the one it wrote then.
    """
    record = read_record(folder, frame_id)
    if record is None:
        return None
    data = read_finished(record, frame_path(folder, frame_id), settings.digest())
    return None if data is None else (record, data)
