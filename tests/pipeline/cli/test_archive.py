"""The commands of ``quinr archive``."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import quinr_lidar
from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.reader import PackedSequence
from pipeline.archive.writer import pack_sequence
from pipeline.datasets import read_scan
from pipeline.fidelity import largest_error
from pipeline.libraries.open3d import import_open3d
from pipeline.sequence.records import FrameRecord, frame_path, write_record
from pipeline.storage.files import sha256_of
from tests.support.archived_drive import FRAMES, PROJECTION, digests, flip


def parsed(result):
    code, out, err = result
    assert err == "", err
    return code, json.loads(out)


def test_add_packs_beside_the_frames_or_elsewhere(quinr, folder, tmp_path):
    assert quinr("archive", "add", folder)[0] == 0
    assert (folder / MCAP).is_file()
    code, packed = parsed(quinr("archive", "add", folder.parent, tmp_path / "out", "--json"))
    assert code == 0
    assert packed == [
        {
            "archive": str(tmp_path / "out" / "00"),
            "sequence": "00",
            "frames": FRAMES,
            "failed": 0,
            "bytes": (tmp_path / "out" / "00" / MCAP).stat().st_size,
            "written": True,
        }
    ]
    write_record(folder, FrameRecord("000002", "failed", error="why"))
    code, _, err = quinr("archive", "add", folder, tmp_path / "out")
    assert code == 2
    assert "000002; pack elsewhere, or overwrite it" in err
    assert quinr("archive", "add", folder, tmp_path / "out", "--overwrite")[0] == 1


def test_list_and_info(quinr, packed, tmp_path):
    code, rows = parsed(quinr("archive", "list", packed, "--json"))
    assert (code, [row["frame_id"] for row in rows]) == (0, [f"{n:06d}" for n in range(FRAMES)])
    code, archives = parsed(quinr("archive", "list", packed.parent, "--json"))
    assert (code, archives[0]["frames"], archives[0]["unbounded"]) == (0, FRAMES, 0)
    assert "000003" in quinr("archive", "list", packed)[1]
    code, details = parsed(quinr("archive", "info", packed, "--json"))
    assert (details["frames"], details["max_error_m"], details["clock_jumps"]) == (FRAMES, 0.02, 0)
    assert details["projection"]["height"] == 8
    assert details["largest_error_m"] <= 0.02
    assert "clock_jumps" in quinr("archive", "info", packed)[1]
    shutil.copytree(packed, packed.parent / "01")
    (packed.parent / "01" / MANIFEST).unlink()
    code, archives = parsed(quinr("archive", "list", packed.parent, "--json"))
    assert code == 1
    assert "quinr archive repair" in archives[1]["error"]


def test_verify_says_what_is_wrong(quinr, packed):
    code, out, _ = quinr("archive", "verify", packed)
    assert (code, out.strip().splitlines()[-1]) == (
        0, f"{packed}: {FRAMES} frames, 0 failed when archived: intact",
    )  # fmt: skip
    flip(packed / MCAP, 13_000)
    code, found = parsed(quinr("archive", "verify", packed, "--json"))
    assert (code, found["ok"]) == (1, False)
    code, out, _ = quinr("archive", "verify", packed)
    assert code == 1
    assert "keep the originals" in out
    (packed / MCAP).unlink()
    code, _, err = quinr("archive", "verify", packed)
    assert code == 2
    assert err.strip().splitlines()[-1].startswith(f"quinr: {packed}/frames.mcap: cannot be read")


def test_a_deep_verify_measures_every_frame(quinr, packed, drive):
    scans = drive / "scans" / "00"
    code, found = parsed(quinr("archive", "verify", packed, "--originals", scans, "--json"))
    assert (code, found["ok"], found["deep"], found["problems"]) == (0, True, True, [])
    archive = PackedSequence.open(packed)
    for frame in found["frames"]:
        image = PROJECTION.project(read_scan(scans / f"{frame['frame_id']}.bin").points)
        decoded = archive.decode(frame["frame_id"])
        assert frame["largest_error_m"] == largest_error(image, decoded) <= 0.02
    assert "all within max error" in quinr("archive", "verify", packed, "--originals", scans)[1]


def test_a_deep_verify_finds_what_would_be_lost_with_the_originals(
    quinr, folder, packed, drive, tmp_path
):
    scans = shutil.copytree(drive / "scans" / "00", tmp_path / "00")

    def errors(archive) -> str:
        code, found = parsed(quinr("archive", "verify", archive, "--originals", scans, "--json"))
        assert (code, found["ok"]) == (1, False)
        return json.dumps(found)

    shutil.copy(scans / "000000.bin", scans / "000099.bin")
    assert "1 scans of 00 are not in the archive, the first 000099" in errors(packed)
    (scans / "000099.bin").unlink()
    shutil.copy(scans / "000000.bin", scans / "000001.bin")
    assert "not the scan that was archived" in errors(packed)
    shutil.copy(drive / "scans" / "00" / "000001.bin", scans)
    (scans / "000002.bin").unlink()
    assert "no frame '000002'" in errors(packed)
    shutil.copy(drive / "scans" / "00" / "000002.bin", scans)
    write_record(folder, FrameRecord("000004", "failed", error="why"))
    pack_sequence(folder, tmp_path / "partial")
    assert '"000004": "why"' in errors(tmp_path / "partial")
    pack_sequence(drive / "previews" / "00", tmp_path / "previews")
    assert "a preview, which promises no max error" in errors(tmp_path / "previews")


def test_a_file_that_breaks_its_bound_is_found(quinr, folder, drive, tmp_path):
    """Encoder, records and checksums agree; only the scan says otherwise."""
    points = read_scan(drive / "scans" / "00" / "000003.bin").points * np.float32(1.01)
    image = PROJECTION.project(points)
    small = {"qubits": 2, "features": 4, "blocks": 1, "steps": 1, "batch_size": 64}
    data = quinr_lidar.encode(image, "bounded", refit_groups=1, **small)
    frame_path(folder, "000003").write_bytes(data)
    record = json.loads((folder / "records" / "000003.json").read_text())
    record["file_sha256"] = sha256_of(data)
    (folder / "records" / "000003.json").write_text(json.dumps(record))
    pack_sequence(folder, tmp_path / "packed")
    assert quinr("archive", "verify", tmp_path / "packed")[0] == 0
    scans = drive / "scans" / "00"
    code, out, _ = quinr("archive", "verify", tmp_path / "packed", "--originals", scans)
    assert code == 1
    assert "do not delete the original" in out


@pytest.mark.parametrize("kind", ["quinr", "bin", "ply", "pcd", "npy"])
def test_extract_writes_what_others_open(quinr, packed, tmp_path, kind):
    out = tmp_path / "clouds"
    arguments = ("archive", "extract", packed, "1-2", "000004", "--as", kind, "--out", out)
    assert quinr(*arguments)[0] == 0
    names = [f"{name}.{kind}" for name in ("000001", "000002", "000004")]
    assert sorted(path.name for path in out.iterdir()) == names
    archive = PackedSequence.open(packed)
    image = archive.decode("000002")
    expected = image.projection.back_project(image)[:, :3]
    if kind == "quinr":
        assert (out / names[1]).read_bytes() == archive.read("000002")
    elif kind == "bin":
        assert np.array_equal(read_scan(out / names[1]).points, expected)
    elif kind == "npy":
        assert np.count_nonzero(np.isfinite(np.load(out / names[1]))) == len(expected)
    else:
        open3d = import_open3d()
        cloud = open3d.io.read_point_cloud(str(out / names[1]))
        assert np.array_equal(np.asarray(cloud.points, np.float32), expected.astype(np.float32))


def test_extract_does_not_write_over_another_file(quinr, packed, tmp_path):
    out = tmp_path / "originals"
    out.mkdir()
    (out / "000001.bin").write_bytes(b"an original")
    before = digests(out)
    arguments = ("archive", "extract", packed, "--as", "bin", "--out", out)
    code, text, _ = quinr(*arguments)
    assert code == 1
    assert "is there already" in text
    assert digests(out)["000001.bin"] == before["000001.bin"]
    assert len(digests(out)) == FRAMES
    assert quinr(*arguments, "--overwrite")[0] == 0
    assert quinr(*arguments)[0] == 0, "the same content is no conflict"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["90-99"], "no frame in 90-99; there are 000000 to 000005"),
        (["x"], "no frame 'x'"),
        (["--as", "png"], "expected one of quinr, bin, ply, npy, pcd"),
    ],
)
def test_extract_refuses_what_is_not_there(quinr, packed, tmp_path, arguments, reason):
    code, _, err = quinr("archive", "extract", packed, *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert reason in err.strip().splitlines()[-1]


def test_repair_needs_to_be_told_where(quinr, packed, tmp_path):
    (packed / MCAP).write_bytes((packed / MCAP).read_bytes()[:-30])
    before = digests(packed)
    for arguments in ([], ["--in-place", "--out", tmp_path / "x"]):
        code, _, err = quinr("archive", "repair", packed, *arguments)
        assert code == 2
        assert "expected --out FOLDER" in err
    assert digests(packed) == before
    code, done = parsed(quinr("archive", "repair", packed, "--out", tmp_path / "new", "--json"))
    assert (code, done["frames"], done["lost"]) == (0, FRAMES, [])
    assert digests(packed) == before
    assert quinr("archive", "repair", packed, "--in-place")[0] == 0
    assert quinr("archive", "verify", packed)[0] == 0


def test_query(quinr, packed, tmp_path):
    code, rows = parsed(quinr("archive", "query", "bytes > 0", packed, packed.parent, "--json"))
    assert (code, len(rows)) == (0, FRAMES), "an archive that is named twice counts once"
    code, out, _ = quinr("archive", "query", "psnr < 0", packed)
    assert code == 0
    assert "0 frames of 1 archives" in out
    code, _, err = quinr("archive", "query", "nonsense ==", packed)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert quinr("archive", "query", "true", tmp_path / "none")[0] == 2


@pytest.mark.parametrize("command", ["add", "list", "info", "verify", "extract", "repair", "query"])
def test_help_has_an_example(quinr, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = quinr("archive", command, "--help")
    assert code == 0
    assert f"quinr archive {command}" in out
