"""A job and its record: what workers, flows and resuming know of any kind of work."""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import quinr_lidar
from pipeline.storage.files import sha256_of
from quinr_lidar.errors import StorageError

if TYPE_CHECKING:
    pass


class Record(Protocol):
    """What became of a job; read-only, since records are frozen."""

    @property
    def name(self) -> str:
        """Name of the job."""
        ...

    @property
    def status(self) -> Literal["ok", "failed"]:
        """Whether it was done."""
        ...

    @property
    def error(self) -> str | None:
        """One line that names the source and the reason, if it failed."""
        ...


@runtime_checkable
class FileRecord(Record, Protocol):
    """What became of a job that writes a compressed file."""

    @property
    def file_sha256(self) -> str | None:
        """SHA-256 of the compressed file."""
        ...

    @property
    def settings(self) -> str | None:
        """Digest of all settings."""
        ...

    @property
    def software(self) -> str | None:
        """Version of quinr-lidar that wrote the file."""
        ...

    @property
    def fidelity(self) -> dict[str, Any] | None:
        """Figures by name."""
        ...


RecordT = TypeVar("RecordT", bound=Record)
DataclassT = TypeVar("DataclassT")


class Job(ABC, Generic[RecordT]):
    """A unit of work. Small and picklable: it travels to worker processes.

    Attributes:
        source: What is read: a path, or anything else whose ``str()`` names it in errors.
        predecessor: Name of the job that must be done before, if any.
    """

    source: Any
    predecessor: str | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """A name that no other job of the same call has."""

    @property
    def file(self) -> Path | None:
        """The file that the job writes and its record vouches for; ``None`` if it writes none.

        It is removed when the record cannot be kept, so it must never be a file that was there
        before the job.
        """
        return None

    @abstractmethod
    def failed(self, error: str) -> RecordT:
        """The record of a job that could not be done."""

    @abstractmethod
    def keep(self, record: RecordT) -> None:
        """Write the record to where a later run looks for it.

        Raises:
            StorageError: the folder cannot be written.
        """

    def finish(self, record: RecordT) -> RecordT:
        """Keep the record of a job that has ended; never raises a StorageError.

        Returns:
            The record. Where it cannot be written, the job has failed; the file that it wrote is
            then removed, since no record vouches for it.
        """
        try:
            self.keep(record)
        except StorageError as error:
            if record.status == "ok" and self.file is not None:
                self.file.unlink(missing_ok=True)
            return self.failed(str(error))
        return record

    def lost(self, reason: str) -> RecordT:
        """The record of a job whose worker could not leave one itself.

        It is written at once, so that a follower does not start from what an earlier run left of
        this job. Where even that fails, the caller still gets the record.
        """
        record = self.failed(reason)
        with contextlib.suppress(StorageError):
            self.keep(record)
        return record

    def complaint(self, error: str) -> str:
        """An error as one line that names the source."""
        path = str(self.source)
        return error if path in error else f"{path}: {error}"


def read_dataclass(path: Path, kind: type[DataclassT]) -> DataclassT | None:
    """A dataclass from a JSON file, or ``None`` when there is none that can be understood."""
    try:
        values: dict[str, Any] = json.loads(path.read_bytes())
        return kind(**{item.name: values[item.name] for item in fields(kind)})  # pyright: ignore[reportArgumentType]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_finished(record: FileRecord, file: Path, settings: str) -> bytes | None:
    """The compressed file of a record.

    Args:
        record: What became of its job.
        file: Where it is.
        settings: Digest of the settings asked for.

    Returns:
        ``None`` unless it was made with these settings by this version of the software, and is
        the one that was written then.
    """
    if record.status != "ok":
        return None
    if (record.settings, record.software) != (settings, quinr_lidar.__version__):
        return None
    try:
        data = file.read_bytes()
    except OSError:
        return None
    return data if sha256_of(data) == record.file_sha256 else None
