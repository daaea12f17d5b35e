"""Kinds of flow parameters, with their limits: Prefect checks them and makes its forms of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.archive_config import RunConfig

Folder = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Minutes = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Retention = Literal["off", "dry-run", "delete"]

RUN_FRAMES = RunConfig()
"""How jobs of a frame each run."""

RUN_PICTURES = RunConfig(timeout=6 * 3600)
"""How jobs of a picture each run: trainings take minutes."""

RUN_EVALUATION = RunConfig(timeout=0)
"""How an evaluation's jobs run: a drive, which odometry follows, may have any number of frames."""

RUN_VERIFICATION = RunConfig(timeout=0, max_failed_share=0)
"""How jobs of an archive each run: one may have any number of frames, and each should be sound."""
