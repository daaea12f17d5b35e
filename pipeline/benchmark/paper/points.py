"""One point of a curve: a baseline's file of one image, or a codec's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.paper.baselines import BASELINES, Entry, Mask
from pipeline.datasets.sources import read_source
from quinr_lidar import Profile, RangeImage
from quinr_lidar.codec.encoding import framing_bytes
from quinr_lidar.codec.field_fitting import FittedValues, fit_values
from quinr_lidar.codec.images import as_values
from quinr_lidar.container import Header, ImageHeader, Section, pack
from quinr_lidar.errors import QuinrError
from quinr_lidar.metrics.images import psnr

MASK_SHARE = 0.4
"""Of the bytes where mask and depth have a field each."""


@dataclass(frozen=True)
class PointJob:
    """What to encode. Small and picklable: it travels to worker processes.

    Attributes:
        source: A scan or a picture.
        name: Of a baseline or, behind "codec:", of a codec.
        size: Bytes of the file.
        entry: Which of the baseline's fields.
        seed: Of the training.
        share: Of the steps; less than 1 for a quick look.
    """

    source: Path
    name: str
    size: int
    entry: int = 0
    seed: int = 0
    share: float = 1.0

    @property
    def label(self) -> str:
        """The source for people: all KITTI scans are called alike, so their sequence counts."""
        in_sequence = self.source.parent.name.startswith("velodyne")
        return "/".join(self.source.parts[-3:]) if in_sequence else self.source.name

    @property
    def key(self) -> str:
        """Of this job with these settings, the same in every run: 16 hexadecimal digits."""
        described: list[Any] = [self.label, *list(asdict(self).values())[1:]]
        if not self.name.startswith("codec:"):
            channels = 1 if self.source.suffix == ".bin" else 3
            entered = BASELINES[self.name].enter(self.size, channels)[self.entry]
            described += [repr(entered.field), sorted(entered.settings.items())]
        return hashlib.sha256(json.dumps(described, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Point:
    """What became of a job.

    Attributes:
        key: Of the job.
        source: See :attr:`PointJob.label`.
        name: Of the baseline.
        label: Of its field.
        size: Bytes asked for.
        seed: Of the training.
        bytes: Of the file; ``None`` where there is none.
        bpp: Bits a pixel.
        psnr_db: Of what the file decodes to, over all pixels.
        float_psnr_db: Before quantisation.
        seconds: Of the training.
        error: Why there is no file.
    """

    key: str
    source: str
    name: str
    label: str
    size: int
    seed: int
    bytes: int | None = None
    bpp: float | None = None
    psnr_db: float | None = None
    float_psnr_db: float | None = None
    seconds: float | None = None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def run_point(job: PointJob) -> Point:
    """Encode and decode; what cannot be is a point with an error.

    Raises:
        QuinrError: the source cannot be read.
    """
    content = _content(job.source)
    values = _values(content)
    base = {"key": job.key, "source": job.label, "name": job.name}
    base |= {"size": job.size, "seed": job.seed}
    if job.name.startswith("codec:"):
        found: dict[str, Any] = {"label": ""} | _codec_point(job, values)
    else:
        baseline = BASELINES[job.name]
        entered = baseline.enter(job.size, values.shape[-1])[job.entry]
        found = {"label": entered.label}
        try:
            found |= _ENCODERS[baseline.mask](content, values, entered, job)
        except QuinrError as error:
            found["error"] = str(error)
    if found.get("bytes"):
        found["bpp"] = round(8 * found["bytes"] / values[..., 0].size, 6)
    return Point(**base, **found)


def settings_of(entered: Entry, job: PointJob, size: int) -> Profile:
    """The profile of an entry's training and rounding."""
    settings = dict(entered.settings)
    settings["steps"] = max(1, round(settings["steps"] * job.share))
    if settings.get("quantization") != "uniform":
        settings["target_bytes"] = size
    return Profile(name=job.name).with_overrides(**settings, seed=1000 * job.seed)


def _encode(content: Any, values: NDArray[np.float32], entered: Entry, job: PointJob) -> Any:
    header = _header(content)
    fitted = fit_values(
        values,
        entered.field,
        settings_of(entered, job, job.size),
        framing_bytes(header, job.size),
        masked=isinstance(header, Header),
    )
    data = _file(header, fitted)
    return _figures(len(data), fitted.psnr, fitted.float_psnr, fitted.fit.seconds)


