"""What decoded scans are good for, by profile and bound: sizes, distances, tasks.

All baselines go along the drive together, so that a frame is in memory once and what depends on
the originals alone is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.machine import describe_machine
from pipeline.evaluation.tasks import (
    CloudTasks,
    EvaluationRecord,
    TaskResult,
    TaskSettings,
    evaluate_decoded,
    evaluate_originals,
    summarise_evaluation,
)
from pipeline.evaluation.tasks.records import TRUTH, finite, pose_numbers
from pipeline.fidelity import largest_error
from quinr_lidar import Profile, RangeImage, SphericalProjection, codec, metrics
from quinr_lidar.codec.profiles import get_profile
from quinr_lidar.geometry import usable_points

FloatArray = NDArray[np.float64]

BOUNDS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Metres."""

SHORT = {"steps": 50, "refit_groups": 1}
"""Settings of bounded files' previews, on which nothing measured here depends but their bytes."""

SENSOR_NOISE = 0.02
"""Standard deviation of a range of the HDL-64E, metres (data sheet: under 2 cm)."""


@dataclass(frozen=True, eq=False)
class BenchFrame:
    """A frame that is read when its turn has come.

    Attributes:
        name: Its id.
        load: Points [N, 3 or more], metres.
        pose: Ground truth of the sensor, float64 [4, 4] in a fixed frame, or ``None``.
    """

    name: str
    load: Callable[[], NDArray[np.floating]]
    pose: FloatArray | None = None


@dataclass(frozen=True)
class Baseline:
    """Settings of files.

    Attributes:
        name: For people.
        profile: Of the encoder.
    """

    name: str
    profile: Profile

    @property
    def max_error(self) -> float | None:
        """Metres, or ``None`` without."""
        return self.profile.max_error if "ranges" in self.profile.layers else None


def baselines(max_errors: Sequence[float], preview: str | None = "preview") -> list[Baseline]:
    """Files without a bound by the profile of this name, fully trained, and bounded ones.

    Raises:
        ProfileError: an unknown profile, or a bound out of range.
    """
    found = [] if preview is None else [Baseline(preview, get_profile(preview))]
    bounded = get_profile("bounded")
    return found + [
        Baseline(f"{100 * max_error:g} cm", bounded.with_overrides(max_error=max_error, **SHORT))
        for max_error in max_errors
    ]


class FidelityBench:
    """Encodes, decodes and evaluates every frame of a drive with every baseline.

    Args:
        frames: Of one drive, in its order.
        baselines: See :func:`baselines`.
        repeats: Odometry runs on range images with further noise of :data:`SENSOR_NOISE`: by how
            much drift differs between them is chance.
        settings: Of the tasks.
        progress: Called after every frame.
    """

    def __init__(
        self,
        frames: Sequence[BenchFrame],
        baselines: Sequence[Baseline],
        repeats: int = 5,
        settings: TaskSettings | None = None,
        progress: Callable[[], None] | None = None,
    ) -> None:
        self._frames, self._baselines, self._repeats = frames, baselines, repeats
        self._settings = settings or TaskSettings()
        self._progress = progress or (lambda: None)

    def run(self) -> dict[str, Any]:
        """A document of JSON's types: settings, and summaries of originals and baselines."""
        names = [one.name for one in self._baselines]
        noisy = [f"noise {number}" for number in range(self._repeats)]
        records: dict[str, list[EvaluationRecord]] = {name: [] for name in (*names, *noisy)}
        for found in self._records():
            for name, record in found.items():
                records[name].append(record)
            self._progress()
        summaries = {name: summarise_evaluation(rows) for name, rows in records.items()}
        return {
            "frames": [frame.name for frame in self._frames],
            "ground_truth": all(frame.pose is not None for frame in self._frames),
            "settings": self._settings.as_dict() | {"bounded_previews": SHORT},
            "baselines": [
                {
                    "name": one.name,
                    "max_error_m": one.max_error,
                    "profile": one.profile.model_dump(mode="json"),
                    "digest": one.profile.digest(),
                    **summaries[one.name],
                }
                for one in self._baselines
            ],
            "noise": {
                "sigma_m": SENSOR_NOISE,
                "odometry": [summaries[name]["odometry"] for name in noisy],
            },
            "machine": describe_machine(),
        }

    def _records(self) -> Iterator[dict[str, EvaluationRecord]]:
        """Of every frame, a record by baseline and by noise."""
        tracks = {name: CloudTasks(self._settings) for name in ("scan", "image")}
        coders = {
            one.name: _Coder(one.profile, CloudTasks(self._settings)) for one in self._baselines
        }
        only_odometry = TaskSettings(registration=False)
        noise = {f"noise {number}": CloudTasks(only_odometry) for number in range(self._repeats)}
        previous: FloatArray | None = None
        for index, frame in enumerate(self._frames):
            originals = _Originals.of(frame, tracks, previous, self._settings)
            found = {name: originals.record(coder) for name, coder in coders.items()}
            for number, (name, track) in enumerate(noise.items()):
                cloud = noisy_cloud(originals.image, np.random.default_rng([number, index]))
                found[name] = originals.poses_alone(track.add(cloud, measure=False))
            previous = frame.pose
            yield found


