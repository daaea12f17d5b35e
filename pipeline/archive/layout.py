"""What a packed sequence is made of, and what it says about itself.

Layout::

    <sequence>/frames.mcap         one message a frame: its time, and the .quinr file
    <sequence>/manifest.parquet    one row a frame: figures, checksums, where it is in the MCAP

The MCAP alone decodes: it says how, and carries the entropy models that its frames name. In the
file come, in this order: the record of :class:`Description`, the entropy models as attachments,
and for up to :data:`CHUNK_FRAMES` frames each their most important figures and their chunk. So
what is cut off at the end takes nothing with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quinr_lidar.errors import ArchiveError

FORMAT = 1
"""Version of the archive's format; counted up when older software would misread it."""

MCAP = "frames.mcap"
MANIFEST = "manifest.parquet"

TOPIC = "/lidar/quinr"
ENCODING = "quinr"
MESSAGE_SCHEMA = "quinr.Frame"
DESCRIPTION = "quinr"
"""Name of the metadata record that holds the :class:`Description`."""
NOTES = "quinr.frames"
"""Name of the metadata records that go before chunks."""
MODEL_MEDIA_TYPE = "application/x-quinr-entropy_model"

CHUNK_FRAMES = 32
CHUNK_BYTES = 4 << 20
"""A chunk ends at whichever limit comes first; a file that is cut loses at most a chunk."""

MAX_NAME = 200
"""Characters of a frame id: it becomes a file name."""

HOW_TO_DECODE = (
    "The data of a message is one .quinr file: a LiDAR scan as a range image. Python: "
    "quinr_lidar.decode(data, entropy_models=[unpack_model(p) for p in attachments]). "
    "The message's sequence number is the frame's row in the manifest and in the metadata records "
    f"'{NOTES}', which hold its id. Its log time is the scan's, in nanoseconds; where the "
    "sensor gave none, 0.1 s times the number. Layout of a .quinr file: docs/format.md of "
    "quinr-lidar."
)


class NewerArchiveError(ArchiveError):
    """An archive of another version than this software reads."""


class MismatchError(ArchiveError):
    """A manifest that belongs to another MCAP than the one beside it."""


@dataclass(frozen=True)
class Description:
    """What the MCAP's metadata record says about a sequence.

    Attributes:
        sequence: Its name.
        software: Version of quinr-lidar that packed it.
        frames: Number of frames, failed ones included.
        projection: Rows, columns and field of view (degrees) of the first frame's image; the
            sensor's model as far as the codec knows it. Every file has its own.
        entropy_models: Names of the entropy models that the frames are coded with.
        profiles: Settings by their digest, as far as they are known.
    """

    sequence: str
    software: str
    frames: int
    projection: Mapping[str, Any] = field(default_factory=dict)
    entropy_models: tuple[str, ...] = ()
    profiles: Mapping[str, Any] = field(default_factory=dict)

    def as_metadata(self) -> dict[str, str]:
        """Text by name, as an MCAP's metadata record holds it."""
        return {
            "format": str(FORMAT),
            "how_to_decode": HOW_TO_DECODE,
            "sequence": self.sequence,
            "software": self.software,
            "frames": str(self.frames),
            "projection": json.dumps(self.projection, sort_keys=True),
            "entropy_models": json.dumps(self.entropy_models),
            "profiles": json.dumps(self.profiles, sort_keys=True),
        }


def parse_description(values: Mapping[str, str], name: str) -> Description:
    """Read the metadata record.

    Args:
        values: Text by name, as the record holds it.
        name: Name of the file, for errors.

    Raises:
        ArchiveError: another format, or not what :meth:`Description.as_metadata` writes.
    """
    check_format(values.get("format"), name)
    try:
        projection, profiles = json.loads(values["projection"]), json.loads(values["profiles"])
        entropy_models, frames = json.loads(values["entropy_models"]), int(values["frames"])
        if not isinstance(projection, dict) or not isinstance(profiles, dict) or frames < 0:
            raise ValueError("values of another kind")
        if not isinstance(entropy_models, list) or not all(
            isinstance(entropy_model, str) for entropy_model in entropy_models
        ):
            raise ValueError("entropy models: expected a list of names")
        return Description(
            values["sequence"],
            values["software"],
            frames,
            projection,
            tuple(entropy_models),
            profiles,
        )
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ArchiveError(f"{name}: metadata {DESCRIPTION!r} cannot be understood: {error}") from (
            error
        )


def check_format(value: Any, name: str) -> None:
    """Whether this software reads an archive.

    Raises:
        ArchiveError: it says no version.
        NewerArchiveError: it is of another one.
    """
    try:
        version = int(value)
    except (TypeError, ValueError):
        raise ArchiveError(f"{name}: format: expected a number, got {value!r}") from None
    if version != FORMAT:
        raise NewerArchiveError(
            f"{name}: format: archive version {version}, but this software reads version "
            f"{FORMAT}; a newer quinr-lidar may read it"
        )


def check_frame_id(frame_id: Any, name: str) -> str:
    """A frame id that may become a file's name.

    Raises:
        ArchiveError: it would leave the folder, be hidden, or is no text at all.
    """
    good = (
        isinstance(frame_id, str)
        and 0 < len(frame_id) <= MAX_NAME
        and frame_id[0] != "."
        and frame_id.isprintable()
        and not set(frame_id) & set("/\\")
    )
    if not good:
        shown = repr(frame_id)[: MAX_NAME + 10]
        raise ArchiveError(f"{name}: frame_id: expected a plain file name, got {shown}")
    return frame_id
