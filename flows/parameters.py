"""Parameters of the flows, with their limits: Prefect checks them and makes its forms of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.sequences import ARCHIVE_PROFILE

Folder = Annotated[str, Field(min_length=1)]
Bound = Annotated[float, Field(gt=0, le=100)]
BoundGrowth = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Minutes = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Retention = Literal["off", "dry-run", "delete"]


class Archiving(BaseModel):
    """How sequences are archived; see :func:`flows.archive_sequence.archive_sequence`."""

    model_config = ConfigDict(extra="forbid")

    profile: str = Field(default=ARCHIVE_PROFILE, description="Name of the encoder's settings.")
    overrides: dict[str, Any] = Field(default_factory=dict, description="Settings to change.")
    bound: Bound | None = Field(
        default=None, description="Largest error of a range, metres; the profile's when left out."
    )
    bound_growth: BoundGrowth | None = Field(
        default=None, description="A range r may err by max(bound, bound_growth * r)."
    )
    prior: str | None = Field(
        default=None,
        description="File of a prior to code masks and ranges with; or auto: the best one at hand, "
        "or one trained on the drive.",
    )
    jobs: Positive | None = Field(
        default=None, description="Worker processes; all cores when left out."
    )
    chunk_size: Positive | None = Field(default=None, description="Frames a task.")
    packed: str | None = Field(
        default=None,
        description="Folder or URL for packed archives; beside the frames when left out.",
    )
    max_failed_share: Share = Field(
        default=0.5, description="Share of failed frames above which a sequence fails."
    )
