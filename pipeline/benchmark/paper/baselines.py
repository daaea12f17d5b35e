"""Who takes part, and with which fields at which sizes.

All fields go through one trainer, quantiser and container. A baseline may enter several fields
at a size; the one of the best mean PSNR counts, so that nobody loses by a bad choice of depth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from quinr_lidar.codec.profiles import PROFILES
from quinr_lidar.fields import Field, FourierField, QirenField, QuinrField, SirenField
from quinr_lidar.fields.field import parameter_count

SCAN_SIZES = (100, 200, 350, 650, 1300)
PICTURE_SIZES = (90, 150, 400, 800, 1600)
OVERHEAD_BYTES = 34

TUNED: dict[str, Any] = {
    "optimizer": "adamw",
    "steps": 12000,
    "learning_rate": 1e-2,
    "patience": 10**9,
    "refit_groups": 8,
}
"""Training and rounding of every baseline, as of quINR."""


Mask = Literal["value", "field", "given"]


@dataclass(frozen=True)
class Entry:
    """A field and how it is trained.

    Attributes:
        field: Of the image's channels.
        settings: Of the profile; ``target_bytes`` is added unless ``bits`` are given.
        label: Which of a baseline's fields it is.
    """

    field: Field
    settings: dict[str, Any]
    label: str


@dataclass(frozen=True)
class Baseline:
    """Someone who takes part.

    Attributes:
        name: Its key.
        title: For people.
        enter: From a size in bytes and channels to its entries; none where it cannot.
        mask: Where invalid pixels come from: "value", the field's own values; "field", another
            field (scans only); or "given", for nothing, as a layer of its own will (scans only).
    """

    name: str
    title: str
    enter: Callable[[int, int], list[Entry]]
    mask: Mask = "value"


def entry_of(size: int, channels: int) -> Entry | None:
    """QuINR at a size: the preset of that name, or ``None``."""
    name = f"{'paper' if channels == 1 else 'kodak'}-{size}"
    if name not in PROFILES:
        return None
    profile = PROFILES[name]
    settings = profile.model_dump(exclude_defaults=True, exclude={"name", "restarts"})
    return Entry(profile.field(channels), settings, _label(profile.field(channels)))


def _quinr(size: int, channels: int) -> list[Entry]:
    found = entry_of(size, channels)
    return [] if found is None else [found]


_SINGLE = {
    (100, 1): (3, 8, 4, 0),
    (200, 1): (5, 19, 5, 0),
    (350, 1): (5, 18, 11, 0),
    (650, 1): (6, 30, 13, 0),
    (90, 3): (5, 9, 2, 4),
    (150, 3): (6, 26, 2, 10),
    (400, 3): (5, 32, 8, 12),
}
"""Qubits, features, blocks and read-out of fields with one sine layer, as in the paper."""


def _single_layer(size: int, channels: int) -> list[Entry]:
    if (size, channels) not in _SINGLE:
        return []
    qubits, features, blocks, readout = _SINGLE[size, channels]
    made = QuinrField(qubits, features, blocks, outputs=channels, readout=readout)
    settings = TUNED | {"optimizer": "gn-adam", "steps": 2500, "learning_rate": 2e-2}
    return [Entry(made, settings, _label(made))]


def _siren(size: int, channels: int) -> list[Entry]:
    depths = (2, 3) if size <= 150 else (3, 4) if size <= 400 else (4, 5) if size <= 700 else (5, 6)
    # Above these rates trainings of such depths collapse.
    rate = 1e-2 if size <= 200 else 5e-3 if size <= 400 else 3e-3 if size <= 700 else 2e-3
    frequencies = (3.5, 6.0) if channels == 1 else (7.0, 7.0)
    entries = []
    for depth in depths:
        made = _fill(
            size,
            lambda width, d=depth: SirenField(width, d, outputs=channels, frequencies=frequencies),
        )
        entries.append(Entry(made, TUNED | {"learning_rate": rate}, _label(made)))
    return entries


def _coin(size: int, channels: int) -> list[Entry]:
    """Dupont et al. 2021: initialisation of SIREN, Adam at 2e-4 for 50,000 steps, 16 bits."""
    depth = 5 if size >= 650 else 3
    made = _fill(
        size,
        lambda width: SirenField(width, depth, outputs=channels, frequencies=(15.0, 15.0)),
        bits=16.0,
    )
    settings = {
        "optimizer": "adamw",
        "steps": 50_000,
        "learning_rate": 2e-4,
        "warmup": 0.0,
        "patience": 10**9,
        "quantization": "uniform",
        "bits": 16,
    }
    return [Entry(made, settings, _label(made))]


def _literal(make: Callable[[int, int], list[Entry]]) -> Callable[[int, int], list[Entry]]:
    """The paper's letter: AdamW at 1e-1, first weights of half w0, 8 bits each."""

    def enter(size: int, channels: int) -> list[Entry]:
        settings = {
            "optimizer": "adamw",
            "steps": 5000,
            "learning_rate": 0.1,
            "warmup": 0.0,
            "patience": 10**9,
        }
        return [Entry(one.field, settings, one.label) for one in make(size, channels)[:1]]

    return enter


