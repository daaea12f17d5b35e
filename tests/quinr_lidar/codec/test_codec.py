from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import quinr_lidar
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.codec.profiles import get_profile
from quinr_lidar.errors import (
    BackendError,
    BitstreamError,
    GeometryError,
    ProfileError,
    TrainingError,
)
from quinr_lidar.fields import SirenField, pixel_centres
from quinr_lidar.fields.grid_values import Window
from quinr_lidar.layers.field_sizes import GRIDS, MODELLED, pack_field
from quinr_lidar.layers.threshold import best_threshold

TINY = {
    "qubits": 3,
    "features": 6,
    "sine_layers": 1,
    "blocks": 2,
    "optimizer": "gn-adam",
    "learning_rate": 2e-2,
    "steps": 300,
    "batch_size": 256,
    "patience": 600,
    "restarts": 1,
    "refit_groups": 1,
}


def street(height: int = 16, width: int = 64) -> RangeImage:
    """A smooth scene with sky above: invalid pixels in the upper rows."""
    projection = SphericalProjection(height, width)
    azimuth = np.linspace(-np.pi, np.pi, width)
    rows = np.arange(height)[:, None]
    ranges = (10 + 4 * np.cos(azimuth) + 20 * (1 - rows / height)).astype(np.float32)
    valid = np.broadcast_to(rows >= height // 4, ranges.shape).copy()
    no_return = float(ranges[valid].max())
    ranges[~valid] = no_return
    return RangeImage(ranges, valid, projection, no_return)


@pytest.fixture(scope="module")
def encoded() -> codec.EncodedFrame:
    return codec.encode_frame(street(), "paper", **TINY)


def test_round_trip_resembles_the_original(encoded):
    image, decoded = street(), quinr_lidar.decode(encoded.data)
    assert decoded.projection == image.projection
    assert decoded.no_return == np.float32(image.no_return)
    assert decoded.ranges.dtype == np.float32
    assert decoded.valid.dtype == np.bool_
    constant = np.full_like(image.ranges, image.ranges.mean())
    error = np.square(decoded.ranges - image.ranges).mean()
    assert error < 0.3 * np.square(constant - image.ranges).mean()
    assert (decoded.valid == image.valid).mean() > 0.8
    assert encoded.psnr == pytest.approx(-10 * np.log10(error / image.no_return**2), abs=1e-3)
    assert abs(encoded.psnr - encoded.float_psnr) < 0.5


def test_decoding_repeats_bit_for_bit(encoded):
    first, second = quinr_lidar.decode(encoded.data), quinr_lidar.decode(encoded.data)
    np.testing.assert_array_equal(first.ranges, second.ranges)
    np.testing.assert_array_equal(first.valid, second.valid)


def test_decoding_does_not_depend_on_the_number_of_threads():
    image = street(64, 1024)
    data = quinr_lidar.encode(image, "paper", steps=2)
    before = torch.get_num_threads()
    try:
        decoded = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            decoded.append(quinr_lidar.decode(data).ranges)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(decoded[0], decoded[1])
    np.testing.assert_array_equal(decoded[0], decoded[2])


def test_the_threshold_separates_what_the_file_says(encoded):
    decoded = quinr_lidar.decode(encoded.data)
    np.testing.assert_array_equal(decoded.valid, decoded.ranges < encoded.threshold)


def test_a_seed_makes_the_file_repeatable(encoded):
    assert quinr_lidar.encode(street(), "paper", **TINY) == encoded.data
    assert quinr_lidar.encode(street(), "paper", seed=1, **TINY) != encoded.data


def test_warm_start_needs_fewer_steps(encoded):
    few = TINY | {"steps": 2, "warm_steps": 2}
    warm = codec.encode_frame(street(), "paper", start=encoded.parameters, **few)
    cold = codec.encode_frame(street(), "paper", **few)
    assert warm.psnr > cold.psnr + 1


def test_a_files_parameters_are_those_its_decoder_sees(encoded):
    parameters = codec.read_parameters(encoded.data)
    field = quinr_lidar.Profile(**TINY).field()
    assert {name: tuple(tensor.shape[1:]) for name, tensor in parameters.items()} == field.shapes
    assert {values.dtype for values in parameters.values()} == {np.dtype(np.float32)}
    coordinates = pixel_centres(16, 64).reshape(1, -1, 2).astype(np.float32)
    values = field.evaluate(parameters, coordinates)[0, :, 0].clip(0, 1)
    decoded = quinr_lidar.decode(encoded.data)
    ranges = values.reshape(16, 64) * decoded.no_return
    np.testing.assert_allclose(ranges, decoded.ranges, atol=1e-3)
    with pytest.raises(BitstreamError):
        codec.read_parameters(encoded.data[:-1])


def test_default_profile_overhead_is_at_most_32_bytes():
    image = street(64, 1024)
    data = quinr_lidar.encode(image, "paper", steps=1)
    info = codec.inspect(data)
    assert info.sections == {"preview": len(data) - info.header_bytes - 6}
    sizes = len(pack_field(get_profile("paper").field(), GRIDS | MODELLED, 1))
    assert info.header_bytes + 6 + sizes + len(b"th") <= 32


def test_info_tells_the_settings(encoded):
    info = codec.inspect(encoded.data).as_dict()
    assert info["version"] == 1
    assert (info["height"], info["width"]) == (16, 64)
    assert (info["fov_up"], info["fov_down"]) == (3.0, -25.0)
    assert (info["qubits"], info["features"], info["blocks"]) == (3, 6, 2)
    assert (info["content"], info["kind"]) == ("scan", "quinr")
    assert not {"scan", "field"} & set(info)
    assert 5 < info["bits"] < 10
    assert info["total_bytes"] == len(encoded.data)
    assert info["threshold"] == pytest.approx(encoded.threshold, rel=1e-6)


def test_a_file_has_the_size_that_is_asked_for():
    few = TINY | {"steps": 60}
    for target in (70, 85, 100):
        data = quinr_lidar.encode(street(), "paper", target_bytes=target, **few)
        # Equal bits, where they win, leave less than a bit of each of the 51 parameters.
        assert target - 7 <= len(data) <= target
        assert quinr_lidar.decode(data).shape == (16, 64)
    with pytest.raises(TrainingError, match="target_bytes"):
        quinr_lidar.encode(street(), "paper", target_bytes=40, **few)
    with pytest.raises(ProfileError, match="target_bytes needs weighted"):
        quinr_lidar.encode(street(), "paper", target_bytes=90, quantization="uniform", **few)


@pytest.mark.parametrize("bits", [3, 6, 7])
def test_no_file_is_worse_than_equal_bits_of_its_size(bits):
    """Whatever field a training ends with: small ones are where weighted steps may lose."""
    for seed in range(4):
        tiny = TINY | {"seed": seed}
        equal = codec.encode_frame(street(), "paper", quantization="uniform", bits=bits, **tiny)
        assert codec.inspect(equal.data).bits == bits
        weighted = codec.encode_frame(street(), "paper", target_bytes=len(equal.data), **tiny)
        assert weighted.float_psnr == equal.float_psnr
        assert weighted.psnr > equal.psnr - 1e-3  # errors are compared in float32


def test_no_file_is_worse_than_equal_bits_without_a_target():
    for seed in range(4):
        coarse = TINY | {"seed": seed, "coarseness": 5.0}
        weighted = codec.encode_frame(street(), "paper", **coarse)
        for bits in range(2, 8):
            equal = codec.encode_frame(
                street(), "paper", quantization="uniform", bits=bits, **coarse
            )
            assert len(equal.data) > len(weighted.data) or weighted.psnr > equal.psnr - 1e-3


def test_weighted_rounding_beats_equal_bits():
    larger = TINY | {"qubits": 4, "features": 16, "blocks": 8}
    gains = []
    for seed in range(3):
        equal = codec.encode_frame(
            street(), "paper", quantization="uniform", bits=6, **larger | {"seed": seed}
        )
        target = {"target_bytes": len(equal.data), "seed": seed}
        gains.append(codec.encode_frame(street(), "paper", **larger | target).psnr - equal.psnr)
    assert np.mean(gains) > 1.5


def test_a_profile_is_a_name_or_an_object():
    profile = quinr_lidar.Profile(**TINY)
    assert quinr_lidar.encode(street(), profile) == quinr_lidar.encode(street(), "paper", **TINY)
    with pytest.raises(ProfileError, match="unknown profile 'papers'; there is bounded, kodak"):
        quinr_lidar.encode(street(), "papers")
    with pytest.raises(ProfileError, match=r"bits: .*got 99"):
        quinr_lidar.encode(street(), "paper", bits=99)
    with pytest.raises(ProfileError, match="bits has no effect without quantization=uniform"):
        quinr_lidar.encode(street(), "paper", bits=7)
    with pytest.raises(ProfileError, match="stepz: extra inputs"):
        quinr_lidar.encode(street(), "paper", stepz=1)


def test_digest_names_settings_not_names():
    base = quinr_lidar.Profile(name="a")
    assert base.digest() == quinr_lidar.Profile(name="b").digest()
    assert base.digest() != base.with_overrides(steps=7).digest()


def test_an_empty_image_is_refused():
    empty = SphericalProjection(8, 8).project(np.full((3, 3), np.nan))
    with pytest.raises(GeometryError, match="no valid pixel"):
        quinr_lidar.encode(empty, "paper")


def test_too_much_work_is_refused_by_the_encoder():
    image = street(256, 4096)
    with pytest.raises(ProfileError, match=r"decoding .* operations"):
        quinr_lidar.encode(image, "paper", qubits=10, blocks=100)


@pytest.mark.parametrize("layers", [(), ("mask",), ("mask", "preview"), ("preview", "ranges")])
def test_layers_are_the_first_ones(encoded, layers):
    assert quinr_lidar.decode(encoded.data, ("preview",)).shape == (16, 64)
    with pytest.raises(ValueError, match="layers"):
        quinr_lidar.decode(encoded.data, layers)


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 17),
    seed=st.integers(0, 2**16),
    density=st.floats(0.05, 1),
)
def test_any_image_goes_through(height, width, seed, density):
    generator = np.random.default_rng(seed)
    ranges = generator.uniform(0.5, 300, (height, width)).astype(np.float32)
    valid = generator.random((height, width)) < density
    valid[0, 0] = True
    no_return = float(ranges[valid].max())
    image = RangeImage(
        np.where(valid, ranges, np.float32(no_return)),
        valid,
        SphericalProjection(height, width, 10.67, -30.67),
        no_return,
    )
    data = quinr_lidar.encode(image, "paper", qubits=2, features=3, blocks=1, steps=3, batch_size=8)
    decoded = quinr_lidar.decode(data)
    assert decoded.projection == image.projection
    assert (decoded.ranges <= decoded.no_return * (1 + 1e-6)).all()


