"""Archives in folders and object stores, and what goes wrong there."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

import fsspec
import pytest

from pipeline.archive.extract import extract_frames
from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.overview import find_archives
from pipeline.archive.reader import PackedSequence
from pipeline.archive.repair import repair_archive
from pipeline.archive.verify import verify_archive
from pipeline.archive.writer import pack_sequence
from pipeline.storage.files import TEMPORARY_SUFFIX
from pipeline.storage.locations import ATTEMPTS, locate
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.errors import ArchiveError, StorageError
from tests.support.archived_drive import FRAMES, digests

PAUSES = [0.5, 1.0, 2.0, 4.0]
"""Seconds between the attempts."""


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Seconds that were waited, without waiting them."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def memory():
    """A URL of an object store in memory."""
    store = fsspec.filesystem("memory")
    yield "memory://bucket/drives"
    if store.exists("/bucket"):
        store.rm("/bucket", recursive=True)


@pytest.fixture(scope="module")
def s3_server():
    """A local S3 server; credentials of its own in the environment."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        import boto3

        boto3.client("s3").create_bucket(Bucket="fleet")
        yield f"http://{host}:{port}"
    server.stop()


def round_trip(folder: Path, url: str, tmp_path: Path) -> None:
    """Pack to a store, and everything else from there."""
    pack_sequence(folder, tmp_path / "local")
    assert pack_sequence(folder, f"{url}/00").written
    assert not pack_sequence(folder, f"{url}/00").written
    for name in (MCAP, MANIFEST):
        assert locate(f"{url}/00/{name}").read() == (tmp_path / "local" / name).read_bytes()
    archive = PackedSequence.open(f"{url}/00")
    local = PackedSequence.open(tmp_path / "local")
    assert len(archive.frame_ids) == FRAMES
    for frame_id in archive.frame_ids:
        assert archive.read(frame_id) == local.read(frame_id)
    assert verify_archive(f"{url}/00").ok
    assert [one.name for one in find_archives([url])] == [f"{url}/00"]
    data = locate(f"{url}/00/{MCAP}").read()
    locate(f"{url}/cut/{MCAP}").write(data[:-100])
    repair_archive(f"{url}/cut", f"{url}/mended")
    assert verify_archive(f"{url}/mended").ok
    assert locate(f"{url}/cut/{MCAP}").size() == len(data) - 100
    with pytest.raises(
        StorageError, match=r"nowhere/manifest\.parquet: cannot be read: No such file"
    ):
        PackedSequence.open(f"{url}/nowhere")
    done = list(extract_frames(archive, archive.rows[:2], f"{url}/clouds", "ply"))
    assert [one.error for one in done] == [None, None]
    assert locate(f"{url}/clouds/000001.ply").read().startswith(b"ply\n")


def test_a_store_in_memory(folder, memory, tmp_path):
    round_trip(folder, memory, tmp_path)


def test_s3(folder, s3_server, tmp_path):
    round_trip(folder, "s3://fleet/drives", tmp_path)


def test_a_bucket_that_is_not_there(folder, s3_server):
    with pytest.raises(StorageError, match=r"s3://nobodys/00/frames.mcap: cannot be"):
        pack_sequence(folder, "s3://nobodys/00")


def test_local_urls_are_local_paths(folder, tmp_path):
    pack_sequence(folder, f"file://{tmp_path}/packed")
    assert PackedSequence.open(tmp_path / "packed").frame_ids
    assert locate(f"file://{tmp_path}").local


def test_credentials_in_a_url_are_refused_and_not_repeated():
    with pytest.raises(StorageError, match="credentials belong into the environment") as caught:
        locate("s3://KEY:SECRET@bucket/x")
    assert "SECRET" not in str(caught.value)


def test_an_unknown_kind_of_storage_is_named():
    with pytest.raises(StorageError, match=r"nosuch://x: .*nosuch"):
        locate("nosuch://x")


