"""Sections of the page that put quINR's figures beside those they are to be compared with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import fmean

from pipeline.benchmark.rate.baselines import Contestant
from pipeline.benchmark.rate.markdown import centimetres, markdown_table, number
from pipeline.benchmark.rate.measure import Row
from pipeline.benchmark.rate.model_table import PriorRow
from pipeline.benchmark.rate.summary import OURS, PEERS, fair_rows, mean_rows, savings

SEEN = " *"


def against_section(
    rows: Sequence[Row], contestants: Sequence[Contestant], seen: Collection[str]
) -> str:
    """Our bits against each peer's, scan by scan."""
    fair = fair_rows(rows, seen)
    titles = {one.name: one.title for one in contestants}
    parts = []
    for peer in PEERS:
        total = savings(fair, OURS, peer)
        if not total:
            continue
        bounds = [one.bound for one in total]
        body = []
        for scan in dict.fromkeys(row.scan for row in rows):
            found = savings([row for row in fair if row.scan == scan], OURS, peer)
            percent = {one.bound: one.mean for one in found}
            if not percent:
                continue
            cells = [number(percent.get(bound), "{:+.1f}") for bound in bounds]
            body.append([scan + SEEN * (scan in seen), *cells])
        body.append(["mean", *(f"{one.mean:+.1f}" for one in total)])
        body.append(["worst", *(f"{one.worst:+.1f}" for one in total)])
        parts.append(markdown_table([titles[peer], *map(centimetres, bounds)], body))
    if not parts:
        return ""
    text = (
        "Bits of quINR's files less those of the other's, percent of the latter. Of scans marked "
        "with a star, from which the built-in prior was made, the figures are those of priors "
        "that were trained on the other ones; where there are none, the scan has no row.\n\n"
    )
    return "\n## quINR against JPEG XL\n\n" + text + "\n".join(parts)


def ranges_section(rows: Sequence[Row], contestants: Sequence[Contestant]) -> str:
    """Bits of the ranges alone: files and code lengths by models, all on the same pixels."""
    means = [row for row in mean_rows(rows) if row.goal == "bound" and "ranges" in row.parts]
    bounds = sorted({row.setting for row in means})
    bits = {(row.codec, row.setting): 8 * row.parts["ranges"] / row.points for row in means}
    body = [
        [one.title, *(number(bits.get((one.name, bound)), "{:.3f}") for bound in bounds)]
        for one in contestants
        if any((one.name, bound) in bits for bound in bounds)
    ]
    if len(body) < 2:
        return ""
    text = (
        "Mean bytes over mean points, without mask and preview. What is called a code length is "
        "what an ideal coder would write by the model's probabilities; in all other tables the "
        "bytes of quINR's mask layer are added to it. The MLP has as many parameters as quINR's "
        "field and the same inputs, mixture, scans and training; both without the adaptation "
        "that quINR's files have on top. Neither has seen the scan it codes.\n\n"
    )
    head = ["bits a point", *map(centimetres, bounds)]
    return "\n## The ranges layer alone\n\n" + text + markdown_table(head, body)


def timing_section(rows: Sequence[Row]) -> str:
    """Milliseconds of the layers that depend on the bound."""
    ours = [row for row in mean_rows(rows) if row.codec == OURS]
    body = [
        [centimetres(row.setting), *(number(value, "{:.0f}") for value in _milliseconds(row))]
        for row in sorted(ours, key=lambda row: row.setting)
    ]
    if not body:
        return ""
    text = "Of mask and ranges on one core, medians of several runs, mean over scans."
    trained = [row.training_seconds for row in ours if row.training_seconds is not None]
    if trained:
        text += f" Training a preview takes {fmean(trained):.1f} s on top, once a scan."
    head = ["", "encode, ms", "decode, ms"]
    return f"\n## quINR's seconds\n\n{text}\n\n" + markdown_table(head, body)


def equal_rate_section(rows: Sequence[Row], contestants: Sequence[Contestant], bpp: float) -> str:
    """PSNR of all that were asked for the same rate."""
    scans = list(dict.fromkeys(row.scan for row in rows))
    quality = {(row.codec, row.scan): row.psnr_db for row in rows if _asked(row, bpp)}
    body = []
    for one in contestants:
        found = [quality.get((one.name, scan)) for scan in scans]
        known = [value for value in found if value is not None]
        if known:
            mean = fmean(known) if len(known) == len(found) else None
            body.append([one.title, *(number(value, "{:.2f}") for value in (*found, mean))])
    if len(body) < 2:
        return ""
    text = "Whole image, dB; whole files, a mask that is sent apart included.\n\n"
    head = ["", *scans, "mean"]
    return f"\n## PSNR of files of {bpp:g} bpp\n\n{text}" + markdown_table(head, body)


def _asked(row: Row, bpp: float) -> bool:
    return row.goal == "rate" and row.setting == bpp


def _milliseconds(row: Row) -> list[float | None]:
    return [None if one is None else 1e3 * one for one in (row.encode_seconds, row.decode_seconds)]


def priors_section(priors: Sequence[PriorRow]) -> str:
    """What one prior for all bounds loses, and what its rounding costs."""
    if not priors:
        return ""
    bounds = sorted({bound for row in priors for bound in row.code_length})
    body = [
        [
            row.name,
            number(row.bytes, "{:d}"),
            *(number(row.code_length.get(bound), "{:.4f}") for bound in bounds),
            *(number(row.file.get(bound), "{:.4f}") for bound in bounds),
        ]
        for row in priors
    ]
    head = ["prior", "bytes"]
    head += [f"field, {centimetres(bound)}" for bound in bounds]
    head += [f"layer, {centimetres(bound)}" for bound in bounds]
    text = (
        "Bits a point on the scans that the built-in prior has not seen: by the field's "
        "probabilities alone, and of the ranges layer, which adapts to the scan as well. These "
        "priors learnt from the scans of the built-in one, in fewer steps.\n\n"
    )
    return "\n## Priors\n\n" + text + markdown_table(head, body)
