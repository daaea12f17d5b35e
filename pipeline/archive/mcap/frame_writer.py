"""An MCAP of frames, as :mod:`pipeline.archive.layout` describes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from mcap.opcode import Opcode
from mcap.records import Message
from mcap.writer import CompressionType, Writer

import quinr_lidar
from pipeline.archive.frame_notes import pack_notes
from pipeline.archive.layout import (
    DESCRIPTION,
    ENCODING,
    HOW_TO_DECODE,
    MESSAGE_SCHEMA,
    MODEL_MEDIA_TYPE,
    NOTES,
    TOPIC,
    Description,
)
from pipeline.archive.manifest import FrameRow
from pipeline.archive.mcap.chunks import messages_of, open_chunk
from pipeline.archive.mcap.index import read_index
from pipeline.archive.mcap.records import records_of
from pipeline.storage.ranged_reads import RangedFile
from quinr_lidar.entropy.models import SUFFIX as MODEL_SUFFIX
from quinr_lidar.entropy.models import EntropyModel

_UNLIMITED = 1 << 62
"""Size of chunks for the library: where they end is decided here."""


class FrameWriter:
    """Writes the description and the entropy models, then frames chunk by chunk.

    Args:
        file: Where to write.
        description: What the file says of itself.
        entropy_models: The entropy models that the frames name.
        compressed: Whether chunks are compressed.
    """

    def __init__(
        self,
        file: BinaryIO,
        description: Description,
        entropy_models: Iterable[EntropyModel],
        *,
        compressed: bool,
    ) -> None:
        self._writer = Writer(
            file,
            chunk_size=_UNLIMITED,
            compression=CompressionType.ZSTD if compressed else CompressionType.NONE,
            enable_crcs=True,
            enable_data_crcs=True,
        )
        self._writer.start(library=f"quinr-lidar {quinr_lidar.__version__}")
        self._writer.add_metadata(DESCRIPTION, description.as_metadata())
        for entropy_model in entropy_models:
            name = f"{entropy_model.name}{MODEL_SUFFIX}"
            self._writer.add_attachment(0, 0, name, MODEL_MEDIA_TYPE, entropy_model.data)
        schema = self._writer.register_schema(MESSAGE_SCHEMA, ENCODING, HOW_TO_DECODE.encode())
        self._writer.register_channel(TOPIC, ENCODING, schema)

    def add_chunk(self, frames: Sequence[tuple[FrameRow, bytes | None]]) -> None:
        """Write a chunk behind the notes of its frames, which name them even if it is cut off."""
        self._writer.add_metadata(NOTES, pack_notes([row for row, _ in frames]))
        for row, data in frames:
            if data is not None:
                self._writer.add_message(
                    channel_id=1,
                    log_time=row.time_ns,
                    publish_time=row.time_ns,
                    sequence=row.number,
                    data=data,
                )
        self._writer.flush()

    def finish(self) -> None:
        """Write the index."""
        self._writer.finish()


def written_messages(data: RangedFile) -> Iterator[tuple[int, int, Message]]:
    """All messages of a whole file, with the place of their chunk and their place in it.

    Raises:
        ArchiveError: the file is damaged.
        StorageError: it cannot be read.
    """
    for record in records_of(data, read_index(data).data_end):
        if record.opcode == Opcode.CHUNK:
            for offset, message in messages_of(open_chunk(record, data.name), data.name):
                yield record.offset, offset, message
