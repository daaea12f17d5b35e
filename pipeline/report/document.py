"""The machine-readable report: what ``report.json`` holds, and reading it again.

All lengths are metres, sizes bytes, times seconds; a figure that cannot be had is ``None``.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.evaluation.archive.requests import REPORT_FOLDER
from pipeline.fidelity.statistics import Statistics
from pipeline.storage.locations import Location, locate
from quinr_lidar.errors import ArchiveError

FORMAT = 1
"""Version of report.json; counted up when older software would misread a new one."""

KIND = "quinr archive report"

DOCUMENT = "report.json"

State = Literal["good", "bad", "note"]
Kept = Literal["yes", "no", "unknown", "no promise"]
Stage = Literal["archiving", "reading", "decoding", "measuring", "evaluation"]


class Part(BaseModel):
    """Base of all parts: immutable, only finite numbers, unknown newer fields are ignored."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="ignore")


class ArchivePart(Part):
    """Which archive it is.

    Attributes:
        name: Path or URL of the archive.
        sequence: Name of the sequence.
        mcap_bytes: Size of the MCAP.
        mcap_sha256: SHA-256 of the MCAP.
        first_frame: Id of the first frame; ``None`` for an archive without frames.
        last_frame: Id of the last frame.
        seconds: From the first frame's time to the last one's.
        assumed_times: Frames without a time of their own.
        frames_sha256: Digest of all frame ids in order: equal for archives of the same frames.
        scans_sha256: Digest of the scans' checksums; ``None`` where one is unknown.
    """

    name: str
    sequence: str
    mcap_bytes: int = Field(ge=0)
    mcap_sha256: str
    first_frame: str | None = None
    last_frame: str | None = None
    seconds: float | None = None
    assumed_times: int = 0
    frames_sha256: str
    scans_sha256: str | None = None


class Summary(Part):
    """The figures on the cards. Means are over the frames that the archive holds.

    Attributes:
        frames: Number of frames, failed ones included.
        held: Number of frames in the archive.
        failed: Number of frames with a failure of any stage.
        raw_bytes: Total size of the scans that are held.
        archive_bytes: Size of the whole MCAP.
        mean_frame_bytes: Mean size of a compressed frame.
        ratio: ``raw_bytes / archive_bytes``.
        bpp: Mean bits a pixel.
        psnr_db: Mean PSNR.
        chamfer_m: Mean Chamfer distance, range image against decoded.
        largest_error_m: Largest range error of all frames.
        max_error_m: Largest max error of a frame; ``None`` unless every frame has one.
        max_error_kept: Whether every frame with a max error keeps it and has an exact mask.
        max_error_checked: Number of frames that an evaluation compared with their originals for
            that, pixel by pixel; the others were compared when they were archived.
        profiles: Names of the settings.
        evaluated: Number of frames with figures of an evaluation; ``None`` without one.
        drift_per_m: Odometry on the decoded clouds, metres a metre.
        drift_reference: What drift is measured against: "ground truth" or "odometry on the scans".
        drift_scan_per_m: Odometry on the scans, where there is ground truth.
        drift_image_per_m: Odometry on the range images, against the same reference.
        d1_psnr_db: Mean D1 PSNR, range image against decoded, as all following figures.
        d2_psnr_db: Mean D2 PSNR.
        registration_m: Mean shift of registration.
        ground_iou: Mean ground IoU.
        occupancy_iou: Mean occupancy IoU.
    """

    frames: int = Field(ge=0)
    held: int = Field(ge=0)
    failed: int = Field(ge=0)
    raw_bytes: float | None = None
    archive_bytes: int = Field(ge=0)
    mean_frame_bytes: float | None = None
    ratio: float | None = None
    bpp: float | None = None
    psnr_db: float | None = None
    chamfer_m: float | None = None
    largest_error_m: float | None = None
    max_error_m: float | None = None
    max_error_kept: Kept
    max_error_checked: int = 0
    profiles: list[str] = []
    evaluated: int | None = None
    drift_per_m: float | None = None
    drift_reference: str | None = None
    drift_scan_per_m: float | None = None
    drift_image_per_m: float | None = None
    d1_psnr_db: float | None = None
    d2_psnr_db: float | None = None
    registration_m: float | None = None
    ground_iou: float | None = None
    occupancy_iou: float | None = None


