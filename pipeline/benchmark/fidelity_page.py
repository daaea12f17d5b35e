"""The figures of ``quinr bench fidelity`` as a page, and which bounds cost no measurable drift."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation.markdown import markdown_table, number
from quinr_lidar.metrics.clouds import PLANE_NEIGHBOURS

DEVIATIONS = 2.0
"""Drift is measurably larger when it exceeds the originals' by so many standard deviations."""

Summary = Mapping[str, Any]

_HEAD = (
    "decoded from",
    "bytes a frame",
    "PSNR [dB]",
    "Chamfer [cm]",
    "D1 / D2 PSNR to the image [dB]",
    "D1 / D2 PSNR to the scan [dB]",
    "F-score 5 cm",
    "drift [%]",
    "rotation [deg/m]",
    "ATE [cm]",
    "off the originals' path [%]",
    "registration [mm]",
    "[mdeg]",
    "registration error [mm]",
    "ground IoU",
    "occupancy IoU",
    "obstacles IoU",
)


def drift_verdict(document: Mapping[str, Any]) -> dict[str, Any]:
    """Which baselines' drift is no larger than what sensor noise alone makes of it.

    Runs on range images with further noise, and with ground truth the one without, are recordings
    of the same drive by equally good sensors. A baseline's relative error of translation (without
    ground truth: its difference from the trajectory of the range images) may exceed their mean by
    at most :data:`DEVIATIONS` of their standard deviations.

    Returns:
        ``reference``, what drift is measured against; ``baseline``, the mean; ``deviation``;
        ``limit``; ``drift`` and ``unmeasurable`` by baseline, ``None`` where drift cannot be
        had.
    """
    truth = document["ground_truth"]
    name = "decoded to truth" if truth else "decoded to image"
    entries = document["baselines"]
    runs = [drift_of(run, name) for run in document["noise"]["odometry"]]
    if truth and entries:
        runs.append(drift_of(entries[0]["odometry"], "image to truth"))
    known = [run for run in runs if run is not None]
    baseline = deviation = limit = None
    if len(known) > 1:
        baseline, deviation = float(np.mean(known)), float(np.std(known, ddof=1))
        limit = baseline + DEVIATIONS * deviation
    drift = {one["name"]: drift_of(one["odometry"], name) for one in entries}
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


def drift_of(odometry: Summary, name: str) -> float | None:
    """Relative error of translation, metres a metre."""
    return odometry[name] and odometry[name]["translation_per_m"]


def conclusion(verdict: Mapping[str, Any]) -> str:
    """The verdict as sentences."""
    if verdict["limit"] is None:
        return "Drift cannot be judged: too few frames, or too few runs with noise."
    free = [name for name, good in verdict["unmeasurable"].items() if good]
    rest = [name for name, good in verdict["unmeasurable"].items() if good is False]
    return (
        f"Against {verdict['reference']}, drift that sensor noise explains ends at "
        f"{100 * verdict['limit']:.3f} % ({100 * verdict['baseline']:.3f} % plus {DEVIATIONS:g} "
        f"times {100 * verdict['deviation']:.3f} %). No measurable drift: "
        f"{', '.join(free) or 'none'}. More than that: {', '.join(rest) or 'none'}."
    )


def page(document: Mapping[str, Any], source: str, command: str) -> str:
    """The markdown page."""
    settings, count = document["settings"], len(document["frames"])
    noise = document["noise"]
    short = ", ".join(f"{name}={value}" for name, value in settings["bounded_previews"].items())
    table = markdown_table(_HEAD, list(_rows(document)))
    return f"""# What decoded scans are good for

{source}, {count} frames. Made by `{command}`.

{table}
{conclusion(document["verdict"])}

- Means over frames. *scan*: the original points; *range image*: their projection, without a codec,
  which is what decoded clouds can reach. PSNR is of range images, Chamfer distance between the
  image's points and the decoded ones (for the range image itself: to the scan).
- D1 (point to point) and D2 (point to plane, {PLANE_NEIGHBOURS} neighbours) as MPEG's pc_error,
  peak {settings["peak"]:g} m.
- Drift is KISS-ICP's relative error of translation, over stretches as in KITTI or, on paths under
  100 m, of 1/16 to 8/16 of the path. {_reference(document)} Off the originals' path: likewise,
  against odometry on the range images; the {len(noise["odometry"])} runs with further noise of
  {100 * noise["sigma_m"]:g} cm in every range differ by as much as the row *noise* says.
- Registration: by how much ICP of consecutive frames moves from that of the range images (for the
  range image itself: of the scans); its error is against ground truth.
- Ground and occupancy against the range image (for the range image itself: against the scan).
- Bounded files were encoded with short previews ({short}), which changes their bytes a little and
  nothing else: their points do not depend on the preview.
"""


