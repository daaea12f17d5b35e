"""Kodak images by a real (temporary) Prefect server, with tiny pictures and circuits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.cli import main as cli
from flows.kodak import kodak_track
from pipeline.config.archive_config import RunConfig
from pipeline.datasets.pictures import picture_bytes
from pipeline.jobs.workers import Workers
from quinr_lidar.errors import GeometryError
from tests.support.tiny import tiny

TINY = tiny(optimizer="adamw")


def write_picture(path: Path, seed: int, *, grey: bool = False) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (12, 20, 3)).astype(np.uint8)
    path.write_bytes(picture_bytes(image[..., 0] if grey else image, path.suffix))


@pytest.fixture
def folder(tmp_path) -> Path:
    """A colour picture, a corrupt one, a grey one and another."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_picture(folder / "a.png", 0)
    (folder / "b.png").write_bytes(b"\x89PNG and then nothing")
    write_picture(folder / "c.bmp", 1, grey=True)
    write_picture(folder / "d.png", 2)
    return folder


def run(folder: Path, out: Path, **changes):
    how = RunConfig(workers=1, max_failed_share=changes.pop("max_failed_share", 0.5))
    settings = {"profile": "paper", "overrides": TINY, "run": how} | changes
    return kodak_track(str(folder), str(out), **settings, return_state=True)


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_one_corrupt_picture_does_not_lose_the_others(folder, tmp_path, capfd):
    out = tmp_path / "first-out"
    state = run(folder, out)
    assert (state.name, state.message) == ("CompletedWithFailures", "1/4 pictures failed")
    assert str(folder / "b.png") in capfd.readouterr().err
    assert sorted(path.name for path in out.glob("*.quinr")) == ["a.quinr", "c.quinr", "d.quinr"]
    assert sorted(path.stem for path in (out / "decoded").iterdir()) == ["a", "c", "d"]
    assert sorted(path.stem for path in (out / "records").iterdir()) == ["a", "b", "c", "d"]
    results = json.loads((out / "results.json").read_text())
    assert list(results["failures"]) == ["b"]
    assert results["settings"]["profile"]["steps"] == 3
    assert results["results"]["channels"] == [3, 1, 3]
    assert Image.open(out / "contact_sheet.png").format == "PNG"
    artifacts = _artifacts()
    rows = json.loads(artifacts["kodak-first-out"])
    assert [row["file"] for row in rows] == ["a.png", "b.png", "c.bmp", "d.png", "mean"]
    markdown = artifacts["kodak-first-out-sheet"]
    assert (out / "contact_sheet.png").resolve().as_uri() in markdown
    assert str(folder / "b.png") in markdown
    assert run(folder, out, max_failed_share=0.1).name == "TooManyFailures"


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_resume_encodes_what_changed_only(folder, tmp_path):
    out = tmp_path / "out"
    write_picture(folder / "b.png", 7)
    assert run(folder, out).name == "Completed"

    def written() -> dict[str, int]:
        return {path.stem: path.stat().st_mtime_ns for path in out.glob("*.quinr")}

    first = written()
    files = {path.stem: path.read_bytes() for path in out.glob("*.quinr")}
    assert run(folder, out).message == "4 pictures"
    assert written() == first
    write_picture(folder / "a.png", 8)
    (out / "d.quinr").write_bytes(files["d"][:-1])
    run(folder, out)
    changed = {stem for stem, time in written().items() if time != first[stem]}
    assert changed == {"a", "d"}
    assert (out / "d.quinr").read_bytes() == files["d"]
    second = written()
    run(folder, out, overrides=TINY | {"steps": 4})
    assert all(time != second[stem] for stem, time in written().items())


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_a_failed_task_fails_its_own_pictures_only(folder, tmp_path, monkeypatch):
    run_all = Workers.run

    def broken(self, function, chunk):
        # GeometryError, since anything else would be tried again after a pause.
        if chunk[0].stem == "a":
            raise GeometryError("no such luck")
        return run_all(self, function, chunk)

    monkeypatch.setattr(Workers, "run", broken)
    # Chunks of two: a and b, c and d.
    assert run(folder, tmp_path / "out").message == "2/4 pictures failed"
    record = json.loads((tmp_path / "out" / "records" / "a.json").read_text())
    assert record["status"] == "failed"
    assert "a.png: GeometryError: no such luck" in record["error"]


@pytest.fixture
def command(monkeypatch, capfd):
    def execute(*arguments: object) -> tuple[int, str, str]:
        changes = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
        line = ["quinr-flows", "kodak", *map(str, arguments), "--profile", "paper", *changes]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capfd.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return execute


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_harness")
def test_the_command_prints_json_or_a_table_with_the_mean(folder, tmp_path, command):
    out = tmp_path / "out"
    code, printed, _ = command(folder, out, "--workers", 1, "--json")
    assert code == 1
    document = json.loads(printed)
    assert document["state"] == "CompletedWithFailures"
    rows = document["pictures"]
    assert [row["status"] for row in rows] == ["ok", "failed", "ok", "ok"]
    sizes = [path.stat().st_size for path in sorted(out.glob("*.quinr"))]
    assert [row["size [B]"] for row in rows if row["status"] == "ok"] == sizes
    assert document["mean"]["size [B]"] == pytest.approx(sum(sizes) / 3, abs=1e-4)
    (folder / "b.png").unlink()
    code, printed, _ = command(folder, out, "--workers", 1)
    assert code == 0
    for text in ("a.png", "c.bmp", "mean", "PSNR", "SSIM", "Completed: 3 pictures"):
        assert text in printed
    assert str(out / "contact_sheet.png") in printed


def test_bad_input_ends_the_command_before_a_server_starts(folder, tmp_path, command):
    code, _, error = command(tmp_path / "nowhere", tmp_path / "out")
    assert (code, "nowhere: no such folder" in error) == (2, True)
    assert command(folder, tmp_path / "out", "--set", "colour=1")[0] == 2
    write_picture(folder / "a.bmp", 3)
    code, _, error = command(folder, tmp_path / "out")
    assert (code, "a.bmp and a.png would both become a.quinr" in error) == (2, True)
    assert not (tmp_path / "out").exists()


def _artifacts() -> dict[str, str]:
    """The latest artifacts' data by key."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.request("POST", "/artifacts/latest/filter", json={}).json()
    return {artifact["key"]: artifact["data"] for artifact in found}
