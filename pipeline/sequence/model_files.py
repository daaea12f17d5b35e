"""Entropy models in files, and those that an archive carries.

An archived sequence keeps the entropy model of its files as ``<name>.qmodel`` beside ``frames``.
Built-in entropy models are not copied.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.sequence.records import FRAMES_FOLDER
from pipeline.storage.files import named, read_bytes, write_atomically
from quinr_lidar.container import unpack
from quinr_lidar.entropy.models import SUFFIX, EntropyModel, built_in_models, unpack_model
from quinr_lidar.errors import BitstreamError
from quinr_lidar.layers.mask import model_name


def read_model(path: Path) -> EntropyModel:
    """Read an entropy model.

    Raises:
        BitstreamError: the file holds none, or a damaged one; the message names the file.
        StorageError: the file cannot be read.
    """
    try:
        return unpack_model(read_bytes(path))
    except BitstreamError as error:
        raise named(error, path) from error


def keep_model(folder: Path, entropy_model: EntropyModel) -> None:
    """Write an entropy model into the folder of a sequence.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = folder / f"{entropy_model.name}{SUFFIX}"
    if not path.is_file() or path.read_bytes() != entropy_model.data:
        write_atomically(path, entropy_model.data)


def models_in(folder: Path, wanted: str = "") -> tuple[EntropyModel, ...]:
    """The entropy models of a folder.

    Args:
        folder: Folder; it need not exist.
        wanted: Name of the model that is needed; others may be damaged.

    Raises:
        BitstreamError: the wanted one is damaged.
        StorageError: one cannot be read.
    """
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found.append(read_model(path))
        except BitstreamError:
            if path.name == f"{wanted}{SUFFIX}":
                raise
    return tuple(found)


def models_for(file: Path, data: bytes) -> tuple[EntropyModel, ...]:
    """Entropy models beside a compressed file; empty where a built-in model decodes it.

    Args:
        file: Path of the file. For a file in ``frames`` of a sequence, the sequence's folder is
            searched, too.
        data: Content of the file.

    Raises:
        BitstreamError, StorageError: as :func:`models_in`.
    """
    wanted = _model_of(data)
    if wanted is None or built_in_name(wanted) is not None:
        return ()
    folders = [file.parent, *([file.parent.parent] if file.parent.name == FRAMES_FOLDER else [])]
    return tuple(entropy_model for folder in folders for entropy_model in models_in(folder, wanted))


def built_in_name(entropy_model: str) -> str | None:
    """Short name of the built-in entropy model whose digest this is; ``None`` if there is none."""
    return next(
        (name for name, one in built_in_models().items() if one.name == entropy_model), None
    )


def _model_of(data: bytes) -> str | None:
    """Name of the entropy model of a file; ``None`` if it has none or cannot be read."""
    try:
        mask = unpack(data, ("mask",)).section("mask")
        return None if mask is None else model_name(mask.payload, mask.start)
    except BitstreamError:
        return None
