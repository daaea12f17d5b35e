"""The road's centre line and the sensor's poses along it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.datasets.kitti_odometry import SENSOR_HEIGHT

FloatArray = NDArray[np.float64]

METRES_PER_FRAME = 1.0
EGO_LANE = -2.1
"""Lateral position of the right-hand lane's middle, metres left of the centre line."""

MARGIN = 200.0
"""The road begins this far behind the first pose, metres."""

STEP = 0.25
"""Distance between samples of the centre line, metres."""


@dataclass(frozen=True)
class Road:
    """A road that bends gently and goes up and down; it never crosses itself.

    Distances ``along`` count metres of centre line from the first pose, ``left`` metres to the
    left of the centre line.

    Attributes:
        seed: Chooses bends and slopes.
        length: Metres of road there are in front of the first pose.
    """

    seed: int
    length: float

    @cached_property
    def _waves(self) -> tuple[FloatArray, FloatArray]:
        """Amplitude, wavelength (metres) and phase of bends [2, 3] and of hills [2, 3]."""
        rng = np.random.default_rng([self.seed, 1])
        phase = rng.uniform(0, 2 * np.pi, size=(2, 2))
        bends = [(0.25, rng.uniform(280, 420), phase[0, 0]), (0.08, 117.0, phase[0, 1])]
        hills = [(1.6, rng.uniform(300, 450), phase[1, 0]), (0.25, 83.0, phase[1, 1])]
        return np.array(bends), np.array(hills)

    def heading(self, along: ArrayLike) -> FloatArray:
        """Direction of the centre line, radians; bounded, so the road never turns back."""
        return _sum_of_sines(self._waves[0], along)

    def height(self, along: ArrayLike) -> FloatArray:
        """Height of the centre line, metres."""
        return _sum_of_sines(self._waves[1], along)

    def slope(self, along: ArrayLike) -> FloatArray:
        """Pitch of the road, radians, positive uphill."""
        along = np.asarray(along, float)
        return np.arctan(self.height(along + 0.5) - self.height(along - 0.5))

    @cached_property
    def _samples(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        along = np.arange(-MARGIN, self.length + MARGIN, STEP)
        heading = self.heading(along + STEP / 2)
        x = np.concatenate([[0.0], np.cumsum(STEP * np.cos(heading))[:-1]])
        y = np.concatenate([[0.0], np.cumsum(STEP * np.sin(heading))[:-1]])
        return along, x, y

    def place(self, along: ArrayLike, left: ArrayLike, up: ArrayLike = 0.0) -> FloatArray:
        """World coordinates [..., 3], metres, of points given relative to the centre line."""
        along, left, up = np.broadcast_arrays(*(np.asarray(a, float) for a in (along, left, up)))
        samples, xs, ys = self._samples
        heading = self.heading(along)
        x = np.interp(along, samples, xs) - left * np.sin(heading)
        y = np.interp(along, samples, ys) + left * np.cos(heading)
        return np.stack([x, y, self.height(along) + up], axis=-1)

    def ego_along(self, frame: int) -> float:
        """Where along the road the sensor is at a frame, metres."""
        return frame * METRES_PER_FRAME

    def sensor_pose(self, frame: int) -> FloatArray:
        """Pose of the velodyne (x forward, y left, z up) in the world: float64 [4, 4]."""
        along = self.ego_along(frame)
        # A driver does not keep the middle of the lane: a slow weave, a little yaw.
        weave = 0.15 * np.sin(2 * np.pi * along / 60)
        yaw = self.heading(along) + 0.15 * 2 * np.pi / 60 * np.cos(2 * np.pi * along / 60)
        pitch = -self.slope(along)
        pose = np.eye(4)
        pose[:3, :3] = _turn_z(float(yaw)) @ _turn_y(float(pitch))
        pose[:3, 3] = self.place(along, EGO_LANE + weave, SENSOR_HEIGHT)
        return pose


def _sum_of_sines(waves: FloatArray, along: ArrayLike) -> FloatArray:
    amplitude, length, phase = waves.T
    angle = 2 * np.pi * np.asarray(along, float)[..., None] / length + phase
    return (amplitude * np.sin(angle)).sum(axis=-1)


def _turn_z(angle: float) -> FloatArray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _turn_y(angle: float) -> FloatArray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
