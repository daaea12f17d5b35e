"""Chunks of an MCAP and the messages in them; every byte may be hostile."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import zstandard
from mcap.opcode import Opcode
from mcap.records import Chunk, Message

from pipeline.archive.mcap.records import FRAME_HEAD, McapRecord, expect_whole, parse
from quinr_lidar.errors import ArchiveError

MAX_CHUNK = 1 << 26
"""Bytes, uncompressed; far above what :data:`~pipeline.archive.layout.CHUNK_BYTES` gives."""

CHUNK_HEAD = 40
"""Bytes of an uncompressed chunk's record before its own records."""
MESSAGE_HEAD = 22
_PIECE = 1 << 14
"""Bytes to decompress at once: of a damaged chunk all but the last such piece is left."""


def open_chunk(record: McapRecord, name: str) -> bytes:
    """The records of a chunk; its checksum is checked.

    Raises:
        ArchiveError: it is no chunk, or damaged.
    """
    expect_whole(record, Opcode.CHUNK, "chunk", name)
    chunk = parse(Chunk.read, record.body, "chunk", record.offset, name)
    content = _uncompressed(chunk, record, name)
    if len(content) != chunk.uncompressed_size or zlib.crc32(content) != chunk.uncompressed_crc:
        raise ArchiveError(
            f"{name}: chunk at byte {record.offset}: checksum mismatch, it is damaged"
        )
    return content


def salvage_chunk(record: McapRecord, name: str) -> bytes:
    """What can be read of a chunk that is cut or damaged; no checksum is checked.

    Raises:
        ArchiveError: not even its head is there.
    """
    chunk = parse(Chunk.read, record.body, "chunk", record.offset, name)
    return _uncompressed(chunk, record, name)


def _uncompressed(chunk: Chunk, record: McapRecord, name: str) -> bytes:
    if chunk.compression == "":
        return chunk.data
    if chunk.compression != "zstd":
        raise ArchiveError(
            f"{name}: chunk at byte {record.offset}: compression: expected zstd or none, got "
            f"{chunk.compression!r}"
        )
    # Never more than this, even if the chunk claims to be larger.
    limit = min(chunk.uncompressed_size, MAX_CHUNK) + 1
    pieces: list[bytes] = []
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(chunk.data))
    try:
        while limit > 0 and (piece := reader.read(min(limit, _PIECE))):
            pieces.append(piece)
            limit -= len(piece)
    except zstandard.ZstdError:
        # What came before the damage counts; checksums tell how much that is.
        pass
    return b"".join(pieces)


def messages_of(content: bytes, name: str) -> Iterator[tuple[int, Message]]:
    """Messages of a chunk's records, up to where these are cut, each with its place in them.

    Raises:
        ArchiveError: a message cannot be parsed.
    """
    offset = 0
    while offset + FRAME_HEAD.size <= len(content):
        opcode, length = FRAME_HEAD.unpack_from(content, offset)
        begin = offset + FRAME_HEAD.size
        if length > len(content) - begin:
            return
        if opcode == 0:
            # No record is of this kind, and zeros would be millions of them.
            raise ArchiveError(f"{name}: record at byte {offset} of a chunk: no kind")
        if opcode == Opcode.MESSAGE:
            yield offset, parse_message(content[begin : begin + length], offset, name)
        offset = begin + length


def parse_message(body: bytes, offset: int, name: str) -> Message:
    """A message from its body.

    Raises:
        ArchiveError: it is no message.
    """
    if len(body) <= MESSAGE_HEAD:
        raise ArchiveError(f"{name}: message at byte {offset}: expected a frame, got nothing")
    return parse(lambda stream: Message.read(stream, len(body)), body, "message", offset, name)
