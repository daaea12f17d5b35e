"""An archived sequence's folder, as rows of a manifest to be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import quinr_lidar
from pipeline.archive.layout import MAX_NAME, Description, check_frame_id
from pipeline.archive.manifest import FIGURES, FrameRow
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.facts import facts_of
from pipeline.sequence.model_files import models_in
from pipeline.sequence.records import (
    FRAMES_FOLDER,
    SUFFIX,
    FrameFacts,
    FrameRecord,
    frame_path,
    read_record,
)
from pipeline.storage.files import read_bytes, sha256_of
from quinr_lidar.codec.inspection import FileInfo, inspect
from quinr_lidar.entropy.models import EntropyModel, built_in_models
from quinr_lidar.errors import ArchiveError, BitstreamError, StorageError

ASSUMED_STEP_NS = 100_000_000
"""Time between frames of a data set that has no times: most scanners turn ten times a second."""


@dataclass(frozen=True)
class Plan:
    """Plan of an archive: all that is known before it is written.

    Attributes:
        description: Description of the sequence.
        entropy_models: The entropy models that its files name.
        rows: A row for each frame, without its place in the MCAP.
        folder: The sequence's folder.
    """

    description: Description
    entropy_models: tuple[EntropyModel, ...]
    rows: tuple[FrameRow, ...]
    folder: Path

    def payload(self, row: FrameRow) -> bytes | None:
        """A frame's file; ``None`` if the frame failed.

        Raises:
            ArchiveError: the file changed after it was planned.
            StorageError: it cannot be read.
        """
        if not row.ok:
            return None
        path = frame_path(self.folder, row.frame_id)
        data = read_bytes(path)
        if sha256_of(data) != row.file_sha256:
            raise ArchiveError(f"{path}: changed while it was packed; pack again when none writes")
        return data


def plan_sequence(
    folder: Path,
    records: Iterable[FrameRecord] | None = None,
    settings: EncoderSettings | None = None,
) -> Plan:
    """Plan the archive of a sequence's folder.

    A frame whose file is missing, damaged or does not fit its record is a failed one; so is one
    that was not finished.

    Args:
        folder: Folder of an archived sequence, see :mod:`pipeline.sequence.records`.
        records: Records of its frames, in their order; by default those in the folder.
        settings: Settings of the encoder; by default those in ``metrics.json``.

    Raises:
        ArchiveError: no frames, a frame id that is twice or no file name.
        BitstreamError: an entropy model that frames name is damaged.
        StorageError: the folder cannot be read.
    """
    listed = list(records) if records is not None else records_in(folder)
    if not listed:
        raise ArchiveError(f"{folder}: no archived frames, expected {FRAMES_FOLDER}/*{SUFFIX}")
    ids = [check_frame_id(record.frame_id, str(folder)) for record in listed]
    if len(set(ids)) < len(ids):
        twice = next(frame_id for frame_id in ids if ids.count(frame_id) > 1)
        raise ArchiveError(f"{folder}: frame {twice}: it is there twice")
    at_hand = {
        entropy_model.name: entropy_model
        for entropy_model in (*built_in_models().values(), *models_in(folder))
    }
    checked = [_checked(folder, record, number, at_hand) for number, record in enumerate(listed)]
    infos = [info for _, info in checked if info is not None]
    used = sorted({info.entropy_model for info in infos if info.entropy_model is not None})
    rows = tuple(row for row, _ in checked)
    description = Description(
        sequence=folder.resolve().name[:MAX_NAME],
        software=quinr_lidar.__version__,
        frames=len(rows),
        projection=_projection(infos[0]) if infos else {},
        entropy_models=tuple(used),
        profiles=_profiles(folder, settings, {row.settings for row in rows}),
    )
    return Plan(description, tuple(at_hand[name] for name in used), rows, folder)


def records_in(folder: Path) -> list[FrameRecord]:
    """A record for every frame of which there is a file or a record, in the order of their ids."""
    found = {
        path.stem
        for kind, suffix in ((FRAMES_FOLDER, SUFFIX), ("records", ".json"))
        for path in (folder / kind).glob(f"*{suffix}")
        if path.name[0] != "."
    }
    return [
        read_record(folder, frame_id)
        or FrameRecord(frame_id, "failed", error=f"{folder}: frame {frame_id} was not finished")
        for frame_id in sorted(found, key=lambda frame_id: (frame_id.zfill(20), frame_id))
    ]


def _checked(
    folder: Path, record: FrameRecord, number: int, at_hand: Mapping[str, EntropyModel]
) -> tuple[FrameRow, FileInfo | None]:
    row = row_of(record, number)
    if not row.ok:
        return row, None
    path = frame_path(folder, record.frame_id)
    try:
        data = read_bytes(path)
        if sha256_of(data) != record.file_sha256:
            raise ArchiveError(f"{path}: does not fit its record: damaged, or not finished")
        info = inspect(data)
        if info.entropy_model is not None and info.entropy_model not in at_hand:
            raise ArchiveError(
                f"{path}: coded with the entropy model {info.entropy_model}, which is not at hand"
            )
    except (ArchiveError, BitstreamError, StorageError) as error:
        reason = str(error) if str(path) in str(error) else f"{path}: {error}"
        return replace(row, status="failed", error=reason), None
    return replace(row, bytes=len(data)), info


def row_of(record: FrameRecord, number: int) -> FrameRow:
    """What a record says, as a manifest's row without a place in the MCAP."""
    time_ns = _nanoseconds(record.timestamp)
    figures = record.fidelity or {}
    return FrameRow(
        **{fact.name: getattr(record, fact.name) for fact in facts_of(FrameFacts)},
        number=number,
        time_ns=number * ASSUMED_STEP_NS if time_ns is None else time_ns,
        time_assumed=time_ns is None,
        figures={name: figures[name] for name in FIGURES if figures.get(name) is not None},
    )


def _nanoseconds(seconds: float | None) -> int | None:
    """An MCAP's time, or ``None`` for what it cannot hold."""
    if seconds is None or not math.isfinite(seconds) or not 0 <= seconds < (1 << 63) / 1e9:
        return None
    return round(seconds * 1e9)


def _projection(info: FileInfo) -> dict[str, Any]:
    view = {name: info.scan[name] for name in ("fov_up", "fov_down")}
    return {"kind": "spherical", "height": info.height, "width": info.width} | view


def _profiles(folder: Path, given: EncoderSettings | None, used: set[str | None]) -> dict[str, Any]:
    """Profiles by the digests of settings that the frames name, as far as they are known."""
    known = [given] if given is not None else _kept_settings(folder)
    return {
        settings.digest(): settings.profile.model_dump(mode="json")
        for settings in known
        if settings.digest() in used
    }


def _kept_settings(folder: Path) -> list[EncoderSettings]:
    try:
        results = json.loads((folder / "metrics.json").read_bytes())
        return [EncoderSettings.from_dict(results["settings"])]
    except (OSError, ValueError, KeyError, TypeError):
        # Settings only help readers: every file says itself how it is decoded.
        return []
