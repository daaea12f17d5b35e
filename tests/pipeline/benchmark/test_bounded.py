"""QuINR takes part with the files that the library writes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.benchmark.baseline import Decoded, Request
from pipeline.benchmark.baselines.bounded import PROFILE, QUINR, UNSEEN
from pipeline.benchmark.baselines.whole_image import WHOLE_IMAGE, preset_for
from pipeline.benchmark.measure import measure
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.codec.profiles import get_profile
from quinr_lidar.errors import GeometryError

SHARE = 0.001


def room(height: int = 16, width: int = 96) -> RangeImage:
    """Walls with a hole."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    ranges = (9 - 4 * y + 3 * np.sin(9 * x)).astype(np.float32)
    ranges[:, width // 3 : width // 2] = 30
    valid = np.ones(ranges.shape, bool)
    valid[3:7, 5:30] = False
    no_return = float(ranges[valid].max())
    filled = np.where(valid, ranges, np.float32(no_return))
    return RangeImage(filled, valid, SphericalProjection(height, width), no_return)


def test_files_are_those_of_the_library():
    image, steps = room(), Request(0.0, share=SHARE).steps(get_profile(PROFILE).steps)
    for max_error in (0.02, 0.1):
        encoded = QUINR.ways[PROFILE](image, Request(max_error, share=SHARE))
        whole = codec.encode_frame(image, PROFILE, max_error=max_error, steps=steps)
        assert encoded.data == whole.data
        assert encoded.parts == codec.inspect(encoded.data).sections
        assert set(encoded.parts) == {"preview", "mask", "ranges"}


def test_the_preview_is_trained_once_a_scan_and_is_not_counted():
    image = room()
    found = [measure(image, QUINR, Request(one, share=SHARE))["figures"] for one in (0.02, 0.1)]
    assert found[0]["training_seconds"] == found[1]["training_seconds"] > 0
    assert found[0]["largest_error_m"] <= 0.02 < found[1]["largest_error_m"] <= 0.1
    encoded = QUINR.ways[PROFILE](image, Request(0.1, share=SHARE))
    stated = replace(QUINR, ways={"": lambda *_: replace(encoded, seconds=123.0)})
    assert measure(image, stated, Request(0.1))["figures"]["encode_seconds"] == 123.0


def test_an_error_above_the_largest_allowed_is_found():
    def decode(data: bytes, known: object) -> Decoded:
        decoded = QUINR.decode(data, known)
        return replace(decoded, ranges=decoded.ranges + np.float32(0.05))

    with pytest.raises(GeometryError, match=r"quinr-bounded: expected a largest error of 0.02 m"):
        measure(room(), replace(QUINR, decode=decode), Request(0.02, share=SHARE))


def test_version_is_that_of_all_our_files():
    assert QUINR.version(Request(0.1)) == UNSEEN.version(Request(0.2))


def test_whole_images_fill_their_budget():
    image, one, budget = room(), WHOLE_IMAGE[0], 230
    found = measure(image, one, Request(budget, share=SHARE))["figures"]
    assert 0.9 * budget < found["bytes"] <= budget
    assert found["psnr_db"] > 5
    assert "largest_error_m" not in found  # it knows no mask


def test_previews_pay_for_their_mask():
    image, one, budget = room(), WHOLE_IMAGE[1], 230
    found = measure(image, one, Request(budget, share=SHARE))
    assert 0.5 * budget < found["figures"]["bytes"] <= budget
    assert set(found["parts"]) == {"preview", "mask"}
    assert found["figures"]["largest_error_m"] > 0
    with pytest.raises(GeometryError, match="mask takes all"):
        measure(image, one, Request(58))


def test_the_better_preview_counts(monkeypatch):
    encode_frame, made = codec.encode_frame, []

    def noted(*arguments: object, **overrides: object) -> codec.EncodedFrame:
        made.append(encode_frame(*arguments, **overrides))
        return made[-1]

    monkeypatch.setattr(codec, "encode_frame", noted)
    encoded = WHOLE_IMAGE[1].ways[""](room(), Request(420, share=SHARE))
    first, second = made
    assert first.psnr != second.psnr
    assert encoded.data == max(made, key=lambda frame: frame.psnr).data


def test_presets_are_chosen_by_size():
    assert preset_for(1638).name == "paper-1300"
    assert preset_for(380).name == "paper-350"
    assert preset_for(380).target_bytes == 380
