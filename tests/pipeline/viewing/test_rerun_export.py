"""Recordings for Rerun's viewer, read back with Rerun."""

from __future__ import annotations

import builtins
import importlib
import json
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pipeline.archive.reader import PackedSequence
from pipeline.archive.writer import pack_sequence
from pipeline.sequence.records import frame_path, read_record, write_record
from pipeline.storage.files import sha256_of
from pipeline.viewing import rerun_export
from pipeline.viewing.rerun_export import export_rerun
from pipeline.viewing.sources import open_frames
from quinr_lidar.errors import ArchiveError, BackendError, StorageError
from tests.support.archived_drive import FRAMES, digests, flip

chunk = pytest.importorskip("rerun.chunk")


class Recording:
    """What is in a file, by entity."""

    def __init__(self, path):
        reader = chunk.RrdReader(path)
        (self.recording,), self.blueprints = reader.recordings(), reader.blueprints()
        # Reads the footer, which only a finished file has.
        assert len(reader.store()) > 0
        self.batches: dict[str, list] = {}
        for part in reader.stream().to_chunks():
            self.batches.setdefault(part.entity_path, []).append(part.to_record_batch())

    def column(self, entity, name):
        """In the order of frames."""
        found = {}
        for batch in self.batches.get(entity, []):
            for frame, value in zip(batch["frame"], batch[name], strict=True):
                found[frame.as_py()] = value.as_py()
        return [found[frame] for frame in sorted(found)]

    def points(self, entity):
        return [np.array(value, np.float32) for value in self.column(entity, "Points3D:positions")]


def timed(folder, seconds, out):
    """The sequence with times, packed."""
    for number, second in enumerate(seconds):
        record = read_record(folder, f"{number:06d}")
        write_record(folder, replace(record, timestamp=second))
    pack_sequence(folder, out)
    return out


def test_all_frames_with_their_scans(quinr, packed, scans, here):
    code, out, _ = quinr("view", packed, "--rerun", "out.rrd", "--originals", scans)
    assert code == 0
    assert out.startswith("out.rrd: 6 frames, ")
    read = Recording(here / "out.rrd")
    assert read.recording.application_id == "quinr"
    assert len(read.blueprints) == 1
    archive = PackedSequence.open(packed)
    for number, row in enumerate(archive.rows):
        image = archive.decode(row.frame_id)
        cloud = image.projection.back_project(image)
        assert np.array_equal(read.points("/decoded")[number], cloud)
        raw = np.fromfile(scans / "00" / f"{row.frame_id}.bin", "<f4").reshape(-1, 4)
        assert np.array_equal(read.points("/original")[number], raw[:, :3])
    rows = archive.rows
    scalar = "Scalars:scalars"
    assert read.column("/figures/bytes", scalar) == [[row.bytes] for row in rows]
    for name in ("psnr_db", "largest_error_m"):
        expected = [[row.figures[name]] for row in rows]
        assert np.allclose(read.column(f"/figures/{name}", scalar), expected)
    for name in ("original", "decoded", "error"):
        images = read.column(f"/range_image/{name}", "DepthImage:buffer")
        assert [len(image[0]) for image in images] == FRAMES * [8 * 32 * 4]
    # None of the data set's scans has a time.
    times = read.column("/decoded", "assumed_time")
    assert [time.total_seconds() for time in times] == pytest.approx(np.arange(FRAMES) / 10)


@pytest.mark.parametrize("start", [5.25, 1_700_000_000.5])
def test_the_sensors_time(folder, tmp_path, start):
    """From its start, or as a date."""
    seconds = [start + 0.1 * number for number in range(FRAMES)]
    frames = open_frames(str(timed(folder, seconds, tmp_path / "out")))
    export_rerun(frames, frames.rows, tmp_path / "a.rrd")
    times = Recording(tmp_path / "a.rrd").column("/decoded", "sensor_time")
    nanoseconds = [np.int64(time.value) for time in times]
    assert nanoseconds == [row.time_ns for row in frames.rows]
    dated = hasattr(times[0], "year")
    assert dated == (start > 1e9)


def test_some_frames_without_scans(quinr, packed, here):
    code, out, _ = quinr(
        "view", packed, "--rerun", "a.rrd", "--frames", "1-2", "--frames", "000005", "--json"
    )
    said = json.loads(out)
    assert (code, said["frames"], said["complaints"]) == (0, 3, {})
    assert said["bytes"] == (here / "a.rrd").stat().st_size
    read = Recording(here / "a.rrd")
    assert read.column("/decoded", "frame") == [1, 2, 5]
    assert "/original" not in read.batches
    assert "/range_image/error" not in read.batches


