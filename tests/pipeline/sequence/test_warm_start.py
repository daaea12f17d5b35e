"""Frames of a run start from their predecessors' files, and resuming changes no byte."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.encoder_settings import EncoderSettings
from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.sequence.frames import ArchiveJob, archive_frame
from pipeline.sequence.records import FrameRecord, frame_path, read_record, record_path
from pipeline.sequence.sequence import archive_jobs, table_rows, write_results
from pipeline.sequence.warm_start import find_start
from pipeline.storage.files import sha256_of
from quinr_lidar import Profile, RangeImage, SphericalProjection, codec
from quinr_lidar.errors import ProfileError
from quinr_lidar.layers.registry import LAYERS

PROJECTION = SphericalProjection(8, 64)
PROFILE = Profile(
    qubits=3,
    features=6,
    blocks=2,
    batch_size=128,
    steps=120,
    warm_steps=15,
    keyframe_interval=3,
    seed=5,
)
SETTINGS = EncoderSettings(PROFILE, PROJECTION)


def write_scan(path: Path, shift: float = 0.0, *, other_scene: bool = False) -> None:
    """A street that turns slowly with ``shift``; the other scene is a row of pillars."""
    azimuth = np.linspace(-np.pi, np.pi, PROJECTION.width) + shift
    ranges = 10 + 9 * np.sign(np.sin(5 * azimuth)) if other_scene else 30 + 6 * np.cos(azimuth)
    ranges = np.broadcast_to(ranges, (PROJECTION.height, PROJECTION.width)).astype(np.float32)
    image = RangeImage(ranges, np.ones(ranges.shape, bool), PROJECTION, float(ranges.max()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_velodyne(PROJECTION.back_project(image)))


def drive(tmp_path: Path, frames: int = 6) -> list[ArchiveJob]:
    """Jobs of a sequence of two runs of three frames."""
    for index in range(frames):
        write_scan(tmp_path / "scans" / f"{index:06d}.bin", 0.02 * index)
    return jobs_of(tmp_path)


def jobs_of(tmp_path: Path, out: str = "archive", **changes) -> list[ArchiveJob]:
    chosen = replace(SETTINGS, profile=PROFILE.with_overrides(**changes))
    return archive_jobs(open_dataset(tmp_path / "scans"), tmp_path / out, chosen)


def archive(jobs: list[ArchiveJob]) -> list[FrameRecord]:
    return [archive_frame(job) for job in jobs]


def files(jobs: list[ArchiveJob]) -> list[bytes]:
    return [frame_path(job.folder, job.frame_id).read_bytes() for job in jobs]


def test_runs_begin_at_multiples_of_their_length(tmp_path):
    drive(tmp_path, 7)
    dataset = open_dataset(tmp_path / "scans")
    jobs = archive_jobs(dataset, tmp_path, SETTINGS)
    expected = [None, "000000", "000001", None, "000003", "000004", None]
    assert [job.predecessor for job in jobs] == expected
    assert archive_jobs(dataset, tmp_path, SETTINGS, n_scans=5) == jobs[:5]
    cold = archive_jobs(
        dataset, tmp_path, EncoderSettings(PROFILE.with_overrides(keyframe_interval=1))
    )
    assert {job.predecessor for job in cold} == {None}


def test_a_follower_starts_from_its_predecessors_file(tmp_path):
    jobs = drive(tmp_path)
    records = archive(jobs)
    assert [record.start for record in records] == ["cold", "warm", "warm"] * 2
    assert [record.kept for record in records] == ["cold", "warm", "warm"] * 2
    assert [record.steps for record in records] == [120, 15, 15] * 2
    hashes = [sha256_of(data) for data in files(jobs)]
    assert [r.start_sha256 for r in records] == [None, *hashes[:2], None, *hashes[3:5]]
    assert records == [read_record(job.folder, job.frame_id) for job in jobs]
    image = PROJECTION.project(jobs[1].source.read().points)
    start = codec.read_parameters(files(jobs)[0])
    assert codec.encode_frame(image, PROFILE, start=start).data == files(jobs)[1]
    assert [row["start"] for row in table_rows(records)] == ["cold", "warm", "warm"] * 2
    write_results(jobs[0].folder, records, {})
    assert ",warm,warm," in (jobs[0].folder / "metrics.csv").read_text().splitlines()[2]


@pytest.mark.parametrize("layers", ["preview", "preview,mask", "preview,mask,ranges"])
def test_a_scene_change_starts_cold_again(tmp_path, layers):
    drive(tmp_path, 2)
    # With bounded ranges every file has the same PSNR: the preview's must count.
    same = archive(jobs_of(tmp_path, out="same", layers=layers))
    assert [record.start for record in same] == ["cold", "warm"]
    write_scan(tmp_path / "scans" / "000001.bin", other_scene=True)
    jobs = jobs_of(tmp_path, layers=layers)
    first, second = archive(jobs)
    assert (first.start, second.start) == ("cold", "restart")
    assert second.start_sha256 == first.file_sha256
    assert (second.kept, second.steps) == ("cold", 15 + 120)
    alone = replace(jobs[1], predecessor=None, folder=tmp_path / "alone")
    archive_frame(alone)
    assert files([alone]) == files(jobs[1:2])


def test_nothing_is_done_twice_for_a_restart(tmp_path, monkeypatch):
    """Layers that do not depend on the start are coded once, and the written file is read once."""
    jobs = drive(tmp_path, 2)
    layers = "preview,mask,ranges"
    archive_frame(jobs_of(tmp_path, layers=layers)[0])
    write_scan(tmp_path / "scans" / "000001.bin", other_scene=True)
    jobs = jobs_of(tmp_path, layers=layers)
    calls: Counter[str] = Counter()

    def count(owner, method: str, name: str) -> None:
        real = getattr(owner, method)

        def counted(*arguments):
            calls[name] += 1
            return real(*arguments)

        monkeypatch.setattr(owner, method, counted)

    for name, layer in LAYERS.items():
        count(layer, "pack", f"write {name}")
        count(layer, "unpack", f"read {name}")
    record = archive_frame(jobs[1])
    assert (record.status, record.start) == ("ok", "restart")
    assert calls == {
        "write preview": 2,
        "write mask": 1,
        "write ranges": 1,
        "read mask": 1,
        "read ranges": 1,
    }


def test_after_a_restart_the_better_start_is_kept(tmp_path):
    jobs = drive(tmp_path, 2)
    # A cold start of as many steps as a warm one cannot keep up with it.
    jobs = [replace(job, profile=PROFILE.with_overrides(cold_ratio=1, steps=15)) for job in jobs]
    archive_frame(replace(jobs[0], profile=PROFILE))
    path = record_path(jobs[0].folder, "000000")
    record = json.loads(path.read_text())
    record["settings"] = jobs[1].settings.digest()
    record["fidelity"]["preview_psnr_db"] = None  # no error at all: whatever follows is worse
    path.write_text(json.dumps(record))
    follower = archive_frame(jobs[1])
    assert (follower.start, follower.kept, follower.steps) == ("restart", "warm", 30)


@pytest.mark.parametrize("lost", [[5], [1], [0, 4], [2, 3]])
def test_a_resumed_archive_is_the_same_byte_for_byte(tmp_path, lost):
    jobs = drive(tmp_path)
    archive(jobs)
    before = files(jobs)
    for index in lost:
        frame_path(jobs[index].folder, jobs[index].frame_id).unlink()
        record_path(jobs[index].folder, jobs[index].frame_id).unlink()
    touched = [job for index, job in enumerate(jobs) if index not in lost]
    times = [frame_path(job.folder, job.frame_id).stat().st_mtime_ns for job in touched]
    archive(jobs)
    assert files(jobs) == before
    again = [frame_path(job.folder, job.frame_id).stat().st_mtime_ns for job in touched]
    assert again == times, "finished frames are not encoded again"


def test_an_interrupted_nightly_run_ends_as_one_that_ran_through(tmp_path):
    archive(drive(tmp_path))
    whole = files(jobs_of(tmp_path))
    half = jobs_of(tmp_path, out="half")
    archive(half[:2])
    # Killed between a frame's file and its record.
    archive_frame(half[2])
    record_path(half[2].folder, "000002").unlink()
    archive(half)
    assert files(half) == whole


def test_a_changed_predecessor_does_its_followers_again(tmp_path):
    jobs = drive(tmp_path)
    before, hashes = archive(jobs), [sha256_of(data) for data in files(jobs)]
    write_scan(jobs[1].source.path, 0.3)
    after = archive(jobs)
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False, False] + [True] * 3
    assert after[2].start_sha256 == after[1].file_sha256 != hashes[1]


def test_after_a_failed_predecessor_a_frame_starts_cold(tmp_path):
    jobs = drive(tmp_path, 3)
    good = jobs[1].source.path.read_bytes()
    archive(jobs)
    expected = files(jobs)
    jobs[1].source.path.write_bytes(b"")
    records = archive(jobs)
    assert [record.status for record in records] == ["ok", "failed", "ok"]
    # The failed frame's file of the first time is still there, but is nobody's start.
    assert frame_path(jobs[1].folder, "000001").exists()
    assert (records[2].start, records[2].start_sha256) == ("cold", None)
    jobs[1].source.path.write_bytes(good)
    assert [record.start for record in archive(jobs)] == ["cold", "warm", "warm"]
    assert files(jobs) == expected


def test_a_start_must_be_intact_and_of_the_same_settings(tmp_path):
    job = drive(tmp_path, 1)[0]
    assert find_start(job.folder, "000000", SETTINGS) is None, "nothing there yet"
    record = archive_frame(job)
    start = find_start(job.folder, "000000", SETTINGS)
    assert start is not None
    assert start.sha256 == record.file_sha256
    assert record.fidelity is not None
    assert start.error == pytest.approx(10 ** (-record.fidelity["preview_psnr_db"] / 10))
    assert find_start(job.folder, None, SETTINGS) is None
    other = PROFILE.with_overrides(features=7)
    assert find_start(job.folder, "000000", replace(SETTINGS, profile=other)) is None
    smaller = replace(SETTINGS, projection=SphericalProjection(8, 32))
    assert find_start(job.folder, "000000", smaller) is None, "made for another grid"
    path = frame_path(job.folder, "000000")
    path.write_bytes(path.read_bytes()[:-1])
    assert find_start(job.folder, "000000", SETTINGS) is None


def test_other_settings_archive_everything_again(tmp_path):
    archive(drive(tmp_path))
    jobs = jobs_of(tmp_path, features=7)
    archive(jobs)
    fresh = jobs_of(tmp_path, out="fresh", features=7)
    archive(fresh)
    assert files(jobs) == files(fresh)


def test_warm_settings():
    assert PROFILE.fit_settings().steps == 120
    warm = PROFILE.fit_settings(warm=True)
    assert warm.steps == 15
    assert warm.seed == PROFILE.seed
    assert Profile(steps=100).fit_settings(warm=True).steps == 100, "never more than a cold start"
    for wrong in ({"keyframe_interval": 0}, {"warm_steps": 0}, {"cold_ratio": 0.9}):
        with pytest.raises(ProfileError, match=next(iter(wrong))):
            PROFILE.with_overrides(**wrong)
    for name in ("keyframe_interval", "warm_steps", "cold_ratio"):
        assert PROFILE.with_overrides(**{name: 2}).digest() != PROFILE.digest()
