"""A folder of pictures: encoded, decoded again, resumed, and reported."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.pictures import parse_picture, picture_bytes
from pipeline.kodak import pictures
from pipeline.kodak.pictures import (
    PictureJob,
    encode_picture,
    picture_jobs,
    read_picture_record,
)
from pipeline.kodak.results import (
    mean_row,
    picture_rows,
    write_contact_sheet,
    write_picture_results,
)
from pipeline.storage.files import sha256_of
from quinr_lidar import Profile
from quinr_lidar.codec.image_decoding import decode_image
from quinr_lidar.errors import BitstreamError, DatasetError
from tests.support.tiny import tiny

TINY = Profile(**tiny(name="tiny", steps=20, optimizer="adamw", learning_rate=0.005))


def write_picture(path: Path, seed: int = 0, *, grey: bool = False) -> Path:
    """A smooth picture of 16 x 24 pixels."""
    rows, columns = np.mgrid[0:16, 0:24]
    channels = [rows * 8 + seed, columns * 9, (rows + columns) * 5]
    image = np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture_bytes(image[..., 0] if grey else image, path.suffix))
    return path


def job(tmp_path: Path, name: str = "a.png", **changes) -> PictureJob:
    source = tmp_path / "pictures" / name
    if not source.exists():
        write_picture(source)
    return PictureJob(source, tmp_path / "out", **({"profile": TINY} | changes))


@pytest.mark.parametrize("grey", [True, False])
def test_a_picture_is_written_decoded_measured_and_recorded(tmp_path, grey):
    work = job(tmp_path, "a.png")
    write_picture(work.source, grey=grey)
    record = encode_picture(work)
    assert (record.status, record.error) == ("ok", None)
    data = work.file.read_bytes()
    decoded = parse_picture(work.decoded.read_bytes(), "decoded")
    assert decoded.shape == ((16, 24) if grey else (16, 24, 3))
    np.testing.assert_array_equal(decoded, decode_image(data))
    assert record.fidelity is not None
    assert record.fidelity["encoded_bytes"] == len(data)
    assert record.fidelity["raw_bytes"] == work.source.stat().st_size
    assert record.fidelity["channels"] == (1 if grey else 3)
    original = parse_picture(work.source.read_bytes(), "original")
    error = np.square(original.astype(float) - decoded).mean()
    assert record.fidelity["psnr_db"] == pytest.approx(10 * np.log10(255**2 / error))
    assert record.fidelity["float_psnr_db"] == pytest.approx(record.fidelity["psnr_db"], abs=3)
    assert record.steps == 20
    assert read_picture_record(work) == record
    written = {str(path.relative_to(work.folder)) for path in work.folder.rglob("*.*")}
    assert written == {"a.quinr", "decoded/a.png", "records/a.json"}


@pytest.fixture
def encodings(monkeypatch) -> list[int]:
    """Grows with every training."""
    calls: list[int] = []
    encode = pictures.encode_image
    monkeypatch.setattr(
        pictures, "encode_image", lambda *a, **k: calls.append(1) or encode(*a, **k)
    )
    return calls


def test_resume_skips_only_what_is_the_same(tmp_path, monkeypatch, encodings):
    work = job(tmp_path)
    first = encode_picture(work)
    assert len(encodings) == 1
    times = [path.stat().st_mtime_ns for path in (work.file, work.decoded, work.record)]
    assert encode_picture(work) == first
    assert [p.stat().st_mtime_ns for p in (work.file, work.decoded, work.record)] == times
    renamed = replace(work, profile=TINY.with_overrides(name="other"))
    assert encode_picture(renamed) == first, "a profile's name changes no byte"
    assert len(encodings) == 1
    encode_picture(replace(work, profile=TINY.with_overrides(seed=1)))
    assert len(encodings) == 2, "other settings"
    assert encode_picture(work).file_sha256 == first.file_sha256
    assert len(encodings) == 3, "and back"
    work.file.write_bytes(work.file.read_bytes()[:-1])
    encode_picture(work)
    assert len(encodings) == 4, "a damaged file"
    work.file.unlink()
    encode_picture(work)
    assert len(encodings) == 5, "a missing file"
    write_picture(work.source, seed=9)
    assert encode_picture(work).source_sha256 != first.source_sha256
    assert len(encodings) == 6, "another picture"
    work.record.write_text("{broken")
    encode_picture(work)
    assert len(encodings) == 7, "an unreadable record"
    encode_picture(replace(work, resume=False))
    assert len(encodings) == 8, "not asked to resume"
    monkeypatch.setattr("quinr_lidar.__version__", "9.9")
    encode_picture(work)
    assert len(encodings) == 9, "other software"


@pytest.mark.parametrize("damage", [b"", None])
def test_a_lost_decoded_picture_needs_no_training(tmp_path, encodings, damage):
    work = job(tmp_path)
    encode_picture(work)
    png = work.decoded.read_bytes()
    work.decoded.unlink() if damage is None else work.decoded.write_bytes(damage)
    record = encode_picture(work)
    assert len(encodings) == 1
    assert work.decoded.read_bytes() == png
    assert record.decoded_sha256 == sha256_of(png)
    assert read_picture_record(work) == record


def test_a_moved_folder_is_not_encoded_again(tmp_path, encodings):
    work = job(tmp_path)
    encode_picture(work)
    moved = work.source.parent.rename(tmp_path / "elsewhere")
    record = encode_picture(replace(work, source=moved / "a.png"))
    assert len(encodings) == 1
    assert record.source == str(moved / "a.png")
    assert read_picture_record(work) == record


def deep() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 16), 40000, np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a picture that can be read"),
        (b"no picture", "not a picture that can be read"),
        (deep(), "expected 8 bits"),
        (None, "cannot be read"),
    ],
)
def test_bad_pictures_become_records(tmp_path, content, reason):
    work = job(tmp_path)
    work.source.unlink()
    if content is not None:
        work.source.write_bytes(content)
    record = encode_picture(work)
    assert record.status == "failed"
    assert record.error is not None
    assert str(work.source) in record.error
    assert reason in record.error
    assert "\n" not in record.error
    assert not work.file.exists()
    assert read_picture_record(work) == record


def test_a_file_that_cannot_be_verified_is_not_left(tmp_path, monkeypatch):
    def refuse(_data):
        raise BitstreamError("preview", 30, "checksum")

    monkeypatch.setattr(pictures, "decode_image", refuse)
    work = job(tmp_path)
    record = encode_picture(work)
    assert record.status == "failed"
    assert f"{work.file}: preview at byte 30" in (record.error or "")
    assert not work.file.exists()


@pytest.mark.parametrize("suffix", [".quinr", ".png", ".json"])
def test_a_full_disk_is_a_failed_picture(tmp_path, monkeypatch, suffix):
    sync, work = os.fsync, job(tmp_path)

    def full(handle):
        if suffix in Path(f"/proc/self/fd/{handle}").resolve().suffixes:
            raise OSError(28, "No space left on device")
        sync(handle)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to know which file is written")
    monkeypatch.setattr("pipeline.storage.files.os.fsync", full)
    record = encode_picture(work)
    assert record.status == "failed"
    assert "No space left" in (record.error or "")
    assert not work.file.exists()


def test_jobs_are_the_pictures_of_a_folder(tmp_path):
    folder = tmp_path / "pictures"
    for name in ("b.png", "a.bmp", ".hidden.png"):
        write_picture(folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / "folder.png").mkdir()
    jobs = picture_jobs(folder, tmp_path / "out", TINY, resume=False)
    assert [item.source.name for item in jobs] == ["a.bmp", "b.png"]
    assert {(item.folder, item.resume) for item in jobs} == {(tmp_path / "out", False)}


def test_two_pictures_of_one_stem_are_refused(tmp_path):
    folder = tmp_path / "pictures"
    write_picture(folder / "a.png")
    write_picture(folder / "a.jpg")
    with pytest.raises(DatasetError, match=r"a\.jpg and a\.png would both become a\.quinr"):
        picture_jobs(folder, tmp_path / "out", TINY)


def test_folders_without_pictures_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere: no such folder"):
        picture_jobs(tmp_path / "nowhere", tmp_path / "out", TINY)
    with pytest.raises(DatasetError, match=r"no picture, expected \*\.png"):
        picture_jobs(tmp_path, tmp_path / "out", TINY)
    source = write_picture(tmp_path / "out" / "decoded" / "a.png")
    for folder in (source.parent, source.parents[1]):
        with pytest.raises(DatasetError, match="its pictures are the sources"):
            picture_jobs(folder, tmp_path / "out", TINY)


def test_results_and_sheet(tmp_path):
    write_picture(tmp_path / "pictures" / "a.png")
    write_picture(tmp_path / "pictures" / "b.png", grey=True)
    (tmp_path / "pictures" / "c.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    jobs = picture_jobs(tmp_path / "pictures", out, TINY)
    records = [encode_picture(item) for item in jobs]
    assert [record.status for record in records] == ["ok", "ok", "failed"]
    results = write_picture_results(out, records, {"profile": TINY.model_dump(mode="json")})
    assert json.loads((out / "results.json").read_text()) == results
    assert results["name"] == "quINR tiny"
    assert results["counts"] == {"total": 3, "ok": 2, "failed": 1}
    assert "c.png" in results["failures"]["c"]
    assert results["pictures"] == ["a", "b"]
    sizes = results["results"]["encoded_bytes"]
    assert sizes == [item.file.stat().st_size for item in jobs[:2]]
    assert results["summary"]["encoded_bytes"]["mean"] == sum(sizes) / 2
    rows, mean = picture_rows(records), mean_row(records)
    assert [row["file"] for row in rows] == ["a.png", "b.png", "c.png"]
    assert all(list(row) == list(mean) for row in rows)
    assert (mean["file"], mean["size [B]"]) == ("mean", sum(sizes) / 2)
    assert mean["PSNR [dB]"] == pytest.approx((rows[0]["PSNR [dB]"] + rows[1]["PSNR [dB]"]) / 2)
    sheet = write_contact_sheet(out, jobs, records)
    assert sheet == out / "contact_sheet.png"
    assert Image.open(sheet).height > 2 * 16


def test_a_sheet_leaves_out_what_changed_meanwhile(tmp_path, caplog):
    jobs = [job(tmp_path, name) for name in ("a.png", "b.png")]
    records = [encode_picture(item) for item in jobs]
    jobs[1].decoded.unlink()
    sheet = write_contact_sheet(tmp_path / "out", jobs, records)
    assert sheet is not None
    assert str(jobs[1].decoded) in caplog.text
    failed = [item.failed("why") for item in jobs]
    assert write_contact_sheet(tmp_path / "out", jobs, failed) is None
    assert not sheet.exists(), "no sheet of pictures that failed since"


def test_a_picture_whose_worker_was_killed_has_a_failed_record(tmp_path):
    work = job(tmp_path, "b.png")
    record = work.lost("its worker process was killed")
    assert record.status == "failed"
    assert "b.png: its worker process was killed" in (record.error or "")
    assert read_picture_record(work) == record
