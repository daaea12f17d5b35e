"""Profiles in files (what ``quinr rd-search`` writes and ``--profile`` reads), and with options."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.storage.files import read_bytes, write_json_atomically
from quinr_lidar.codec.profiles import Profile, get_profile
from quinr_lidar.entropy.models import EntropyModel, choose_model
from quinr_lidar.errors import ProfileError
from quinr_lidar.layers.registry import LAYERS, with_needs

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


def scan_profile(
    name: str | Profile,
    overrides: Mapping[str, Any],
    *,
    max_error: float | None = None,
    relative_error: float | None = None,
    entropy_model: EntropyModel | None = None,
    others: Iterable[EntropyModel] = (),
) -> Profile:
    """A profile for scans, with what a command's options change.

    A largest error asks for the layers that keep it, so a profile without them gets them.

    Args:
        name: As :func:`find_profile`.
        overrides: Settings to change; they outweigh the options.
        max_error: Largest error of a range, metres.
        relative_error: A range r may err by ``max(max_error, relative_error * r)``.
        entropy_model: The one that codes masks and ranges; the profile's when ``None``.
        others: Further entropy models at hand, which the profile may name.

    Returns:
        The profile. It names its entropy model by its digest: a built-in one of another version
        may be another one of the same name.

    Raises:
        EntropyModelError: the profile's entropy model is not at hand.
        ProfileError: no such profile or setting, a value out of range, or one without effect.
    """
    profile = find_profile(name)
    options: dict[str, Any] = {"max_error": max_error, "relative_error": relative_error}
    options = {key: value for key, value in options.items() if value is not None}
    if options:
        asked = [one.name for one in LAYERS.values() if set(one.settings).intersection(options)]
        options["layers"] = with_needs((*profile.layers, *asked))
    if entropy_model is not None:
        options["entropy_model"] = entropy_model.name
    changes = options | dict(overrides)
    profile = profile.with_overrides(**changes)
    for layer in LAYERS.values():
        for setting in layer.settings:
            if setting in changes and layer.name not in profile.layers:
                raise ProfileError(
                    f"profile {profile.name}: {setting} has no effect without the layer "
                    f"{layer.name}, got layers={','.join(profile.layers)}"
                )
    if "mask" not in profile.layers:
        return profile
    at_hand = (*([entropy_model] if entropy_model else []), *others)
    return profile.with_overrides(entropy_model=choose_model(profile.entropy_model, at_hand).name)


def write_profile(path: Path, profile: Profile) -> None:
    """Write the settings that differ from the defaults.

    Raises:
        StorageError: the file cannot be written.
    """
    settings = profile.model_dump(mode="json", exclude_defaults=True) | {"name": profile.name}
    write_json_atomically(path, settings)
