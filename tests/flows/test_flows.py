"""Flows against a real (temporary) Prefect server, on tiny scans and circuits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pykitti
import pytest

from flows._prefect.chunks import default_chunk, final_state
from flows.archive_sequence import archive_sequence
from flows.restore_sequence import restore_sequence
from pipeline.config.archive_config import ArchiveConfig, RunConfig
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.sequence.records import FrameRecord
from quinr_lidar import codec
from quinr_lidar.errors import EntropyModelError
from tests.support.models import coarser
from tests.support.tiny import tiny

TINY = tiny()
ONE = RunConfig(workers=1)


@pytest.fixture
def scans(tmp_path) -> Path:
    folder = tmp_path / "drive"
    folder.mkdir()
    for index in range(4):
        points = np.random.default_rng(index).normal(scale=(15, 15, 1), size=(3000, 3))
        (folder / f"{index:06d}.bin").write_bytes(encode_velodyne(points))
    (folder / "000001.bin").write_bytes(b"\x00\x01" * 11)
    (folder / "000002.bin").write_bytes(np.full((5, 4), np.nan, np.float32).tobytes())
    return folder


def record(frame: str, status: str) -> FrameRecord:
    return FrameRecord(frame, status, error="why" if status == "failed" else None)


def test_the_final_state_counts_failures():
    good, bad = record("a", "ok"), record("b", "failed")
    assert final_state([good, good], 0.5, None).name == "Completed"
    some = final_state([good, good, bad], 0.5, None)
    assert (some.name, some.message) == ("CompletedWithFailures", "1/3 frames failed")
    assert some.is_completed()
    many = final_state([good, bad, bad], 0.5, None)
    assert many.is_failed()
    assert "2/3 frames failed; first: why" in (many.message or "")
    assert final_state([], 0.5, None).is_completed()


def test_chunks_keep_every_worker_busy():
    assert default_chunk(6, 4) == 1
    assert default_chunk(4541, 4) == 32
    assert default_chunk(80, 4) == 10


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_archive_resume_and_restore(scans, tmp_path):
    out = tmp_path / "archive"

    def archive(**changes):
        run = RunConfig(**({"workers": 2, "chunk_size": 2} | changes))
        config = ArchiveConfig(overrides=TINY, run=run)
        return archive_sequence(str(scans), str(out), config, return_state=True)

    state = archive()
    assert (state.name, state.message) == ("CompletedWithFailures", "2/4 frames failed")
    folder = out / "drive"
    written = {path.name: path.stat().st_mtime_ns for path in (folder / "frames").iterdir()}
    assert sorted(written) == ["000000.quinr", "000003.quinr"]
    results = json.loads((folder / "metrics.json").read_text())
    assert sorted(results["failures"]) == ["000001", "000002"]
    assert "000001.bin" in results["failures"]["000001"]
    assert results["settings"]["profile"]["steps"] == 3
    assert results["settings"]["profile"]["name"] == "bounded"
    assert results["results"]["max_error_m"] == [0.02, 0.02]
    assert 0.01 < results["summary"]["largest_error_m"]["max"] <= 0.02
    assert _artifact_rows("archive-drive") == 4
    progress, text = _progress("progress-archive-drive")
    assert (progress, text) == (100, "archive drive: 4/4 frames, 2 failed")

    archive()
    again = {path.name: path.stat().st_mtime_ns for path in (folder / "frames").iterdir()}
    assert again == written, "a resumed run writes no finished frame again"

    assert archive(max_failed_share=0.1).name == "TooManyFailures"

    points = np.random.default_rng(9).normal(scale=(15, 15, 1), size=(3000, 3))
    (scans / "000001.bin").write_bytes(encode_velodyne(points))
    assert archive().message == "1/4 frames failed"

    damaged = folder / "frames" / "000003.quinr"
    damaged.write_bytes(damaged.read_bytes()[:-2])
    restored = restore_sequence(str(out), str(tmp_path / "kitti"), ONE, return_state=True)
    assert restored.message == "1/3 frames failed"
    velodyne = tmp_path / "kitti" / "sequences" / "drive" / "velodyne"
    assert sorted(path.name for path in velodyne.iterdir()) == ["000000.bin", "000001.bin"]
    scan = pykitti.utils.load_velo_scan(str(velodyne / "000000.bin"))
    assert scan.shape[1] == 4
    assert np.isfinite(scan).all()


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_an_archive_with_a_bound_and_a_model_of_ones_own(scans, tmp_path):
    entropy_model = coarser()
    (tmp_path / "own.qmodel").write_bytes(entropy_model.data)
    state = archive_sequence(
        str(scans),
        str(tmp_path / "archive"),
        ArchiveConfig(
            profile="paper",
            overrides=TINY,
            max_error=0.5,
            entropy_model=str(tmp_path / "own.qmodel"),
            run=ONE,
        ),
        n_scans=1,
        return_state=True,
    )
    assert state.message == "1 frames"
    folder = tmp_path / "archive" / "drive"
    assert (folder / f"{entropy_model.name}.qmodel").read_bytes() == entropy_model.data
    info = codec.inspect((folder / "frames" / "000000.quinr").read_bytes())
    assert info.entropy_model == entropy_model.name
    assert info.scan["max_error"] == pytest.approx(0.5, rel=1e-3)
    (tmp_path / "own.qmodel").unlink()
    restored = restore_sequence(str(folder), str(tmp_path / "kitti"), ONE, return_state=True)
    assert restored.message == "1 frames"
    clouds = restore_sequence(str(folder), str(tmp_path / "clouds"), ONE, "ply", return_state=True)
    assert clouds.message == "1 frames"
    names = sorted(path.name for path in (tmp_path / "clouds" / "drive").iterdir())
    assert names == ["000000.ply", "restore.json"]
    config = ArchiveConfig(overrides=TINY | {"entropy_model": "nobody"})
    with pytest.raises(EntropyModelError, match="unknown entropy model 'nobody'"):
        archive_sequence(str(scans), str(tmp_path / "a"), config)
    assert not (tmp_path / "a").exists()


def _artifact(key: str) -> dict[str, Any]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        artifacts = client.request("POST", "/artifacts/latest/filter", json={}).json()
    (found,) = [artifact for artifact in artifacts if artifact["key"] == key]
    return found


def _artifact_rows(key: str) -> int:
    data = _artifact(key)["data"]
    return len(json.loads(data) if isinstance(data, str) else data)


def _progress(key: str) -> tuple[float, str]:
    found = _artifact(key)
    return float(found["data"]), found["description"]
