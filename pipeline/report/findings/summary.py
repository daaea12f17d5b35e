"""An archive's figures over its frames: the cards, and statistics of every figure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.archive import PackedSequence
from pipeline.archive.manifest import COLUMNS, FIGURES, ROW_FACTS, FrameRow
from pipeline.fidelity.statistics import Statistics, statistics_of
from pipeline.report.document import ArchivePart, EvaluationPart, Summary
from pipeline.report.findings.promises import PromiseCheck

_FACTS = tuple(name for name, fact in ROW_FACTS.items() if fact.kind)
"""Columns of the manifest that are figures as well: size and encoding time."""

ARCHIVED = {name: fact for name, fact in COLUMNS.items() if fact.kind}
"""Figures that were measured when a frame was archived: columns of the manifest."""

REFERENCES = {"truth": "ground truth", "scan": "odometry on the scans"}


def value_of(row: FrameRow, name: str) -> float | None:
    """A finite figure of a row, or ``None``."""
    value = getattr(row, name) if name in _FACTS else row.figures.get(name)
    return float(value) if value is not None and math.isfinite(value) else None


def figure_statistics(rows: Sequence[FrameRow]) -> dict[str, Statistics]:
    """Statistics of every figure of the manifest that any frame has."""
    held = [row for row in rows if row.ok]
    found = {
        name: statistics_of(value_of(row, name) for row in held) for name in (*_FACTS, *FIGURES)
    }
    return {name: one for name, one in found.items() if one["mean"] is not None}


def archive_part(archive: PackedSequence) -> ArchivePart:
    """Which archive it is, and digests that tell whether another is of the same drive."""
    rows, manifest = archive.rows, archive.manifest
    times = [row.time_ns for row in rows]
    scans = [row.source_sha256 for row in rows]
    return ArchivePart(
        name=archive.name,
        sequence=manifest.sequence,
        mcap_bytes=manifest.mcap_bytes,
        mcap_sha256=manifest.mcap_sha256,
        first_frame=rows[0].frame_id if rows else None,
        last_frame=rows[-1].frame_id if rows else None,
        seconds=(max(times) - min(times)) / 1e9 if times else None,
        assumed_times=sum(row.time_assumed for row in rows),
        frames_sha256=_digest([row.frame_id for row in rows]),
        scans_sha256=None if None in scans else _digest(scans),
    )


def _digest(values: Sequence[str | None]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()


def summary_of_archive(
    archive: PackedSequence,
    rows: Sequence[FrameRow],
    figures: Mapping[str, Statistics],
    promises: PromiseCheck,
    failed: int,
    profiles: Iterable[str],
    evaluation: EvaluationPart | None,
) -> Summary:
    """The figures on the cards.

    Args:
        archive: The archive to report.
        rows: Rows of the manifest with everything known.
        figures: The result of :func:`figure_statistics`.
        promises: Whether files keep their promises.
        failed: Number of frames with a failure.
        profiles: Names of the encoder's settings.
        evaluation: Results of an evaluation, if there was one.
    """
    held = [row for row in rows if row.ok]
    raw = [value_of(row, "raw_bytes") for row in held]
    known = [size for size in raw if size is not None]
    raw_bytes = sum(known) if known and len(known) == len(raw) else None
    promised = [value_of(row, "max_error_m") for row in held]
    bounded = bool(promised) and None not in promised
    size = archive.manifest.mcap_bytes
    return Summary(
        frames=len(rows),
        held=len(held),
        failed=failed,
        raw_bytes=raw_bytes,
        archive_bytes=size,
        mean_frame_bytes=_mean(figures, "bytes"),
        ratio=raw_bytes / size if raw_bytes is not None and size else None,
        bpp=_mean(figures, "bpp"),
        psnr_db=_mean(figures, "psnr_db"),
        chamfer_m=_mean(figures, "chamfer_m"),
        largest_error_m=figures.get("largest_error_m", {}).get("max"),
        max_error_m=figures["max_error_m"]["max"] if bounded else None,
        max_error_kept=promises.kept,
        max_error_checked=promises.checked,
        profiles=sorted(set(profiles)),
        **({} if evaluation is None else _evaluated(evaluation)),
    )


def _evaluated(evaluation: EvaluationPart) -> dict[str, Any]:
    figures = evaluation.figures
    reference = reference_of(evaluation.odometry)
    return {
        "evaluated": evaluation.measured,
        "drift_reference": None if reference is None else REFERENCES[reference],
        "drift_per_m": drift(evaluation.odometry, "decoded", reference),
        "drift_scan_per_m": drift(evaluation.odometry, "scan", reference),
        "drift_image_per_m": drift(evaluation.odometry, "image", reference),
        "d1_psnr_db": _mean(figures, "codec_d1_psnr_db"),
        "d2_psnr_db": _mean(figures, "codec_d2_psnr_db"),
        "registration_m": _mean(figures, "codec_registration_m"),
        "ground_iou": _mean(figures, "codec_ground_iou"),
        "occupancy_iou": _mean(figures, "codec_occupancy_iou"),
    }


def reference_of(odometry: Mapping[str, Any]) -> str | None:
    """What trajectories are measured against: ground truth, else odometry on the scans."""
    return next((name for name in REFERENCES if odometry.get(f"decoded to {name}")), None)


def drift(odometry: Mapping[str, Any], cloud: str, reference: str | None) -> float | None:
    """Relative error of translation of a trajectory, metres per metre."""
    return (odometry.get(f"{cloud} to {reference}") or {}).get("translation_per_m")


def _mean(figures: Mapping[str, Statistics], name: str) -> float | None:
    return figures.get(name, {}).get("mean")
