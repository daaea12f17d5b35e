"""quinr decode --salvage: the best intact layers of damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quinr_lidar import RangeImage
from quinr_lidar.container import unpack
from tests.support.tiny import SMALL_GRID, set_options, tiny

TINY = set_options(tiny(steps=2))
SMALL = SMALL_GRID
WORTH = {
    ("mask", "ranges"): "Every range is within the largest error",
    ("preview", "mask"): "The valid pixels are exactly those",
    ("preview",): "there is no limit on their errors",
}


def within(path: Path, image: RangeImage, max_error: float) -> bool:
    """Whether a decoded .npy holds exactly the valid pixels, each within the max error."""
    ranges = np.load(path)
    if not np.array_equal(np.isfinite(ranges), image.valid):
        return False
    return bool((np.abs(ranges.astype(float) - image.ranges)[image.valid] <= max_error).all())


def salvaged(quinr, file: Path, out: Path) -> tuple[int, tuple[str, ...]]:
    """Exit code, and the layers that it says it used."""
    out.unlink(missing_ok=True)
    code, _, err = quinr("decode", file, "-o", out, "--salvage")
    assert out.exists() == (code != 2)
    if code == 0:
        assert err == ""
        return 0, ()
    assert len(err.strip().splitlines()) == 1
    assert f"quinr: {file}: " in err
    if code == 2:
        return 2, ()
    used = tuple(err.split("salvaged from ")[1].split(":")[0].split(" and "))
    assert WORTH[used] in err
    return code, used


def test_what_is_whole_needs_no_salvage(quinr, file, image, tmp_path):
    assert salvaged(quinr, file, tmp_path / "a.npy") == (0, ())
    assert within(tmp_path / "a.npy", image, 0.05)


@pytest.mark.parametrize(
    ("layer", "used"),
    [("preview", ("mask", "ranges")), ("mask", ("preview",)), ("ranges", ("preview", "mask"))],
)
def test_a_damaged_layer_leaves_the_others(quinr, file, image, tmp_path, layer, used):
    data, out = file.read_bytes(), tmp_path / "a.npy"
    section = unpack(data).section(layer)
    assert section is not None
    last = section.start + len(section.payload) - 1
    # The checksum in front of the payload counts as its layer's.
    for position in (section.start - 1, section.start, (section.start + last) // 2, last):
        flipped = bytes([data[position] ^ 0x55])
        file.write_bytes(data[:position] + flipped + data[position + 1 :])
        assert quinr("decode", file, "-o", out)[0] == 2
        assert salvaged(quinr, file, out) == (3, used)
        assert within(out, image, 0.05) == (layer == "preview")
        assert np.array_equal(np.isfinite(np.load(out)), image.valid) == (layer != "mask")


def test_a_file_cut_anywhere(quinr, file, tmp_path):
    data, out = file.read_bytes(), tmp_path / "a.npy"
    ends = {one.layer: one.start + len(one.payload) for one in unpack(data).sections}
    assert ends["ranges"] == len(data)
    edges = [end + by for end in ends.values() for by in (-1, 0, 1)]
    cuts = {0, 4, 9, *edges, *np.random.default_rng(0).integers(0, len(data), 20).tolist()}
    for cut in sorted(cuts - {len(data) + 1}):
        file.write_bytes(data[:cut])
        if cut == len(data):
            expected: tuple[int, tuple[str, ...]] = (0, ())
        elif cut >= ends["mask"]:
            expected = (3, ("preview", "mask"))
        else:
            expected = (3, ("preview",)) if cut >= ends["preview"] else (2, ())
        assert salvaged(quinr, file, out) == expected, f"{cut} bytes"


def test_any_flipped_byte_is_noticed(quinr, file, tmp_path):
    data, out = file.read_bytes(), tmp_path / "a.npy"
    header = unpack(data).header_bytes
    random = np.random.default_rng(1).integers(0, len(data), 40).tolist()
    for position in {*range(header + 8), *random}:
        flipped = bytes([data[position] ^ 0x55])
        file.write_bytes(data[:position] + flipped + data[position + 1 :])
        code, _ = salvaged(quinr, file, out)
        # Every checksum covers the header.
        assert code == 2 if position < header else code in (2, 3), f"byte {position}"


def test_a_single_layer_has_nothing_to_salvage(quinr, scan, tmp_path):
    file, out = tmp_path / "a.quinr", tmp_path / "a.npy"
    assert quinr("encode", scan, "-o", file, "--profile", "paper", *TINY, *SMALL)[0] == 0
    assert salvaged(quinr, file, out) == (0, ())
    data = file.read_bytes()
    for damaged in (data[:-1], data[:-1] + bytes([data[-1] ^ 1])):
        file.write_bytes(damaged)
        assert salvaged(quinr, file, out) == (2, ())


@pytest.mark.parametrize(
    "option", [["--layers", "mask"], ["--height", "8"], ["--window", "0,8,0,8"]]
)
def test_salvage_decides_itself(quinr, file, option):
    code, _, err = quinr("decode", file, "--salvage", *option)
    assert code == 2
    assert "decides itself" in err
