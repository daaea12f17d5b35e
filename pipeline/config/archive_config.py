"""Every setting of an archive, in one place.

Options of commands (:mod:`pipeline.cli.config_options`), the form in Prefect's UI, files for
``--config`` (:mod:`pipeline.config.files`) and the digest by which finished frames are known
(:class:`~pipeline.config.encoder_settings.EncoderSettings`) follow from these models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.config.profile_files import SUFFIX
from quinr_lidar import SphericalProjection
from quinr_lidar.codec.profiles import Profile

AUTO = "auto"
"""Instead of an entropy model's file: choose or train one for each drive."""

ExecutorKind = Literal["processes", "threads", "dask", "ray"]

CLUSTERS: tuple[ExecutorKind, ...] = ("dask", "ray")
"""Executors that have an address and need a package of their own."""


@dataclass(frozen=True)
class Flags:
    """How a setting is called on the command line; by its field's name where this says nothing.

    Attributes:
        names: The option's names, such as ``--workers`` and ``-j``.
        metavar: What help calls the value.
    """

    names: tuple[str, ...] = ()
    metavar: str | None = None


class ConfigModel(BaseModel):
    """A group of settings: cannot change, and refuses names that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProjectionConfig(ConfigModel):
    """Grid and field of view of the range images."""

    height: int = Field(
        default=SphericalProjection.height, ge=1, description="Rows of the range image."
    )
    width: int = Field(
        default=SphericalProjection.width, ge=1, description="Columns of the range image."
    )
    fov_up: Annotated[float, Flags(metavar="DEGREES")] = Field(
        default=SphericalProjection.fov_up,
        description="Upper edge of the field of view, degrees above the horizon.",
    )
    fov_down: Annotated[float, Flags(metavar="DEGREES")] = Field(
        default=SphericalProjection.fov_down,
        description="Lower edge of the field of view, degrees above the horizon.",
    )

    @model_validator(mode="after")
    def _is_a_projection(self) -> Self:
        self.spherical()
        return self

    def spherical(self) -> SphericalProjection:
        """The projection that these settings describe."""
        return SphericalProjection(self.height, self.width, self.fov_up, self.fov_down)


class ExecutorConfig(ConfigModel):
    """Where jobs run."""

    kind: Annotated[ExecutorKind, Flags(("--executor",))] = Field(
        default="processes",
        description="Where jobs run: worker processes or threads of this machine, or the workers "
        "of a Dask or Ray cluster.",
    )
    address: Annotated[str | None, Flags(("--executor-address",), "ADDRESS")] = Field(
        default=None,
        description="Address of a running cluster (tcp://host:8786, ray://host:10001, auto); one "
        "is started on this machine when left out.",
    )

    @model_validator(mode="after")
    def _only_clusters_have_addresses(self) -> Self:
        if self.address and self.kind not in CLUSTERS:
            raise ValueError(
                f"address {self.address}: expected the executor {' or '.join(CLUSTERS)} with it, "
                f"found {self.kind}"
            )
        return self


class RunConfig(ConfigModel):
    """How the jobs of a flow run; results do not depend on it."""

    workers: Annotated[int | None, Flags(("--workers", "-j"))] = Field(
        default=None, ge=1, description="Jobs at a time; one a core when left out."
    )
    executor: ExecutorConfig = Field(
        default_factory=ExecutorConfig, description="Where the jobs run."
    )
    timeout: Annotated[float, Flags(metavar="SECONDS")] = Field(
        default=1800.0,
        ge=0,
        description="An attempt at one job fails after so many seconds; 0: no limit.",
    )
    chunk_size: int | None = Field(
        default=None,
        ge=1,
        description="Jobs of one task in Prefect; chosen by the number of jobs when left out.",
    )
    max_failed_share: Annotated[float, Flags(metavar="SHARE")] = Field(
        default=0.5, ge=0, le=1, description="Share of failed jobs above which the flow fails."
    )


_LIMITS = Profile.model_fields
"""Limits of errors are the profile's."""


class ArchiveConfig(ConfigModel):
    """How sequences are archived."""

    profile: str = Field(
        default="bounded",
        description="Named settings of the encoder, or a preset file (.json).",
    )
    overrides: Annotated[dict[str, Any], Flags(("--set",), "NAME=VALUE")] = Field(
        default_factory=dict,
        description="Change a setting of the profile; on the command line repeatable.",
    )
    max_error: Annotated[float | None, *_LIMITS["max_error"].metadata, Flags(metavar="METRES")] = (
        Field(
            default=None,
            description="Largest error of a range, metres; the profile's when left out. Adds the "
            "layers that guarantee it.",
        )
    )
    relative_error: Annotated[
        float | None, *_LIMITS["relative_error"].metadata, Flags(metavar="SHARE")
    ] = Field(
        default=None,
        description="A range r may err by max(max_error, SHARE x r); the profile's when left out.",
    )
    entropy_model: Annotated[str | None, Flags(metavar="FILE|auto")] = Field(
        default=None,
        description="Entropy model (.qmodel) that codes masks and ranges; or auto: the best at "
        "hand for the drive, or one trained on it (a minute or so). The profile's when left out.",
    )
    projection: ProjectionConfig = Field(
        default_factory=ProjectionConfig,
        description="Grid and field of view of the range images.",
    )
    packed: Annotated[str | None, Flags(metavar="FOLDER|URL")] = Field(
        default=None,
        description="Where packed archives go; beside the frames when left out.",
    )
    run: RunConfig = Field(default_factory=RunConfig, description="How the frames' jobs run.")

    def with_absolute_paths(self) -> Self:
        """The same settings for a process that runs in another folder."""
        changes = {}
        if self.entropy_model not in (None, AUTO):
            changes["entropy_model"] = str(Path(self.entropy_model).resolve())
        if self.profile.endswith(SUFFIX):
            changes["profile"] = str(Path(self.profile).resolve())
        if self.packed is not None and "://" not in self.packed:
            changes["packed"] = str(Path(self.packed).resolve())
        return self.model_copy(update=changes)


ENCODER = ("profile", "overrides", "max_error", "relative_error", "entropy_model", "projection")
"""Settings that decide which bytes a scan becomes."""
