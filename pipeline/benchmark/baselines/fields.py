"""Neural fields of coordinates at a size: quINR, COIN, SIREN, Fourier features and QIREN.

All go through one trainer, quantiser and container. A baseline may enter several fields at a size,
so that none loses by a bad choice of its depth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from pipeline.benchmark.baseline import (
    Baseline,
    Content,
    Decoded,
    Encoded,
    Kind,
    Request,
    values_of,
)
from quinr_lidar import Profile, RangeImage
from quinr_lidar.codec.encoding import framing_bytes
from quinr_lidar.codec.field_fitting import FittedValues, fit_values
from quinr_lidar.codec.profiles import PROFILES
from quinr_lidar.container import Header, ImageHeader, Section, pack
from quinr_lidar.fields import Field, FourierField, QirenField, QuinrField, SirenField
from quinr_lidar.fields.field import parameter_count

SCAN_SIZES = (100, 200, 350, 650, 1300)
PICTURE_SIZES = (90, 150, 400, 800, 1600)
OVERHEAD_BYTES = 34
MASK_SHARE = 0.4
"""Share of the bytes that the mask's field gets where mask and ranges have a field each."""

ALL_STEPS = {"patience": 10**9}
TUNED: dict[str, Any] = ALL_STEPS | {
    "optimizer": "adamw",
    "steps": 12000,
    "learning_rate": 1e-2,
    "refit_groups": 8,
}
"""Training and rounding of every tuned baseline, as of quINR."""
SECOND_ORDER = {"optimizer": "gn-adam", "learning_rate": 2e-2}
LITERAL = ALL_STEPS | {"optimizer": "adamw", "steps": 5000, "learning_rate": 0.1, "warmup": 0.0}
"""What the paper says: AdamW at 1e-1."""

Entry = tuple[Field, dict[str, Any]]
"""A field and the profile's settings; ``target_bytes`` is added unless they quantise uniformly."""
Enter = Callable[[int, int], Sequence[Entry]]
"""Entries for a size in bytes and a number of channels; none if the baseline cannot do it."""
Mask = Literal["value", "field", "given"]
"""Where invalid pixels come from: the field's own values, another field, or for nothing."""


def _quinr(size: int, channels: int) -> list[Entry]:
    profile = PROFILES.get(f"{'paper' if channels == 1 else 'kodak'}-{size}")
    if profile is None:
        return []
    settings = profile.model_dump(exclude_defaults=True, exclude={"name", "restarts"})
    return [(profile.field(channels), settings)]


_ONE_LAYER = {
    (100, 1): (3, 8, 4, 0),
    (200, 1): (5, 19, 5, 0),
    (350, 1): (5, 18, 11, 0),
    (650, 1): (6, 30, 13, 0),
    (90, 3): (5, 9, 2, 4),
    (150, 3): (6, 26, 2, 10),
    (400, 3): (5, 32, 8, 12),
}
"""Qubits, features, blocks and read-out of fields with one sine layer, as in the paper."""


def _quinr_one_layer(size: int, channels: int) -> list[Entry]:
    if (size, channels) not in _ONE_LAYER:
        return []
    qubits, features, blocks, readout = _ONE_LAYER[size, channels]
    made = QuinrField(qubits, features, blocks, outputs=channels, readout=readout)
    return [(made, TUNED | SECOND_ORDER | {"steps": 2500})]


def _siren(size: int, channels: int) -> list[Entry]:
    # Above these rates trainings of such depths collapse.
    limits = ((150, (2, 3), 1e-2), (200, (3, 4), 1e-2), (400, (3, 4), 5e-3), (700, (4, 5), 3e-3))
    depths, rate = next(((d, r) for limit, d, r in limits if size <= limit), ((5, 6), 2e-3))
    frequencies = (3.5, 6.0) if channels == 1 else (7.0, 7.0)
    return [
        (_sized_siren(size, channels, depth, frequencies), TUNED | {"learning_rate": rate})
        for depth in depths
    ]


def _coin(size: int, channels: int) -> list[Entry]:
    """Dupont et al. 2021: initialisation of SIREN, Adam at 2e-4 for 50,000 steps, 16 bits."""
    settings = LITERAL | {"steps": 50_000, "learning_rate": 2e-4, "quantization": "uniform"}
    made = _sized_siren(size, channels, 5 if size >= 650 else 3, (15.0, 15.0), bits=16)
    return [(made, settings | {"bits": 16})]


def _literal_quinr(size: int, channels: int) -> list[Entry]:
    shape = {"outputs": channels, "frequencies": (15.0, 15.0)}
    return [(_fill(size, lambda blocks: QuinrField(4, 12, blocks, **shape), bits=7.5), LITERAL)]


def _literal_coin(size: int, channels: int) -> list[Entry]:
    return [(_sized_siren(size, channels, 3, (15.0, 15.0)), LITERAL)]


