"""``quinr bench paper``: quINR and all that it is compared with at equal bytes; papers' claims."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.benchmark.baseline import Request
from pipeline.benchmark.baselines.fields import FIELDS, PICTURE_SIZES, SCAN_SIZES
from pipeline.benchmark.figures import draw_curves
from pipeline.benchmark.registry import BASELINES, PAPER
from pipeline.benchmark.results import Comparison, by_source
from pipeline.benchmark.runner import Job, Point, SourceFile, require_known
from pipeline.benchmark.summary import (
    SAME_SIZE,
    bd_psnr,
    best_variants,
    curve_of,
    mean_gain,
)
from pipeline.datasets.pictures import is_picture
from pipeline.evaluation.markdown import markdown_table, number

CODEC_SIZES = (2500, 5000)
"""Sizes beyond the fields', where codecs come into their own."""
MAIN = ("quinr", "quinr-1", "siren")
"""Have several seeds and all pictures; the other fields, far behind, one seed and one picture."""
TIE_DB = 0.1


def plan_paper(
    sources: Sequence[SourceFile],
    names: Sequence[str] = (),
    sizes: Sequence[int] = (),
    seeds: int = 3,
    share: float = 1.0,
) -> list[Job]:
    """Every point, the quick ones first; those of :data:`MAIN` with several seeds.

    All baselines and sizes (bytes) by default; ``share`` is that of the usual training steps.

    Raises:
        DatasetError: a baseline is unknown.
    """
    require_known(names)
    pictures = [one for one in sources if is_picture(one.path)]

    def jobs_of(source: SourceFile) -> Iterator[Job]:
        picture = source in pictures
        channels, usual = (3, PICTURE_SIZES) if picture else (1, SCAN_SIZES)
        for one in PAPER:
            field, main = one in FIELDS, one.name in MAIN
            if ("picture" if picture else "scan") not in one.codes:
                continue
            if (names and one.name not in names) or (field and not main and source in pictures[1:]):
                continue
            for size in sizes or (usual if field else (*usual, *CODEC_SIZES)):
                for variant in range(len(one.variants(size, channels))):
                    for seed in range(seeds if main else 1):
                        request = Request(size, channels, variant, seed, share if field else 1.0)
                        yield Job(source, one.name, request)

    jobs = [job for source in sources for job in jobs_of(source)]
    return sorted(jobs, key=lambda job: (job.request.setting, job.request.seed))


@dataclass(frozen=True)
class Claim:
    """What a paper claims, what was measured here, and a judgement."""

    claim: str
    measured: str
    judgement: str


def judge(points: Sequence[Point], others: dict[str, Any]) -> list[Claim]:
    """All claims that the best variants, and results of ``shots`` and ``small-images``, bear on."""
    scans = [one for one in points if one.source.endswith(".bin")]
    pictures = [one for one in points if one not in scans]
    return [
        _against(scans, "JPEG 2000 at small bpp (scans)", "jpeg2000-8", SCAN_SIZES),
        _against(pictures, "JPEG 2000 at small bpp (pictures)", "jpeg2000-8", PICTURE_SIZES),
        _against(scans, "COIN as published (scans)", "coin", SCAN_SIZES),
        _against(scans, "a tuned SIREN (scans)", "siren", SCAN_SIZES),
        _against(pictures, "a tuned SIREN (pictures)", "siren", PICTURE_SIZES),
        _one_layer(scans),
        _literal(scans),
        _shots(others.get("shots")),
        _small_images(others.get("small-images")),
    ]


def _gains(
    points: Sequence[Point], other: str, sizes: Sequence[int]
) -> tuple[dict[int, float], str]:
    gains = {size: mean_gain(points, "quinr", other, size) for size in sizes}
    known = {size: gain for size, gain in gains.items() if gain is not None}
    return known, ", ".join(f"{gain:+.2f} dB at {size} B" for size, gain in known.items())


def _against(points: Sequence[Point], what: str, other: str, sizes: Sequence[int]) -> Claim:
    known, measured = _gains(points, other, sizes)
    won = [size for size, gain in known.items() if gain > TIE_DB]
    judgement = f"a tie at every size measured: within {TIE_DB} dB, as seeds are"
    if not known:
        judgement = "not measured"
    elif len(won) == len(known):
        judgement = "holds at every size measured"
    elif won:
        judgement = f"holds at {', '.join(map(str, won))} B only"
    elif any(gain < -TIE_DB for gain in known.values()):
        judgement = "does not hold"
    return Claim(f"quINR is better than {what}; up to 1.2 dB", measured or "-", judgement)


def _one_layer(points: Sequence[Point]) -> Claim:
    known, measured = _gains(points, "quinr-1", SCAN_SIZES)
    grows = len(known) > 1 and known[max(known)] > known[min(known)]
    trend = "true of one sine layer, whose trainings stall; several do not"
    return Claim(
        "quINR saturates at large bpp",
        f"several sine layers against one: {measured or 'not measured'}",
        trend if grows else "not settled by these sizes",
    )


