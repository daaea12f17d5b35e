"""The report as a person opens it: from a file, in a real browser, without a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from pipeline.archive import PackedSequence, pack_sequence
from pipeline.archive.target import encoder_settings
from pipeline.archive.writer import write_archive
from pipeline.config.archive_config import ArchiveConfig
from pipeline.datasets import Dataset, open_dataset
from pipeline.datasets.synthetic import write_drive
from pipeline.evaluation.archive import (
    ArchiveEvaluation,
    evaluation_jobs,
    plan_evaluation,
    read_evaluation,
    run_evaluation_job,
)
from pipeline.report.archive_report import write_report
from pipeline.report.comparison import compare
from pipeline.report.page.comparison_page import write_comparison
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.sequence import archive_jobs, write_results
from pipeline.storage.locations import locate
from tests.e2e.browser import WEBGL, Browsers, Seen, accessible, until
from tests.support.tiny import tiny

FRAMES = 3
TINY = tiny(steps=5)
HOSTILE = "<img src=x onerror='window.hacked=1'><b>bold"


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[..., Any]]:
    """Opens a page in a browser."""
    with Browsers.start() as browsers:
        yield browsers.open


@dataclass(frozen=True)
class Drive:
    """An archive with everything that a report may be made of."""

    archive: PackedSequence
    originals: Dataset
    evaluation: ArchiveEvaluation


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Drive:
    """A synthetic drive, archived within 2 cm, and evaluated."""
    root = tmp_path_factory.mktemp("drive")
    write_drive(root / "kitti", frames=FRAMES)
    chosen, _ = encoder_settings(root / "out" / "00", ArchiveConfig(overrides=TINY))
    originals = open_dataset(root / "kitti")
    records = [archive_frame(job) for job in archive_jobs(originals, root / "out", chosen)]
    write_results(root / "out" / "00", records, chosen.as_dict())
    pack_sequence(root / "out" / "00")
    archive = PackedSequence.open(root / "out" / "00")
    plan = plan_evaluation(str(root / "out" / "00"), root / "kitti", root / "evaluation")
    for job in evaluation_jobs(plan):
        assert run_evaluation_job(job).status == "ok"
    evaluation = replace(read_evaluation(plan), originals="kitti")
    return Drive(archive, originals, evaluation)


@pytest.fixture(scope="module")
def report(drive, tmp_path_factory) -> Path:
    """The page with everything on it."""
    return write_report(
        drive.archive,
        tmp_path_factory.mktemp("report"),
        evaluation=drive.evaluation,
        originals=drive.originals,
        command="quinr report make",
    ).html


@pytest.fixture(scope="module")
def full(opened, report) -> Iterator[tuple[Page, Seen]]:
    """The page with everything drawn, clouds in space as well; opened once, since that is slow."""
    with opened(report, WEBGL) as found:
        yield found


@pytest.fixture(scope="module")
def plain(opened, report) -> Iterator[tuple[Page, Seen]]:
    """The page in a browser without WebGL."""
    with opened(report) as found:
        yield found


def test_it_opens_from_a_file_without_errors_or_requests(full, report):
    page, seen = full
    assert seen.errors == []
    assert [one for one in seen.requests if not one.startswith(("data:", "blob:"))] == [
        report.as_uri()
    ]
    assert "quinr-lidar archive report" in page.title()
    sizes = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
    assert len(sizes) == 15
    assert min(sizes) > 0


def test_charts_and_clouds_are_drawn(full):
    page, _ = full
    assert page.evaluate("document.documentElement.dataset.charts") == "drawn"
    plots = page.locator(".plot")
    assert plots.count() == 12
    for place in range(plots.count()):
        assert plots.nth(place).get_attribute("data-drawn") == "yes"
    assert page.locator(".plot .main-svg").count() >= 12
    assert page.locator(".waiting").count() == 0
    # The lines are where the figures are.
    points = page.evaluate("document.getElementById('chart-psnr_db').data[0].y")
    assert len(points) == FRAMES
    # Something is painted in space: many colours, not a flat ground.
    cloud = page.locator("#cloud")
    cloud.scroll_into_view_if_needed()
    assert "points" in (cloud.get_attribute("aria-label") or "")
    colours = page.evaluate(
        """async () => {
            const picture = await Plotly.toImage('cloud', {width: 300, height: 200});
            const image = new Image();
            image.src = picture;
            await image.decode();
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [300, 200];
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            const data = new Uint32Array(context.getImageData(0, 0, 300, 200).data.buffer);
            return new Set(data).size;
        }"""
    )
    assert colours > 200


def test_clouds_switch_between_original_and_decoded(full):
    page, seen = full
    note = page.locator("#cloud-note")
    shown = page.evaluate("document.getElementById('cloud').data[0].x.length")
    assert shown == 16_000
    first = page.evaluate("document.getElementById('cloud').data[0].x.slice(0, 50)")
    page.get_by_label("Original scan").check()
    until(page, "document.getElementById('cloud-note').textContent.startsWith('Original scan')")
    assert "16,000 are drawn" in (note.text_content() or "")
    assert page.evaluate("document.getElementById('cloud').data[0].x.slice(0, 50)") != first
    page.get_by_label("Distance to the other cloud").check()
    until(page, "/nearest decoded/.test(document.querySelector('#cloud-note').textContent)")
    page.locator("#cloud-frame").select_option(index=2)
    until(
        page,
        "document.querySelector('#cloud-note').textContent.includes("
        "document.querySelector('#cloud-frame').selectedOptions[0].text.split(' ')[0])",
    )
    eye = "document.getElementById('cloud').layout.scene.camera.eye.z"
    page.get_by_role("button", name="From above").click()
    until(page, f"{eye} > 1")
    page.get_by_role("button", name="Nearer").click()
    until(page, f"{eye} < 1")
    assert seen.errors == []


def test_zooming_one_chart_zooms_all(full):
    page, _ = full
    page.evaluate("Plotly.relayout('chart-bytes', {'xaxis.range[0]': 1, 'xaxis.range[1]': 2})")
    until(page, "document.getElementById('chart-psnr_db').layout.xaxis.range[0] === 1")


def column(page: Page, place: int) -> list[str]:
    cells = f"table.sortable tbody tr > :nth-child({place})"
    return [text.strip() for text in page.locator(cells).all_text_contents()]


def test_tables_sort_by_mouse_and_keyboard(plain):
    page, seen = plain
    heads = page.locator("table.sortable thead th")
    labels = [" ".join(text.split()) for text in heads.all_text_contents()]
    place = next(n for n, text in enumerate(labels) if text.startswith("PSNR")) + 1
    before = column(page, place)
    head = heads.nth(place - 1)
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, place) == sorted(before, key=float)
    assert heads.first.get_attribute("aria-sort") == "none"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, place) == sorted(before, key=float, reverse=True)
    page.keyboard.press("Shift+Tab")
    heads.first.locator("button").focus()
    page.keyboard.press("Space")
    assert column(page, 1) == [f"{number:06d}" for number in range(FRAMES)]
    assert seen.errors == []


def test_dark_and_light(opened, report):
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "document.getElementById('chart-bytes').layout.font.color"

    def brightness(colour: str) -> float:
        return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3

    with opened(report, color_scheme="light") as (page, seen):
        light, pen = brightness(page.evaluate(ground)), page.evaluate(ink)
        button = page.locator("#theme")
        assert button.get_attribute("aria-pressed") == "false"
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert brightness(page.evaluate(ground)) < 60 < 200 < light
        assert page.evaluate(ink) != pen, "charts follow"
        button.focus()
        page.keyboard.press("Enter")
        assert brightness(page.evaluate(ground)) == light
        # Paper is white, whatever the screen.
        button.click()
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert brightness(page.evaluate(ground)) > 250
        assert page.evaluate(ink) == pen
        assert page.locator("details:not([open])").count() == 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        assert brightness(page.evaluate(ground)) < 60
        assert seen.errors == []
    with opened(report, color_scheme="dark", drawn=False) as (page, _):
        assert brightness(page.evaluate(ground)) < 60
        assert page.locator("#theme").get_attribute("aria-pressed") == "true"


def test_a_phone_needs_no_scrolling_sideways(opened, report):
    phone = {"viewport": {"width": 375, "height": 812}, "is_mobile": True, "has_touch": True}
    with opened(report, **phone) as (page, seen):
        for width in (375, 320):
            page.set_viewport_size({"width": width, "height": 812})
            until(page, f"innerWidth === {width}")
            assert page.evaluate("document.documentElement.scrollWidth") == width
            page.mouse.wheel(500, 0)
            assert page.evaluate("scrollX") == 0
        # A finger on a chart scrolls the page.
        assert page.evaluate("document.getElementById('chart-bytes').layout.dragmode") is False
        assert seen.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(plain, scheme):
    page, _ = plain
    page.emulate_media(color_scheme=scheme)
    assert accessible(page) == []


def test_the_keyboard_finds_its_way(opened, report):
    with opened(report, drawn=False) as (page, _):
        # The first stop leads past the navigation, and shows where it is.
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_without_webgl_the_page_says_so(plain):
    page, seen = plain
    assert "no WebGL" in (page.locator("#cloud").text_content() or "")
    assert page.locator("#cloud").get_attribute("data-drawn") == "no"
    assert not page.locator("#cloud-controls").is_visible()
    assert page.locator("#chart-bytes").get_attribute("data-drawn") == "yes"
    assert seen.errors == []


def test_an_old_browser_is_told_what_is_missing(opened, report):
    with opened(report, script="delete window.DecompressionStream", drawn=False) as (page, seen):
        trouble = page.locator("#trouble")
        trouble.wait_for(state="visible")
        assert "no DecompressionStream" in (trouble.text_content() or "")
        assert page.locator("table.sortable tbody tr").count() == FRAMES
        assert seen.errors == []


def test_without_scripts_there_are_cards_pictures_and_tables(opened, report):
    with opened(report, drawn=False, java_script_enabled=False) as (page, seen):
        assert page.locator("noscript").first.is_visible()
        assert page.locator(".card").count() == 12
        assert page.locator("img").count() == 15
        assert page.locator("img").first.is_visible()
        assert page.get_by_text("This chart needs JavaScript.").first.is_visible()
        assert page.locator("table.sortable tbody tr").count() == FRAMES
        assert seen.errors == []


def test_hostile_names_do_nothing(opened, drive, tmp_path):
    rows = [(row, drive.archive.read(row.frame_id)) for row in drive.archive.rows]
    rows[0] = (replace(rows[0][0], frame_id=HOSTILE), rows[0][1])
    said = replace(drive.archive.description, sequence=HOSTILE)
    write_archive(locate(tmp_path / "hostile"), said, drive.archive.entropy_models, rows)
    archive = PackedSequence.open(tmp_path / "hostile")
    files = write_report(archive, tmp_path / "out", command=HOSTILE)
    with opened(files.html) as (page, seen):
        assert page.evaluate("window.hacked") is None
        assert seen.errors == []
        assert page.locator("h1").text_content() == HOSTILE
        # What a chart says of a frame is text as well.
        page.evaluate("Plotly.Fx.hover('chart-bytes', [{curveNumber: 0, pointNumber: 0}])")
        hover = page.locator("#chart-bytes .hoverlayer")
        assert "<b>bold" in (hover.text_content() or "")
        assert len(seen.requests) == 1


def test_what_gets_past_the_escaping_can_neither_run_nor_load(opened, report):
    with opened(report, drawn=False) as (page, seen):
        page.evaluate(
            """() => {
                const script = document.createElement('script');
                script.textContent = 'window.hacked = 1';
                document.body.append(script);
                document.body.insertAdjacentHTML('beforeend',
                    '<img src="http://127.0.0.1:9/x" onerror="window.hacked = 2" alt="x">');
            }"""
        )
        until(page, "[...document.images].at(-1).complete")
        assert page.evaluate("window.hacked") is None
        assert page.evaluate("fetch('http://127.0.0.1:9/').catch((error) => String(error))") == (
            "TypeError: Failed to fetch"
        )
        refused = [text for text in seen.errors if "Content Security Policy" in text]
        assert len(refused) >= 3


def test_comparisons(opened, drive, report, tmp_path):
    made = write_report(drive.archive, tmp_path / "one", evaluation=drive.evaluation).report
    summary = made.summary.model_copy(update={"bpp": 0.5, "psnr_db": 30.0, "profiles": [HOSTILE]})
    other = made.model_copy(update={"summary": summary})
    files = write_comparison(compare([made, other]), tmp_path / "compare")
    with opened(files.html) as (page, seen):
        assert page.locator(".plot[data-drawn=yes]").count() == 4
        assert accessible(page) == []
        page.locator("table.sortable thead button").nth(3).click()
        assert page.locator("table.sortable thead th").nth(3).get_attribute("aria-sort") == (
            "ascending"
        )
        assert page.evaluate("window.hacked") is None
        assert seen.errors == []
        assert len(seen.requests) == 1
    with opened(files.html, viewport={"width": 375, "height": 812}) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") == 375
