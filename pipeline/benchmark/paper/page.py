"""The results as one page of markdown: tables, claims, and the commands that made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.benchmark.paper.claims import Claim
from pipeline.benchmark.paper.curves import Curve, delta

HEAD = """# Results

Rate and distortion of quINR and of all it is compared with, as `quinr bench paper` measures them.
Bytes are whole files, header and checksum included; PSNR is of what a file decodes to, over all
pixels (invalid pixels of a scan hold the maximum range, as in the paper). Fields share one
trainer, quantiser and container; of several fields that a baseline enters at a size the best
mean counts. JPEG 2000 and the other codecs search all their settings for the best PSNR that fits,
and bytes a decoder does without (comments, boxes) do not count.

"""


def write_page(curves: Sequence[Curve], claims: Sequence[Claim], figure: Path, command: str) -> str:
    """The page.

    Args:
        curves: All of them.
        claims: As judged.
        figure: The plot, relative to the page.
        command: That made all this.
    """
    parts = [HEAD, f"Made by `{command}`.\n\n![Rate and distortion]({figure})\n\n"]
    parts.append(
        "## Claims of the papers\n\n| claim | measured here | judgement |\n| --- | --- | --- |\n"
    )
    parts += [f"| {one.claim} | {one.measured} | {one.judgement} |\n" for one in claims]
    for source in sorted({curve.source for curve in curves}):
        parts.append(f"\n## {source}\n\n" + _table([c for c in curves if c.source == source]))
        parts.append(_details([c for c in curves if c.source == source]))
    return "".join(parts)


def _table(curves: Sequence[Curve]) -> str:
    sizes = sorted({point.size for curve in curves for point in curve.points})
    head = "| | " + " | ".join(f"{size} B" for size in sizes) + " | BD-PSNR against quINR |\n"
    rows = [head, "| --- |" + " ---: |" * (len(sizes) + 1) + "\n"]
    for curve in curves:
        cells = [_cell(curve, size) for size in sizes]
        gap = None if curve.name == "quinr" else delta(curves, curve.source, curve.name, "quinr")
        cells.append("" if gap is None else f"{gap:+.2f} dB")
        rows.append(f"| {curve.title} | " + " | ".join(cells) + " |\n")
    note = (
        "\nPSNR in dB, mean over seeds with half the distance of the worst from the best; bytes "
        "where they differ by more than 2 % from what was asked for. What is empty was not run, or "
        "cannot be written.\n"
    )
    return "".join(rows) + note


def _cell(curve: Curve, size: int) -> str:
    point = curve.at(size)
    if point is None:
        return ""
    spread = (point.high_db - point.low_db) / 2
    text = f"{point.psnr_db:.2f}" + (f" ± {spread:.2f}" if point.seeds > 1 else "")
    return text if abs(point.bytes - size) <= 0.02 * size else f"{text} ({point.bytes:.0f} B)"


def _details(curves: Sequence[Curve]) -> str:
    rows: list[dict[str, Any]] = [
        {
            "who": curve.title,
            "size": point.size,
            "field": point.label,
            "lost": "" if point.loss_db is None else f"{point.loss_db:.3f}",
            "seconds": "" if point.seconds is None else f"{point.seconds:.1f}",
        }
        for curve in curves
        for point in curve.points
        if point.label
    ]
    if not rows:
        return ""
    lines = [f"| {' | '.join(str(value) for value in row.values())} |\n" for row in rows]
    return (
        "\n<details><summary>Fields, loss by quantisation, training time</summary>\n\n"
        "| baseline | bytes | field | lost by quantisation, dB | core-seconds |\n"
        "| --- | ---: | --- | ---: | ---: |\n" + "".join(lines) + "\n</details>\n"
    )
