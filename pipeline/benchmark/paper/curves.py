"""Points to curves: the best field at every size, means and spreads over seeds, deltas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from pipeline.benchmark.paper.baselines import BASELINES
from pipeline.benchmark.paper.points import Point
from quinr_lidar.errors import GeometryError


@dataclass(frozen=True)
class CurvePoint:
    """A baseline at a size.

    Attributes:
        size: Bytes asked for.
        bytes: Of the files, mean over seeds.
        bpp: Likewise.
        psnr_db: Likewise.
        low_db: Of the worst seed.
        high_db: Of the best one.
        loss_db: By quantisation, mean; ``None`` where it is not known.
        seconds: Of a training, mean.
        label: The field that was best.
        seeds: How many there were.
    """

    size: int
    bytes: float
    bpp: float
    psnr_db: float
    low_db: float
    high_db: float
    loss_db: float | None
    seconds: float | None
    label: str
    seeds: int


@dataclass(frozen=True)
class Curve:
    """A baseline on one source."""

    source: str
    name: str
    title: str
    points: tuple[CurvePoint, ...]

    def at(self, size: int) -> CurvePoint | None:
        """The point of a size."""
        return next((point for point in self.points if point.size == size), None)

    def as_dict(self) -> dict[str, Any]:
        """In the form rate-distortion results usually have, and all details."""
        results = {
            "bpp": [point.bpp for point in self.points],
            "psnr": [point.psnr_db for point in self.points],
        }
        details = [asdict(point) for point in self.points]
        head = {"name": self.name, "description": self.title, "source": self.source}
        return head | {"results": results, "points": details}


def make_curves(points: Sequence[Point]) -> list[Curve]:
    """A curve for every source and baseline, in the order of the baselines."""
    grouped: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for point in points:
        if point.psnr_db is not None:
            grouped[point.source, point.name].append(point)
    order = {name: rank for rank, name in enumerate(BASELINES)}
    curves = [
        Curve(source, name, title_of(name), tuple(_points(some)))
        for (source, name), some in grouped.items()
    ]
    return sorted(curves, key=lambda one: (one.source, order.get(one.name, len(order)), one.name))


def title_of(name: str) -> str:
    """A baseline's or codec's name for people."""
    if name in BASELINES:
        return BASELINES[name].title
    titles = {
        "codec:jpeg2000-8": "JPEG 2000, 8 bits",
        "codec:jpeg2000-16": "JPEG 2000, 16 bits",
        "codec:jpeg": "JPEG",
        "codec:jpeg-xl": "JPEG XL",
        "codec:webp": "WebP",
    }
    return titles.get(name, name)


def mean_gain(curves: Sequence[Curve], name: str, other: str, size: int) -> float | None:
    """By how much one is above another at equal bytes, mean over sources, dB.

    The other's PSNR is interpolated at the first one's bytes; sources where that is not possible
    do not count.
    """
    # bjontegaard imports matplotlib, and belongs to an extra.
    from pipeline.benchmark.rate_distortion import interpolated_psnr

    gains = []
    for curve in curves:
        theirs = _find(curves, curve.source, other)
        ours = curve.at(size) if curve.name == name else None
        if ours is None or theirs is None:
            continue
        same = theirs.at(size)
        if same is not None and abs(same.bytes - ours.bytes) <= 0.02 * ours.bytes:
            gains.append(ours.psnr_db - same.psnr_db)
            continue
        rising = _rising(theirs)
        psnr = interpolated_psnr(rising, round(ours.bytes)) if len(rising) > 1 else None
        if psnr is not None:
            gains.append(ours.psnr_db - psnr)
    return round(fmean(gains), 3) if gains else None


def delta(curves: Sequence[Curve], source: str, name: str, other: str) -> float | None:
    """Bjontegaard's mean PSNR difference of a baseline against another, dB."""
    from pipeline.benchmark.rate_distortion import bjontegaard_deltas

    first, second = _find(curves, source, other), _find(curves, source, name)
    if first is None or second is None:
        return None
    try:
        found = bjontegaard_deltas(_rising(first), _rising(second))
    except GeometryError:  # a single point is no curve
        return None
    return None if found is None else round(found.psnr_db, 3)


def _find(curves: Sequence[Curve], source: str, name: str) -> Curve | None:
    return next((one for one in curves if (one.source, one.name) == (source, name)), None)


def _rising(curve: Curve) -> list[tuple[int, float]]:
    """Bytes and PSNR, without points that cost more and give less."""
    rising: list[tuple[int, float]] = []
    for point in sorted(curve.points, key=lambda one: one.bytes):
        size = round(point.bytes)
        if not rising or (point.psnr_db > rising[-1][1] and size > rising[-1][0]):
            rising.append((size, point.psnr_db))
    return rising


def _points(points: list[Point]) -> list[CurvePoint]:
    by_size: dict[int, dict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        by_size[point.size][point.label].append(point)
    return [
        max((_mean(size, label, some) for label, some in labels.items()), key=lambda p: p.psnr_db)
        for size, labels in sorted(by_size.items())
    ]


def _mean(size: int, label: str, points: list[Point]) -> CurvePoint:
    psnrs = [point.psnr_db for point in points if point.psnr_db is not None]
    losses = [
        point.float_psnr_db - point.psnr_db
        for point in points
        if point.float_psnr_db is not None and point.psnr_db is not None
    ]
    seconds = [point.seconds for point in points if point.seconds is not None]
    return CurvePoint(
        size=size,
        bytes=round(fmean(point.bytes or 0 for point in points), 1),
        bpp=round(fmean(point.bpp or 0 for point in points), 6),
        psnr_db=round(fmean(psnrs), 3),
        low_db=round(min(psnrs), 3),
        high_db=round(max(psnrs), 3),
        loss_db=round(fmean(losses), 3) if losses else None,
        seconds=round(fmean(seconds), 1) if seconds else None,
        label=label,
        seeds=len(points),
    )
