"""The cards on top of a report, on the page and as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.evaluation.markdown import markdown_table
from pipeline.facts.units import plain_length, text_of, unit_for
from pipeline.fidelity.statistics import Statistics
from pipeline.report.document import Report, State, Summary


@dataclass(frozen=True)
class Card:
    """One figure on top of a report.

    Attributes:
        label: Name of the figure.
        value: Its value with the unit.
        detail: A few more words.
        state: Whether it is good or bad, if one can say so.
    """

    label: str
    value: str
    detail: str = ""
    state: State | None = None


def cards_of(report: Report) -> list[Card]:
    """Cards of the figures that are known."""
    return [*_frames(report.summary), *_sizes(report.summary), *_fidelity(report), *_tasks(report)]


def _frames(summary: Summary) -> Iterator[Card]:
    held = f"{summary.held:,} in the archive"
    yield Card("Frames", f"{summary.frames:,}", held)
    state: State = "bad" if summary.failed else "good"
    share = f"{100 * summary.failed / max(summary.frames, 1):.1f}\u00a0% of the frames"
    yield Card("Failures", f"{summary.failed:,}", share if summary.failed else "none", state)


def _sizes(summary: Summary) -> Iterator[Card]:
    if summary.raw_bytes is not None:
        mean = text_of("bytes", summary.raw_bytes / max(summary.held, 1))
        yield Card("Scans", text_of("bytes", summary.raw_bytes), f"{mean} a frame")
    mean = text_of("bytes", summary.mean_frame_bytes)
    detail = "" if summary.mean_frame_bytes is None else f"{mean} a frame"
    yield Card("Archive", text_of("bytes", float(summary.archive_bytes)), detail)
    if summary.ratio is not None:
        yield Card("Ratio", f"{summary.ratio:,.0f} : 1", "scans over archive")
    if summary.bpp is not None:
        yield Card("Bits a pixel", f"{summary.bpp:.3f}", "of the range image")


def _fidelity(report: Report) -> Iterator[Card]:
    summary = report.summary
    psnr = report.figures.get("psnr_db")
    if psnr is not None:
        yield Card("PSNR", text_of("psnr", psnr["mean"]), _span(psnr, "psnr"))
    chamfer = report.figures.get("chamfer_m")
    if chamfer is not None:
        yield Card("Chamfer distance", text_of("length", chamfer["mean"]), _span(chamfer, "length"))
    if not summary.held:
        return
    error = f"largest error {text_of('length', summary.largest_error_m)}"
    if summary.max_error_m is not None:
        error += f" of {plain_length(summary.max_error_m)}"
    states: dict[str, State] = {"yes": "good", "no": "bad", "unknown": "bad"}
    kept = summary.max_error_kept
    yield Card("Max error kept", kept[0].upper() + kept[1:], error, states.get(kept))


def _span(figure: Statistics, kind: str) -> str:
    unit = unit_for(kind, [figure["max"]])  # pyright: ignore[reportArgumentType]
    low, high = unit.number(figure["min"]), unit.number(figure["max"])
    return f"mean; {low} to {high}"


def _tasks(report: Report) -> Iterator[Card]:
    summary = report.summary
    if summary.drift_per_m is not None:
        detail = f"against {summary.drift_reference}"
        if summary.drift_scan_per_m is not None:
            detail += f"; scans {text_of('rate', summary.drift_scan_per_m)}"
        yield Card("Odometry drift", text_of("rate", summary.drift_per_m), detail)
    if summary.d1_psnr_db is not None:
        d1, d2 = (f"{value:.1f}" for value in (summary.d1_psnr_db, summary.d2_psnr_db or 0.0))
        yield Card("D1 / D2 PSNR", f"{d1} / {d2} dB", "range image to decoded")
    if summary.occupancy_iou is not None:
        ground = summary.ground_iou
        detail = "" if ground is None else f"ground {ground:.3f}"
        yield Card("Occupancy IoU", f"{summary.occupancy_iou:.3f}", detail)


def summary_markdown(report: Report, cards: Sequence[Card]) -> str:
    """The cards as a table, and the verdicts; text of files is escaped."""
    body = [[_plain(part) for part in (card.label, card.value, card.detail)] for card in cards]
    table = markdown_table(("", "", ""), body, left=(0, 2))
    marks = {"good": "OK", "bad": "PROBLEM", "note": "note"}
    verdicts = "".join(
        f"- **{marks[verdict.state]}**: {_plain(verdict.text)}\n" for verdict in report.verdicts
    )
    return f"### {_plain(report.archive.sequence)}\n\n{table}\n{verdicts}"


def _plain(text: str) -> str:
    """Text with characters escaped that mean something in Markdown."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", escaped)
