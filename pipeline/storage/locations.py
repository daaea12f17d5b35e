"""Where archives are: local folders and object stores, by path or URL, through fsspec.

Credentials come from where the store's own tools look for them (for s3:// the AWS environment
variables and files), never from the URL.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pipeline.libraries.extras import install_hint
from pipeline.storage.files import TEMPORARY_SUFFIX, sync_folder
from quinr_lidar.errors import QuinrError, StorageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

ATTEMPTS = 5
"""How often an object store is asked, with pauses of 0.5, 1, 2 and 4 s in between."""

_FINAL = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""Errors that asking again does not change."""

_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs"})
"""Protocols of stores that need a bucket before anything can be written."""

T = TypeVar("T")


@dataclass(frozen=True)
class Location:
    """A file or folder that need not exist.

    Attributes:
        fs: The file system, as fsspec opens it.
        path: The path in the form that this file system expects.
        name: The path or URL as a person wrote it.
    """

    fs: AbstractFileSystem
    path: str
    name: str

    @property
    def local(self) -> bool:
        """Whether it is on this machine's own file systems."""
        return isinstance(self.fs, LocalFileSystem)

    @property
    def base(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def __truediv__(self, child: str) -> Location:
        return Location(
            self.fs, f"{self.path.rstrip('/')}/{child}", f"{self.name.rstrip('/')}/{child}"
        )

    def exists(self) -> bool:
        """Whether a file or folder is there.

        Raises:
            StorageError: the store cannot be reached.
        """

        def look() -> bool:
            try:
                self.fs.info(self.path, refresh=True)
            except FileNotFoundError:
                return False
            return True

        return self._try(look, "looked up")

    def check_bucket(self) -> None:
        """Fail early where an object store has no bucket of this name.

        Raises:
            StorageError: it has none, or cannot be reached.
        """
        if not _BUCKETS & {*_protocols(self.fs)}:
            return
        bucket = self.path.lstrip("/").partition("/")[0]

        def look() -> bool:
            try:
                self.fs.info(bucket, refresh=True)
            except FileNotFoundError:
                return False
            except PermissionError:
                # Who may write objects need not be allowed to ask for their bucket.
                return True
            return True

        if not self._try(look, "looked up"):
            raise StorageError(f"{self.name}: there is no bucket {bucket!r}; make it first")

    def size(self) -> int:
        """Bytes of a file.

        Raises:
            StorageError: it is not there, is a folder, or cannot be reached.
        """
        found = self._try(lambda: self.fs.info(self.path, refresh=True), "read")
        if found["type"] != "file":
            raise StorageError(f"{self.name}: cannot be read: Is a directory")
        return int(found["size"])

    def read(self) -> bytes:
        """A whole file.

        Raises:
            StorageError: it cannot be read.
        """
        data: Any = self._try(lambda: self.fs.cat_file(self.path), "read")
        return data

    def read_range(self, start: int, length: int) -> bytes:
        """A part of a file, in one request; shorter where the file ends.

        Raises:
            StorageError: it cannot be read.
        """
        end = start + length
        data: Any = self._try(lambda: self.fs.cat_file(self.path, start=start, end=end), "read")
        return data

    def find(self, names: tuple[str, ...], depth: int) -> list[Location]:
        """Files with one of these names, in the order of their paths.

        Args:
            names: File names.
            depth: Number of folder levels to search.

        Raises:
            StorageError: it cannot be listed.
        """
        # A cached listing would hide an archive that another machine has just written.
        self.fs.invalidate_cache()
        paths = self._try(lambda: self.fs.find(self.path, maxdepth=depth), "listed")
        root = self.path.rstrip("/")
        return [
            self / path[len(root) :].lstrip("/")
            for path in sorted(paths)
            if path.rpartition("/")[2] in names and path.startswith(root + "/")
        ]

    @contextmanager
    def staging(self, count: int = 1) -> Iterator[list[Path]]:
        """New, empty files whose content :meth:`publish` then puts here; leftovers are removed.

        They are beside the target where that is local, otherwise in the folder for temporary
        files.

        Args:
            count: Number of files.

        Raises:
            StorageError: they cannot be made, or what the block writes does not fit the disk.
        """
        staged: list[Path] = []
        try:
            folder = Path(self.path).parent if self.local else Path(tempfile.gettempdir())
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                path = folder / f".{self.base}.{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
                path.touch(exist_ok=False)
                staged.append(path)
            yield staged
        except OSError as error:
            if isinstance(error, QuinrError):
                raise
            raise self._error("written", error) from error
        finally:
            for path in staged:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def publish(self, staged: Path) -> None:
        """Put a finished file here in one step; a file that was here is replaced.

        Raises:
            StorageError: it cannot be written; a file that was here is unchanged.
        """
        if not self.local:
            self._try(lambda: self.fs.put_file(str(staged), self.path), "written")
            if self.size() != staged.stat().st_size:
                raise StorageError(f"{self.name}: cannot be written: the upload is incomplete")
            return
        try:
            with staged.open("rb") as file:
                os.fsync(file.fileno())
            staged.replace(self.path)
        except OSError as error:
            raise self._error("written", error) from error
        sync_folder(staged.parent)

    def write(self, data: bytes) -> None:
        """Write a whole file or nothing.

        Raises:
            StorageError: as :meth:`publish`.
        """
        with self.staging() as (staged,):
            staged.write_bytes(data)
            self.publish(staged)

    def _try(self, action: Callable[[], T], doing: str) -> T:
        """Do something; where an object store fails, do it again after a pause."""
        try:
            return action() if self.local else _retrying(action)
        except Exception as error:
            # Stores raise whatever their libraries raise; a local file raises OSError only.
            if self.local and not isinstance(error, OSError):
                raise
            raise self._error(doing, error) from error

    def _error(self, doing: str, error: Exception) -> StorageError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, FileNotFoundError):
            reason = "No such file or directory"
        tried = "" if self.local or isinstance(error, _FINAL) else f" ({ATTEMPTS} attempts)"
        return StorageError(f"{self.name}: cannot be {doing}: {' '.join(reason.split())}{tried}")


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, _FINAL)


_retrying = Retrying(
    retry=retry_if_exception(_may_pass),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_exponential(multiplier=0.5),
    reraise=True,
)


def _protocols(fs: AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def locate(where: str | Path | Location) -> Location:
    """A location by its path or URL (``file://``, ``s3://``, ``memory://`` ...).

    Raises:
        StorageError: no such kind of storage, its library is missing, or the URL holds a password.
    """
    if isinstance(where, Location):
        return where
    text = str(where)
    if "://" in text and "@" in urlsplit(text).netloc:
        raise StorageError(
            f"{urlsplit(text).scheme}://...: credentials belong into the environment, not into URLs"
        )
    try:
        fs, path = url_to_fs(text, use_listings_cache=False)
    except ImportError as error:
        raise StorageError(
            f"{text}: needs a library: {error}; for s3:// {install_hint('s3fs')}"
        ) from error
    except ValueError as error:
        raise StorageError(f"{text}: {error}") from error
    return Location(fs, str(path), text)
