"""Is a scan the one that was archived? One answer for resuming, verifying, removing and measuring.

Whoever acts on the answer compares content: :func:`is_archived_scan`. Only the question whether a
whole drive is archived already, which is asked every night and must be cheap, compares sizes:
:func:`has_archived_size`.
"""

from __future__ import annotations

from pipeline.datasets import Dataset, Frame, FrameSource
from pipeline.sequence.records import FrameFacts
from quinr_lidar.errors import ArchiveError


def is_archived_scan(scan: Frame | FrameSource, facts: FrameFacts) -> bool:
    """Whether a scan is, byte for byte, the one that a frame was made from.

    Args:
        scan: The scan; one that was not read yet is read for its checksum.
        facts: The frame's record, or its row in a manifest.

    Raises:
        StorageError: the scan cannot be read.
    """
    sha256 = scan.sha256() if isinstance(scan, FrameSource) else scan.sha256
    return facts.source_sha256 is not None and sha256 == facts.source_sha256


def has_archived_size(source: FrameSource, raw_bytes: float | None) -> bool:
    """Whether a scan has the size of the one that a frame was made from; reads nothing.

    Args:
        source: The scan.
        raw_bytes: Size of the scan that was archived; ``None`` where it is unknown.

    Returns:
        ``False`` for another scan. ``True`` proves nothing: another scan may have the same size.

    Raises:
        StorageError: there is no such scan.
    """
    return source.size() == raw_bytes


def not_archived_reason(source: FrameSource) -> str:
    """What to say of a scan that is another one than was archived."""
    return f"{source}: not the scan that was archived (SHA-256)"


def read_original(dataset: Dataset, facts: FrameFacts) -> Frame:
    """Read the scan that a frame was made from.

    Args:
        dataset: The originals.
        facts: The frame's record, or its row in a manifest.

    Raises:
        ArchiveError: the scan is another one than was archived.
        DatasetError: there is no such scan.
        ScanError, StorageError: the scan cannot be read.
    """
    source = dataset.frame(facts.frame_id)
    scan = source.read()
    if not is_archived_scan(scan, facts):
        raise ArchiveError(not_archived_reason(source))
    return scan
