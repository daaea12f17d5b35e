"""Profiles in files: what ``quinr rd-search`` writes and ``--profile`` reads."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.files import read_bytes, write_json_atomically
from quinr_lidar.errors import ProfileError
from quinr_lidar.profiles import Profile, get_profile

SUFFIX = ".json"


def find_profile(name: str | Profile) -> Profile:
    """A profile by its name, or from a file if that is what ``name`` is.

    Raises:
        ProfileError: no such profile, or a file that holds none; names the file.
        StorageError: the file cannot be read.
    """
    if isinstance(name, Profile) or not name.endswith(SUFFIX):
        return get_profile(name)
    path = Path(name)
    try:
        settings = json.loads(read_bytes(path))
        if not isinstance(settings, dict):
            raise ProfileError(f"expected an object of settings, got {type(settings).__name__}")
        return Profile(name=path.stem).with_overrides(**settings)
    except (ValueError, ProfileError) as error:
        raise ProfileError(f"{path}: {error}") from error


def write_profile(path: Path, profile: Profile) -> None:
    """Write the settings that differ from the defaults.

    Raises:
        StorageError: the file cannot be written.
    """
    settings = profile.model_dump(mode="json", exclude_defaults=True) | {"name": profile.name}
    write_json_atomically(path, settings)
