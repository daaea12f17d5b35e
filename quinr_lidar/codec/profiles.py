"""Named, validated settings of the encoder."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from quinr_lidar.errors import CircuitError, ProfileError
from quinr_lidar.fields import QuinrField
from quinr_lidar.layers.registry import NAMES, REQUIRED, layers_of_file
from quinr_lidar.training import FitSettings, Optimizer


class Profile(BaseModel):
    """Everything that decides which bytes an image becomes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = "custom"

    layers: tuple[str, ...] = Field(
        default=(REQUIRED,),
        description=f"names of the layers of a file: {', '.join(NAMES)}",
    )
    max_error: float = Field(
        default=0.02,
        ge=1e-4,
        le=100,
        description="largest error of a range, metres (layer ranges)",
    )
    relative_error: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="a range r may err by max(max_error, relative_error * r) (layer ranges)",
    )
    entropy_model: str = Field(
        default="hdl64",
        description="built-in entropy model of the layers mask and ranges, or another one's name",
    )

    qubits: int = Field(default=5, ge=1, le=10)
    features: int = Field(default=19, ge=1, le=1024, description="sine features, M")
    blocks: int = Field(default=5, ge=1, le=255, description="uploads of the features, L")
    entangling_layers: int = Field(default=1, ge=1, le=15, description="a block, E")
    stages: int = Field(default=1, ge=1, le=4, description="stacked circuits")
    sine_layers: int = Field(default=1, ge=1, le=15, description="of the embedding; paper: 1")
    readout: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="r, basis states that every value is a mixture of; 0 = one each, as the paper",
    )
    shuffle_seed: int = Field(default=0, ge=0, lt=2**32)
    w0: float = Field(default=30.0, gt=0)
    frequencies: tuple[float, float] = Field(
        default=(3.5, 6.0),
        description="initial half-range of w0 W by axis, radians",
    )

    quantization: Literal["weighted", "uniform"] = Field(
        default="weighted",
        description="steps by how much a parameter matters, or all parameters to equal bits",
    )
    coarseness: float = Field(
        default=0.6, ge=1e-3, le=64.0, description="of weighted steps; larger is smaller files"
    )
    target_bytes: int | None = Field(
        default=None,
        ge=32,
        description="size of a file, instead of coarseness; files are at most so large",
    )
    refit_groups: int = Field(
        default=1,
        ge=1,
        le=64,
        description="groups in which weighted steps round parameters, the rest being trained in "
        "between; 1 = all at once",
    )
    bits: int = Field(default=8, ge=2, le=16, description="of a parameter, if uniform")

    optimizer: Optimizer = Field(default="gn-adam", description="see FitSettings.optimizer")
    steps: int = Field(default=3000, ge=1, description="optimiser steps at most")
    batch_size: int = Field(default=1536, ge=1, description="pixels a step")
    learning_rate: float = Field(default=2e-2, gt=0)
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps")
    weight_decay: float = Field(default=0.0, ge=0)
    patience: int = Field(default=600, ge=1, description="steps without progress that end it")
    plateau: float = Field(default=2e-3, ge=0, lt=1, description="relative fall that is progress")
    cooldown: float = Field(default=0.1, gt=0, le=1, description="share of the steps")
    seed: int = Field(default=0, ge=0, lt=2**62)
    restarts: int = Field(
        default=1, ge=1, le=1000, description="trainings from different seeds; the best one counts"
    )

    keyframe_interval: int = Field(
        default=16,
        ge=1,
        description="frames of a run of a sequence: the first starts cold, each other one from "
        "its predecessor's parameters; 1 = every frame starts cold",
    )
    warm_steps: int = Field(
        default=600, ge=1, description="as steps, of a warm start; steps where that is less"
    )
    cold_ratio: float = Field(
        default=1.3,
        ge=1,
        description="a warm start whose mean squared error exceeds this multiple of its "
        "predecessor's is followed by a cold one; the better of both is kept",
    )

    @field_validator("layers", mode="before")
    @classmethod
    def _split(cls, layers: Any) -> Any:
        return layers.split(",") if isinstance(layers, str) else layers

    @field_validator("layers")
    @classmethod
    def _known_layers(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        return layers_of_file(layers)

    @model_validator(mode="after")
    def _budgets_need_weights(self) -> Profile:
        if self.target_bytes is not None and self.quantization == "uniform":
            raise ValueError("target_bytes needs weighted quantization")
        return self

    def with_overrides(self, **overrides: Any) -> Profile:
        """A validated copy with some settings changed.

        Raises:
            ProfileError: an unknown setting, or a value out of range.
        """
        try:
            profile = Profile.model_validate(self.model_dump() | overrides)
            profile.field()
        except ValidationError as error:
            raise ProfileError(f"profile {self.name}: {_readable(error)}") from error
        except CircuitError as error:
            raise ProfileError(f"profile {self.name}: {error}") from error
        if "bits" in overrides and profile.quantization != "uniform":
            raise ProfileError(
                f"profile {self.name}: bits has no effect without quantization=uniform"
            )
        return profile

    def field(self, outputs: int = 1) -> QuinrField:
        """The field this profile trains, for so many channels."""
        return QuinrField(
            outputs=outputs, **{name: getattr(self, name) for name in _FIELD_SETTINGS}
        )

    def fit_settings(self, warm: bool = False) -> FitSettings:
        """The training this profile asks for, from a cold or from a warm start."""
        values = {name: getattr(self, name) for name in FitSettings.__dataclass_fields__}
        if warm:
            values["steps"] = min(self.warm_steps, self.steps)
        return FitSettings(**values)

    def digest(self) -> str:
        """Hash of all settings but the name: 16 hexadecimal digits."""
        settings = self.model_dump_json(exclude={"name"})
        return hashlib.sha256(settings.encode()).hexdigest()[:16]


def _presets() -> dict[str, Profile]:
    folder = resources.files("quinr_lidar.codec") / "presets"
    texts = [entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".json")]
    profiles = [Profile.model_validate_json(text) for text in texts]
    return {profile.name: profile for profile in profiles}


PROFILES: dict[str, Profile] = _presets()
"""The files of ``quinr_lidar/presets``, as ``quinr rd-search`` writes them."""


def get_profile(profile: str | Profile) -> Profile:
    """A profile by its name; a profile is returned as it is.

    Raises:
        ProfileError: no profile has that name.
    """
    if isinstance(profile, Profile):
        return profile
    try:
        return PROFILES[profile]
    except KeyError:
        known = ", ".join(sorted(PROFILES))
        raise ProfileError(f"unknown profile {profile!r}; there is {known}") from None


_FIELD_SETTINGS = (
    "qubits",
    "features",
    "blocks",
    "entangling_layers",
    "stages",
    "shuffle_seed",
    "w0",
    "frequencies",
    "readout",
    "sine_layers",
)


def _readable(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}, got {item['input']!r}"
        if item["loc"]
        else item["msg"].lower()
        for item in error.errors()
    )
