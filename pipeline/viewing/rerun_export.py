"""Frames on Rerun's time line: clouds, range images, and curves of their figures."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.manifest import COLUMNS, FrameRow
from pipeline.datasets import Dataset
from pipeline.libraries.extras import install_hint
from pipeline.storage.locations import locate
from pipeline.viewing.colours import Colouring, Scale, clouds_of, scale_of
from pipeline.viewing.frame import ViewedFrame, view_frame, with_scan
from pipeline.viewing.rerun_file import recording_to
from pipeline.viewing.sources import Frames
from quinr_lidar import RangeImage
from quinr_lidar.errors import ArchiveError, BackendError, QuinrError, StorageError

APPLICATION = "quinr"
SUFFIX = ".rrd"

_EPOCH_NS = 10**18
"""Later times are dates; a sensor that counts from its start needs thirty years to get there."""

_FIGURES = {name: COLUMNS[name].heading for name in ("bytes", "psnr_db", "largest_error_m")}
"""Titles of the curves."""


@dataclass(frozen=True)
class Exported:
    """The outcome of an export.

    Attributes:
        file: Path of the recording.
        bytes: Its size.
        frames: Number of frames in it.
        complaints: By frame id, why a frame is not in it or lacks its scan.
        doubts: Scans that are not those that were archived.
    """

    file: str
    bytes: int
    frames: int
    complaints: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def import_rerun() -> ModuleType:
    """Import Rerun's SDK.

    Raises:
        BackendError: it is not installed, too old, or cannot be imported; says what to install.
    """
    try:
        rerun = importlib.import_module("rerun")
    except (ImportError, OSError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "rerun":
            reason = "Rerun is not installed"
        else:
            reason = f"Rerun cannot be imported ({error})"
        raise BackendError(f"{reason}; {install_hint('rerun')}") from error
    if not hasattr(rerun, "Scalars"):
        raise BackendError(
            f"Rerun {rerun.__version__} is too old, expected 0.23 or newer; "
            "pip install --upgrade rerun-sdk"
        )
    return rerun


def export_rerun(
    frames: Frames,
    rows: Sequence[FrameRow],
    out: Path,
    *,
    colouring: Colouring = "height",
    original: Dataset | None = None,
    overlay: bool = False,
    progress: Callable[[], object] = lambda: None,
) -> Exported:
    """Write frames as a recording (``.rrd``): all of it, or nothing.

    A frame is read, decoded and written before the next one, so memory does not grow with their
    number. One that cannot be decoded is left out, with its reason in the recording's log.

    Args:
        frames: The frames of a file, folder or archive.
        rows: Rows of the frames to export.
        out: The recording; a file that is there is replaced.
        colouring: What colours the clouds. All frames share the scale of the first one; with errors
            as colours, frames without their scan have no clouds.
        original: Data set of their scans, which are found by frame id.
        overlay: Whether to show both clouds in one view.
        progress: Called after every frame.

    Raises:
        ArchiveError: no frame can be decoded.
        BackendError: Rerun is not installed, or turned off.
        StorageError: the recording cannot be written, or is not called ``.rrd``.
    """
    if out.suffix != SUFFIX:
        raise StorageError(f"{out}: expected a name that ends in {SUFFIX}")
    rerun = import_rerun()
    target = locate(out)
    with target.staging() as (staged,):
        layout = _layout(original is not None, overlay)
        with recording_to(staged, rerun, APPLICATION, layout) as recording:
            # What the clouds' coordinates mean: x forward, y to the left, z up.
            recording.log("/", rerun.ViewCoordinates.FLU, static=True)
            log = _Log(rerun, recording, colouring, overlay, _dated(rows))
            for row in rows:
                log.frame(frames, row, original)
                # Waits until all is written: else frames would pile up in memory.
                recording.flush()
                progress()
        if not log.written:
            raise ArchiveError(
                f"{frames.name}: none of {len(rows)} frames can be exported: "
                f"{next(iter(log.complaints.values()), 'there are none')}"
            )
        size = staged.stat().st_size
        target.publish(staged)
    return Exported(target.name, size, log.written, log.complaints, log.doubts)


class _Log:
    """Writes frames into a recording, and collects what is wrong with some of them."""

    def __init__(
        self, rerun: ModuleType, recording: Any, colouring: Colouring, overlay: bool, dated: bool
    ) -> None:
        self._rerun, self._recording = rerun, recording
        self._colouring: Colouring = colouring
        self._overlay, self._dated = overlay, dated
        self._scale: Scale | None = None
        self.written = 0
        self.complaints: dict[str, str] = {}
        self.doubts: list[str] = []

    def frame(self, frames: Frames, row: FrameRow, original: Dataset | None) -> None:
        """Log a frame at its time."""
        self._set_time(row)
        try:
            frame = view_frame(frames, row)
            if original is not None:
                frame = self._with_scan(frame, original)
            if frame.scan is not None or self._colouring != "error":
                self._clouds(frame)
            self._images(frame)
            self._figures(frame)
        except QuinrError as error:
            self._complain(row, error)
            return
        self.written += 1

    def _set_time(self, row: FrameRow) -> None:
        recording, time = self._recording, np.int64(row.time_ns)
        recording.reset_time()
        recording.set_time("frame", sequence=row.number)
        if row.time_assumed:
            recording.set_time("assumed_time", duration=time.astype("timedelta64[ns]"))
        elif self._dated:
            recording.set_time("sensor_time", timestamp=time.astype("datetime64[ns]"))
        else:
            recording.set_time("sensor_time", duration=time.astype("timedelta64[ns]"))

    def _with_scan(self, frame: ViewedFrame, original: Dataset) -> ViewedFrame:
        try:
            frame = with_scan(frame, original)
        except QuinrError as error:
            self._complain(frame.row, error)
            return frame
        if frame.doubt is not None:
            self.doubts.append(frame.doubt)
            self._text("WARN", frame.doubt)
        return frame

    def _clouds(self, frame: ViewedFrame) -> None:
        if self._scale is None:
            self._scale = scale_of(frame, self._colouring)
            self._recording.log(
                "colours", self._rerun.TextDocument(self._scale.text), static=True, strict=True
            )
        for cloud in clouds_of(frame, self._scale, overlay=self._overlay):
            points = self._rerun.Points3D(cloud.points, colors=cloud.colours)
            self._recording.log(cloud.title, points, strict=True)

    def _images(self, frame: ViewedFrame) -> None:
        decoded = frame.decoded
        self._image("range_image/decoded", _ranges(decoded), decoded.no_return, "viridis")
        if frame.scan is None:
            return
        image = frame.scan.image
        both = image.valid & decoded.valid
        error = np.where(both, np.abs(decoded.ranges - image.ranges), np.float32(0))
        most = float(np.percentile(error[both], 98)) if both.any() else 0.0
        self._image("range_image/original", _ranges(image), image.no_return, "viridis")
        self._image("range_image/error", error, most, "plasma")

    def _image(self, path: str, values: NDArray[np.float32], most: float, colours: str) -> None:
        picture = self._rerun.DepthImage(
            values, meter=1.0, colormap=colours, depth_range=(0.0, max(most, 1e-6))
        )
        self._recording.log(path, picture, strict=True)

    def _figures(self, frame: ViewedFrame) -> None:
        known = {
            "bytes": frame.data_bytes,
            "psnr_db": frame.psnr,
            "largest_error_m": frame.largest_error,
        }
        for name, value in known.items():
            # A PSNR may be infinite, which no curve shows.
            if value is not None and np.isfinite(value):
                scalar = self._rerun.Scalars(float(value))
                self._recording.log(f"figures/{name}", scalar, strict=True)

    def _complain(self, row: FrameRow, error: QuinrError) -> None:
        self.complaints[row.frame_id] = str(error)
        self._text("ERROR", str(error))

    def _text(self, level: str, text: str) -> None:
        self._recording.log("log", self._rerun.TextLog(text, level=level), strict=True)


def _ranges(image: RangeImage) -> NDArray[np.float32]:
    """float32 [H, W], metres; 0, which Rerun takes for no measurement, where there is none."""
    return np.where(image.valid, image.ranges, np.float32(0))


def _dated(rows: Sequence[FrameRow]) -> bool:
    """Whether the sensor's times are dates, and not seconds since its start."""
    return any(not row.time_assumed and row.time_ns >= _EPOCH_NS for row in rows)


def _layout(with_original: bool, overlay: bool) -> Any:
    """Clouds on top, range images below them, then curves and the log."""
    blueprint = importlib.import_module("rerun.blueprint")
    names = ["original", "decoded"] if with_original else ["decoded"]
    if overlay:
        clouds = [blueprint.Spatial3DView(name=" and ".join(names), origin="/", contents=names)]
    else:
        clouds = [blueprint.Spatial3DView(name=name, origin="/", contents=[name]) for name in names]
    images = [*names, "error"] if with_original else names
    return blueprint.Blueprint(
        blueprint.Vertical(
            blueprint.Horizontal(*clouds),
            blueprint.Vertical(
                *(blueprint.Spatial2DView(name=n, origin=f"range_image/{n}") for n in images)
            ),
            blueprint.Horizontal(
                *(
                    blueprint.TimeSeriesView(name=title, origin=f"figures/{name}")
                    for name, title in _FIGURES.items()
                ),
                blueprint.TextLogView(name="log", origin="log"),
            ),
            row_shares=[5, 2, 2],
        ),
        collapse_panels=True,
    )