def _reference(document: Mapping[str, Any]) -> str:
    if document["ground_truth"]:
        return "Drift, rotation and ATE are against ground truth."
    return "Without ground truth, drift, rotation and ATE are against odometry on the scans."


def _rows(document: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    entries = document["baselines"]
    reference = "truth" if document["ground_truth"] else "scan"
    rows = []
    if entries:
        rows += _original_rows(entries[0], reference)
    runs = document["noise"]["odometry"]
    if runs:
        rows.append(["noise", *[""] * 6, *_odometry(_mean_odometry(runs), "decoded", reference)])
        rows[-1] += [""] * (len(_HEAD) - len(rows[-1]))
    for one in entries:
        figures = one["figures"]
        rows.append(
            [
                one["name"],
                number(_mean(figures, "encoded_bytes"), "{:,.0f}"),
                number(_mean(figures, "psnr_db"), "{:.1f}"),
                *_distances(figures, "codec", _pair(figures, "scan")),
                *_odometry(one["odometry"], "decoded", reference),
                *_tasks(figures, "codec", "decoded"),
            ]
        )
    return rows


def _original_rows(entry: Summary, reference: str) -> list[list[str]]:
    figures, odometry = entry["figures"], entry["odometry"]
    scan = ["scan", *[""] * 6, *_odometry(odometry, "scan", reference)]
    scan += [""] * (len(_HEAD) - len(scan))
    cells = _distances(figures, "projection", _pair(figures, "projection"))
    image = ["range image", "", "", cells[0], "", *cells[2:]]
    image += [*_odometry(odometry, "image", reference), *_tasks(figures, "projection", "image")]
    return [scan, image]


def _distances(figures: Summary, prefix: str, to_scan: str) -> list[str]:
    chamfer = _mean(figures, f"{prefix}_chamfer_m")
    return [
        number(None if chamfer is None else 100 * chamfer, "{:.2f}"),
        _pair(figures, prefix),
        to_scan,
        number(_mean(figures, f"{prefix}_f_score_5cm"), "{:.3f}"),
    ]


def _pair(figures: Summary, prefix: str) -> str:
    parts = [_mean(figures, f"{prefix}_{kind}_psnr_db") for kind in ("d1", "d2")]
    return " / ".join(number(part, "{:.1f}") for part in parts)


def _odometry(odometry: Summary, track: str, reference: str) -> list[str]:
    errors = odometry.get(f"{track} to {reference}") or {}
    path = odometry.get(f"{track} to image") or {}
    return [
        _scaled(errors.get("translation_per_m"), 100, "{:.3f}"),
        _scaled(errors.get("rotation_deg_per_m"), 1, "{:.4f}"),
        _scaled(errors.get("absolute_m"), 100, "{:.1f}"),
        _scaled(path.get("translation_per_m"), 100, "{:.3f}"),
    ]


def _tasks(figures: Summary, prefix: str, track: str) -> list[str]:
    return [
        _scaled(_mean(figures, f"{prefix}_registration_m"), 1000, "{:.1f}"),
        _scaled(_mean(figures, f"{prefix}_registration_deg"), 1000, "{:.1f}"),
        _scaled(_mean(figures, f"{track}_registration_error_m"), 1000, "{:.1f}"),
        *(
            number(_mean(figures, f"{prefix}_{name}_iou"), "{:.3f}")
            for name in ("ground", "occupancy", "obstacle")
        ),
    ]


def _mean_odometry(runs: Sequence[Summary]) -> dict[str, dict[str, float] | None]:
    """Means of every error over the runs."""
    found: dict[str, dict[str, float] | None] = {}
    for name in runs[0]:
        rows = [run[name] for run in runs if run[name] is not None]
        found[name] = {
            key: float(np.mean([row[key] for row in rows]))
            for key in ("translation_per_m", "rotation_deg_per_m", "absolute_m")
            if rows and all(row[key] is not None for row in rows)
        }
    return found


def _mean(figures: Summary, name: str) -> float | None:
    return (figures.get(name) or {}).get("mean")


def _scaled(value: float | None, factor: float, form: str) -> str:
    return "" if value is None or not math.isfinite(value) else form.format(factor * value)