def failing(store, monkeypatch, method: str, times: int, error: Exception) -> list[int]:
    """Let a method of a file system fail so many times; returns the calls."""
    calls: list[int] = []
    real = getattr(type(store), method)

    def call(self, *args, **kwargs):
        calls.append(1)
        if len(calls) <= times:
            raise error
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(store), method, call)
    return calls


def test_a_stores_errors_are_tried_again_with_growing_pauses(folder, memory, monkeypatch, pauses):
    store = fsspec.filesystem("memory")
    failing(store, monkeypatch, "put_file", 3, RuntimeError("503 Slow Down"))
    pack_sequence(folder, f"{memory}/00")
    assert pauses == PAUSES[:3]
    assert verify_archive(f"{memory}/00").ok


def test_errors_that_stay_are_reported_and_nothing_is_changed(
    folder, memory, monkeypatch, pauses, many
):
    pack_sequence(folder, f"{memory}/00")
    before = locate(f"{memory}/00/{MCAP}").read()
    many(9)
    store = fsspec.filesystem("memory")
    calls = failing(store, monkeypatch, "put_file", 99, RuntimeError("503\nSlow Down"))
    with pytest.raises(StorageError) as caught:
        pack_sequence(folder, f"{memory}/00")
    assert str(caught.value) == (
        f"{memory}/00/frames.mcap: cannot be written: 503 Slow Down (5 attempts)"
    )
    assert len(calls) == ATTEMPTS
    assert pauses == PAUSES
    assert locate(f"{memory}/00/{MCAP}").read() == before


def test_a_file_that_is_not_there_is_not_asked_for_again(memory, pauses):
    with pytest.raises(StorageError, match="No such file"):
        locate(f"{memory}/x").read()
    assert pauses == []


def test_an_upload_that_is_incomplete_is_an_error(folder, memory, monkeypatch):
    store = fsspec.filesystem("memory")
    monkeypatch.setattr(
        type(store), "put_file", lambda self, _local, path, **_: self.pipe_file(path, b"half")
    )
    with pytest.raises(StorageError, match="the upload is incomplete"):
        pack_sequence(folder, f"{memory}/00")


@pytest.mark.parametrize("at", range(0, 14, 3))
def test_a_full_disk_leaves_what_was_there(many, packed, monkeypatch, at):
    before = digests(packed)
    folder = many(9)
    count = itertools.count()

    class Full:
        """A file on a disk that is full after a few writes."""

        def __init__(self, file) -> None:
            self.file = file

        def write(self, data):
            if next(count) >= at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(data)

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

    opened = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", *a, **k: (
            Full(opened(self, mode, *a, **k)) if "w" in mode else opened(self, mode, *a, **k)
        ),
    )
    with pytest.raises(StorageError, match=r"cannot be written: No space left on device"):
        pack_sequence(folder, packed)
    assert digests(packed) == before


def test_a_disk_that_fails_at_the_last_moment_leaves_what_was_there(many, packed, monkeypatch):
    before, folder = digests(packed), many(9)

    def full(_handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"frames\.mcap: cannot be written: Input/output error"):
        pack_sequence(folder, packed)
    assert digests(packed) == before


def test_a_read_only_output_is_named(folder, tmp_path, monkeypatch):
    touched = Path.touch

    def refuse(self, *args, **kwargs):
        # chmod would not keep root out.
        if self.name.endswith(TEMPORARY_SUFFIX):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return touched(self, *args, **kwargs)

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(StorageError) as caught:
        pack_sequence(folder, tmp_path / "out")
    target = tmp_path / "out" / MCAP
    assert str(caught.value) == f"{target}: cannot be written: Permission denied"


def test_a_folder_is_no_archive(tmp_path):
    (tmp_path / MCAP).mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        RangedFile(locate(tmp_path / MCAP))
    with pytest.raises(ArchiveError, match=r"no archive, expected <sequence>/frames\.mcap"):
        find_archives([str(tmp_path)])