def test_best_threshold_beats_every_other():
    generator = np.random.default_rng(0)
    values = generator.random((20, 30)).round(3)
    values.flat[:40] = np.repeat((0.0, 1.0), 20)
    valid = generator.random((20, 30)) > values
    best = best_threshold(values, valid)
    wrong = np.count_nonzero((values < best) != valid)
    candidates = np.concatenate(([0.0], np.unique(values) + 1e-4, [1.0])).clip(0, 1)
    assert wrong <= min(np.count_nonzero((values < t) != valid) for t in candidates)


def test_layers_that_make_no_file_are_refused(encoded):
    from quinr_lidar.container import Section, pack, unpack

    container = unpack(encoded.data)
    for further, message in (
        ([Section("ranges", b"x")], "ranges without a mask layer"),
        # Behind a mask no preview has a threshold: these two bytes are taken for symbols.
        ([Section("mask", bytes(9))], "preview at byte"),
    ):
        with pytest.raises(BitstreamError, match=message):
            quinr_lidar.decode(pack(container.header, [*container.sections, *further]))


def test_restarts_keep_the_best_file():
    singles = [codec.encode_frame(street(), "paper", **TINY | {"seed": seed}) for seed in range(3)]
    best = codec.encode_frame(street(), "paper", **TINY | {"restarts": 3})
    assert best.psnr == max(one.psnr for one in singles)
    assert best.data == max(singles, key=lambda one: one.psnr).data
    assert best.fit.steps == sum(one.fit.steps for one in singles)


