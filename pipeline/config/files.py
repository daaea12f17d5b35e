"""Configurations as files: ``--config`` reads YAML or TOML, an archive keeps YAML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config.archive_config import ConfigModel
from pipeline.storage.files import read_bytes, write_atomically
from quinr_lidar.errors import ProfileError

CONFIG = "config.yaml"
"""The file beside a sequence's results that says how it was archived."""

SUFFIXES = (".yaml", ".yml", ".toml")


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a file, not checked yet.

    Raises:
        ProfileError: it is neither YAML nor TOML, or holds no settings; names the file.
        StorageError: it cannot be read.
    """
    # Most commands are given no file.
    import yaml

    if path.suffix not in SUFFIXES:
        raise ProfileError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    read = tomllib.loads if path.suffix == ".toml" else yaml.safe_load
    try:
        values: Any = read(read_bytes(path).decode())
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ProfileError(f"{path}: not {path.suffix[1:].upper()}: {reason}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ProfileError(f"{path}: expected settings by name, got {type(values).__name__}")
    return values


def reasons_of(error: ValidationError) -> list[tuple[str, str]]:
    """The name of each wrong setting (``run.workers``), and what is wrong with it."""
    found = []
    for one in error.errors():
        reason = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            reason = "there is no such setting"
        elif one["type"] != "value_error":
            reason = f"{reason[:1].lower()}{reason[1:]}, got {one['input']!r}"
        found.append((".".join(map(str, one["loc"])), reason))
    return found


def write_config(path: Path, config: ConfigModel) -> None:
    """Write all settings as YAML, which ``--config`` reads.

    Raises:
        StorageError: the file cannot be written.
    """
    import yaml

    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())
