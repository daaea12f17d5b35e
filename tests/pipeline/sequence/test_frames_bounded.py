"""Frames with a max error: no file breaks it, and an archive carries what it was coded with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.archive.target import encoder_settings
from pipeline.config.archive_config import ArchiveConfig, ProjectionConfig
from pipeline.config.profile_files import scan_profile
from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.evaluation.files import measure_file, measure_sequence
from pipeline.sequence import frames
from pipeline.sequence.frames import ArchiveJob, archive_frame, restore_frame
from pipeline.sequence.model_files import keep_model
from pipeline.sequence.records import frame_path, read_record
from pipeline.sequence.sequence import (
    archive_jobs,
    restore_jobs,
    table_rows,
    write_results,
)
from pipeline.storage.files import sha256_of
from quinr_lidar import SphericalProjection, codec
from quinr_lidar.errors import BitstreamError, EntropyModelError, GeometryError
from tests.support.tiny import tiny

TINY = tiny(steps=30, warm_steps=10, keyframe_interval=3)
PROJECTION = SphericalProjection(16, 64)


def drive(tmp_path: Path, count: int = 4, **options) -> list[ArchiveJob]:
    """Scans of noise and their jobs, in runs of three."""
    scans = tmp_path / "00"
    scans.mkdir(exist_ok=True)
    for index in range(count):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(2000, 3))
        (scans / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
    projection = ProjectionConfig(**vars(PROJECTION))
    config = ArchiveConfig(overrides=TINY, projection=projection, **options)
    chosen, entropy_model = encoder_settings(tmp_path / "archive" / "00", config)
    if entropy_model is not None:
        keep_model(tmp_path / "archive" / "00", entropy_model)
    return archive_jobs(open_dataset(scans), tmp_path / "archive", chosen)


def files(jobs: list[ArchiveJob]) -> list[bytes]:
    return [job.file.read_bytes() for job in jobs]


@pytest.mark.parametrize(("options", "max_error"), [({}, 0.02), ({"max_error": 0.3}, 0.3)])
def test_records_say_the_bound_and_the_largest_error(tmp_path, options, max_error):
    jobs = drive(tmp_path, **options)
    records = [archive_frame(job) for job in jobs]
    for job, record in zip(jobs, records, strict=True):
        assert (record.status, record.error) == ("ok", None)
        image = PROJECTION.project(job.source.read().points)
        decoded = codec.decode(job.file.read_bytes())
        worst = np.abs(decoded.ranges.astype(float) - image.ranges)[image.valid].max()
        figures = record.fidelity or {}
        assert figures["largest_error_m"] == worst <= figures["max_error_m"] == max_error
        assert worst > max_error / 2, "the max error is made use of"
        assert figures["mask_exact"] is True
        assert figures["preview_psnr_db"] < figures["psnr_db"]
    results = write_results(jobs[0].folder, records, {})
    assert results["summary"]["largest_error_m"]["max"] <= max_error
    assert results["results"]["max_error_m"] == [max_error] * len(jobs)
    assert results["results"]["mask_exact"] == [True] * len(jobs)
    assert "largest_error_m,max_error_m,mask_exact" in (jobs[0].folder / "metrics.csv").read_text()
    row = table_rows(records)[0]
    assert row["max error [m]"] == max_error >= row["largest error [m]"] > 0
    json.dumps(results, allow_nan=False)


def test_resuming_changes_no_byte(tmp_path):
    jobs = drive(tmp_path)
    records = [archive_frame(job) for job in jobs]
    before = files(jobs)
    times = [job.file.stat().st_mtime_ns for job in jobs]
    assert [archive_frame(job) for job in jobs] == records
    assert [job.file.stat().st_mtime_ns for job in jobs] == times
    jobs[1].file.write_bytes(before[1][:-1])
    jobs[3].file.unlink()
    assert [archive_frame(job).file_sha256 for job in jobs] == [sha256_of(data) for data in before]
    assert files(jobs) == before
    other = [replace(job, profile=job.profile.with_overrides(max_error=0.1)) for job in jobs]
    assert {(archive_frame(job).fidelity or {})["max_error_m"] for job in other} == {0.1}
    assert all(len(new) < len(old) for new, old in zip(files(other), before, strict=True))


def distort(monkeypatch, change) -> None:
    """Let the decoder return something else than the file says."""
    decode = frames.quinr_lidar.decode

    def wrong(*arguments, **options):
        image = decode(*arguments, **options)
        ranges, valid = image.ranges.copy(), image.valid.copy()
        change(ranges, valid)
        return replace(image, ranges=ranges, valid=valid)

    monkeypatch.setattr(frames.quinr_lidar, "decode", wrong)


def shift_one(ranges, valid):
    ranges[tuple(np.argwhere(valid)[5])] += np.float32(0.05)


def lose_one(_ranges, valid):
    valid[tuple(np.argwhere(valid)[5])] = False


@pytest.mark.parametrize(
    ("change", "reason"), [(shift_one, "max error is exceeded"), (lose_one, "mask is not exact")]
)
def test_a_frame_that_breaks_its_promise_is_refused(tmp_path, monkeypatch, change, reason):
    job = drive(tmp_path, 1)[0]
    assert archive_frame(job).status == "ok"
    with monkeypatch.context() as patch:
        distort(patch, change)
        with pytest.raises(GeometryError, match=rf"000000\.quinr: not .*000000\.bin.*{reason}"):
            measure_file(job.source, job.file)
        assert job.file.exists(), "evaluating deletes nothing"
        record = archive_frame(replace(job, resume=False))
    assert record.status == "failed"
    assert record.error is not None
    for part in (str(job.source), str(job.file), reason, "do not delete the original"):
        assert part in record.error
    assert "\n" not in record.error
    assert not job.file.exists()
    assert read_record(job.folder, "000000") == record
    assert archive_frame(job).status == "ok", "the next run does it again"


def test_an_error_within_the_bound_is_none(tmp_path, monkeypatch):
    job = drive(tmp_path, 1, max_error=0.2)[0]

    def shrink(ranges, valid):
        image = PROJECTION.project(job.source.read().points)
        ranges[:] = np.where(valid, image.ranges + np.float32(0.19), ranges)

    distort(monkeypatch, shrink)
    record = archive_frame(job)
    assert record.status == "ok"
    assert (record.fidelity or {})["largest_error_m"] == pytest.approx(0.19, abs=1e-5)


def test_an_archive_carries_its_entropy_model(tmp_path, own_model):
    file = tmp_path / "mine.qmodel"
    file.write_bytes(own_model.data)
    jobs = drive(tmp_path, entropy_model=str(file))
    file.unlink()
    assert {archive_frame(job).status for job in jobs} == {"ok"}
    assert {codec.inspect(data).entropy_model for data in files(jobs)} == {own_model.name}
    folder = jobs[0].folder
    # Going on takes no option but the entropy model's name: the folder has it.
    again, _ = encoder_settings(
        folder, ArchiveConfig(overrides=TINY | {"entropy_model": own_model.name})
    )
    assert again.profile == jobs[0].profile
    results, records = measure_sequence(tmp_path / "00", folder)
    assert [record.error for record in records] == [None] * len(jobs)
    assert results["summary"]["largest_error_m"]["max"] <= 0.02
    work = restore_jobs(folder, tmp_path / "kitti")["00"]
    assert {restore_frame(item).status for item in work} == {"ok"}
    carried = folder / f"{own_model.name}.qmodel"
    carried.write_bytes(own_model.data[:-1])
    damaged = restore_frame(work[0]).error or ""
    assert carried.name in damaged
    assert "the entropy model is damaged" in damaged or "checksum" in damaged
    carried.unlink()
    for record in (restore_frame(work[0]), archive_frame(replace(jobs[0], resume=False))):
        assert record.status == "failed"
        assert own_model.name in (record.error or "")
    with pytest.raises(EntropyModelError, match=own_model.name):
        encoder_settings(folder, ArchiveConfig(overrides=TINY | {"entropy_model": own_model.name}))


def test_a_damaged_entropy_model_is_refused_before_anything_is_done(tmp_path, own_model):
    file = tmp_path / "mine.qmodel"
    file.write_bytes(own_model.data[:50])
    with pytest.raises(BitstreamError, match=r"mine\.qmodel"):
        drive(tmp_path, entropy_model=str(file))
    assert not (tmp_path / "archive").exists()


def test_profiles_of_one_layer_still_archive_previews(tmp_path):
    chosen, _ = encoder_settings(tmp_path, ArchiveConfig(profile="paper", overrides=TINY))
    assert chosen.profile == scan_profile("paper", TINY)
    job = replace(drive(tmp_path, 1)[0], profile=chosen.profile)
    record = archive_frame(job)
    assert codec.inspect(job.file.read_bytes()).sections.keys() == {"preview"}
    figures = record.fidelity or {}
    assert figures["max_error_m"] is None
    assert figures["preview_psnr_db"] == figures["psnr_db"]
    assert figures["largest_error_m"] > 1
    assert frame_path(job.folder, "000000") == job.file
