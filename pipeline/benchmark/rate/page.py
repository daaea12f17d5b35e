"""The results as one page of markdown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import fmean

from pipeline.benchmark.rate.baselines import Baseline
from pipeline.benchmark.rate.measure import Row
from pipeline.benchmark.rate.model_table import ModelRow
from pipeline.benchmark.rate.sections import (
    against_section,
    equal_rate_section,
    models_section,
    ranges_section,
    timing_section,
)
from pipeline.benchmark.rate.summary import centimetres, mean_rows, psnr_at
from pipeline.cli.console import format_value
from pipeline.evaluation.markdown import markdown_table, number

RATE_SHOWN, EQUAL_RATE = 0.8, 0.2
"""Bits a pixel of the tables of PSNR: between rows, and as asked for."""

HEAD = """# Rate at a guaranteed error

What each codec needs for a range image so that no range, or no point, is off by more than the
bound, as `quinr bench rate` measures it. Bytes are whole streams, mask or geometry included; no
codec pays for projection and maximum range, which every decoder is told. Several settings of each
are tried, the smallest file counts. Every file is decoded, and every error is that of the decoded
scan: one above the bound would be no row but a failure.

- *Image codecs* store `round(range / (2 max_error)) + 1` without loss, 0 for invalid pixels; bytes
  of containers do not count. Bounds that need more than 16 bits have no row.
- *Point codecs* store the points re-created at the pixels' centres, on a grid of cells whose half
  diagonal is the bound; their maximum error is the distance of a point from its decoded self.
  PSNR is of the decoded points projected again, which puts some into another pixel, or behind
  another point: a decoder is not told the pixels. Draco does not keep the order of points; the
  benchmark, not a decoder, knows which is which.
- *JPEG 2000* knows no bound: it is given rates, and the best PSNR of all its settings counts.
- D1 RMSE is the root mean squared distance to the nearest point, of the worse direction; Chamfer is
  the mean distance, mean of both directions, not squared. PSNR is the paper's: whole image,
  invalid pixels at the maximum range, which is the peak.
- Seconds are of the winning setting on one thread; the search for it is not counted. Those of
  quINR are of mask and ranges: its preview does not depend on the bound and is trained apart.
- quINR's built-in entropy model was made from some scans. Where such a scan is measured, it is
named below,
  and "no entropy model has seen the scan" is quINR with an entropy model that was trained on the
  other ones only.

"""

OF_MEANS = """Maximum errors are the largest. All figures of each scan are in the JSON next to the
plot.

"""

_COLUMNS = {
    "bytes": ("bytes", "{:.0f}"),
    "bits_per_point": ("bits a point", "{:.3f}"),
    "bpp": ("bpp", "{:.3f}"),
    "largest_error_m": ("max error, m", "{:.4f}"),
    "d1_rmse_m": ("D1 RMSE, m", "{:.4f}"),
    "chamfer_m": ("Chamfer, m", "{:.4f}"),
    "psnr_db": ("PSNR, dB", "{:.2f}"),
    "encode_seconds": ("encode, s", "{:.3f}"),
    "decode_seconds": ("decode, s", "{:.4f}"),
}


def write_page(
    rows: Sequence[Row],
    baselines: Sequence[Baseline],
    figure: str,
    command: str,
    seen: Collection[str] = (),
    entropy_models: Sequence[ModelRow] = (),
) -> str:
    """The page.

    Args:
        rows: All of them.
        baselines: In the order of the tables.
        figure: The plot, relative to the page.
        command: That made all this.
        seen: Scans from which quINR's built-in entropy model was made.
        entropy_models: Of the table of entropy models, if it was asked for.
    """
    scans = list(dict.fromkeys(row.scan for row in rows))
    parts = [HEAD, f"Made by `{command}`.\n\n![Bits a point against the bound]({figure})\n\n"]
    if seen:
        parts.append(f"The built-in entropy model was made from {', '.join(sorted(seen))}.\n")
    parts += [against_section(rows, baselines, seen), timing_section(rows)]
    parts += [ranges_section(rows, baselines), _rates(rows, baselines, scans)]
    parts += [equal_rate_section(rows, baselines, EQUAL_RATE), models_section(entropy_models)]
    if len(scans) > 1:
        means = mean_rows(rows)
        parts.append(f"\n## Mean of {len(scans)} scans\n\n{OF_MEANS}")
        parts += [_overview(means, baselines), "\n", _table(means, baselines)]
    for scan in scans:
        some = [row for row in rows if row.scan == scan]
        parts += [f"\n## {scan}\n\n", _overview(some, baselines)]
    if len(scans) == 1:
        parts += ["\n", _table(rows, baselines)]
    parts.append(_failures(rows))
    return "".join(parts)


def _overview(rows: Sequence[Row], baselines: Sequence[Baseline]) -> str:
    """Bits a point by codec and bound."""
    max_errors = sorted({row.setting for row in rows if row.goal == "max_error"})
    if not max_errors:
        return ""
    bits = {(row.codec, row.setting): row.bits_per_point for row in rows}
    head = ["bits a point", *map(centimetres, max_errors)]
    body = [
        [
            one.title,
            *(number(bits.get((one.name, max_error)), "{:.3f}") for max_error in max_errors),
        ]
        for one in baselines
        if one.goal == "max_error"
        and any((one.name, max_error) in bits for max_error in max_errors)
    ]
    return markdown_table(head, body)


def _table(rows: Sequence[Row], baselines: Sequence[Baseline]) -> str:
    head = ["codec", "asked for", *(title for title, _ in _COLUMNS.values()), "setting, layers"]
    body = [
        [
            one.title,
            asked_for(row),
            *(number(getattr(row, name), form) for name, (_, form) in _COLUMNS.items()),
            "; ".join(filter(None, [row.way, layers_of(row)])),
        ]
        for one in baselines
        for row in sorted(rows, key=lambda row: row.setting)
        if row.codec == one.name and row.error is None
    ]
    return markdown_table(head, body, left=(0, len(head) - 1))


def _rates(rows: Sequence[Row], baselines: Sequence[Baseline], scans: Sequence[str]) -> str:
    body = []
    for one in baselines:
        found = [
            psnr_at([r for r in rows if r.scan == scan], one.name, RATE_SHOWN) for scan in scans
        ]
        known = [value for value in found if value is not None]
        if known:
            mean = fmean(known) if len(known) == len(found) else None
            body.append([one.title, *(number(value, "{:.2f}") for value in (*found, mean))])
    if not body:
        return ""
    text = "Interpolated in log bits between the rows below; dB.\n\n"
    return f"\n## PSNR at {RATE_SHOWN:g} bpp\n\n{text}" + markdown_table(["", *scans, "mean"], body)


def _failures(rows: Sequence[Row]) -> str:
    failed = [row for row in rows if row.error is not None]
    lines = [f"- {row.scan}, {row.codec}, {asked_for(row)}: {row.error}\n" for row in failed]
    return "\n## Not measured\n\n" + "".join(lines) if failed else ""


def asked_for(row: Row) -> str:
    """A row's setting for people."""
    forms = {"max_error": centimetres(row.setting), "rate": f"{row.setting:g} bpp"}
    return forms.get(row.goal, row.goal)


def layers_of(row: Row) -> str:
    """Bytes of a row's layers for people."""
    return ", ".join(f"{name} {format_value(round(size))}" for name, size in row.parts.items())
