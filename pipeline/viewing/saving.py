"""A frame's clouds as files: screenshots, and coloured PLY that other viewers open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.datasets.cloud_files import encode_ply
from pipeline.storage.files import write_atomically
from pipeline.viewing.colours import Cloud, Scale, joined
from pipeline.viewing.screenshot import screenshot_png
from quinr_lidar.errors import StorageError

KINDS = (".png", ".ply")


def check_targets(targets: Sequence[Path]) -> None:
    """Check that files of these names can be saved.

    Raises:
        StorageError: one has another suffix than :data:`KINDS`.
    """
    for target in targets:
        if target.suffix.lower() not in KINDS:
            raise StorageError(f"{target}: expected a name that ends in {' or '.join(KINDS)}")


def save_clouds(
    targets: Sequence[Path],
    clouds: Sequence[Cloud],
    scale: Scale,
    title: str,
    *,
    overlay: bool = False,
) -> list[Path]:
    """Write clouds to files.

    Args:
        targets: A ``.png`` has all clouds; a ``.ply`` has the last one, or all in an overlay. The
            other clouds of ``cloud.ply`` go to ``cloud-original.ply``, by their titles.
        clouds: One or two.
        scale: Scale of their colours.
        title: Title of the screenshot.
        overlay: One cloud over the other.

    Returns:
        The files, all of them.

    Raises:
        StorageError: one cannot be written, or has another suffix than :data:`KINDS`.
    """
    check_targets(targets)
    written = []
    for target in targets:
        if target.suffix.lower() == ".png":
            files = {target: screenshot_png(clouds, scale, title, overlay=overlay)}
        elif overlay:
            files = {target: _ply(joined(clouds), scale.text)}
        else:
            names = [target.with_name(f"{target.stem}-{c.title}{target.suffix}") for c in clouds]
            files = {
                name: _ply(cloud, scale.text)
                for name, cloud in zip([*names[:-1], target], clouds, strict=True)
            }
        for path, data in files.items():
            write_atomically(path, data)
            written.append(path)
    return written


def _ply(cloud: Cloud, comment: str) -> bytes:
    return encode_ply(cloud.points, cloud.colours, comment)