@dataclass(frozen=True, eq=False)
class _Originals:
    """A frame's originals, and their share of the figures."""

    frame: BenchFrame
    image: RangeImage
    tracks: Mapping[str, TaskResult]
    figures: Mapping[str, float]
    settings: TaskSettings
    true_step: FloatArray | None

    @classmethod
    def of(
        cls,
        frame: BenchFrame,
        tracks: Mapping[str, CloudTasks],
        previous: FloatArray | None,
        settings: TaskSettings,
    ) -> _Originals:
        points = usable_points(frame.load())
        image = SphericalProjection().project(points)
        found = {
            "scan": tracks["scan"].add(points),
            "image": tracks["image"].add(image.projection.back_project(image)),
        }
        step = None
        if previous is not None and frame.pose is not None:
            step = np.linalg.inv(previous) @ frame.pose
        figures = evaluate_originals(**found, peak=settings.peak, true_step=step)
        return cls(frame, image, found, figures, settings, step)

    def record(self, coder: _Coder) -> EvaluationRecord:
        """Encode, decode and evaluate."""
        data, decoded = coder.code(self.image)
        track = coder.track.add(decoded.projection.back_project(decoded))
        figures = evaluate_decoded(
            **self.tracks, decoded=track, peak=self.settings.peak, true_step=self.true_step
        )
        own = {
            "encoded_bytes": float(len(data)),
            "psnr_db": metrics.psnr(
                self.image.filled(), decoded.ranges, max_value=self.image.no_return
            ),
            "largest_error_m": largest_error(self.image, decoded),
        }
        poses = self.poses_alone(track).poses
        return EvaluationRecord(self.frame.name, finite({**own, **self.figures, **figures}), poses)

    def poses_alone(self, decoded: TaskResult) -> EvaluationRecord:
        """A record of a frame whose odometry alone counts."""
        poses = {**self.tracks, "decoded": decoded}
        found = {
            name: pose_numbers(one.pose) for name, one in poses.items() if one.pose is not None
        }
        if self.frame.pose is not None:
            found[TRUTH] = pose_numbers(self.frame.pose)
        return EvaluationRecord(self.frame.name, poses=found)


class _Coder:
    """A baseline on its way: every preview starts from the one before."""

    def __init__(self, profile: Profile, track: CloudTasks) -> None:
        self._profile, self.track = profile, track
        self._last: bytes | None = None

    def code(self, image: RangeImage) -> tuple[bytes, RangeImage]:
        start = None if self._last is None else codec.read_parameters(self._last)
        self._last = codec.encode_frame(image, self._profile, start=start).data
        return self._last, codec.decode(self._last)


def noisy_cloud(image: RangeImage, rng: np.random.Generator) -> NDArray[np.float32]:
    """The image's points as another recording of the same place might have them.

    Returns:
        float32 [valid pixels, 3], metres, ranges with Gaussian noise of :data:`SENSOR_NOISE`.
    """
    noise = rng.normal(scale=SENSOR_NOISE, size=image.shape)
    ranges = np.maximum(image.ranges + noise, 0).astype(np.float32)
    again = RangeImage(ranges, image.valid, image.projection, image.no_return)
    return image.projection.back_project(again)
