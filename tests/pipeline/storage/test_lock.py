"""One writer a folder: real processes, real kills."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.storage.lock import LOCK, Holder, LockedError, check_unlocked, holder_of, lock
from quinr_lidar.errors import StorageError

HOLD = """
import sys, time
from pathlib import Path
from pipeline.storage.lock import lock
with lock(Path(sys.argv[1]), "run-7"):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    other = hold(tmp_path / "00")
    try:
        with pytest.raises(LockedError) as caught, lock(tmp_path / "00"):
            pass
        for part in (f"process {other.pid} on", str(tmp_path / "00" / LOCK), "wait for it to end"):
            assert part in str(caught.value)
        with pytest.raises(LockedError):
            check_unlocked(tmp_path / "00")
        assert isinstance(caught.value, StorageError)
        with lock(tmp_path / "01"):
            pass
    finally:
        other.communicate()
    assert not (tmp_path / "00" / LOCK).exists()
    check_unlocked(tmp_path / "00")
    with lock(tmp_path / "00") as left:
        assert left is None


def test_what_a_killed_process_left_is_taken_over(tmp_path):
    other = hold(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / LOCK).exists()
    assert holder_of(tmp_path) is None
    with lock(tmp_path, "run-8") as left:
        assert left is not None
        assert (left.pid, left.note) == (other.pid, "run-7")
        now = holder_of(tmp_path)
        assert now is not None
        assert (now.pid, now.note) == (os.getpid(), "run-8")
    assert list(tmp_path.iterdir()) == []


def test_a_process_id_used_again_does_not_keep_a_lock(tmp_path):
    # This process lives and has that id, but did not take the lock.
    holder = Holder.this_process("before")
    (tmp_path / LOCK).write_text(json.dumps(holder.__dict__))
    with lock(tmp_path) as left:
        assert left == holder


def test_another_machines_lock_stays(tmp_path):
    text = json.dumps(Holder(1, "elsewhere", "2026-01-01T00:00:00Z").__dict__)
    (tmp_path / LOCK).write_text(text)
    with (
        pytest.raises(LockedError, match="if elsewhere has lost it, remove this file"),
        lock(tmp_path),
    ):
        pass
    assert (tmp_path / LOCK).read_text() == text


def test_a_lock_file_cut_short_by_a_crash_is_nobodys(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": 12')
    with lock(tmp_path) as left:
        assert left is None


def test_two_locks_in_one_process_exclude_each_other(tmp_path):
    with lock(tmp_path):
        with pytest.raises(LockedError), lock(tmp_path):
            pass
        # The one that was refused has not removed it.
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()


def test_the_lock_goes_when_the_work_fails(tmp_path):
    with pytest.raises(KeyError), lock(tmp_path):
        raise KeyError
    assert not (tmp_path / LOCK).exists()


def test_without_locks_of_the_file_system_the_process_id_decides(tmp_path, monkeypatch):
    def unsupported(_handle, _operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", unsupported)
    living = Holder.this_process()
    (tmp_path / LOCK).write_text(json.dumps(living.__dict__))
    with pytest.raises(LockedError), lock(tmp_path):
        pass
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = Holder(ended.pid, living.host, living.since)
    (tmp_path / LOCK).write_text(json.dumps(dead.__dict__))
    with lock(tmp_path) as left:
        assert left == dead


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    expected = pytest.raises(StorageError, match=r"file/00/writer\.lock: cannot be written")
    with expected, lock(tmp_path / "file" / "00"):
        pass
