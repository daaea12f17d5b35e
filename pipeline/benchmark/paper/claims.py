"""What the papers claim, next to what was measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.benchmark.paper.baselines import PICTURE_SIZES, SCAN_SIZES
from pipeline.benchmark.paper.curves import Curve, mean_gain

TIE_DB = 0.1


@dataclass(frozen=True)
class Claim:
    """A row of the table: where it is said, what was measured, a judgement."""

    claim: str
    measured: str
    judgement: str


def judge(curves: Sequence[Curve], others: dict[str, Any]) -> list[Claim]:
    """All claims that these results bear on.

    Args:
        curves: Of scans and pictures.
        others: Results of other benchmarks by name: "small-images" and "shots", as their commands
            write them; what is missing is said to be.
    """
    scans = [one for one in curves if one.source.endswith(".bin")]
    pictures = [one for one in curves if not one.source.endswith(".bin")]
    return [
        _against(scans, "JPEG 2000 at small bpp (scans)", "codec:jpeg2000-8", SCAN_SIZES),
        _against(pictures, "JPEG 2000 at small bpp (pictures)", "codec:jpeg2000-8", PICTURE_SIZES),
        _against(scans, "COIN as published (scans)", "coin", SCAN_SIZES),
        _against(scans, "a tuned SIREN (scans)", "siren", SCAN_SIZES),
        _against(pictures, "a tuned SIREN (pictures)", "siren", PICTURE_SIZES),
        _single_layer(scans),
        _literal(scans),
        _shots(others.get("shots")),
        _small_images(others.get("small-images")),
    ]


def _against(curves: Sequence[Curve], what: str, other: str, sizes: Sequence[int]) -> Claim:
    gains = {size: mean_gain(curves, "quinr", other, size) for size in sizes}
    known = {size: gain for size, gain in gains.items() if gain is not None}
    measured = ", ".join(f"{gain:+.2f} dB at {size} B" for size, gain in known.items())
    won = [size for size, gain in known.items() if gain > TIE_DB]
    lost = [size for size, gain in known.items() if gain < -TIE_DB]
    if not known:
        judgement = "not measured"
    elif len(won) == len(known):
        judgement = "holds at every size measured"
    elif won:
        judgement = f"holds at {', '.join(map(str, won))} B only"
    elif lost:
        judgement = "does not hold"
    else:
        judgement = f"a tie at every size measured: within {TIE_DB} dB, as seeds are"
    return Claim(f"quINR is better than {what}; up to 1.2 dB", measured or "-", judgement)


def _single_layer(curves: Sequence[Curve]) -> Claim:
    gains = {size: mean_gain(curves, "quinr", "quinr-1", size) for size in SCAN_SIZES}
    known = {size: gain for size, gain in gains.items() if gain is not None}
    measured = ", ".join(f"{gain:+.2f} dB at {size} B" for size, gain in known.items())
    grows = len(known) > 1 and known[max(known)] > known[min(known)]
    return Claim(
        "quINR saturates at large bpp",
        f"several sine layers against one: {measured or 'not measured'}",
        "true of one sine layer, whose trainings stall; several do not"
        if grows
        else "not settled by these sizes",
    )


def _literal(curves: Sequence[Curve]) -> Claim:
    parts = []
    for name in ("quinr-literal", "coin-literal"):
        values = [p.psnr_db for one in curves if one.name == name for p in one.points]
        if values:
            parts.append(f"{name.split('-')[0]} {min(values):.1f} to {max(values):.1f} dB")
    return Claim(
        "AdamW at a learning rate of 1e-1 for quINR and COIN",
        ", ".join(parts) or "not measured",
        "hardly trains at all: a constant image has 8.9 dB on KITTI 00/000000"
        if parts
        else "not measured",
    )


def _shots(result: dict[str, Any] | None) -> Claim:
    claim = "O(2^n) measurements a pixel for n qubits"
    growth = (result or {}).get("growth")
    if not growth:
        return Claim(claim, "`quinr bench shots --out docs/results/shots.json`", "not measured")
    slope, error = growth["slope"], growth["standard_error"]
    judgement = (
        "about right over the qubits measured: what counts is the learned output scale, which "
        "makes up for probabilities of 2^-n until it stops doubling"
        if abs(slope - 1) < 0.35
        else "does not describe trained files: the learned output scale decides, not 2^n"
    )
    return Claim(claim, f"log2(shots) grows by {slope:.2f} +- {error:.2f} a qubit", judgement)


def _small_images(result: dict[str, Any] | None) -> Claim:
    claim = (
        "QIREN: 34.8 % lower error on 32 x 32 Astronaut, Camera, Coffee; 24 % on 64 x 64 "
        "super-resolution"
    )
    if not result:
        return Claim(claim, "`quinr bench small-images`", "not measured")
    sentences = [one for one in result["judgement"] if one.startswith("QIREN")]
    held = not any("not reproduced" in one for one in sentences)
    return Claim(claim, "; ".join(sentences), "reproduced" if held else "not reproduced")