def _fourier(activation: Any, size: int, channels: int) -> list[Entry]:
    shape = {"outputs": channels, "deviations": (0.5, 0.9) if channels == 1 else (1.0, 1.0)}

    def make(layers: int) -> Field:
        return _fill(
            size,
            lambda width: FourierField(max(2, width // 2), width, layers, activation, **shape),
        )

    return [(make(layers), TUNED) for layers in (1, 2)]


def _qiren(size: int, channels: int) -> list[Entry]:
    if size > 400:
        return []  # its training through autograd takes minutes
    made = _fill(size, lambda blocks: QirenField(4, blocks, 2, outputs=channels))
    return [(made, TUNED | SECOND_ORDER | {"steps": 1500})]


def _sized_siren(
    size: int, channels: int, depth: int, frequencies: tuple[float, float], bits: float = 6.6
) -> Field:
    shape = {"outputs": channels, "frequencies": frequencies}
    return _fill(size, lambda width: SirenField(width, depth, **shape), bits)


def _fill(size: int, make: Callable[[int], Field], bits: float = 6.6) -> Field:
    """The field whose parameters come closest to filling a size at this many bits each."""
    wanted = 8 * (size - OVERHEAD_BYTES) / bits
    return min(map(make, range(1, 60)), key=lambda one: abs(parameter_count(one) - wanted))


def label_of(made: Field) -> str:
    """The sizes of a field for people."""
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


class _Fitter:
    """Fields trained for one request: files and sizes."""

    def __init__(self, content: Content, request: Request) -> None:
        scan = isinstance(content, RangeImage)
        self.header = (
            Header(content.projection, content.no_return)
            if scan
            else ImageHeader(*content.shape[:2])
        )
        self._request = request

    def fit(
        self, values: Any, entry: Entry, size: int, masked: bool, counted: Any = None
    ) -> FittedValues:
        made, settings = entry
        steps = self._request.steps(settings["steps"])
        settings = settings | {"steps": steps, "seed": 1000 * self._request.seed}
        if settings.get("quantization") != "uniform":
            settings |= {"target_bytes": size}
        # A second section needs no file of its own: its framing counts, the header does not.
        framing = framing_bytes(self.header, int(self._request.setting))
        profile = Profile(name="baseline").with_overrides(**settings)
        return fit_values(values, made, profile, framing, masked=masked, counted=counted)

    def file(self, fitted: FittedValues, masked: bool) -> bytes:
        return pack(self.header, [Section("preview", fitted.payload(0.5 if masked else None))])


def _encode(enter: Enter, content: Content, request: Request) -> Encoded:
    fitter, size, scan = (
        _Fitter(content, request),
        int(request.setting),
        isinstance(content, RangeImage),
    )
    entry = enter(size, request.channels)[request.variant]
    fitted = fitter.fit(values_of(content), entry, size, masked=scan)
    return Encoded.of(
        fitter.file(fitted, masked=scan),
        decoded=Decoded(values=fitted.values),
        figures={"training_seconds": fitted.fit.seconds, "float_psnr_db": fitted.float_psnr},
    )


def _encode_two_fields(enter: Enter, content: RangeImage, request: Request) -> Encoded:
    """A field for the mask, and one for the ranges of valid pixels only."""
    fitter, size = _Fitter(content, request), int(request.setting)
    mask_size = round(MASK_SHARE * size)
    entries = [
        enter(max(one for one in SCAN_SIZES if one <= max(100, part)), 1)[request.variant]
        for part in (mask_size, size - mask_size)
    ]
    mask = fitter.fit(content.valid[..., None].astype(np.float32), entries[0], mask_size, False)
    own = len(fitter.file(mask, False)) - len(pack(fitter.header, []))
    ranges = fitter.fit(values_of(content), entries[1], size - own, False, content.valid)
    return Encoded(
        own + len(fitter.file(ranges, False)),
        decoded=Decoded(values=np.where(mask.values > 0.5, ranges.values, 1.0)),
        figures={"training_seconds": mask.fit.seconds + ranges.fit.seconds},
    )


def _encode_given_mask(enter: Enter, content: RangeImage, request: Request) -> Encoded:
    """A field of the valid pixels only; the mask costs nothing here."""
    fitter, size = _Fitter(content, request), int(request.setting)
    entry = enter(size, 1)[request.variant]
    fitted = fitter.fit(values_of(content), entry, size, True, content.valid)
    return Encoded(
        len(fitter.file(fitted, True)),
        decoded=Decoded(values=np.where(content.valid[..., None], fitted.values, 1.0)),
        figures={"training_seconds": fitted.fit.seconds},
    )


_ENCODERS = {"value": _encode, "field": _encode_two_fields, "given": _encode_given_mask}


def _baseline(name: str, title: str, enter: Enter, mask: Mask = "value") -> Baseline:
    def version(request: Request) -> str:
        made, settings = enter(int(request.setting), request.channels)[request.variant]
        return f"{made!r} {sorted(settings.items())}"

    def variants(setting: float, channels: int) -> list[str]:
        return [label_of(made) for made, _ in enter(int(setting), channels)]

    codes: tuple[Kind, ...] = ("scan", "picture") if mask == "value" else ("scan",)
    ways = {"": partial(_ENCODERS[mask], enter)}
    return Baseline(name, title, "size", ways, None, version, codes, variants)


FIELDS = (
    _baseline("quinr", "quINR", _quinr),
    _baseline("quinr-1", "quINR, one sine layer", _quinr_one_layer),
    _baseline("siren", "SIREN, tuned", _siren),
    _baseline("coin", "COIN as published", _coin),
    _baseline("fourier-relu", "Fourier features, ReLU", partial(_fourier, "relu")),
    _baseline("fourier-tanh", "Fourier features, tanh", partial(_fourier, "tanh")),
    _baseline("qiren", "QIREN", _qiren),
    _baseline("quinr-split", "quINR, mask + depth", _quinr, "field"),
    _baseline("siren-split", "SIREN, mask + depth", _siren, "field"),
    _baseline("quinr-depth", "quINR, the mask given", _quinr, "given"),
    _baseline("siren-depth", "SIREN, the mask given", _siren, "given"),
    _baseline("quinr-literal", "quINR, the paper's letter", _literal_quinr),
    _baseline("coin-literal", "COIN, the paper's letter", _literal_coin),
)
