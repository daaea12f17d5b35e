"""What follows from the registry: order, needs, and which layers an image is decoded from."""

from __future__ import annotations

import pytest

from quinr_lidar.codec.profiles import Profile, get_profile
from quinr_lidar.errors import ProfileError
from quinr_lidar.layers.registry import (
    LAYERS,
    NAMES,
    in_order,
    layers_of_file,
    missing_needs,
    to_decode,
    with_needs,
)


def test_layers_are_numbered_in_their_order():
    numbers = [layer.number for layer in LAYERS.values()]
    assert numbers == sorted(set(numbers))
    assert all(1 <= number <= 6 for number in numbers)
    for name, layer in LAYERS.items():
        assert layer.name == name
        assert layer.promise
        # What a layer needs comes before it, so that one pass in order decodes a file.
        assert all(LAYERS[need].number < layer.number for need in layer.needs)


def test_needs():
    assert with_needs(["ranges"]) == ("mask", "ranges")
    assert with_needs(["ranges", "preview"]) == NAMES == ("preview", "mask", "ranges")
    assert missing_needs(["preview", "ranges"]) == "ranges without a mask layer"
    assert missing_needs(["mask", "ranges"]) is None
    assert in_order(["mask", "preview"]) == ("preview", "mask")
    for names, reason in (
        (["preview", "ranges"], "ranges without a mask layer"),
        (["mask"], "every file has a preview"),
        (["preview", "rings"], "no such layer: rings; there is preview, mask, ranges"),
    ):
        with pytest.raises(ValueError, match=reason):
            layers_of_file(names)


@pytest.mark.parametrize(
    ("there", "any_grid", "used"),
    [
        (NAMES, False, ("mask", "ranges")),
        (NAMES, True, ("preview", "mask")),
        (("preview", "mask"), False, ("preview", "mask")),
        (("preview",), False, ("preview",)),
        (("mask", "ranges"), False, ("mask", "ranges")),
    ],
)
def test_the_last_layer_that_knows_it_is_decoded(there, any_grid, used):
    assert to_decode(there, any_grid=any_grid) == used


def test_a_profile_names_its_layers():
    assert get_profile("bounded").layers == NAMES
    assert Profile().layers == ("preview",)
    for given in ("mask,preview", ["preview", "mask"], ("preview", "mask")):
        assert Profile().with_overrides(layers=given).layers == ("preview", "mask")
    for given in ("preview,ranges", "rings", "", 2, ["mask"]):
        with pytest.raises(ProfileError, match="layers"):
            Profile().with_overrides(layers=given)
