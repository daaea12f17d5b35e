"""Which software made an archive and its report; nothing about the machine."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version

import quinr_lidar
from pipeline.archive.layout import Description
from pipeline.archive.manifest import FrameRow
from pipeline.report.document import Settings, Versions
from pipeline.sequence.model_files import built_in_name

_PACKAGES = ("numpy", "torch")


def versions_of(description: Description | None, rows: Iterable[FrameRow]) -> Versions:
    """Versions that made the archive and its frames, and that make the report now."""
    return Versions(
        packed=None if description is None else description.software,
        encoded=sorted({row.software for row in rows if row.software}),
        report={
            "quinr-lidar": quinr_lidar.__version__,
            "Python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    )


def settings_of(description: Description | None) -> Settings:
    """How the archive says it was made; built-in entropy models by their names as well."""
    if description is None:
        return Settings()
    entropy_models = []
    for name in description.entropy_models:
        built_in = built_in_name(name)
        entropy_models.append(f"{name} (built in: {built_in})" if built_in else f"{name} (carried)")
    profiles = {
        digest: settings if isinstance(settings, dict) else {"name": str(settings)}
        for digest, settings in description.profiles.items()
    }
    return Settings(
        profiles=profiles, projection=dict(description.projection), entropy_models=entropy_models
    )
