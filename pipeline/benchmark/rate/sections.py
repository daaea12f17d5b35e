"""Sections of the page that put quINR's figures beside those they are to be compared with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import fmean

from pipeline.benchmark.rate.baselines import Baseline
from pipeline.benchmark.rate.measure import Row
from pipeline.benchmark.rate.model_table import ModelRow
from pipeline.benchmark.rate.summary import OURS, PEERS, centimetres, fair_rows, mean_rows, savings
from pipeline.evaluation.markdown import markdown_table, number

SEEN = " *"


def against_section(
    rows: Sequence[Row], baselines: Sequence[Baseline], seen: Collection[str]
) -> str:
    """Our bits against each peer's, scan by scan."""
    fair = fair_rows(rows, seen)
    titles = {one.name: one.title for one in baselines}
    parts = []
    for peer in PEERS:
        total = savings(fair, OURS, peer)
        if not total:
            continue
        max_errors = [one.max_error for one in total]
        body = []
        for scan in dict.fromkeys(row.scan for row in rows):
            found = savings([row for row in fair if row.scan == scan], OURS, peer)
            percent = {one.max_error: one.mean for one in found}
            if not percent:
                continue
            cells = [number(percent.get(max_error), "{:+.1f}") for max_error in max_errors]
            body.append([scan + SEEN * (scan in seen), *cells])
        body.append(["mean", *(f"{one.mean:+.1f}" for one in total)])
        body.append(["worst", *(f"{one.worst:+.1f}" for one in total)])
        parts.append(markdown_table([titles[peer], *map(centimetres, max_errors)], body))
    if not parts:
        return ""
    text = (
        "Bits of quINR's files less those of the other's, percent of the latter. Of scans marked "
        "with a star, from which the built-in entropy model was made, the figures are those of "
        "entropy models that were trained on the other ones; where there are none, the scan has "
        "no row.\n\n"
    )
    return "\n## quINR against JPEG XL\n\n" + text + "\n".join(parts)


def ranges_section(rows: Sequence[Row], baselines: Sequence[Baseline]) -> str:
    """Bits of the ranges alone: files and code lengths by models, all on the same pixels."""
    means = [row for row in mean_rows(rows) if row.goal == "max_error" and "ranges" in row.parts]
    max_errors = sorted({row.setting for row in means})
    bits = {(row.codec, row.setting): 8 * row.parts["ranges"] / row.points for row in means}
    body = [
        [
            one.title,
            *(number(bits.get((one.name, max_error)), "{:.3f}") for max_error in max_errors),
        ]
        for one in baselines
        if any((one.name, max_error) in bits for max_error in max_errors)
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
    head = ["bits a point", *map(centimetres, max_errors)]
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


def equal_rate_section(rows: Sequence[Row], baselines: Sequence[Baseline], bpp: float) -> str:
    """PSNR of all that were asked for the same rate."""
    scans = list(dict.fromkeys(row.scan for row in rows))
    quality = {(row.codec, row.scan): row.psnr_db for row in rows if _asked(row, bpp)}
    body = []
    for one in baselines:
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


def models_section(entropy_models: Sequence[ModelRow]) -> str:
    """What one entropy model for all bounds loses, and what its rounding costs."""
    if not entropy_models:
        return ""
    max_errors = sorted({max_error for row in entropy_models for max_error in row.code_length})
    body = [
        [
            row.name,
            number(row.bytes, "{:d}"),
            *(number(row.code_length.get(max_error), "{:.4f}") for max_error in max_errors),
            *(number(row.file.get(max_error), "{:.4f}") for max_error in max_errors),
        ]
        for row in entropy_models
    ]
    head = ["entropy_model", "bytes"]
    head += [f"field, {centimetres(max_error)}" for max_error in max_errors]
    head += [f"layer, {centimetres(max_error)}" for max_error in max_errors]
    text = (
        "Bits a point on the scans that the built-in entropy model has not seen: by the field's "
        "probabilities alone, and of the ranges layer, which adapts to the scan as well. These "
        "entropy models learnt from the scans of the built-in one, in fewer steps.\n\n"
    )
    return "\n## Entropy models\n\n" + text + markdown_table(head, body)
