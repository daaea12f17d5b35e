"""Reports side by side, and reports from files in which anything may stand."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archive import PackedSequence
from pipeline.report.archive_report import write_report
from pipeline.report.comparison import compare, labels_of
from pipeline.report.document import Report, read_report
from pipeline.report.page.comparison_page import write_comparison
from quinr_lidar.errors import ArchiveError, QuinrError
from tests.support.reports import FRAMES, Page, evaluation_of


@pytest.fixture
def reports(packed, previews, tmp_path) -> list[Report]:
    """Reports of the bounded archive and of the previews, both evaluated."""

    def better(index: int) -> dict:
        return {"codec_d1_psnr_db": 90.0, "codec_occupancy_iou": 0.99}

    def worse(index: int) -> dict:
        return {"codec_d1_psnr_db": 40.0, "codec_occupancy_iou": 0.1}

    found = []
    for folder, figures in ((packed, better), (previews, worse)):
        archive = PackedSequence.open(folder)
        out = tmp_path / folder.parent.name
        write_report(archive, out, evaluation=evaluation_of(archive, figures))
        found.append(read_report(str(out)))
    return found


def test_a_report_is_read_as_it_was_written(archive, tmp_path):
    written = write_report(archive, tmp_path / "report")
    assert read_report(str(tmp_path / "report")) == written.report
    assert read_report(str(tmp_path)) == written.report
    assert read_report(str(written.json)) == written.report


def test_the_best_of_every_column_is_marked(reports):
    found = compare(reports)
    assert found.labels == ["paper", "bounded, 2\u00a0cm"]  # by size
    bounded = ["bounded, 2\u00a0cm"]
    assert found.best["psnr_db"] == found.best["chamfer_m"] == found.best["d1_psnr_db"] == bounded
    assert found.best["mean_frame_bytes"] == found.best["bpp"] == ["paper"]
    assert found.best["drift_per_m"] == [], "both drift alike"
    assert found.best["max_error_m"] == [], "no bound is better than another"
    assert found.best["registration_m"] == [], "nobody measured it"
    assert found.differences == []


def test_the_page_has_the_figures_and_marks(reports, tmp_path):
    files = write_comparison(compare(reports), tmp_path / "out", "quinr report compare a b")
    page = Page(files.html.read_text())
    assert "90.00 ★ (best)" in page.words
    assert f"2 archives of the same {FRAMES} frames" in page.words
    document = json.loads(files.json.read_text())
    assert [one["label"] for one in document["reports"]] == ["paper", "bounded, 2\u00a0cm"]
    plots = {one["key"]: one for one in json.loads(page.scripts["compare-data"])}
    assert set(plots) == {"plot-chamfer_m", "plot-psnr_db", "plot-d1_psnr_db", "plot-drift_per_m"}
    for point, report in zip(
        plots["plot-d1_psnr_db"]["points"], compare(reports).reports, strict=True
    ):
        assert point["x"] == report.summary.bpp
        assert point["y"] == report.summary.d1_psnr_db


def changed(report: Report, **archive: object) -> Report:
    return report.model_copy(
        update={"archive": report.archive.model_copy(update=archive | {"name": "other"})}
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"sequence": "07"}, "differ in their sequence: 00 and 07"),
        ({"frames_sha256": "0" * 64}, "differ in their frames"),
        ({"scans_sha256": "0" * 64}, "differ in their scans"),
    ],
)
def test_other_drives_are_refused_unless_told(reports, tmp_path, change, what):
    both = [reports[0], changed(reports[1], **change)]
    with pytest.raises(ArchiveError, match=f"{what}; with --anyway"):
        compare(both)
    found = compare(both, anyway=True)
    assert what in found.differences[0]
    html = write_comparison(found, tmp_path / "out").html.read_text()
    assert what in Page(html).words
    assert "of the same" not in Page(html).words


def test_scans_that_are_unknown_are_no_difference(reports):
    assert compare([reports[0], changed(reports[1], scans_sha256=None)]).differences == []


def test_drift_against_different_references_has_no_best(reports):
    summary = reports[1].summary.model_copy(
        update={"drift_reference": "odometry on the scans", "drift_per_m": 0.5}
    )
    found = compare([reports[0], reports[1].model_copy(update={"summary": summary})])
    assert found.best["drift_per_m"] == []
    assert "against ground truth or odometry on the scans" in found.notes[0]


def test_one_report_is_nothing_to_compare(reports):
    with pytest.raises(ArchiveError, match="expected two reports or more, got 1"):
        compare(reports[:1])


def test_archives_of_equal_settings_are_told_apart_by_their_names(reports):
    twin = changed(reports[0])
    labels = labels_of([reports[0], twin, reports[1]])
    assert len(set(labels)) == 3
    assert labels[1] == "bounded, 2\u00a0cm (other)"
    assert labels[2] == "paper"


def test_hostile_names_stay_text(reports, tmp_path):
    hostile = "<script>window.hacked = 1</script>"
    summary = reports[0].summary.model_copy(update={"profiles": [hostile]})
    one = changed(reports[0], sequence=hostile).model_copy(update={"summary": summary})
    found = compare([one, changed(reports[1], sequence=hostile)])
    html = write_comparison(found, tmp_path / "out", hostile).html.read_text()
    page = Page(html)
    assert page.text.count(hostile) >= 3
    assert "window.hacked" not in page.scripts["script"]


def damage(path, change) -> str:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return str(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.update(format=2), "format: report version 2, but this software reads"),
        (lambda v: v.update(format="1"), "format: expected a number, got '1'"),
        (lambda v: v.pop("format"), "format: expected a number, got None"),
        (lambda v: v.update(kind="a poem"), "kind: expected 'quinr archive report', got 'a poem'"),
        (lambda v: v.pop("archive"), "archive: Field required"),
        (lambda v: v["summary"].update(bpp="much"), "summary.bpp: Input should be a valid number"),
        (lambda v: v["summary"].update(psnr_db=float("nan")), "summary.psnr_db: Input should be a"),
        (lambda v: v["summary"].update(frames=-1), "summary.frames: Input should be greater"),
        (lambda v: v["archive"].update(sequence=5), "archive.sequence: Input should be a valid"),
        (lambda v: v["failures"].append({"frame": 1}), "failures.0.frame: Input should be"),
    ],
)
def test_a_damaged_report_is_refused_by_file_and_field(archive, tmp_path, change, said):
    path = write_report(archive, tmp_path).json
    where = damage(path, change)
    with pytest.raises(ArchiveError) as refused:
        read_report(where)
    assert str(refused.value).startswith(f"{path}: {said}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\ufeff{}", "\x00"])
def test_what_is_no_report_is_refused(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ArchiveError, match=r"report\.json: "):
        read_report(str(tmp_path))


def test_a_folder_without_a_report(tmp_path):
    with pytest.raises(ArchiveError, match=r"no report, expected report\.json there"):
        read_report(str(tmp_path))


def test_fields_of_newer_software_are_no_harm(archive, tmp_path):
    path = write_report(archive, tmp_path).json
    where = damage(path, lambda v: v["summary"].update(beauty=11))
    assert read_report(where).summary.frames == FRAMES


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_any_byte_may_be_wrong(archive, tmp_path, place, byte):
    path, sound = tmp_path / "report.json", tmp_path / "sound.json"
    if not sound.exists():
        write_report(archive, tmp_path).json.rename(sound)
    data = bytearray(sound.read_bytes())
    data[int(place * len(data))] = byte
    path.write_bytes(data)
    said = ""
    try:
        found = read_report(str(path))
        compare([found, changed(found)], anyway=True)
    except QuinrError as error:
        said = str(error)
    path.unlink()
    assert said.startswith(str(path)) or not said