class EvaluationPart(Part):
    """What an evaluation found, see :func:`~pipeline.evaluation.tasks.summarise_evaluation`."""

    originals: str
    settings: dict[str, Any]
    frames: int
    measured: int
    failed: int
    figures: dict[str, Statistics]
    odometry: dict[str, Statistics | None]


class Verdict(Part):
    """A sentence that a person acts on."""

    state: State
    text: str


class Failure(Part):
    """A frame that is not as it should be.

    Attributes:
        frame: Id of the frame.
        stage: Stage at which it was noticed.
        error: The reason, in one line.
    """

    frame: str
    stage: Stage
    error: str


class Chosen(Part):
    """A frame that is shown in images.

    Attributes:
        frame: Id of the frame.
        role: "best", "median", "worst" or "only"; without PSNRs "first", "middle" or "last".
        criterion: What it was chosen by.
        psnr_db: PSNR measured when it was archived.
        original: Whether its original is shown.
        note: Why the original is not shown.
    """

    frame: str
    role: str
    criterion: str
    psnr_db: float | None = None
    original: bool = False
    note: str | None = None


class Settings(Part):
    """How the archive was made, as far as it says so."""

    profiles: dict[str, dict[str, Any]] = {}
    projection: dict[str, Any] = {}
    entropy_models: list[str] = []


class Versions(Part):
    """Software, without a word about the machine.

    Attributes:
        packed: Version of quinr-lidar that packed the archive.
        encoded: Versions of quinr-lidar that encoded the frames.
        report: Versions of the packages that made the report.
    """

    packed: str | None = None
    encoded: list[str] = []
    report: dict[str, str] = {}


class Report(Part):
    """The whole report.

    Attributes:
        format: See :data:`FORMAT`.
        kind: Always :data:`KIND`.
        made: Time of the report, UTC, ISO 8601.
        command: The command that made it, or ``None``.
        archive: Which archive it describes.
        summary: The figures on the cards.
        verdicts: The sentences on top.
        figures: Statistics of the manifest's figures over the frames held.
        evaluation: Results of an evaluation, if there was one.
        failures: Frames that are not as they should be.
        problems: What else is wrong with the archive.
        chosen: Frames shown in images.
        settings: Settings of the encoder.
        versions: Versions of the software.
    """

    format: Literal[1] = FORMAT
    kind: Literal["quinr archive report"] = KIND
    made: str
    command: str | None = None
    archive: ArchivePart
    summary: Summary
    verdicts: list[Verdict] = []
    figures: dict[str, Statistics] = {}
    evaluation: EvaluationPart | None = None
    failures: list[Failure] = []
    problems: list[str] = []
    chosen: list[Chosen] = []
    settings: Settings = Settings()
    versions: Versions = Versions()


def read_report(where: str) -> Report:
    """A report by its folder, its archive, or the file itself; a path or a URL.

    Raises:
        ArchiveError: there is none, it is damaged or of a newer format; names file and field.
        StorageError: it cannot be read.
    """
    place = _find(where)
    try:
        values = json.loads(place.read())
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{place.name}: not a report, expected JSON: {error}") from error
    _check_kind(values, place.name)
    try:
        return Report.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        shown = repr(first.get("input"))[:80]
        raise ArchiveError(f"{place.name}: {field}: {first['msg']}, got {shown}") from error


def _find(where: str) -> Location:
    if where.endswith(".json"):
        return locate(where)
    tried = [locate(where) / DOCUMENT, locate(where) / REPORT_FOLDER / DOCUMENT]
    for place in tried:
        if place.exists():
            return place
    raise ArchiveError(
        f"{where}: no report, expected {DOCUMENT} there or in its folder {REPORT_FOLDER}; "
        "`quinr report make` makes one"
    )


def _check_kind(values: Any, name: str) -> None:
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind != KIND:
        raise ArchiveError(f"{name}: kind: expected {KIND!r}, got {kind!r}")
    version = values.get("format")
    if isinstance(version, bool) or not isinstance(version, int):
        raise ArchiveError(f"{name}: format: expected a number, got {version!r}")
    if version != FORMAT:
        raise ArchiveError(
            f"{name}: format: report version {version}, but this software reads version {FORMAT}; "
            "a newer quinr-lidar may read it, or make the report anew"
        )
