"""The page of ``quinr bench fidelity``, and which largest errors cost no measurable drift."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.benchmark.pages import render_page
from quinr_lidar.metrics.clouds import PLANE_NEIGHBOURS

DEVIATIONS = 2.0
"""Drift is measurably larger when it exceeds the originals' by so many standard deviations."""

Summary = Mapping[str, Any]

# Head, figures, format and factor. {pair} is what is compared (codec, or projection of a scan),
# {scan} the pair whose other half is the scan, and {cloud} the one that is evaluated.
_COLUMNS: tuple[tuple[str, str, str, float], ...] = (
    ("bytes a frame", "encoded_bytes", "{:,.0f}", 1),
    ("PSNR [dB]", "psnr_db", "{:.1f}", 1),
    ("Chamfer [cm]", "{pair}_chamfer_m", "{:.2f}", 100),
    ("D1 / D2 PSNR to the image [dB]", "codec_d1_psnr_db codec_d2_psnr_db", "{:.1f}", 1),
    ("D1 / D2 PSNR to the scan [dB]", "{scan}_d1_psnr_db {scan}_d2_psnr_db", "{:.1f}", 1),
    ("F-score 5 cm", "{pair}_f_score_5cm", "{:.3f}", 1),
    ("drift [%]", "errors_translation_per_m", "{:.3f}", 100),
    ("rotation [deg/m]", "errors_rotation_deg_per_m", "{:.4f}", 1),
    ("ATE [cm]", "errors_absolute_m", "{:.1f}", 100),
    ("off the originals' path [%]", "path_translation_per_m", "{:.3f}", 100),
    ("registration [mm]", "{pair}_registration_m", "{:.1f}", 1000),
    ("[mdeg]", "{pair}_registration_deg", "{:.1f}", 1000),
    ("registration error [mm]", "{cloud}_registration_error_m", "{:.1f}", 1000),
    ("ground IoU", "{pair}_ground_iou", "{:.3f}", 1),
    ("occupancy IoU", "{pair}_occupancy_iou", "{:.3f}", 1),
    ("obstacles IoU", "{pair}_obstacle_iou", "{:.3f}", 1),
)


def drift_verdict(document: Summary) -> dict[str, Any]:
    """Whose drift is no larger than what sensor noise alone makes of it.

    Runs on range images with further noise, and with ground truth the one without, are recordings
    of the same drive by equally good sensors. A profile's relative error of translation (without
    ground truth: its difference from the trajectory of the range images) may exceed their mean by
    at most :data:`DEVIATIONS` of their standard deviations.

    Returns:
        ``reference``, what drift is measured against; ``baseline``, the mean; ``deviation``;
        ``limit``; ``drift`` and ``unmeasurable`` by profile, ``None`` where drift is not known.
    """
    truth, entries = document["ground_truth"], document["baselines"]
    name = "decoded to truth" if truth else "decoded to image"
    runs = [_drift(run, name) for run in document["noise"]["odometry"]]
    if truth and entries:
        runs.append(_drift(entries[0]["odometry"], "image to truth"))
    known = [run for run in runs if run is not None]
    baseline = deviation = limit = None
    if len(known) > 1:
        baseline, deviation = float(np.mean(known)), float(np.std(known, ddof=1))
        limit = baseline + DEVIATIONS * deviation
    drift = {one["name"]: _drift(one["odometry"], name) for one in entries}
    return {
        "reference": "ground truth" if truth else "odometry on the range images",
        "baseline": baseline,
        "deviation": deviation,
        "limit": limit,
        "drift": drift,
        "unmeasurable": {
            key: None if value is None or limit is None else value <= limit
            for key, value in drift.items()
        },
    }


def _drift(odometry: Summary, name: str) -> float | None:
    """Relative error of translation, metres a metre."""
    return odometry[name] and odometry[name]["translation_per_m"]


def conclusion(verdict: Summary) -> str:
    """The verdict as sentences."""
    if verdict["limit"] is None:
        return "Drift cannot be judged: too few frames, or too few runs with noise."
    free, rest = (
        ", ".join(name for name, good in verdict["unmeasurable"].items() if good is wanted)
        for wanted in (True, False)
    )
    return (
        f"Against {verdict['reference']}, drift that sensor noise explains ends at "
        f"{100 * verdict['limit']:.3f} % ({100 * verdict['baseline']:.3f} % plus {DEVIATIONS:g} "
        f"times {100 * verdict['deviation']:.3f} %). No measurable drift: {free or 'none'}. "
        f"More than that: {rest or 'none'}."
    )


def page(document: Summary, source: str, command: str) -> str:
    """The Markdown page of a document, with the name of its source and the command."""
    return render_page(
        "fidelity.md.j2",
        **document,
        source_label=source,
        made_by=command,
        head=["decoded from", *(head for head, *_ in _COLUMNS)],
        rows=list(_rows(document)),
        conclusion=conclusion(document["verdict"]),
        neighbours=PLANE_NEIGHBOURS,
    )


def _rows(document: Summary) -> Iterator[list[str]]:
    entries, runs = document["baselines"], document["noise"]["odometry"]
    reference = "truth" if document["ground_truth"] else "scan"
    if entries:
        figures, odometry = entries[0]["figures"], entries[0]["odometry"]
        of_image = {
            name: value
            for name, value in figures.items()
            if name.startswith(("projection_", "image_"))
        }
        yield _row("scan", {}, odometry, "scan", reference)
        yield _row("range image", of_image, odometry, "image", reference, "projection")
    if runs:
        yield _row("noise", {}, _mean_odometry(runs), "decoded", reference)
    for one in entries:
        yield _row(one["name"], one["figures"], one["odometry"], "decoded", reference)


def _row(
    label: str, figures: Summary, odometry: Summary, cloud: str, reference: str, pair: str = "codec"
) -> list[str]:
    values = {name: (one or {}).get("mean") for name, one in figures.items()}
    for prefix, other in (("errors", reference), ("path", "image")):
        found = odometry.get(f"{cloud} to {other}") or {}
        values |= {f"{prefix}_{name}": value for name, value in found.items()}
    scan = "scan" if pair == "codec" else pair

    def cell(names: str, form: str, factor: float) -> str:
        keys = names.format(pair=pair, scan=scan, cloud=cloud).split()
        cells = [_cell(values.get(key), form, factor) for key in keys]
        return " / ".join(cells) if any(cells) else ""

    return [label, *(cell(names, form, factor) for _, names, form, factor in _COLUMNS)]


def _mean_odometry(runs: Sequence[Summary]) -> dict[str, dict[str, float]]:
    """Means of every error over the runs that have it all."""
    found: dict[str, dict[str, float]] = {}
    for name in runs[0]:
        rows = [run[name] for run in runs if run[name] is not None]
        found[name] = {
            key: float(np.mean([row[key] for row in rows]))
            for key in ("translation_per_m", "rotation_deg_per_m", "absolute_m")
            if rows and all(row[key] is not None for row in rows)
        }
    return found


def _cell(value: float | None, form: str, factor: float = 1) -> str:
    return "" if value is None or not math.isfinite(value) else form.format(factor * value)
