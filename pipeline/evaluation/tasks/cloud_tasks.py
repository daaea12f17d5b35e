"""The tasks on one kind of cloud along a drive: odometry, registration, ground."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.cloud_fidelity import DEFAULT_PEAK
from pipeline.evaluation.tasks.ground import Ground, fit_ground
from pipeline.evaluation.tasks.odometry import FEWEST_POINTS, Odometry
from pipeline.evaluation.tasks.registration import RegistrationCloud, Step, register
from quinr_lidar.metrics.clouds import Cloud

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TaskSettings:
    """What is measured, and how.

    Attributes:
        every: Measure figures of every Nth frame only, from the first; odometry needs all frames.
        odometry: Whether to run KISS-ICP. Without it, frames that are not measured are not read.
        registration: Whether to register frames with those before them.
        peak: Peak of D1 and D2 PSNR, metres.
        seed: Seed of RANSAC.
        sample: Measure figures of this many frames only, evenly spread, from the first; instead of
            ``every``.
    """

    every: int = 1
    odometry: bool = True
    registration: bool = True
    peak: float = DEFAULT_PEAK
    seed: int = 0
    sample: int | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: expected 1 or more, got {self.every}")
        if self.sample is not None and (self.sample < 1 or self.every > 1):
            raise ValueError(f"sample: expected 1 or more, without every, got {self.sample}")

    def sampled(self, frames: int) -> list[bool]:
        """Which frames of a drive are measured.

        Args:
            frames: Number of frames of the drive.

        Example:
            >>> TaskSettings(sample=2).sampled(5), TaskSettings(every=3).sampled(5)
            ([True, False, True, False, False], [True, False, False, True, False])
        """
        if self.sample is None:
            return [index % self.every == 0 for index in range(frames)]
        chosen = {index * frames // self.sample for index in range(self.sample)}
        return [index in chosen for index in range(frames)]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, to be kept with the figures."""
        return asdict(self)


class TaskResult:
    """A cloud and what the tasks make of it.

    Attributes:
        cloud: ``None`` where there are too few points for any task.
        pose: The pose that odometry finds, float64 [4, 4], in the frame of the first cloud's
            sensor; ``None`` without odometry.
        step: Registration with the frame before; ``None`` without one.
    """

    def __init__(
        self,
        cloud: Cloud | None = None,
        pose: FloatArray | None = None,
        step: Step | None = None,
        *,
        seed: int = 0,
        sensor_height: float | None = None,
    ) -> None:
        self.cloud, self.pose, self.step = cloud, pose, step
        self._seed, self._sensor_height = seed, sensor_height

    @cached_property
    def ground(self) -> Ground | None:
        """Its ground plane; ``None`` where there is none."""
        if self.cloud is None:
            return None
        return fit_ground(self.cloud.points, self._seed, self._sensor_height)


class CloudTasks:
    """Runs the tasks on clouds in the order of the drive.

    Raises:
        BackendError: odometry is wanted and KISS-ICP is not installed.
    """

    def __init__(self, settings: TaskSettings) -> None:
        self._settings = settings
        self._odometry = Odometry() if settings.odometry else None
        self._previous: RegistrationCloud | None = None

    def add(
        self,
        points: NDArray[np.floating],
        *,
        measure: bool = True,
        sensor_height: float | None = None,
    ) -> TaskResult:
        """Run the tasks on the next cloud.

        Args:
            points: [N, 3 or more], metres, in the sensor's frame, all finite.
            measure: Whether to register it with the cloud before; odometry runs anyway.
            sensor_height: Height of the sensor above the ground, metres; ``None`` if unknown.

        Raises:
            GeometryError: coordinates are not finite.
            BackendError: Open3D cannot be imported.
        """
        if len(points) < FEWEST_POINTS:
            self.skip()
            return TaskResult()
        cloud = Cloud(points)
        pose = self._odometry.add(cloud.points) if self._odometry else None
        step = None
        if self._settings.registration:
            current = RegistrationCloud(cloud.points)
            if measure and self._previous is not None:
                step = register(self._previous, current)
            self._previous = current
        return TaskResult(cloud, pose, step, seed=self._settings.seed, sensor_height=sensor_height)

    def skip(self) -> None:
        """Leave out a frame: the one after it has none to be registered with."""
        self._previous = None
