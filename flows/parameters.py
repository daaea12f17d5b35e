"""Parameters of the flows, with their limits: Prefect checks them and makes its forms of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.sequence.sequence import ARCHIVE_PROFILE

Folder = Annotated[str, Field(min_length=1)]
MaxError = Annotated[float, Field(gt=0, le=100)]
RelativeError = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Minutes = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Retention = Literal["off", "dry-run", "delete"]
RunnerKind = Literal["processes", "threads", "dask", "ray"]

FRAME_TIMEOUT = 1800.0
"""Seconds for an attempt at a frame: a thousand times what one takes, less than a nightly run."""

PICTURE_TIMEOUT = 6 * 3600.0
"""Likewise at a picture, whose trainings take minutes."""

ON_CLUSTERS: tuple[RunnerKind, ...] = ("dask", "ray")


class Runner(BaseModel):
    """Where a flow's jobs run; see :mod:`flows._prefect.runners`."""

    model_config = ConfigDict(extra="forbid")

    kind: RunnerKind = Field(
        default="processes",
        description="Worker processes or threads of this machine, or a Dask or Ray cluster.",
    )
    address: str | None = Field(
        default=None,
        description="Of a running cluster (tcp://host:8786, ray://host:10001, auto); one on this "
        "machine is started for the flow when left out.",
    )

    @model_validator(mode="after")
    def _is_a_clusters(self) -> Self:
        if self.address and self.kind not in ON_CLUSTERS:
            raise ValueError(f"address {self.address}: only dask and ray have one, not {self.kind}")
        return self


class Archiving(BaseModel):
    """How sequences are archived; see :func:`flows.archive_sequence.archive_sequence`."""

    model_config = ConfigDict(extra="forbid")

    profile: str = Field(default=ARCHIVE_PROFILE, description="Name of the encoder's settings.")
    overrides: dict[str, Any] = Field(default_factory=dict, description="Settings to change.")
    max_error: MaxError | None = Field(
        default=None, description="Largest error of a range, metres; the profile's when left out."
    )
    relative_error: RelativeError | None = Field(
        default=None, description="A range r may err by max(bound, bound_growth * r)."
    )
    entropy_model: str | None = Field(
        default=None,
        description="File of the entropy model that codes masks and ranges; or auto: the best one "
        "at hand, or one trained on the drive.",
    )
    jobs: Positive | None = Field(
        default=None, description="Frames at a time; one a core when left out."
    )
    runner: Runner = Field(default_factory=Runner, description="Where frames are encoded.")
    frame_timeout: Seconds | None = Field(
        default=FRAME_TIMEOUT,
        description="Seconds after which an attempt at a frame has failed; 0: no limit.",
    )
    chunk_size: Positive | None = Field(default=None, description="Frames a task.")
    packed: str | None = Field(
        default=None,
        description="Folder or URL for packed archives; beside the frames when left out.",
    )
    max_failed_share: Share = Field(
        default=0.5, description="Share of failed frames above which a sequence fails."
    )
