"""What decides which bytes a scan becomes: the profile and the projection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from quinr_lidar import Profile, SphericalProjection


@dataclass(frozen=True)
class EncoderSettings:
    """Settings of the frames of an archive.

    Attributes:
        profile: The encoder's; it names the entropy model by its digest.
        projection: Grid and field of view of the range images.
    """

    profile: Profile
    projection: SphericalProjection = field(default_factory=SphericalProjection)

    def digest(self) -> str:
        """Hash of all settings but the profile's name: 16 hexadecimal digits.

        A frame is finished only if its record names the digest of the settings asked for.
        """
        settings = self.as_dict()
        del settings["profile"]["name"]
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Settings as JSON's types, as results and archives keep them."""
        return {
            "profile": self.profile.model_dump(mode="json"),
            "projection": asdict(self.projection),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderSettings:
        """Settings from what :meth:`as_dict` returned; other keys are ignored.

        Raises:
            KeyError, TypeError, ValueError: something else.
        """
        return cls(
            Profile.model_validate(values["profile"]), SphericalProjection(**values["projection"])
        )
