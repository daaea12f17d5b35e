"""One scan of a data set: where it lies, and what is read from there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.storage.files import read_bytes, sha256_of
from quinr_lidar.errors import StorageError


class Cloud(NamedTuple):
    """The points of a scan and what was measured at them.

    Attributes:
        points: float32 [N, 3]: x, y, z in metres, in the sensor's frame. Single points may be NaN.
        channels: What else is known of every point, by name: arrays [N, ...] with the dtype that
            the sensor's format has, for instance ``reflectance``, float32 [N].
    """

    points: NDArray[np.float32]
    channels: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Frame:
    """A scan as it was read.

    Attributes:
        frame_id: Its name in the data set.
        points: See :class:`Cloud`.
        channels: See :class:`Cloud`.
        raw_bytes: Size of what it was read from.
        sha256: SHA-256 of what it was read from: tells whether a scan is still the same.
        timestamp: Seconds, or ``None`` where the data set has no time for it.
    """

    frame_id: str
    points: NDArray[np.float32]
    channels: Mapping[str, NDArray[Any]]
    raw_bytes: int
    sha256: str
    timestamp: float | None = None


class FrameSource(ABC):
    """Where a scan lies. Small and picklable: jobs carry it to worker processes.

    Attributes:
        frame_id: The scan's name in the data set.
        path: The file it lies in; ``str(source)`` is this path, as error messages name it.
        timestamp: Seconds, or ``None`` where the data set has no time for it.
    """

    frame_id: str
    path: Path
    timestamp: float | None = None

    def __str__(self) -> str:
        return str(self.path)

    @abstractmethod
    def read(self) -> Frame:
        """Read the scan.

        Raises:
            ScanError: what lies there is no scan; names the file.
            StorageError: it cannot be read; names the file.
        """

    @abstractmethod
    def sha256(self) -> str:
        """The :attr:`Frame.sha256` that reading would give, also where it is no scan.

        Raises:
            StorageError: it cannot be read.
        """

    @abstractmethod
    def size(self) -> int:
        """The :attr:`Frame.raw_bytes` that reading would give; reads nothing.

        Raises:
            StorageError: there is nothing.
        """

    @abstractmethod
    def changed(self) -> float:
        """When the scan was last written, seconds since the epoch; reads nothing.

        Raises:
            StorageError: there is nothing.
        """


@dataclass(frozen=True)
class ScanFile(FrameSource):
    """A scan that has a file of its own.

    Attributes:
        frame_id: See :class:`FrameSource`.
        path: The file.
        parse: Turns the file's bytes into points; its second argument is the name for errors. A
            function of a module, since it must be picklable.
        timestamp: See :class:`FrameSource`.
    """

    frame_id: str
    path: Path
    parse: Callable[[bytes, str], Cloud]
    timestamp: float | None = None

    __str__ = FrameSource.__str__

    def read(self) -> Frame:
        """See :meth:`FrameSource.read`."""
        data = read_bytes(self.path)
        cloud = self.parse(data, str(self.path))
        return Frame(self.frame_id, *cloud, len(data), sha256_of(data), self.timestamp)

    def sha256(self) -> str:
        """See :meth:`FrameSource.sha256`."""
        return sha256_of(read_bytes(self.path))

    def size(self) -> int:
        """See :meth:`FrameSource.size`."""
        return self._stat().st_size

    def changed(self) -> float:
        """See :meth:`FrameSource.changed`."""
        return self._stat().st_mtime

    def _stat(self) -> Any:
        try:
            return self.path.stat()
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be read: {error.strerror}") from error