def test_rounding_with_refits_loses_less():
    deep = {"sine_layers": 2, "steps": 1500, "optimizer": "adamw", "learning_rate": 5e-3}
    gains = []
    for seed in range(3):
        settings = TINY | deep | {"target_bytes": 105, "seed": seed}
        plain = codec.encode_frame(street(), "paper", **settings)
        refitted = codec.encode_frame(street(), "paper", **settings | {"refit_groups": 6})
        assert len(refitted.data) <= 105
        gains.append(refitted.psnr - plain.psnr)
    assert np.mean(gains) > 0.5


def test_other_grids_and_windows(encoded):
    whole = quinr_lidar.decode(encoded.data)
    assert not whole.interpolated
    dense = quinr_lidar.decode(encoded.data, height=48, width=192)
    assert dense.interpolated
    assert dense.projection == SphericalProjection(48, 192)
    # The middle one of nine pixels lies where the only one of the coarse grid is.
    np.testing.assert_allclose(dense.ranges[1::3, 1::3], whole.ranges, rtol=1e-5)
    assert (dense.valid[1::3, 1::3] == whole.valid).mean() > 0.99
    assert len(np.unique(dense.ranges)) > 3 * len(np.unique(whole.ranges))

    window = Window(4, 9, 10, 30)
    part = quinr_lidar.decode(encoded.data, window=window)
    inside = np.zeros(whole.shape, bool)
    inside[window.slices] = True
    np.testing.assert_array_equal(part.ranges[inside], whole.ranges[inside])
    assert not part.valid[~inside].any()
    with pytest.raises(ValueError, match="window"):
        quinr_lidar.decode(encoded.data, window=Window(0, 17, 0, 5))
    with pytest.raises(ValueError, match="window"):
        Window(3, 3, 0, 5)
    with pytest.raises(GeometryError, match="height"):
        quinr_lidar.decode(encoded.data, height=70_000)


def test_decoding_on_a_device(encoded):
    from quinr_lidar.circuit.devices import DeviceRun, device_probabilities

    exact = quinr_lidar.decode(encoded.data, height=4, width=8)
    run = device_probabilities(DeviceRun("default.qubit"))
    device = quinr_lidar.decode(encoded.data, height=4, width=8, simulate=run)
    np.testing.assert_allclose(device.ranges, exact.ranges, atol=1e-4)
    few = device_probabilities(DeviceRun("default.qubit", shots=100))
    noisy = quinr_lidar.decode(encoded.data, height=4, width=8, simulate=few)
    assert 0 < np.abs(noisy.ranges - exact.ranges).mean() < 10
    other = codec.encode_frame(street(), "paper", field=SirenField(4, 1), **TINY).data
    with pytest.raises(BackendError, match="SirenField"):
        quinr_lidar.decode(other, simulate=run)