def _encode_split(
    content: RangeImage,
    values: NDArray[np.float32],
    entered: Entry,  # noqa: ARG001 (of the whole size; the parts have smaller ones)
    job: PointJob,
) -> Any:
    """A field for the mask, and one for the ranges of valid pixels only."""
    header = Header(content.projection, content.no_return)
    mask_size = round(MASK_SHARE * job.size)
    # The second section needs no file of its own: its framing counts, the header does not.
    framing = framing_bytes(header, job.size)
    shared = len(pack(header, []))
    mask = content.valid[..., None].astype(np.float32)
    fields = [_smaller(job, size) for size in (mask_size, job.size - mask_size)]
    fitted_mask = fit_values(
        mask, fields[0].field, settings_of(fields[0], job, mask_size), framing, masked=False
    )
    depth_size = job.size - len(_file(header, fitted_mask)) + shared
    fitted = fit_values(
        values,
        fields[1].field,
        settings_of(fields[1], job, depth_size),
        framing,
        masked=False,
        counted=content.valid,
    )
    decoded = np.where(fitted_mask.values > 0.5, fitted.values, 1.0)
    size = len(_file(header, fitted_mask)) + len(_file(header, fitted)) - shared
    quality = psnr(values, decoded, max_value=1.0)
    return _figures(size, quality, None, fitted_mask.fit.seconds + fitted.fit.seconds)


def _encode_depth(
    content: RangeImage, values: NDArray[np.float32], entered: Entry, job: PointJob
) -> Any:
    """A field of the valid pixels only; the mask costs nothing here."""
    header = Header(content.projection, content.no_return)
    fitted = fit_values(
        values,
        entered.field,
        settings_of(entered, job, job.size),
        framing_bytes(header, job.size),
        masked=True,
        counted=content.valid,
    )
    decoded = np.where(content.valid[..., None], fitted.values, 1.0)
    quality = psnr(values, decoded, max_value=1.0)
    return _figures(len(_file(header, fitted)), quality, None, fitted.fit.seconds)


_ENCODERS: dict[Mask, Callable[[Any, NDArray[np.float32], Entry, PointJob], Any]] = {
    "value": _encode,
    "field": _encode_split,
    "given": _encode_depth,
}


def _smaller(job: PointJob, size: int) -> Entry:
    """A baseline's field for a part of the bytes."""
    known = [one for one in (100, 200, 350, 650, 1300) if one <= max(100, size)]
    return BASELINES[job.name].enter(known[-1], 1)[job.entry]


def _file(header: Header | ImageHeader, fitted: FittedValues) -> bytes:
    masked = isinstance(header, Header)
    return pack(header, [Section("preview", fitted.payload(0.5 if masked else None))])


def _figures(size: int, decoded: float, before: float | None, seconds: float) -> dict[str, Any]:
    return {
        "bytes": size,
        "psnr_db": round(decoded, 4),
        "float_psnr_db": None if before is None else round(before, 4),
        "seconds": round(seconds, 2),
    }


def _codec_point(job: PointJob, values: NDArray[np.float32]) -> dict[str, Any]:
    # imagecodecs and bjontegaard are an extra of their own.
    from pipeline.benchmark.baselines import PEERS, encode_to_fit

    peer = PEERS[job.name.removeprefix("codec:")]
    found = encode_to_fit(peer, values.astype(np.float64), job.size)
    if found is None:
        return {"error": f"cannot write {job.size} bytes"}
    return {"bytes": found.bytes, "psnr_db": round(found.psnr_db, 4)}


def _header(content: Any) -> Header | ImageHeader:
    if isinstance(content, RangeImage):
        return Header(content.projection, content.no_return)
    return ImageHeader(*content.shape[:2])


def _values(content: Any) -> NDArray[np.float32]:
    if isinstance(content, RangeImage):
        return (content.filled() / np.float32(content.no_return))[..., None]
    return as_values(content)


@lru_cache(maxsize=8)
def _content(path: Path) -> Any:
    return read_source(path).content
