"""Reading parts of files, wherever they are, without downloading all of them."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.storage.locations import Location
from quinr_lidar.errors import StorageError


class RangedFile:
    """A file that is read in ranges, with one block of read-ahead.

    Args:
        location: Where the file is.
        block: Smallest number of bytes to read; 0 reads exactly what is asked for.

    Attributes:
        name: Name of the file, for errors.
        size: Size of the file in bytes.

    Raises:
        StorageError: there is no such file.
    """

    def __init__(self, location: Location, block: int = 0) -> None:
        self.name = location.name
        self.size = location.size()
        self._location = location
        self._block = block
        self._start, self._kept = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from an offset; fewer where the file ends.

        Raises:
            StorageError: they cannot be read.
        """
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        if not self._start <= offset <= end <= self._start + len(self._kept):
            wanted = min(max(end - offset, self._block), self.size - offset)
            self._start, self._kept = offset, self._location.read_range(offset, wanted)
        return self._kept[offset - self._start : end - self._start]

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes between two offsets, piece by piece.

        Raises:
            StorageError: they cannot be read.
        """
        end = self.size if end is None else end
        while start < end:
            piece = self.read(start, min(end - start, max(self._block, 1 << 20)))
            if not piece:
                raise StorageError(f"{self.name}: ended at byte {start} while it was read")
            yield piece
            start += len(piece)
