"""quinr encode, info and decode of files with a max error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import encode as encode_cli
from pipeline.datasets import read_scan
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.entropy.models import built_in_models
from quinr_lidar.layers.registry import NAMES
from tests.support.tiny import SMALL_GRID, set_options, tiny

TINY = set_options(tiny(steps=2))
SMALL = SMALL_GRID
PROJECTION = SphericalProjection(16, 64)


def within(path: Path, image: RangeImage, max_error: float) -> bool:
    """Whether a decoded .npy holds exactly the valid pixels, each within the max error."""
    ranges = np.load(path)
    if not np.array_equal(np.isfinite(ranges), image.valid):
        return False
    return bool((np.abs(ranges.astype(float) - image.ranges)[image.valid] <= max_error).all())


@pytest.mark.parametrize("profile", [[], ["--profile", "paper"], ["--profile", "bounded"]])
def test_a_bound_is_kept_and_reported(quinr, scan, image, tmp_path, profile):
    path = tmp_path / "a.quinr"
    code, out, _ = quinr(
        "encode", scan, "-o", path, "--max-error", 0.05, *profile, *TINY, *SMALL, "--json"
    )
    assert code == 0
    figures, size = json.loads(out), path.stat().st_size
    sections = codec.inspect(path.read_bytes()).sections
    assert figures["sections"] == sections
    assert list(sections) == ["preview", "mask", "ranges"]
    assert figures["max_error_m"] == 0.05 >= figures["largest_error_m"] > 0.025
    count = image.valid_count
    assert figures["bits_per_point"] == pytest.approx(8 * size / count, abs=1e-4)
    expected = 8 * sections["ranges"] / count
    assert figures["ranges_bits_per_point"] == pytest.approx(expected, abs=1e-4)
    assert figures["preview_psnr_db"] < figures["psnr_db"]
    assert quinr("decode", path, "-o", tmp_path / "a.npy")[0] == 0
    assert within(tmp_path / "a.npy", image, 0.05)
    assert not within(tmp_path / "a.npy", image, 0.025)


def test_a_bound_that_grows(quinr, scan, image, tmp_path):
    path = tmp_path / "a.quinr"
    options = ["--max-error", 0.02, "--relative-error", 0.1]
    code, out, _ = quinr("encode", scan, "-o", path, *options, *TINY, *SMALL, "--json")
    figures = json.loads(out)
    assert (code, figures["max_error_m"], figures["relative_error"]) == (0, 0.02, 0.1)
    assert figures["largest_error_m"] > 0.02
    decoded = codec.decode(path.read_bytes())
    error = np.abs(decoded.ranges.astype(float) - image.ranges)[image.valid]
    assert (error <= np.maximum(0.02, 0.1 * image.ranges[image.valid])).all()
    shown = json.loads(quinr("info", path, "--json")[1])
    assert shown["relative_error"] == pytest.approx(0.1, rel=1e-4)


def test_the_table_shows_layers_and_bound(quinr, scan, tmp_path):
    out = quinr("encode", scan, "-o", tmp_path / "a.quinr", "--max-error", 0.05, *TINY, *SMALL)[1]
    for name in ("preview bytes", "mask bytes", "ranges bytes", "max_error_m", "largest_error_m"):
        assert name in out
    paper = ["--profile", "paper", *TINY, *SMALL]
    out = quinr("encode", scan, "-o", tmp_path / "b.quinr", *paper)[1]
    assert "preview bytes" in out
    assert "mask bytes" not in out
    assert "max_error_m" not in out


def test_info_tells_bound_and_model(quinr, file):
    shown = json.loads(quinr("info", file, "--json")[1])
    assert shown["max_error"] == pytest.approx(0.05, rel=1e-6)
    assert list(shown["sections"]) == ["preview", "mask", "ranges"]
    built_in = built_in_models()["hdl64"].name
    assert (shown["entropy_model"], shown["built_in_model"]) == (built_in, "hdl64")
    table = quinr("info", file)[1]
    for part in ("ranges bytes", "max_error", f"{built_in} (built in: hdl64)"):
        assert part in table


@pytest.mark.parametrize("options", [["--max-error", "0.05"], ["--entropy-model", "own.qmodel"]])
def test_a_picture_has_no_bound(quinr, tmp_path, own_model, monkeypatch, options):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("own.qmodel").write_bytes(own_model.data)
    Image.new("L", (8, 8)).save("a.png")
    code, _, err = quinr("encode", "a.png", *options, *TINY)
    assert (code, err.strip()) == (
        2,
        "quinr: a.png: a picture has neither max error nor entropy model",
    )
    assert not Path("a.quinr").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--max-error", "0"], "--max-error"),
        (["--max-error", "1e-9"], "--max-error"),
        (["--relative-error", "2"], "--relative-error"),
        (
            ["--max-error", "0.1", "--set", "layers=preview,mask"],
            "max_error has no effect without the layer ranges",
        ),
        (["--set", "layers=preview,ranges"], "ranges without a mask layer"),
        (
            ["--profile", "paper", "--set", "max_error=0.1"],
            "max_error has no effect without the layer ranges",
        ),
        (
            ["--set", "layers=preview,mask", "--set", "entropy_model=nobody"],
            "unknown entropy model 'nobody'",
        ),
        (["--entropy-model", "nowhere.qmodel"], "nowhere.qmodel: cannot be read"),
    ],
)
def test_bad_options_end_with_code_2(quinr, scan, options, reason):
    code, _, err = quinr("encode", scan, *options, *TINY, *SMALL)
    assert code == 2
    assert reason in err
    assert not scan.with_suffix(".quinr").exists()


def test_a_file_that_would_break_its_bound_is_not_written(quinr, scan, tmp_path, monkeypatch):
    decode = codec.decode

    def wrong(*arguments, **options):
        image = decode(*arguments, **options)
        image.ranges[tuple(np.argwhere(image.valid)[3])] += np.float32(0.2)
        return image

    monkeypatch.setattr(encode_cli.codec, "decode", wrong)
    path = tmp_path / "a.quinr"
    code, _, err = quinr("encode", scan, "-o", path, "--max-error", 0.05, *TINY, *SMALL)
    assert code == 2
    assert "the max error is exceeded: 1 ranges" in err
    assert not path.exists()


def test_evaluate_refuses_a_broken_bound(quinr, scan, file, tmp_path):
    code, out, _ = quinr("evaluate", file, "--originals", scan, "--json")
    figures = json.loads(out)
    assert code == 0
    assert figures["mask_exact"] is True
    assert figures["max_error_m"] == pytest.approx(0.05, rel=1e-4)
    assert 0.025 < figures["largest_error_m"] <= figures["max_error_m"]
    table = quinr("evaluate", file, "--originals", scan)[1]
    assert "mask_exact" in table
    assert "yes" in table
    # The same directions, so the same pixels, but other ranges.
    points = read_scan(scan).points
    points[:, :3] *= np.float32(1.05)
    other = tmp_path / "other.bin"
    other.write_bytes(points.astype("<f4").tobytes())
    code, _, err = quinr("evaluate", file, "--originals", other)
    assert code == 2
    assert f"{file}: not {other} as promised: the" in err
    assert file.exists()


def test_a_model_of_ones_own(quinr, scan, image, tmp_path, own_model):
    entropy_model, file = tmp_path / "own.qmodel", tmp_path / "files" / "a.quinr"
    entropy_model.write_bytes(own_model.data)
    options = ["--max-error", 0.05, "--entropy-model", entropy_model]
    assert quinr("encode", scan, "-o", file, *options, *TINY, *SMALL)[0] == 0
    shown = json.loads(quinr("info", file, "--json")[1])
    assert (shown["entropy_model"], shown["built_in_model"]) == (own_model.name, None)
    assert f"{own_model.name} (not built in)" in quinr("info", file)[1]

    out = tmp_path / "a.npy"
    code, _, err = quinr("decode", file, "-o", out)
    assert (code, out.exists()) == (2, False)
    assert f"{file}: mask at byte" in err
    assert own_model.name in err
    # The preview needs no entropy model, so it can be saved.
    assert quinr("decode", file, "-o", out, "--layers", "preview")[0] == 0
    code, _, err = quinr("decode", file, "-o", out, "--salvage")
    assert code == 3
    assert own_model.name in err
    assert "salvaged from preview: " in err
    assert "no limit on their errors" in err

    other = tmp_path / "other.qmodel"
    other.write_bytes(b"no entropy model")
    assert quinr("decode", file, "-o", out, "--entropy-model", other)[0] == 2
    assert (
        quinr(
            "decode",
            file,
            "-o",
            out,
            "--entropy-model",
            entropy_model,
            "--entropy-model",
            entropy_model,
        )[0]
        == 0
    )
    assert within(out, image, 0.05)
    (file.parent / "beside.qmodel").write_bytes(own_model.data)
    assert quinr("decode", file, "-o", out, "--salvage")[0] == 0
    assert within(out, image, 0.05)


@pytest.mark.parametrize(
    ("given", "count"),
    [("preview", 1), ("mask", 2), ("ranges", 3)],
)
def test_layers_up_to_a_name(quinr, file, image, tmp_path, given, count):
    out = tmp_path / "a.npy"
    code, printed, _ = quinr("decode", file, "-o", out, "--layers", given)
    assert code == 0
    decoded = codec.decode(file.read_bytes(), ("preview", "mask", "ranges")[:count])
    expected = np.where(decoded.valid, decoded.ranges, np.nan)
    np.testing.assert_array_equal(np.load(out), expected)
    assert np.array_equal(np.isfinite(np.load(out)), image.valid) == (count > 1)
    assert within(out, image, 0.05) == (count == 3)
    assert ("interpolated" in printed) == (count == 1)


@pytest.mark.parametrize("given", ["0", "4", "-1", "previews", "mask,ranges"])
def test_other_layers_are_refused(quinr, file, given):
    code, _, err = quinr("decode", file, "--layers", given)
    assert code == 2
    assert "--layers" in err
    assert "expected one of preview" in err


def test_layers_that_are_not_wanted_may_be_damaged(quinr, file, tmp_path):
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    out = tmp_path / "a.npy"
    assert [quinr("decode", file, "-o", out, "--layers", k)[0] for k in NAMES] == [0, 0, 2]
