"""A frame's clouds as files: pictures, and coloured PLY that other viewers open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.storage.files import write_atomically
from pipeline.viewing.colours import Cloud, Scale, joined
from pipeline.viewing.screenshot import screenshot_png
from quinr_lidar.errors import StorageError

KINDS = (".png", ".ply")

_VERTEX = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])


def check_targets(targets: Sequence[Path]) -> None:
    """Whether files of these names can be saved.

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
    """Write what can be seen.

    Args:
        targets: A ``.png`` has all clouds; a ``.ply`` has the last one, or all in an overlay. The
            other clouds of ``cloud.ply`` go to ``cloud-original.ply``, by their titles.
        clouds: One or two.
        scale: Of their colours.
        title: Of the picture.
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
            files = {target: coloured_ply(joined(clouds), scale.text)}
        else:
            names = [target.with_name(f"{target.stem}-{c.title}{target.suffix}") for c in clouds]
            files = {
                name: coloured_ply(cloud, scale.text)
                for name, cloud in zip([*names[:-1], target], clouds, strict=True)
            }
        for path, data in files.items():
            write_atomically(path, data)
            written.append(path)
    return written


def coloured_ply(cloud: Cloud, comment: str) -> bytes:
    """Binary PLY with float32 coordinates and a colour a point.

    Args:
        cloud: Points and colours.
        comment: A line for its head.
    """
    vertices = np.zeros(len(cloud.points), _VERTEX)
    vertices["xyz"], vertices["rgb"] = cloud.points, cloud.colours
    head = (
        f"ply\nformat binary_little_endian 1.0\ncomment {comment}\n"
        f"element vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    )
    return head.encode("ascii", "replace") + vertices.tobytes()