def test_a_bad_frame_is_left_out(quinr, folder, scans, tmp_path, here):
    flip(frame_path(folder, "000002"), 60)
    shutil.copytree(scans / "00", tmp_path / "few" / "00")
    (tmp_path / "few" / "00" / "000004.bin").unlink()
    torn = tmp_path / "few" / "00" / "000005.bin"
    torn.write_bytes(torn.read_bytes()[:-3])
    other = tmp_path / "few" / "00" / "000001.bin"
    shutil.copy(scans / "00" / "000003.bin", other)
    code, out, err = quinr("view", folder, "--rerun", "a.rrd", "--originals", tmp_path / "few")
    assert code == 1
    assert "a.rrd: 5 frames, " in out
    for complaint in (
        "frame 000002: preview at byte",
        "no frame '000004'",
        "000005.bin: 6397 bytes are not a multiple of 16",
        f"{other}: not the scan that frame 000001 of",
    ):
        assert complaint in err
    read = Recording(here / "a.rrd")
    assert read.column("/decoded", "frame") == [0, 1, 3, 4, 5]
    assert read.column("/original", "frame") == [0, 1, 3]
    assert len(read.column("/log", "TextLog:text")) == 4


def test_colours_of_errors_are_on_one_scale(packed, scans, tmp_path, quinr):
    target = tmp_path / "a.rrd"
    arguments = ("--originals", scans, "--colour", "error", "--overlay")
    assert quinr("view", packed, "--rerun", target, *arguments)[0] == 0
    (text,) = Recording(target).batches["/colours"]
    assert "range error, " in text["TextDocument:text"][0].as_py()[0]


def test_nothing_that_can_be_exported(folder, tmp_path):
    for number in range(FRAMES):
        flip(frame_path(folder, f"{number:06d}"), 60)
    frames = open_frames(str(folder))
    with pytest.raises(ArchiveError, match=r"none of 6 frames can be exported: .*preview at byte"):
        export_rerun(frames, frames.rows, tmp_path / "out" / "a.rrd")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_takes_no_more(packed, tmp_path):
    """What was there stays, and nothing else is left."""
    frames = open_frames(str(packed))
    target = tmp_path / "out" / "a.rrd"
    export_rerun(frames, frames.rows[:2], target)
    before = sha256_of(target.read_bytes())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The SDK's own files would be limited as well, but it writes none.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"a\.rrd: cannot be written: File too large"):
            export_rerun(frames, list(frames.rows) * 20, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert digests(target.parent) == {"a.rrd": before}
    with pytest.raises(StorageError, match="cannot be written"):
        export_rerun(frames, frames.rows, tmp_path / "out" / "a.rrd" / "b.rrd")


def test_an_interrupted_export_leaves_nothing(packed, tmp_path):
    frames = open_frames(str(packed))

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_rerun(frames, frames.rows, tmp_path / "out" / "a.rrd", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []


def test_other_names_are_refused(quinr, folder):
    code, _, err = quinr("view", folder, "--rerun", frame_path(folder, "000000"))
    assert code == 2
    assert "000000.quinr: expected a name that ends in .rrd" in err


def test_rerun_that_is_missing(quinr, packed, monkeypatch):
    real = importlib.import_module

    def missing(name, *rest):
        if name == "rerun":
            raise ModuleNotFoundError("No module named 'rerun'", name="rerun")
        return real(name, *rest)

    monkeypatch.setattr(rerun_export.importlib, "import_module", missing)
    code, _, err = quinr("view", packed, "--rerun", "a.rrd")
    assert code == 2
    assert "Rerun is not installed; pip install 'quinr-lidar[rerun]'" in err


def test_rerun_that_is_broken_or_old(monkeypatch):
    def broken(_name):
        raise ImportError("libfoo.so.1: cannot open shared object file")

    monkeypatch.setattr(rerun_export.importlib, "import_module", broken)
    with pytest.raises(BackendError, match=r"cannot be imported \(libfoo\.so\.1.*pip install"):
        rerun_export.import_rerun()
    old = type("Old", (), {"__version__": "0.21.0"})
    monkeypatch.setattr(rerun_export.importlib, "import_module", lambda _name: old)
    with pytest.raises(BackendError, match=r"Rerun 0\.21\.0 is too old, expected 0\.23"):
        rerun_export.import_rerun()


def test_rerun_that_is_turned_off(quinr, packed, monkeypatch, here):
    monkeypatch.setenv("RERUN", "off")
    code, _, err = quinr("view", packed, "--rerun", "a.rrd")
    assert code == 2
    assert "turned off by the environment variable RERUN" in err
    assert list(here.iterdir()) == []


def test_viewing_needs_no_rerun(quinr, folder, monkeypatch):
    real = builtins.__import__

    def guarded(name, *rest):
        assert not name.startswith("rerun"), name
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", guarded)
    assert quinr("view", folder, "--save", "a.ply")[0] == 0
