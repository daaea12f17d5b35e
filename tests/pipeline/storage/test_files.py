from __future__ import annotations

import errno
import os
import stat

import pytest

from pipeline.storage.files import read_bytes, write_atomically, write_json_atomically
from quinr_lidar.errors import StorageError


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "deep" / "er" / "file.bin"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert read_bytes(path) == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o400


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, broken):
    path = tmp_path / "file.bin"
    write_atomically(path, b"old")

    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync" if broken == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(StorageError, match=r"file.bin: cannot be written: No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file.bin", b"new")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name in ("inside", "deep/inside"):
        with pytest.raises(StorageError) as caught:
            write_atomically(tmp_path / "file" / name, b"x")
        place = tmp_path / "file"
        assert str(caught.value) == (
            f"{place / name}: cannot be written: {place} is a file, not a folder"
        )


def test_missing_files_are_named(tmp_path):
    with pytest.raises(StorageError, match=r"nothing: cannot be read: No such file"):
        read_bytes(tmp_path / "nothing")


def test_json_refuses_nan(tmp_path):
    write_json_atomically(tmp_path / "a.json", {"a": 1})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomically(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()