def _literal(points: Sequence[Point]) -> Claim:
    parts = []
    for name in ("quinr-literal", "coin-literal"):
        values = [one.figures["psnr_db"] for one in points if one.baseline == name]
        if values:
            parts.append(f"{name.split('-')[0]} {min(values):.1f} to {max(values):.1f} dB")
    poor = "hardly trains at all: a constant image has 8.9 dB on KITTI 00/000000"
    claim = "AdamW at a learning rate of 1e-1 for quINR and COIN"
    return Claim(claim, ", ".join(parts) or "not measured", poor if parts else "not measured")


def _shots(result: dict[str, Any] | None) -> Claim:
    claim = "O(2^n) measurements a pixel for n qubits"
    growth = (result or {}).get("growth")
    if not growth:
        return Claim(claim, "`quinr bench shots -o docs/results/shots.json`", "not measured")
    slope, error = growth["slope"], growth["standard_error"]
    judgement = (
        "about right over the qubits measured: what counts is the learned output scale, which "
        "makes up for probabilities of 2^-n until it stops doubling"
        if abs(slope - 1) < 0.35
        else "does not describe trained files: the learned output scale decides, not 2^n"
    )
    return Claim(claim, f"log2(shots) grows by {slope:.2f} +- {error:.2f} a qubit", judgement)


def _small_images(result: dict[str, Any] | None) -> Claim:
    claim = "QIREN: 34.8 % lower error on 32 x 32 Astronaut, Camera, Coffee; "
    claim += "24 % on 64 x 64 super-resolution"
    if not result:
        return Claim(claim, "`quinr bench small-images`", "not measured")
    sentences = [one for one in result["judgement"] if one.startswith("QIREN")]
    held = not any("not reproduced" in one for one in sentences)
    return Claim(claim, "; ".join(sentences), "reproduced" if held else "not reproduced")


def _claims(points: Sequence[Point], out: Path) -> list[Claim]:
    """Claims, with the results of other benchmarks that were written into the same folder."""
    paths = {name: out / f"{name}.json" for name in ("shots", "small-images")}
    others = {name: json.loads(path.read_bytes()) for name, path in paths.items() if path.exists()}
    return judge(best_variants(points), others)


def _values(points: Sequence[Point], out: Path) -> dict[str, Any]:
    """What the template of the page shows."""
    best = best_variants(points)
    rows = [[one.claim, one.measured, one.judgement] for one in _claims(points, out)]
    scans = dict(sorted(by_source(best).items()))
    return {
        "claims": markdown_table(["claim", "measured here", "judgement"], rows, left=range(3)),
        "sources": [(name, _table(some), _details(some)) for name, some in scans.items()],
    }


def _table(points: Sequence[Point]) -> str:
    sizes = sorted({one.setting for one in points})
    cells = {(one.baseline, one.setting): _cell(one) for one in points}
    source, body = points[0].source, []
    for name in dict.fromkeys(one.baseline for one in points):
        curves = [curve_of(points, source, one) for one in ("quinr", name)]
        gap = None if name == "quinr" else bd_psnr(*curves)
        row = [cells.get((name, size), "") for size in sizes]
        body.append([BASELINES[name].title, *row, number(gap, "{:+.2f} dB")])
    head = ["", *(f"{size:g} B" for size in sizes), "BD-PSNR against quINR"]
    return markdown_table(head, body)


def _cell(point: Point) -> str:
    figures = point.figures
    spread = (figures["psnr_high_db"] - figures["psnr_low_db"]) / 2
    text = f"{figures['psnr_db']:.2f}" + (f" ± {spread:.2f}" if figures["seeds"] > 1 else "")
    same = abs(figures["bytes"] - point.setting) <= SAME_SIZE * point.setting
    return text if same else f"{text} ({figures['bytes']:.0f} B)"


def _details(points: Sequence[Point]) -> str:
    body = []
    for one in points:
        figures, before = one.figures, one.figures.get("float_psnr_db")
        lost = None if before is None else before - figures["psnr_db"]
        seconds = number(figures.get("training_seconds"), "{:.1f}")
        row = [BASELINES[one.baseline].title, f"{one.setting:g}", one.label]
        body += [[*row, number(lost, "{:.3f}"), seconds]] if one.label else []
    head = ["baseline", "bytes", "field", "lost by quantisation, dB", "core-seconds"]
    return markdown_table(head, body, left=(0, 2)) if body else ""


def _facts(points: Sequence[Point], out: Path) -> dict[str, Any]:
    return {"claims": [asdict(claim) for claim in _claims(points, out)]}


COMPARISON = Comparison(
    "paper",
    "results.json",
    "rate-distortion.svg",
    _values,
    _facts,
    lambda points: draw_curves(best_variants(points)),
)
