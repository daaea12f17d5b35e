"""The quinr command as a person runs it: in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.datasets.velodyne import encode_velodyne
from tests.support.tiny import set_options, tiny

TINY = set_options(tiny(steps=5))


def run(*arguments: object, module: str = "pipeline.cli.main") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    points = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(5000, 3))
    path = tmp_path_factory.mktemp("scans") / "000000.bin"
    path.write_bytes(encode_velodyne(points))
    return path


@pytest.fixture(scope="module")
def compressed(scan) -> Path:
    result = run("encode", scan, *TINY, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    path = scan.with_suffix(".quinr")
    assert figures["file"] == str(path)
    assert figures["bytes"] == path.stat().st_size
    return path


def test_encode_shows_progress_and_figures(scan, tmp_path):
    result = run("encode", scan, "-o", tmp_path / "a.quinr", *TINY)
    assert result.returncode == 0
    assert "5/5" in result.stderr
    assert "psnr_db" in result.stdout


def test_encode_to_bits_a_pixel(scan, tmp_path):
    how = ["--profile", "paper", "--bpp", "0.01", "--json"]
    result = run("encode", scan, "-o", tmp_path / "a.quinr", *TINY, *how)
    assert json.loads(result.stdout)["bytes"] == (tmp_path / "a.quinr").stat().st_size
    assert 0.9 * 81 <= json.loads(result.stdout)["bytes"] <= 81  # 0.01 bits x 65,536 pixels


def test_info(compressed):
    shown = json.loads(run("info", compressed, "--json").stdout)
    assert (shown["qubits"], shown["features"]) == (2, 4)
    assert shown["sections"]["preview"] < shown["total_bytes"]
    assert "preview bytes" in run("info", compressed).stdout


def test_decode_to_every_kind_of_file(compressed, tmp_path):
    for name in ("cloud.bin", "cloud.ply", "ranges.npy"):
        result = run("decode", compressed, "-o", tmp_path / name)
        assert result.returncode == 0, result.stderr
    count = (tmp_path / "cloud.bin").stat().st_size // 16
    ranges = np.load(tmp_path / "ranges.npy")
    assert np.count_nonzero(np.isfinite(ranges)) == count
    from pipeline.libraries.open3d import import_open3d

    o3d = import_open3d()
    cloud = np.asarray(o3d.io.read_point_cloud(str(tmp_path / "cloud.ply")).points)
    binary = np.fromfile(tmp_path / "cloud.bin", np.float32).reshape(-1, 4)
    np.testing.assert_allclose(cloud, binary[:, :3])


def test_evaluate_file(scan, compressed):
    fidelity = json.loads(run("evaluate", compressed, "--originals", scan, "--json").stdout)
    assert fidelity["encoded_bytes"] == compressed.stat().st_size
    assert fidelity["psnr_db"] > 0
    assert "chamfer_m" in run("evaluate", compressed, "--originals", scan).stdout


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello " * 8, "text file"),
        (b"\x00\x01\x02" * 7, "multiple of 16"),
        (np.full((4, 4), np.nan, np.float32).tobytes(), "finite"),
        (None, "No such file"),
    ],
)
def test_bad_scans_end_with_code_2_and_one_line(tmp_path, content, reason):
    path = tmp_path / "bad.bin"
    if content is not None:
        path.write_bytes(content)
    result = run("encode", path)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "bad.bin" in result.stderr
    assert reason in result.stderr
    assert [entry.name for entry in tmp_path.iterdir() if entry != path] == []


@pytest.mark.parametrize("command", ["decode", "info"])
def test_damaged_files_end_with_code_2(compressed, tmp_path, command):
    path = tmp_path / "damaged.quinr"
    data = bytearray(compressed.read_bytes())
    data[-4] ^= 16
    path.write_bytes(data)
    result = run(command, path)
    assert result.returncode == 2
    assert "damaged.quinr: ranges at byte" in result.stderr
    assert "checksum" in result.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_ends_with_code_2(scan):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    result = run("encode", scan, *TINY, "-o", full / "a.quinr")
    assert result.returncode == 2
    assert "/dev/full/a.quinr: cannot be written" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--set", "bits=99"), "bits"),
        (("--set", "bits"), "NAME=VALUE"),
        (("--profile", "nope"), "unknown profile"),
        (("--height", "0"), "height"),
        (("--no-such-option",), "No such option"),
    ],
)
def test_bad_settings_end_with_code_2(scan, arguments, reason):
    result = run("encode", scan, *arguments)
    assert result.returncode == 2
    assert reason in result.stderr


def test_a_bounded_file_is_salvaged(scan, tmp_path):
    file, out = tmp_path / "a.quinr", tmp_path / "a.bin"
    result = run("encode", scan, "-o", file, "--max-error", 0.1, *TINY, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["largest_error_m"] <= 0.1
    data = bytearray(file.read_bytes())
    data[40] ^= 1  # of the preview, which the points do not need
    file.write_bytes(data)
    result = run("decode", file, "-o", out, "--salvage")
    assert result.returncode == 3
    assert "a.quinr: preview at byte" in result.stderr
    assert "salvaged from mask and ranges" in result.stderr
    assert out.stat().st_size > 0


def test_unknown_suffix(compressed, tmp_path):
    result = run("decode", compressed, "-o", tmp_path / "cloud.xyz")
    assert result.returncode == 2
    assert "expected a name that ends in .bin, .ply, .npy" in result.stderr


@pytest.mark.parametrize("command", ["encode", "decode", "info", "evaluate", "synth", "view"])
def test_help_has_an_example(command):
    result = CliRunner().invoke(app, [command, "--help"], prog_name="quinr")
    assert result.exit_code == 0
    assert f"quinr {command}" in result.stdout.partition("Example:")[2]


def test_plain_commands_never_load_prefect_or_open3d():
    code = (
        "import sys, pipeline.cli.main; "
        "sys.exit(' '.join({'prefect', 'open3d', 'pennylane'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.strip() == ""


def test_synth_then_evaluate_folder(tmp_path):
    drive = tmp_path / "drive"
    assert run("synth", drive, "--frames", 2, "--seed", 5).returncode == 0
    for frame in ("000000", "000001"):
        source = drive / "sequences/00/velodyne" / f"{frame}.bin"
        target = tmp_path / "archive/00/frames" / f"{frame}.quinr"
        assert run("encode", source, "-o", target, *TINY).returncode == 0
    result = run("evaluate", tmp_path / "archive" / "00", "--originals", drive, "--json")
    assert result.returncode == 0, result.stderr
    results = json.loads(result.stdout)
    assert results["frame_ids"] == ["000000", "000001"]
    assert len(results["results"]["psnr_db"]) == 2
    (tmp_path / "archive/00/frames/000001.quinr").write_bytes(b"QINRbroken")
    partial = run("evaluate", tmp_path / "archive" / "00", "--originals", drive)
    assert partial.returncode == 1
    assert "000001.quinr" in partial.stdout.replace("\n", "")


def interrupt(process: subprocess.Popen[str]) -> int:
    """Press Ctrl-C as a person does: again if nothing happens.

    A first one that comes while a library imports something lazily may be swallowed by it.
    """
    for _ in range(6):
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    raise AssertionError("six interrupts did not end it")


def test_ctrl_c_leaves_no_partial_file(scan, tmp_path):
    target = tmp_path / "a.quinr"
    command = [sys.executable, "-m", "pipeline.cli.main", "encode", str(scan), "-o", str(target)]
    command += ["--set", "steps=900000", "--set", "patience=900000", "--restarts", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "/900000" not in process.stderr.read(20):
            assert process.poll() is None
        assert interrupt(process) == 130
    assert list(tmp_path.iterdir()) == []
