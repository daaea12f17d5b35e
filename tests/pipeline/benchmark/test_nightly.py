"""What a nightly run costs: its figures by hand, and a nightly run of a handful of frames."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from pipeline.benchmark.nightly import DISTINCT, costs_of, watch, write_copies
from pipeline.cli.main import app
from pipeline.datasets import open_dataset
from quinr_lidar.errors import StorageError


def run(frames: int, seconds: float, parent: int, **more: int) -> dict:
    growing = {"parent_bytes": parent, "manifest_bytes": 100 + 20 * frames}
    return {"frames": frames, "seconds": seconds} | growing | more


def test_costs_are_what_the_flow_adds():
    workers = [run(100, 12.0, 1000), run(800, 82.0, 8000)]
    flow = [
        run(100, 33.0, 5000, server_bytes=70, database_bytes=500),
        run(800, 110.0, 19000, server_bytes=70, database_bytes=1200),
    ]
    found = costs_of(workers, flow, workers=2, frame_seconds=3.0)
    # The flow takes 0.11 s a frame, the workers 0.1 s; once a flow it takes 20 s more.
    assert found["prefect_seconds_per_frame"] == pytest.approx(0.01)
    assert found["start_seconds"] == pytest.approx(20)
    assert found["prefect_share"] == pytest.approx(28 / 110)
    # 800 real frames take two workers 1,200 s; Prefect 28 s.
    assert found["prefect_share_of_real_frames"] == pytest.approx(28 / 1228)
    assert found["parent_bytes_per_frame"] == 20
    assert found["plain_parent_bytes_per_frame"] == 10
    assert found["server_bytes_per_frame"] == 0
    assert found["database_bytes_per_frame"] == 1
    assert found["manifest_bytes_per_frame"] == 20


def test_copies_are_scans_under_their_own_ids(tmp_path):
    drive = write_copies(tmp_path / "scans" / "drive", 2 * DISTINCT + 1, 50)
    dataset = open_dataset(drive)
    assert len(dataset.frame_ids) == 2 * DISTINCT + 1
    contents = [dataset.frame(frame).path.read_bytes() for frame in dataset.frame_ids]
    assert contents[0] == contents[DISTINCT] == contents[2 * DISTINCT]
    assert len(set(contents)) == DISTINCT
    assert dataset.read("000000").points.shape == (50, 3)
    with pytest.raises(StorageError, match="scans/drive"):
        write_copies(tmp_path / "scans" / "drive", 1, 50)


def test_a_run_that_fails_says_why(tmp_path):
    code = "import sys; print('one\\nlast words', file=sys.stderr); sys.exit(3)"
    with pytest.raises(StorageError, match="it ended with 3: last words"):
        watch([sys.executable, "-c", code], tmp_path, {})
    found = watch(
        [sys.executable, "-c", "import time; x = b'1' * 50_000_000; time.sleep(2)"], tmp_path, {}
    )
    assert found["seconds"] > 1
    assert found["parent_bytes"] > 50_000_000
    assert found["server_bytes"] == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_nightly_run_of_a_few_frames(tmp_path):
    out, sizes = tmp_path / "nightly.json", ["--frames", "16", "--points", "200", "--workers", "1"]
    ended = CliRunner().invoke(
        app,
        ["bench", "nightly", *sizes, "-o", str(out), "--json"],
    )
    assert ended.exit_code == 0, ended.output
    found = json.loads(out.read_text())
    assert json.loads(ended.stdout) == found
    assert [row["frames"] for row in found["flow"]] == [2, 16]
    assert [row["frames"] for row in found["plain"]] == [2, 16]
    for plain, flow in zip(found["plain"], found["flow"], strict=True):
        assert plain["mcap_bytes"] == flow["mcap_bytes"]
        assert flow["server_bytes"] > 50_000_000
        assert flow["database_bytes"] > 0
        assert plain["server_bytes"] is None
    assert found["costs"]["real_frame_seconds"] > 0
    assert found["costs"]["start_seconds"] > 0
