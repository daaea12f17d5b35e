"""What records say of archived frames, and that parts of a run make the whole."""

from __future__ import annotations

import math
import shutil
import sys
from dataclasses import replace

import fsspec
import numpy as np
import pytest

from pipeline.archive import PackedSequence
from pipeline.datasets import read_scan
from pipeline.datasets.single_file import scan_file
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.evaluation.archive import (
    evaluation_jobs,
    plan_evaluation,
    read_evaluation,
    run_evaluation_job,
)
from pipeline.evaluation.archive.drive import ArchivedDrive, frame_figures
from pipeline.evaluation.files import measure_file
from pipeline.evaluation.tasks import TaskSettings, summarise_evaluation
from pipeline.storage.files import write_atomically
from quinr_lidar import RangeImage, decode
from quinr_lidar.errors import ArchiveError, BackendError, DatasetError

EVERYTHING = {"odometry": True, "registration": True}


def same_figures(first, second):
    """Open3D's sums depend on its threads, in the last digits."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        if value is None:
            assert second[name] is None, name
        else:
            assert second[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def evaluated(place, out, settings, stretch):
    plan = plan_evaluation(str(place.packed), place.scans, out, settings)
    for job in reversed(evaluation_jobs(plan, stretch=stretch)):
        run_evaluation_job(job)
    return read_evaluation(plan).records


def check_against_one_go(place, **settings):
    """Jobs of two frames each, against one job of all frames."""
    wanted = TaskSettings(**settings)
    found = evaluated(place, place.out, wanted, stretch=2)
    expected = evaluated(place, place.out.with_name("one go"), wanted, stretch=100)
    assert [one.frame for one in found] == [one.frame for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.error == other.error
        assert one.poses == other.poses
        same_figures(one.figures, other.figures)
    shutil.rmtree(place.out.with_name("one go"))
    return found


def test_parts_make_the_whole(place):
    records = check_against_one_go(place, **EVERYTHING)
    for record in records:
        assert set(record.poses) == {"truth", "scan", "image", "decoded"}
        assert record.figures["codec_hausdorff_m"] <= 0.02
    assert records[0].figures["codec_registration_m"] is None
    # The first frame of a job has the one before it.
    assert records[2].figures["codec_registration_m"] is not None
    assert records[2].figures["scan_registration_error_m"] < 0.5
    assert summarise_evaluation(records)["odometry"]["scan to truth"]["frames"] == 5


@pytest.mark.parametrize("settings", [{"every": 2}, {"sample": 2}, {"sample": 3, **EVERYTHING}])
def test_parts_of_a_sample_make_the_whole(place, settings):
    records = check_against_one_go(place, **({"odometry": False} | settings))
    valid = [index for index, record in enumerate(records) if record.figures]
    assert valid == {2: [0, 2], 3: [0, 1, 3], None: [0, 2, 4]}[settings.get("sample")]
    assert all(record.error is None for record in records)
    assert all(("decoded" in record.poses) == ("odometry" in settings) for record in records)


def test_parts_make_the_whole_of_a_damaged_drive(place):
    """Frame 0's scan is another one, 1 was never archived, 3's scan has gone."""
    good = place.scan(1).read_bytes()
    place.scan(1).write_bytes(b"no scan")
    place.archive()
    place.scan(1).write_bytes(good)
    place.scan(0).write_bytes(good)
    place.scan(3).unlink()
    records = check_against_one_go(place, **EVERYTHING)
    assert "000000.bin: not the scan that was archived" in (records[0].error or "")
    assert "frame 000001 was not archived" in (records[1].error or "")
    assert "no frame '000003'" in (records[3].error or "")
    assert [set(record.poses) for record in records] == [
        {"truth"}, {"truth"}, {"truth", "scan", "image", "decoded"}, {"truth"},
        {"truth", "scan", "image", "decoded"},
    ]  # fmt: skip
    # Nothing to register with.
    assert records[2].figures["codec_registration_m"] is None
    check_against_one_go(replace(place, out=place.out / "sample"), every=4, odometry=False)


def test_a_frame_of_a_few_points_fails_alone(place):
    """Its scan has enough points for odometry, its image has not."""
    crowd = np.tile([10.0, 0.1, -0.5, 0.0], (300, 1)).astype("<f4")
    place.scan(2).write_bytes(crowd.tobytes())
    place.archive()
    records = check_against_one_go(place, **EVERYTHING)
    assert [record.error for record in records] == [
        None, None, "original: too few points to evaluate anything on", None, None,
    ]  # fmt: skip
    assert records[3].figures["scan_registration_m"] is None
    shutil.rmtree(place.out)
    sampled = check_against_one_go(place, sample=3, registration=True)
    assert [bool(record.figures) for record in sampled] == [True, True, False, True, False]
    # A frame's figures do not depend on which others are asked for.
    same_figures(sampled[3].figures, records[3].figures)


def test_points_that_are_none_are_dropped_and_counted(place):
    points = read_scan(place.scan(1)).points.copy()
    points[3] = np.nan
    points[5, 1] = np.inf
    points[7:10] = 0
    place.scan(1).write_bytes(encode_velodyne(points))
    place.archive()
    record = place.evaluate().records[1]
    assert record.figures["points"] == len(points)
    assert record.figures["points_dropped"] == 5
    drive = ArchivedDrive.open(str(place.packed), place.scans)
    scan = drive.clouds("000001").scan
    assert len(scan) == len(points) - 5
    assert np.isfinite(scan).all()
    near = np.hypot(scan[:, 0], scan[:, 1]) < 5
    assert record.figures["density_scan_0_5m"] == pytest.approx(near.sum() / (math.pi * 25))


def test_frame_figures_are_those_of_the_file(place, tmp_path):
    archive = PackedSequence.open(place.packed)
    for record in place.evaluate().records:
        file = tmp_path / f"{record.frame}.quinr"
        write_atomically(file, archive.read(record.frame))
        expected = measure_file(scan_file(place.scan(int(record.frame))), file).as_dict()
        shared = expected.keys() & record.figures.keys()
        assert {
            "psnr_db",
            "largest_error_m",
            "max_error_m",
            "mask_exact",
            "encoded_bytes",
            "bpp",
        } <= shared
        assert {"points", "points_hidden", "range_error_p95_m", "mask_f1", "ratio_raw"} <= shared
        for name in shared:
            assert record.figures[name] == pytest.approx(expected[name], rel=1e-9), name
        assert record.figures["max_error_kept"] is True


def test_a_broken_bound_shows(place):
    archive = PackedSequence.open(place.packed)
    data = archive.read("000000")
    decoded = decode(data)
    image = decoded.projection.project(read_scan(place.scan(0)).points)

    def kept(ranges, valid):
        changed = RangeImage(ranges, valid, decoded.projection, decoded.no_return)
        return frame_figures(data, 1, image, changed)["max_error_kept"]

    assert kept(decoded.ranges, decoded.valid) is True
    row, column = np.argwhere(decoded.valid)[7]
    far, fewer = decoded.ranges.copy(), decoded.valid.copy()
    far[row, column] += 0.05
    fewer[row, column] = False
    assert kept(far, decoded.valid) is False
    assert kept(decoded.ranges, fewer) is False


def test_previews_promise_no_bound(place):
    place.archive_as("paper")
    records = place.evaluate().records
    assert all(record.error is None for record in records)
    assert all(record.figures["max_error_m"] is None for record in records)
    assert all(record.figures["max_error_kept"] is None for record in records)
    assert all(record.figures["codec_chamfer_m"] > 0.02 for record in records)


def test_an_archive_by_url(place):
    memory = fsspec.filesystem("memory")
    for path in place.packed.iterdir():
        memory.pipe_file(f"/evaluated/00/{path.name}", path.read_bytes())
    where, settings = "memory://evaluated/00", TaskSettings(odometry=False, every=4)
    plan = plan_evaluation(where, place.scans, place.out, settings)
    for job in evaluation_jobs(plan):
        assert run_evaluation_job(job).status == "ok"
    assert sum(bool(record.figures) for record in read_evaluation(plan).records) == 2
    # A drive's name is the archive's where the data set has several.
    shutil.copytree(place.scan(0).parents[1], place.scans / "sequences" / "01")
    assert plan_evaluation(where, place.scans, place.out, settings).frames == plan.frames


def test_what_cannot_be_evaluated_is_said_at_once(place, monkeypatch):
    with pytest.raises(DatasetError, match="no such file or folder"):
        plan_evaluation(str(place.packed), place.scans / "nowhere", place.out)
    (place.packed / "manifest.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArchiveError, match="not a manifest"):
        place.plan()
    monkeypatch.setitem(sys.modules, "kiss_icp.config", None)
    with pytest.raises(BackendError, match=r"quinr-lidar\[evaluation\]'; .* --no-odometry"):
        place.plan(odometry=True)


def test_other_data_sets_have_no_ground_truth(place):
    assert place.plan().frames[3].truth["truth"][3] > 1
    scans = shutil.copytree(place.scan(0).parent, place.scans.parent / "plain")
    plan = plan_evaluation(str(place.packed), scans, place.out, TaskSettings(odometry=False))
    assert plan.frames[3].truth == {}
    assert len(evaluation_jobs(plan)) == 1
