"""Comparing archived files with the scans they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.datasets import FrameSource, open_dataset
from pipeline.fidelity import FrameFidelity, check_promise, measure_frame, promise_of_file
from pipeline.sequence.frames import decode_file
from pipeline.sequence.records import FrameRecord
from pipeline.sequence.sequence import archived_frames, archived_sequences, results_of
from pipeline.storage.files import read_bytes
from quinr_lidar import codec, metrics
from quinr_lidar.errors import DatasetError, GeometryError, QuinrError


def measure_file(source: FrameSource, file: Path) -> FrameFidelity:
    """All figures of one file, decoded now.

    Raises:
        GeometryError: the file breaks its max error, or its mask is not exact.
        QuinrError: a file is missing or damaged; the message names it.
    """
    data, scan = read_bytes(file), source.read()
    decoded = decode_file(data, file)
    promise = promise_of_file(codec.inspect(data))
    image = decoded.projection.project(scan.points)
    try:
        check_promise(promise, image, decoded)
    except GeometryError as error:
        raise GeometryError(f"{file}: not {source} as promised: {error}") from error
    preview_psnr = None
    if promise.max_error is not None:
        preview = decode_file(data, file, ("preview", "mask"))
        preview_psnr = metrics.psnr(image.filled(), preview.ranges, max_value=image.no_return)
    return measure_frame(
        scan.points,
        image,
        decoded,
        encoded_bytes=len(data),
        raw_bytes=scan.raw_bytes,
        preview_psnr_db=preview_psnr,
        max_error=promise.max_error,
    )


def measure_sequence(
    original: Path, archive: Path, sequence: str | None = None, *, show_progress: bool = True
) -> tuple[dict[str, Any], list[FrameRecord]]:
    """Measure every frame of an archived sequence; a bad frame does not stop the others.

    Returns:
        Results as :func:`pipeline.sequence.sequence.results_of` forms them, and a record a frame.

    Raises:
        DatasetError: originals or archive cannot be opened, or several sequences match.
    """
    folders = archived_sequences(archive)
    if sequence is not None and len(folders) > 1:
        folders = [folder for folder in folders if folder.name == sequence]
    if len(folders) != 1:
        raise DatasetError(
            f"{archive}: expected one archived sequence, found {len(folders)}; name its folder"
        )
    dataset = open_dataset(original, sequence)
    records = []
    for file in tqdm(archived_frames(folders[0]), unit="frame", disable=not show_progress):
        try:
            fidelity = measure_file(dataset.frame(file.stem), file)
            records.append(FrameRecord(file.stem, "ok", fidelity=fidelity.as_dict()))
        except QuinrError as error:
            records.append(FrameRecord(file.stem, "failed", error=str(error)))
    return results_of(folders[0].name, records, {"source": str(original)}), records
