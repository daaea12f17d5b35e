"""The ranges layer: within its max error for every image, whatever the entropy model expects."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quinr_lidar.entropy.models import built_in_models
from quinr_lidar.errors import BitstreamError, GeometryError
from quinr_lidar.kernel import instruction_sets
from quinr_lidar.layers.range_steps import allowed_error
from tests.support.layers import largest_errors, pack_ranges, unpack_ranges

Ranges = NDArray[np.float32]
Mask = NDArray[np.bool_]
KINDS = ("noise", "constant", "stairs", "falling", "spikes", "extremes", "smooth")
EXTREMES = np.array([1e-3, 300, 0.02, 299.99997, 1e-3, 1], np.float32)


def ranges_of(kind: str, height: int, width: int, seed: int = 0) -> Ranges:
    random = np.random.default_rng(seed)
    v, u = np.indices((height, width))
    if kind == "noise":
        made = random.uniform(1e-3, 300, (height, width))
    elif kind == "spikes":
        made = np.where(random.random((height, width)) < 0.1, 300, 2.5)
    elif kind == "extremes":
        made = EXTREMES[random.integers(0, len(EXTREMES), (height, width))]
    else:
        made = {
            "constant": np.full((height, width), 7.77),
            "stairs": np.where((u // 3 + v // 2) % 2, 1.0, 250.0),
            "falling": 300 * 0.97 ** (u + v) + 1e-3,
            "smooth": 20 + 8 * np.sin(u / 9) + v / 5,
        }[kind]
    return made.astype(np.float32)


@st.composite
def images(draw: st.DrawFn) -> tuple[Ranges, Mask]:
    longest = draw(st.sampled_from(((9, 30), (1, 200), (150, 1), (40, 9))))
    height, width = (draw(st.integers(1, most)) for most in longest)
    seed = draw(st.integers(0, 2**32))
    density = draw(st.sampled_from((0, 0.05, 0.5, 0.9, 1, 1)))
    mask = np.random.default_rng(seed).random((height, width)) < density
    return ranges_of(draw(st.sampled_from(KINDS)), height, width, seed), mask


@given(images(), st.floats(1e-3, 5), st.sampled_from((0, 0, 0.001, 0.02, 0.5)))
@settings(deadline=None)
def test_every_error_is_within_the_bound(small_model, image, max_error, relative_error):
    ranges, mask = image
    for entropy_model in (small_model, built_in_models()["hdl64"]):
        decoded = unpack_ranges(
            pack_ranges(ranges, mask, entropy_model, max_error, relative_error), mask, entropy_model
        )
        assert decoded.dtype == np.float32
        error = np.abs(ranges[mask].astype(np.float64) - decoded)
        assert (error <= allowed_error(ranges[mask], max_error, relative_error)).all()
        assert (decoded > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_measured_does_not_matter(small_model, kind):
    ranges = ranges_of(kind, 9, 31)
    mask = np.random.default_rng(0).random(ranges.shape) < 0.6
    payload = pack_ranges(ranges, mask, small_model, 0.02)
    for other in (0, 7.5, 1e30):
        changed = np.where(mask, ranges, np.float32(other))
        assert pack_ranges(changed, mask, small_model, 0.02) == payload


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_bound_costs_more(small_model, kind):
    ranges = ranges_of(kind, 40, 60)
    mask = np.ones(ranges.shape, bool)
    sizes = [
        len(pack_ranges(ranges, mask, small_model, max_error))
        for max_error in (3, 0.3, 0.03, 0.003)
    ]
    assert sizes[0] < sizes[-1]
    # Never much beyond what the plain numbers of steps would take.
    assert sizes[-1] < 1.3 * mask.size * np.log2(300 / 0.006) / 8 + 200


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_writes_and_reads_the_same(small_model, kind, monkeypatch):
    ranges = ranges_of(kind, 21, 47, 3)
    mask = np.random.default_rng(1).random(ranges.shape) < 0.8
    written, read = {}, {}
    for isa in instruction_sets():
        monkeypatch.setenv("QUINR_ISA", isa)
        written[isa] = pack_ranges(ranges, mask, small_model, 0.02, 0.01)
    assert len(set(written.values())) == 1
    for isa in instruction_sets():
        monkeypatch.setenv("QUINR_ISA", isa)
        read[isa] = unpack_ranges(written[isa], mask, small_model).tobytes()
    assert len(set(read.values())) == 1


def test_the_section_says_its_bound(small_model):
    ranges, mask = ranges_of("smooth", 8, 20), np.ones((8, 20), bool)
    even = pack_ranges(ranges, mask, small_model, 0.02)
    assert even[0] == 0
    assert struct.unpack("<f", even[1:5])[0] == pytest.approx(0.04, rel=1e-3)
    assert largest_errors(even) == {"max_error": pytest.approx(0.02, rel=1e-3)}
    growing = pack_ranges(ranges, mask, small_model, 0.02, 0.004)
    assert growing[0] == 1
    assert struct.unpack("<f", growing[5:9])[0] == 5
    assert largest_errors(growing) == {
        "max_error": pytest.approx(0.02, rel=3e-3),
        "relative_error": pytest.approx(0.004, rel=1e-3),
    }
    assert largest_errors(even)["max_error"] <= 0.02
    assert largest_errors(growing)["relative_error"] <= 0.004
    assert len(growing) < len(even)


def test_a_bound_that_cannot_be_kept_is_refused(small_model):
    ranges, mask = ranges_of("noise", 4, 4), np.ones((4, 4), bool)
    with pytest.raises(GeometryError, match="out of reach"):
        pack_ranges(ranges, mask, small_model, 1e-5)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "kind of steps needs 1 bytes"),
        (b"\2" + bytes(20), "unknown kind of steps 2"),
        (b"\0\0\0", "step needs 4 bytes"),
        (b"\0" + struct.pack("<f", 0), "step: expected"),
        (b"\0" + struct.pack("<f", -1), "step: expected"),
        (b"\0" + struct.pack("<f", np.nan), "step: expected"),
        (b"\0" + struct.pack("<f", 2e6), "step: expected"),
        (b"\1" + struct.pack("<f", 1), "knee needs 4 bytes"),
        (b"\1" + struct.pack("<ff", 1, 0), "knee: expected"),
        (b"\1" + struct.pack("<ff", 1, 0.06), "knee: expected at least 0.0625 m"),
        (b"\1" + struct.pack("<ff", 1, np.nan), "knee: expected"),
        (b"\1" + struct.pack("<ff", 1, np.inf), "knee: expected"),
    ],
)
def test_impossible_steps_are_refused(small_model, payload, message):
    mask = np.ones((3, 3), bool)
    with pytest.raises(BitstreamError, match=message) as caught:
        unpack_ranges(payload, mask, small_model, start=9)
    assert caught.value.section == "ranges"
    with pytest.raises(BitstreamError, match=message):
        largest_errors(payload)


def test_bytes_that_end_too_early_are_noticed(small_model):
    ranges, mask = ranges_of("noise", 16, 64), np.ones((16, 64), bool)
    payload = pack_ranges(ranges, mask, small_model, 0.02)
    for size in (5, 6, len(payload) // 2, len(payload) - 200):
        with pytest.raises(BitstreamError, match="coded pixels end too early"):
            unpack_ranges(payload[:size], mask, small_model)


@given(st.binary(max_size=200), st.sampled_from((1e-6, 0.04, 1e6)), st.integers(0, 1000))
@settings(deadline=None)
def test_any_bytes_are_ranges_or_refused(small_model, data, step, seed):
    mask = np.random.default_rng(seed).random((11, 17)) < 0.7
    for head in (struct.pack("<Bf", 0, step), struct.pack("<Bff", 1, step, step)):
        try:
            decoded = unpack_ranges(head + data, mask, small_model)
        except BitstreamError:
            continue
        assert np.isfinite(decoded).all()
        assert (decoded > 0).all()
