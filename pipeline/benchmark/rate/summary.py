"""Rows to figures: means over scans, what quINR saves, PSNR at a rate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from pipeline.benchmark.rate.baselines import Baseline
from pipeline.benchmark.rate.measure import Row

MEAN = "mean"
MEANT = (
    "bytes",
    "bits_per_point",
    "bpp",
    "largest_error_m",
    "d1_rmse_m",
    "chamfer_m",
    "psnr_db",
    "encode_seconds",
    "decode_seconds",
    "training_seconds",
)
OURS, UNSEEN = "quinr", "quinr-unseen"
PEERS = ("jpeg-xl", "jpeg-xl-10")
"""Those quINR is held against in the summary: the field's yardstick, and its slower setting."""


@dataclass(frozen=True)
class Saving:
    """Bits of a baseline against another's at one bound, percent; negative is fewer.

    Attributes:
        max_error: Metres.
        mean: Over scans.
        worst: Of the scan that is worst for the baseline.
        scans: That have both.
    """

    max_error: float
    mean: float
    worst: float
    scans: int


def measured_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows without those that failed."""
    return [row for row in rows if row.error is None]


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """A row for each baseline and setting: the mean over scans, and the largest maximum error.

    Only settings that succeeded on every scan of ``rows`` count: a mean over fewer would be of
    other, perhaps easier, scans.
    """
    scans = {row.scan for row in rows}
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in measured_rows(rows):
        groups.setdefault((row.codec, row.setting), []).append(row)
    return [_mean(some) for some in groups.values() if {row.scan for row in some} == scans]


def savings(rows: Sequence[Row], name: str, other: str) -> list[Saving]:
    """How a baseline's bits compare with another's, by rising bound.

    Args:
        rows: Of any scans; those that failed do not count.
        name: The baseline.
        other: Whom it is held against.
    """
    sizes = {
        (row.codec, row.setting, row.scan): row.bits_per_point
        for row in measured_rows(rows)
        if row.goal == "max_error" and row.bits_per_point is not None
    }
    found = []
    for max_error in sorted({setting for codec, setting, _ in sizes if codec == name}):
        percents = [
            100 * (bits / sizes[other, max_error, scan] - 1)
            for (codec, setting, scan), bits in sizes.items()
            if (codec, setting) == (name, max_error) and (other, max_error, scan) in sizes
        ]
        if percents:
            found.append(Saving(max_error, fmean(percents), max(percents), len(percents)))
    return found


def fair_rows(rows: Sequence[Row], seen: Collection[str]) -> list[Row]:
    """Our rows that count: of a scan that the built-in model has seen, those of another model.

    Args:
        rows: Of any baselines.
        seen: Names of those scans.

    Returns:
        Rows of :data:`OURS` and of others; those of :data:`UNSEEN` have taken the place of ours on
        scans in ``seen``.
    """
    fair = []
    for row in rows:
        if row.codec not in (OURS, UNSEEN):
            fair.append(row)
        elif row.codec == (UNSEEN if row.scan in seen else OURS):
            fair.append(replace(row, codec=OURS))
    return fair


def saving_line(rows: Sequence[Row], name: str, other: str) -> str:
    """:func:`savings` in words."""
    parts = [
        f"{100 * one.max_error:g} cm {one.mean:+.1f} % (worst {one.worst:+.1f} %)"
        for one in savings(rows, name, other)
    ]
    return f"bits of {name} against {other}: {', '.join(parts) or 'not measured'}"


def psnr_at(rows: Sequence[Row], codec: str, bpp: float) -> float | None:
    """PSNR of a baseline at a rate, linear in log bits between its rows on one scan.

    Args:
        rows: Of one scan, or means.
        codec: The baseline's name.
        bpp: Bits a pixel, > 0.

    Returns:
        dB; ``None`` outside the rates of its rows.
    """
    # It imports matplotlib, which takes a while.
    from pipeline.benchmark.rate_distortion import interpolated_psnr

    points = sorted(
        (row.bpp, row.psnr_db)
        for row in measured_rows(rows)
        if row.codec == codec and row.bpp is not None and row.psnr_db is not None
    )
    rising: list[tuple[float, float]] = []
    for point in points:
        # What costs more and is no better lies on no curve.
        if not rising or (point[0] > rising[-1][0] and point[1] > rising[-1][1]):
            rising.append(point)
    return interpolated_psnr(rising, bpp) if rising else None


def curves(rows: Sequence[Row], baselines: Sequence[Baseline]) -> list[dict[str, Any]]:
    """Rows in the form that plotters of rate-distortion results read.

    A curve for each baseline and scan; where there are several scans, also of their mean.
    """
    scans = list(dict.fromkeys(row.scan for row in rows))
    means = mean_rows(rows) if len(scans) > 1 else []
    found = []
    for scan in [*scans, *([MEAN] if means else [])]:
        for one in baselines:
            some = [r for r in (*rows, *means) if (r.scan, r.codec) == (scan, one.name)]
            done = sorted(measured_rows(some), key=lambda row: row.setting)
            if not some:
                continue
            results = {"psnr": [row.psnr_db for row in done]}
            results |= {one.goal: [row.setting for row in done]}
            results |= {
                name: [getattr(row, name) for row in done]
                for name in (*MEANT, "way", "parts")
                if name != "psnr_db"
            }
            head = {"name": one.name, "description": one.title, "source": scan}
            found.append(head | {"results": results})
    return found


def _mean(rows: Sequence[Row]) -> Row:
    first = rows[0]
    figures: dict[str, Any] = {}
    for name in MEANT:
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        whole = len(values) == len(rows)
        figures[name] = (
            (max(values) if name == "largest_error_m" else fmean(values)) if whole else None
        )
    layers = dict.fromkeys(name for row in rows for name in row.parts)
    parts = {name: fmean(row.parts.get(name, 0) for row in rows) for name in layers}
    points = round(fmean(row.points for row in rows))
    return Row("", MEAN, first.codec, first.goal, first.setting, points, parts=parts, **figures)


def centimetres(max_error: float) -> str:
    """A largest error for people."""
    return f"{100 * max_error:g} cm"
