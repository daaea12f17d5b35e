"""Nightly runs on disks that are full, or may not be written.

Whatever it is: originals and what was archived before stay as they are, byte for byte, and one line
says what is wrong with which file. Flows run as functions, see the fixture ``plain``.
"""

from __future__ import annotations

import gc
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flows.archive_sequence import archive_sequence
from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.reader import PackedSequence
from pipeline.config.archive_config import ArchiveConfig, RunConfig
from quinr_lidar.errors import StorageError
from tests.support.flows import (
    SETTINGS,
    archive,
    contents,
    digests,
    packed,
    refused,
    run_nightly,
    verified,
    write_scan,
)

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

pytestmark = pytest.mark.usefixtures("plain")


def mount(*arguments: object) -> None:
    if shutil.which("mount") is None:
        pytest.skip("needs to mount file systems: there is no mount")
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs to mount file systems: {done.stderr.strip()}")


def unmount(path: Path) -> None:
    """Unmount a disk, which is busy until what an error's traceback holds open is collected."""
    for _ in range(50):
        gc.collect()
        done = subprocess.run(["umount", str(path)], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(done.stderr)


@contextmanager
def disk(path: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk of some bytes; gives out how to change it."""
    path.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "none", path)
    try:
        yield lambda options: mount("-o", f"remount,{options}", path)
    finally:
        unmount(path)


def used(path: Path) -> int:
    return -(-shutil.disk_usage(path).used // 1024)


def test_a_full_disk_anywhere_and_then_space_again(drives, tmp_path):
    """Wherever the disk is full, the next run goes on to the very same archive."""
    originals = digests(drives)
    archive(drives, tmp_path / "whole")
    whole = contents(tmp_path / "whole" / "a")
    stopped = set()
    for kilobytes in (4, 28, 44, 64, 96):
        with disk(tmp_path / "disk", f"{kilobytes}k") as change:
            said = refused(lambda: archive(drives, tmp_path / "disk"))
            assert "cannot be written: No space left on device" in said
            stopped.add(Path(said.partition(": ")[0]).name)
            left = digests(tmp_path / "disk")
            assert not any(name.endswith(".part") for name in left)
            assert not {MCAP, MANIFEST} & {Path(name).name for name in left}
            frames = {name: sha for name, sha in left.items() if name.endswith(".quinr")}
            change("size=4m")
            assert archive(drives, tmp_path / "disk").name == "Completed"
            assert contents(tmp_path / "disk" / "a") == whole
            assert frames.items() <= digests(tmp_path / "disk").items()
    assert {"metrics.json", MCAP} < stopped
    assert len(stopped) >= 4, stopped
    assert digests(drives) == originals


def test_a_full_disk_leaves_the_archive_that_was_there(drives, tmp_path):
    with disk(tmp_path / "disk", "4m") as change:
        archive(drives, tmp_path / "disk")
        before = packed(tmp_path / "disk" / "a")
        write_scan(drives / "a" / "velodyne" / "000003.bin", 3)
        originals = digests(drives)
        for more in (12, 32, 60):
            change(f"size={used(tmp_path / 'disk') + more}k")
            said = refused(lambda: archive(drives, tmp_path / "disk"))
            assert "No space left on device" in said
            assert packed(tmp_path / "disk" / "a") == before
            assert verified(tmp_path / "disk") == []
        change("size=16m")
        assert run_nightly(drives, tmp_path / "disk", "dry-run").name == "Completed"
        assert len(PackedSequence.open(tmp_path / "disk" / "a").frame_ids) == 4
        assert digests(drives) == originals


def test_a_nightly_run_on_a_full_disk_removes_nothing(drives, tmp_path):
    originals = digests(drives)
    for kilobytes in (24, 64):
        with disk(tmp_path / "disk", f"{kilobytes}k"):
            said = refused(lambda: run_nightly(drives, tmp_path / "disk"))
        assert "No space left on device" in said
        assert digests(drives) == originals


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.timeout(600)
def test_a_full_disk_with_a_server_and_workers(drives, tmp_path, prefect_harness, monkeypatch):
    monkeypatch.undo()
    originals = digests(drives)
    with disk(tmp_path / "disk", "40k") as change:

        def run() -> State:
            return archive_sequence(
                str(drives / "a"),
                str(tmp_path / "disk"),
                ArchiveConfig(overrides=SETTINGS, run=RunConfig(workers=2)),
                return_state=True,
            )

        state = run()
        assert state.is_failed()
        assert "No space left on device" in (state.message or "")
        change("size=4m")
        state = run()
        assert (state.name, state.message) == ("Completed", "3 frames")
        assert PackedSequence.open(tmp_path / "disk" / "a").frame_ids == (
            "000000", "000001", "000002",
        )  # fmt: skip
    assert digests(drives) == originals


def test_a_disk_that_may_not_be_written(drives, tmp_path):
    originals = digests(drives)
    with disk(tmp_path / "disk", "20m") as change:
        run_nightly(drives, tmp_path / "disk", "off")
        change("ro")
        before = digests(tmp_path / "disk")
        with pytest.raises(StorageError, match=r"a/writer\.lock: cannot be written: Read-only"):
            archive(drives, tmp_path / "disk")
        for retention in ("off", "dry-run", "delete"):
            with pytest.raises(StorageError, match=r"nightly\.md: cannot be written: Read-only"):
                run_nightly(drives, tmp_path / "disk", retention)
        assert digests(tmp_path / "disk") == before
    assert digests(drives) == originals


def test_originals_that_may_not_be_removed(drives, archived):
    originals = digests(drives)
    mount("--bind", drives, drives)
    try:
        mount("-o", "remount,ro,bind", drives)
        state = run_nightly(drives, archived)
        assert state.name == "CompletedWithFailures"
        assert "000000.bin: cannot be removed: Read-only file system" in (state.message or "")
        assert digests(drives) == originals
    finally:
        unmount(drives)
    assert run_nightly(drives, archived).name == "Completed"
    assert digests(drives) == {}


def test_an_output_that_is_a_file(drives, tmp_path):
    originals = digests(drives)
    (tmp_path / "file").write_text("notes")
    with pytest.raises(StorageError, match=r"file/a/.*: cannot be .*: Not a directory"):
        archive(drives, tmp_path / "file")
    with pytest.raises(StorageError, match="file is a file, not a folder"):
        run_nightly(drives, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "notes"
    assert digests(drives) == originals
