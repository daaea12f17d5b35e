"""What the quinr command makes of errors that need a system's help to happen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quinr_lidar
from pipeline.storage.files import StorageError
from tests.support.tiny import SMALL_GRID, set_options, tiny

TINY = set_options(tiny(steps=2))
SMALL = SMALL_GRID


@pytest.fixture
def scan(tmp_path) -> Path:
    points = np.random.default_rng(0).normal(scale=(15, 15, 1, 0), size=(2000, 4))
    path = tmp_path / "000000.bin"
    path.write_bytes(points.astype("<f4").tobytes())
    return path


def test_version(quinr):
    code, out, _ = quinr("--version")
    assert code == 0
    assert out.strip() == f"quinr {quinr_lidar.__version__}"


def test_the_same_seed_gives_the_same_file(quinr, scan, tmp_path):
    files = [tmp_path / f"{name}.quinr" for name in "abc"]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        assert quinr("encode", scan, "-o", file, "--seed", seed, *TINY, *SMALL)[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_a_full_disk_leaves_no_partial_output(quinr, scan, tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.storage.files.os.fsync", full)
    out = tmp_path / "out"
    code, _, err = quinr("encode", scan, "-o", out / "a.quinr", *TINY, *SMALL)
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last == f"quinr: {out / 'a.quinr'}: cannot be written: No space left on device"
    assert list(out.iterdir()) == []


def test_a_failed_encode_keeps_the_file_that_was_there(quinr, scan, tmp_path):
    out = tmp_path / "a.quinr"
    assert quinr("encode", scan, "-o", out, *TINY, *SMALL)[0] == 0
    before = out.read_bytes()
    scan.write_bytes(b"\x00" * 17)
    assert quinr("encode", scan, "-o", out, *TINY, *SMALL)[0] == 2
    assert out.read_bytes() == before


def test_an_unreadable_directory_is_named(quinr, scan, tmp_path, monkeypatch):
    archive = tmp_path / "archive" / "00" / "frames"
    assert quinr("encode", scan, "-o", archive / "000000.quinr", *TINY, *SMALL)[0] == 0
    closed = tmp_path / "closed"
    closed.mkdir()
    listed = Path.iterdir

    def refuse(self):
        # chmod would not keep root out.
        if self == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    code, _, err = quinr("evaluate", tmp_path / "archive", "--originals", closed)
    assert code == 2
    assert err.strip().splitlines()[-1] == f"quinr: {closed}: cannot be read: Permission denied"


def test_every_flipped_byte_is_one_line_and_code_2(quinr, scan, tmp_path):
    file = tmp_path / "a.quinr"
    assert quinr("encode", scan, "-o", file, *TINY, *SMALL)[0] == 0
    data = file.read_bytes()
    for position in range(len(data)):
        file.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        code, out, err = quinr("decode", file, "-o", tmp_path / "cloud.bin")
        assert (code, out) == (2, ""), f"byte {position}"
        assert len(err.strip().splitlines()) == 1
        assert str(file) in err
    assert not (tmp_path / "cloud.bin").exists()


def test_errors_are_ours(quinr, tmp_path):
    assert issubclass(StorageError, quinr_lidar.QuinrError)
    code, _, err = quinr("info", tmp_path)
    assert code == 2
    assert err.strip() == f"quinr: {tmp_path}: cannot be read: Is a directory"
