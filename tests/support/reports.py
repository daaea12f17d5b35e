"""A tiny packed archive for reports, an evaluation with known figures, and what is on a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from pipeline.archive import PackedSequence, pack_sequence
from pipeline.archive.manifest import FrameRow
from pipeline.archive.target import encoder_settings
from pipeline.config.archive_config import ArchiveConfig, ProjectionConfig
from pipeline.datasets import open_dataset
from pipeline.evaluation.archive.results import ArchiveEvaluation
from pipeline.evaluation.tasks import EvaluationRecord, TaskSettings
from pipeline.report.archive_report import ReportFiles
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.sequence import archive_jobs, write_results
from tests.support.tiny import tiny

TINY = tiny(keyframe_interval=3, steps=20)
FRAMES = 5


def archive_scans(
    scans: Path, out: Path, profile: str = "bounded", size: tuple[int, int] = (16, 64)
) -> Path:
    """Encode and pack a folder of scans: a packed sequence."""
    projection = ProjectionConfig(height=size[0], width=size[1])
    config = ArchiveConfig(profile=profile, overrides=TINY, projection=projection)
    chosen, _ = encoder_settings(out / scans.name, config)
    records = [archive_frame(job) for job in archive_jobs(open_dataset(scans), out, chosen)]
    assert all(record.status == "ok" for record in records), records
    folder = out / scans.name
    write_results(folder, records, chosen.as_dict())
    pack_sequence(folder)
    return folder


def failed(row: FrameRow, error: str) -> tuple[FrameRow, None]:
    """A frame as one that failed when it was archived."""
    gone = dict.fromkeys(("bytes", "file_sha256", "chunk_offset", "message_offset"))
    return replace(row, status="failed", error=error, figures={}, **gone), None


def evaluation_of(
    archive: PackedSequence, figures: Callable[[int], dict] | None = None, **changes: object
) -> ArchiveEvaluation:
    """An evaluation whose figures are known: of frame i, i hundredths and the like."""

    def known(index: int) -> dict:
        return {
            "codec_d1_psnr_db": 80.0 + index,
            "codec_d2_psnr_db": 85.0 + index,
            "codec_chamfer_m": 0.01 * (index + 1),
            "projection_chamfer_m": 0.05,
            "scan_chamfer_m": 0.055,
            "codec_hausdorff_m": 0.02,
            "projection_hausdorff_m": 15.0,
            "codec_ground_iou": 0.9,
            "codec_occupancy_iou": 0.8,
            "codec_registration_m": None if index == 0 else 0.002,
            "scan_d1_psnr_db": 54.0,
            "projection_d1_psnr_db": 55.0,
        }

    def pose(x: float) -> list[float]:
        return [1.0, 0, 0, x, 0, 1, 0, 0, 0, 0, 1, 0]

    made = figures or known
    records = tuple(
        EvaluationRecord(
            row.frame_id,
            made(index),
            {
                "truth": pose(float(index)),
                "scan": pose(1.01 * index),
                "image": pose(1.02 * index),
                "decoded": pose(1.04 * index),
            },
        )
        for index, row in enumerate(archive.rows)
    )
    values = {
        "settings": TaskSettings(),
        "records": records,
        "originals": "a drive",
        "mcap_sha256": archive.manifest.mcap_sha256,
    }
    return ArchiveEvaluation(**(values | changes))


class Page(HTMLParser):
    """What is on a page: text, tags with their attributes, tables, and scripts apart."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: dict[str, str] = {}
        self._raw: str | None = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._raw = dict(attrs).get("id") or tag

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._raw = None
        self.text += " "

    def handle_data(self, data):
        if self._raw is None:
            self.text += data
        else:
            self.scripts[self._raw] = self.scripts.get(self._raw, "") + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        """Text with single, plain spaces."""
        return " ".join(self.text.split())


def page_of(files: ReportFiles) -> Page:
    """The page that was written."""
    return Page(files.html.read_text())
