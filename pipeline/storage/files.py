"""Writing files so that nothing already written is ever damaged; errors that name files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from quinr_lidar.errors import BitstreamError, StorageError

TEMPORARY_SUFFIX = ".part"
"""Ends the name of a file that is still being written; such files may always be deleted."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: temporary file, fsync, rename.

    A file of that name is replaced at once or stays as it was; missing folders are made.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX
        )
    except OSError as error:
        raise unwritable(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; what is archived is as readable as any new file.
        temporary.chmod(_MODE)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise
    sync_folder(path.parent)


def write_json_atomically(path: Path, value: Any) -> None:
    """Write a value as indented JSON; see :func:`write_atomically`.

    Raises:
        StorageError: as :func:`write_atomically`.
        ValueError: the value holds NaN or infinity, which JSON cannot hold.
    """
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def read_bytes(path: Path) -> bytes:
    """A whole file.

    Raises:
        StorageError: it does not exist or cannot be read; the message names it.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def named(error: BitstreamError, path: Path) -> BitstreamError:
    """The same error with the file's name in front."""
    error.args = (f"{path}: {error.args[0]}",)
    return error


def sha256_of(data: bytes) -> str:
    """SHA-256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def unwritable(path: Path, error: OSError) -> StorageError:
    """What to raise where a file cannot be written."""
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        # One of the folders that were to be made is a file.
        parents = (parent for parent in Path(path).parents if parent.exists())
        blocked = next((parent for parent in parents if not parent.is_dir()), None)
        if blocked is not None:
            return StorageError(f"{path}: cannot be written: {blocked} is a file, not a folder")
    return StorageError(f"{path}: cannot be written: {error.strerror or error}")


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


# Read once, since reading the umask changes it for a moment, for every thread.
_MODE = 0o666 & ~_umask()


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the file system knows how."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
