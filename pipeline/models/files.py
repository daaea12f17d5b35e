"""Priors in files, and those that an archive carries.

An archived sequence keeps what its files were coded with as ``<name>.qprior`` beside ``frames``;
the package's own priors need not travel.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.sequence.records import FRAMES
from pipeline.storage.files import named, read_bytes, write_atomically
from quinr_lidar.container import unpack
from quinr_lidar.entropy.models import SUFFIX, Prior, built_in_priors, unpack_prior
from quinr_lidar.errors import BitstreamError
from quinr_lidar.layers.mask import prior_name


def read_prior(path: Path) -> Prior:
    """A prior from a file.

    Raises:
        BitstreamError: it holds none, or a damaged one; names the file.
        StorageError: it cannot be read.
    """
    try:
        return unpack_prior(read_bytes(path))
    except BitstreamError as error:
        raise named(error, path) from error


def keep_prior(folder: Path, prior: Prior) -> None:
    """Let a sequence's folder carry a prior.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = folder / f"{prior.name}{SUFFIX}"
    if not path.is_file() or path.read_bytes() != prior.data:
        write_atomically(path, prior.data)


def priors_in(folder: Path, wanted: str = "") -> tuple[Prior, ...]:
    """The priors that a folder carries.

    Args:
        folder: Need not exist.
        wanted: Name of the one that matters: others may be damaged.

    Raises:
        BitstreamError: the wanted one is damaged.
        StorageError: one cannot be read.
    """
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found.append(read_prior(path))
        except BitstreamError:
            if path.name == f"{wanted}{SUFFIX}":
                raise
    return tuple(found)


def priors_for(file: Path, data: bytes) -> tuple[Prior, ...]:
    """What lies beside a compressed file to decode it with; nothing where a built-in prior does.

    Args:
        file: Its path; of one in a sequence's ``frames``, the sequence's folder is searched too.
        data: Its bytes.

    Raises:
        BitstreamError, StorageError: as :func:`priors_in`.
    """
    wanted = _prior_of(data)
    if wanted is None or built_in_name(wanted) is not None:
        return ()
    folders = [file.parent, *([file.parent.parent] if file.parent.name == FRAMES else [])]
    return tuple(prior for folder in folders for prior in priors_in(folder, wanted))


def built_in_name(prior: str) -> str | None:
    """What the package calls a prior of this name (hexadecimal digits), if it has it."""
    return next((name for name, one in built_in_priors().items() if one.name == prior), None)


def _prior_of(data: bytes) -> str | None:
    """Name of a file's prior; ``None`` without one, or where damage hides it."""
    try:
        mask = unpack(data, ("mask",)).section("mask")
        return None if mask is None else prior_name(mask.payload, mask.start)
    except BitstreamError:
        return None
