"""Files of several layers: each is of use without the next, and keeps what it promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import quinr_lidar
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.container import unpack
from quinr_lidar.entropy.models import built_in_models
from quinr_lidar.errors import (
    BitstreamError,
    EntropyModelError,
    GeometryError,
    ProfileError,
    UnknownEntropyModelError,
)
from quinr_lidar.fields.grid_values import Window
from quinr_lidar.kernel import instruction_sets
from quinr_lidar.layers.registry import NAMES as LAYERS
from tests.support.layers import pack_mask, pack_ranges

TINY = {
    "qubits": 3,
    "features": 6,
    "sine_layers": 1,
    "blocks": 2,
    "optimizer": "gn-adam",
    "learning_rate": 2e-2,
    "steps": 20,
    "batch_size": 256,
    "refit_groups": 1,
}


def street(height: int = 16, width: int = 64) -> RangeImage:
    """A smooth scene with boxes in it, sky above and pixels without a return."""
    random = np.random.default_rng(0)
    azimuth = np.linspace(-np.pi, np.pi, width)
    rows = np.arange(height)[:, None]
    ranges = 10 + 4 * np.cos(azimuth) + 20 * (1 - rows / height)
    ranges = ranges + 0.02 * random.standard_normal(ranges.shape)
    ranges[height // 2 :, width // 4 : width // 3] = 3.3
    ranges = ranges.astype(np.float32)
    valid = (rows >= height // 4) & (random.random(ranges.shape) < 0.95)
    no_return = float(ranges[valid].max())
    ranges[~valid] = no_return
    return RangeImage(ranges, valid, SphericalProjection(height, width), no_return)


@pytest.fixture(scope="module")
def bounded() -> codec.EncodedFrame:
    return codec.encode_frame(street(), "bounded", **TINY)


@pytest.fixture(scope="module")
def masked() -> codec.EncodedFrame:
    return codec.encode_frame(street(), "preview", **TINY | {"steps": 300})


def errors_of(decoded: RangeImage, image: RangeImage) -> np.ndarray:
    assert (decoded.valid == image.valid).all()
    apart = np.abs(decoded.ranges.astype(np.float64) - image.ranges)
    return apart[image.valid]


def test_all_layers_keep_the_bound(bounded):
    image, decoded = street(), quinr_lidar.decode(bounded.data)
    assert decoded.projection == image.projection
    assert decoded.no_return == np.float32(image.no_return)
    assert not decoded.interpolated
    assert errors_of(decoded, image).max() <= 0.02
    assert (decoded.ranges[~decoded.valid] == decoded.no_return).all()
    assert bounded.threshold is None


@pytest.mark.parametrize("max_error", [0.001, 0.01, 0.3, 4.0])
def test_every_bound_is_kept_and_psnr_follows_it(max_error):
    image = street()
    encoded = codec.encode_frame(image, "bounded", max_error=max_error, **TINY)
    decoded = quinr_lidar.decode(encoded.data)
    worst = errors_of(decoded, image).max()
    assert 0.8 * max_error < worst <= max_error
    # Errors are uniform in +-bound where the scene is fine, and 0 where nothing is measured.
    share = image.valid.mean()
    uniform = 10 * np.log10(3 * image.no_return**2 / max_error**2 / share)
    assert encoded.psnr == pytest.approx(uniform, abs=0.8 if max_error < 1 else 2.5)
    error = np.square(decoded.ranges.astype(float) - image.ranges).mean()
    assert encoded.psnr == pytest.approx(-10 * np.log10(error / image.no_return**2), abs=1e-3)


def test_a_bound_that_grows_with_the_range():
    image = street()
    data = quinr_lidar.encode(image, "bounded", max_error=0.02, relative_error=0.01, **TINY)
    allowed = np.maximum(0.02, 0.01 * image.ranges[image.valid].astype(np.float64))
    errors = errors_of(quinr_lidar.decode(data), image)
    assert (errors <= allowed).all()
    assert errors.max() > 0.1
    info = codec.inspect(data)
    assert info.scan["max_error"] == pytest.approx(0.02, rel=0.01)
    assert info.scan["relative_error"] == pytest.approx(0.01, rel=0.01)
    assert len(data) < len(quinr_lidar.encode(image, "bounded", max_error=0.02, **TINY)) - 100


def test_two_layers_have_the_exact_mask_and_the_previews_ranges(masked):
    image, decoded = street(), quinr_lidar.decode(masked.data)
    np.testing.assert_array_equal(decoded.valid, image.valid)
    assert not decoded.interpolated
    assert masked.threshold is None
    assert errors_of(decoded, image).mean() < np.abs(image.ranges - 17)[image.valid].mean()
    error = np.square(decoded.ranges.astype(float) - image.ranges).mean()
    assert masked.psnr == pytest.approx(-10 * np.log10(error / image.no_return**2), abs=1e-3)
    assert codec.inspect(masked.data).sections.keys() == {"preview", "mask"}
    assert codec.inspect(masked.data).scan.keys() == {"fov_up", "fov_down", "no_return"}


def test_fewer_layers_of_a_file(bounded):
    image = street()
    two = quinr_lidar.decode(bounded.data, ("preview", "mask"))
    np.testing.assert_array_equal(two.valid, image.valid)
    assert not two.interpolated
    assert errors_of(two, image).max() > 0.02
    one = quinr_lidar.decode(bounded.data, ("preview",))
    assert one.interpolated, "which pixels were measured is not known"
    assert one.valid.all()
    np.testing.assert_array_equal(one.ranges[image.valid], two.ranges[image.valid])


def test_a_file_of_one_layer_has_nothing_else_to_decode():
    data = quinr_lidar.encode(street(), "paper", **TINY)
    first = quinr_lidar.decode(data, ("preview",))
    whole = quinr_lidar.decode(data)
    np.testing.assert_array_equal(first.ranges, whole.ranges)
    np.testing.assert_array_equal(first.valid, whole.valid)
    assert not whole.interpolated


def test_another_grid_shows_the_preview_where_the_mask_is(bounded):
    image = street()
    dense = quinr_lidar.decode(bounded.data, height=32, width=128)
    assert dense.shape == (32, 128)
    assert dense.interpolated
    np.testing.assert_array_equal(dense.valid[::2, ::2], image.valid)
    np.testing.assert_array_equal(dense.valid[1::2, 1::2], image.valid)
    assert (dense.ranges[~dense.valid] == dense.no_return).all()
    sparse = quinr_lidar.decode(bounded.data, height=5, width=9)
    assert sparse.shape == (5, 9)
    assert sparse.valid.any()
    # The mask's own grid, asked for: still the preview.
    same = quinr_lidar.decode(bounded.data, height=16, width=64)
    assert not same.interpolated
    assert errors_of(same, image).max() > 0.02


@pytest.mark.parametrize("layers", [LAYERS, LAYERS[:2], LAYERS[:1]])
def test_a_window_is_a_part_of_the_image(bounded, layers):
    window = Window(6, 11, 20, 50)
    whole = quinr_lidar.decode(bounded.data, layers)
    part = quinr_lidar.decode(bounded.data, layers, window=window)
    inside = np.zeros(whole.shape, bool)
    inside[window.slices] = True
    np.testing.assert_array_equal(part.ranges[inside], whole.ranges[inside])
    np.testing.assert_array_equal(part.valid, whole.valid & inside)
    assert (part.ranges[~inside] == part.no_return).all()
    with pytest.raises(ValueError, match="window: expected rows up to 16"):
        quinr_lidar.decode(bounded.data, layers, window=Window(0, 17, 0, 5))


def test_every_instruction_set_decodes_the_same(bounded, monkeypatch):
    decoded = []
    for isa in instruction_sets():
        monkeypatch.setenv("QUINR_ISA", isa)
        decoded.append(quinr_lidar.decode(bounded.data))
    for other in decoded[1:]:
        np.testing.assert_array_equal(other.ranges, decoded[0].ranges)
        np.testing.assert_array_equal(other.valid, decoded[0].valid)


def test_info_tells_of_all_layers(bounded):
    info = codec.inspect(bounded.data)
    image, entropy_model = street(), built_in_models()["hdl64"]
    assert list(info.sections) == list(LAYERS)
    assert info.sections["mask"] == len(pack_mask(image.valid, entropy_model))
    assert info.sections["ranges"] == len(
        pack_ranges(image.ranges, image.valid, entropy_model, 0.02)
    )
    assert info.entropy_model == entropy_model.name
    assert info.scan["max_error"] == pytest.approx(0.02, rel=1e-2)
    assert "threshold" not in info.scan
    flat = info.as_dict()
    assert (flat["max_error"], flat["entropy_model"]) == (
        info.scan["max_error"],
        entropy_model.name,
    )


def test_another_entropy_model(small_model):
    image = street()
    encoded = codec.encode_frame(
        image, "bounded", entropy_models=[small_model], entropy_model=small_model.name, **TINY
    )
    assert codec.inspect(encoded.data).entropy_model == small_model.name
    decoded = quinr_lidar.decode(encoded.data, entropy_models=[small_model])
    assert errors_of(decoded, image).max() <= 0.02
    for layers in (LAYERS, LAYERS[:2]):
        with pytest.raises(
            UnknownEntropyModelError, match=f"coded with the entropy model {small_model.name}"
        ):
            quinr_lidar.decode(encoded.data, layers)
    assert quinr_lidar.decode(encoded.data, ("preview",)).shape == image.shape
    with pytest.raises(EntropyModelError, match="unknown entropy model"):
        codec.encode_frame(image, "bounded", entropy_model=small_model.name, **TINY)


def test_impossible_bounds_are_refused_before_training():
    def stop(_):
        raise AssertionError("it trained")

    with pytest.raises(ProfileError, match="max_error"):
        quinr_lidar.encode(street(), "bounded", max_error=0, **TINY)
    image = street()
    far = RangeImage(image.ranges * 1000, image.valid, image.projection, image.no_return * 1000)
    with pytest.raises(GeometryError, match="out of reach"):
        codec.encode_frame(far, "bounded", max_error=1e-4, progress=stop, **TINY)
    empty = RangeImage(image.ranges, image.valid & False, image.projection, image.no_return)
    with pytest.raises(GeometryError, match="no valid pixel"):
        codec.encode_frame(empty, "bounded", progress=stop, **TINY)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5)])
@pytest.mark.parametrize("valid", [1, 3, 10_000])
def test_images_of_any_size(size, valid):
    random = np.random.default_rng(0)
    mask = np.zeros(size, bool)
    mask.flat[random.permutation(mask.size)[:valid]] = True
    ranges = random.uniform(0.5, 300, size).astype(np.float32)
    no_return = float(ranges[mask].max())
    image = RangeImage(
        np.where(mask, ranges, np.float32(no_return)), mask, SphericalProjection(*size), no_return
    )
    decoded = quinr_lidar.decode(quinr_lidar.encode(image, "bounded", **TINY | {"steps": 2}))
    assert errors_of(decoded, image).max() <= 0.02


def damaged(data: bytes, *layers: str) -> bytes:
    changed = bytearray(data)
    for section in unpack(data).sections:
        if section.layer in layers:
            changed[section.start + len(section.payload) // 2] ^= 4
    return bytes(changed)


@pytest.mark.parametrize(
    ("harmed", "left"),
    [
        ((), ("preview", "mask", "ranges")),
        (("preview",), ("mask", "ranges")),
        (("ranges",), ("preview", "mask")),
        (("mask",), ("preview",)),
        (("mask", "ranges"), ("preview",)),
        (("preview", "ranges"), None),
        (("preview", "mask"), None),
    ],
)
def test_what_is_intact_is_salvaged(bounded, harmed, left):
    image, data = street(), damaged(bounded.data, *harmed)
    if left is None:
        with pytest.raises(BitstreamError, match=r"no layer is intact; .*checksum mismatch"):
            codec.salvage(data)
        return
    salvaged = codec.salvage(data)
    assert salvaged.layers == left
    assert (salvaged.damage is None) == (not harmed)
    if harmed:
        assert f"{harmed[0]} at byte" in str(salvaged.damage)
        with pytest.raises(BitstreamError, match="checksum"):
            quinr_lidar.decode(data)
    if "ranges" in left:
        assert errors_of(salvaged.image, image).max() <= 0.02
    elif "mask" in left:
        np.testing.assert_array_equal(salvaged.image.valid, image.valid)
    else:
        assert salvaged.image.interpolated


def test_a_model_that_codes_other_layers_leaves_those_that_it_codes(small_model):
    image = street()
    how = TINY | {"entropy_model": small_model.name}
    data = codec.encode_frame(image, "bounded", entropy_models=[small_model], **how).data
    masks_only = replace(small_model, layers={"mask": small_model["mask"]})
    with pytest.raises(BitstreamError, match=r"ranges at byte .* codes mask, not ranges"):
        quinr_lidar.decode(data, entropy_models=[masks_only])
    salvaged = codec.salvage(data, [masks_only])
    assert salvaged.layers == ("preview", "mask")
    np.testing.assert_array_equal(salvaged.image.valid, image.valid)


@pytest.mark.parametrize("profile", ["paper", "preview"])
def test_a_damaged_preview_of_a_file_without_ranges(profile):
    data = quinr_lidar.encode(street(), profile, **TINY)
    assert codec.salvage(data).damage is None
    with pytest.raises(BitstreamError, match="no layer is intact"):
        codec.salvage(damaged(data, "preview"))


def test_a_preview_outlives_what_is_behind_it(bounded):
    whole = quinr_lidar.decode(bounded.data, ("preview",))
    sections = {section.layer: section for section in unpack(bounded.data).sections}
    mask_start, ranges_start = sections["mask"].start, sections["ranges"].start
    preview_end = sections["preview"].start + len(sections["preview"].payload)
    for data in (
        damaged(bounded.data, "mask", "ranges"),
        bounded.data[:preview_end],
        bounded.data[: mask_start + 9],
        bounded.data + b"more",
    ):
        part = quinr_lidar.decode(data, ("preview",))
        np.testing.assert_array_equal(part.ranges, whole.ranges)
    cut = bounded.data[: ranges_start - 1]
    np.testing.assert_array_equal(
        quinr_lidar.decode(cut, ("preview", "mask")).valid, street().valid
    )
    with pytest.raises(BitstreamError):
        quinr_lidar.decode(bounded.data[: preview_end - 1], ("preview",))
    for data in (cut, bounded.data + b"more"):
        with pytest.raises(BitstreamError):
            quinr_lidar.decode(data)


def test_salvage_of_every_cut(bounded):
    starts = [section.start for section in unpack(bounded.data).sections]
    for size in range(0, len(bounded.data), 7):
        try:
            salvaged = codec.salvage(bounded.data[:size])
        except BitstreamError:
            assert size < starts[1]
        else:
            assert salvaged.damage is not None
            assert "ranges" not in salvaged.layers


def test_a_warm_start_takes_a_bounded_files_parameters(bounded):
    parameters = codec.read_parameters(bounded.data)
    warm = codec.encode_frame(street(), "bounded", start=parameters, **TINY)
    assert errors_of(quinr_lidar.decode(warm.data), street()).max() <= 0.02
    assert warm.float_psnr > 0