def _literal_quinr(size: int, channels: int) -> list[Entry]:
    made = _fill(
        size,
        lambda blocks: QuinrField(4, 12, blocks, outputs=channels, frequencies=(15.0, 15.0)),
        bits=7.5,
    )
    return [Entry(made, {}, _label(made))]


def _literal_coin(size: int, channels: int) -> list[Entry]:
    made = _fill(
        size,
        lambda width: SirenField(width, 3, outputs=channels, frequencies=(15.0, 15.0)),
    )
    return [Entry(made, {}, _label(made))]


def _fourier(activation: Any) -> Callable[[int, int], list[Entry]]:
    def enter(size: int, channels: int) -> list[Entry]:
        deviations = (0.5, 0.9) if channels == 1 else (1.0, 1.0)
        entries = []
        for layers in (1, 2):
            made = _fill(
                size,
                lambda width, n=layers: FourierField(
                    max(2, width // 2),
                    width,
                    n,
                    activation,
                    outputs=channels,
                    deviations=deviations,
                ),
            )
            entries.append(Entry(made, TUNED, _label(made)))
        return entries

    return enter


def _qiren(size: int, channels: int) -> list[Entry]:
    if size > 400:
        return []  # its training through autograd takes minutes
    made = _fill(size, lambda blocks: QirenField(4, blocks, 2, outputs=channels))
    settings = TUNED | {"optimizer": "gn-adam", "steps": 1500, "learning_rate": 2e-2}
    return [Entry(made, settings, _label(made))]


def _fill(size: int, make: Callable[[int], Field], bits: float = 6.6) -> Field:
    """The field whose parameters come closest to filling a size at so many bits each."""
    wanted = 8 * (size - OVERHEAD_BYTES) / bits
    return min(map(make, range(1, 60)), key=lambda one: abs(parameter_count(one) - wanted))


def _label(made: Field) -> str:
    match made:
        case QuinrField():
            read = f" r={made.readout}" if made.readout else ""
            return f"n={made.qubits} M={made.features} D={made.sine_layers} L={made.blocks}{read}"
        case SirenField():
            return f"{made.layers} x {made.width}"
        case FourierField():
            return f"{made.features} + {made.layers} x {made.width}"
        case QirenField():
            return f"n={made.qubits} L={made.blocks} stages={made.stages}"
    return type(made).__name__


BASELINES = {
    one.name: one
    for one in (
        Baseline("quinr", "quINR", _quinr),
        Baseline("quinr-1", "quINR, one sine layer", _single_layer),
        Baseline("siren", "SIREN, tuned", _siren),
        Baseline("coin", "COIN as published", _coin),
        Baseline("fourier-relu", "Fourier features, ReLU", _fourier("relu")),
        Baseline("fourier-tanh", "Fourier features, tanh", _fourier("tanh")),
        Baseline("qiren", "QIREN", _qiren),
        Baseline("quinr-split", "quINR, mask + depth", _quinr, mask="field"),
        Baseline("siren-split", "SIREN, mask + depth", _siren, mask="field"),
        Baseline("quinr-depth", "quINR, the mask given", _quinr, mask="given"),
        Baseline("siren-depth", "SIREN, the mask given", _siren, mask="given"),
        Baseline("quinr-literal", "quINR, the paper's letter", _literal(_literal_quinr)),
        Baseline("coin-literal", "COIN, the paper's letter", _literal(_literal_coin)),
    )
}
