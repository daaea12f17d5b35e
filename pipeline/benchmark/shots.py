"""How many measurements, and how good gates, a quantum computer would need to decode a file.

A simulator reads a pixel's probability ``p`` to the last digit. A quantum computer estimates it
from N shots, with variance ``p (1 - p) / N``; the value is ``scale p + offset``, so the mean
squared error grows by the mean of ``scale^2 p (1 - p) / N``. The dimension enters only through
training: where ``p`` is of the order 2^-n and ``scale`` of 2^n, shots grow as 2^n (the paper's
O(2^n)); where training moves amplitude to the state that is read, they grow less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import linregress
from torch import Tensor

from pipeline.benchmark.machine import describe_machine
from quinr_lidar import Profile, RangeImage, metrics
from quinr_lidar.arrays import to_tensors
from quinr_lidar.circuit import devices, probabilities
from quinr_lidar.codec.encoding import encode_frame
from quinr_lidar.codec.inspection import read_parameters
from quinr_lidar.errors import ProfileError
from quinr_lidar.fields import Parameters, QuinrField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count

SHOTS = tuple(4**power for power in range(2, 9))
TOLERANCE_DB = 1.0
"""Shots are enough when the PSNR comes so close to that of exact probabilities."""

MAX_PSNR_DB = 120.0
MAX_SHOTS_LOG2, PRECISION_LOG2 = 40.0, 0.05
DEPOLARIZING = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
READOUT_ERRORS = (0.0, 1e-3, 1e-2, 5e-2)

FEATURES = 19
"""About so many at every number of qubits: what is compared is the circuits."""


@dataclass(frozen=True)
class ShotsSettings:
    """What is measured.

    Attributes:
        qubits: Numbers of qubits whose files are compared.
        seeds: Trainings for every number of qubits.
        pixels: Pixels of the image that are measured, at most all.
        parameters: About as many parameters has every file.
        noise_qubits: Qubits of the file that noisy devices decode.
        noise_pixels: Pixels that noisy devices decode.

    Raises:
        ProfileError: a number is out of range.
    """

    qubits: tuple[int, ...] = (2, 3, 4, 5, 6, 7)
    seeds: int = 3
    pixels: int = 4096
    parameters: int = 210
    noise_qubits: int = 5
    noise_pixels: int = 256

    def __post_init__(self) -> None:
        if not self.qubits:
            raise ProfileError("qubits: expected at least one number")
        for name in ("seeds", "pixels", "parameters", "noise_qubits", "noise_pixels"):
            if getattr(self, name) < 1:
                raise ProfileError(f"{name}: expected at least 1, got {getattr(self, name)}")

    @property
    def steps(self) -> int:
        """Lines of progress of a run."""
        return len(self.qubits) * self.seeds + len(DEPOLARIZING) + len(READOUT_ERRORS)


@dataclass(frozen=True)
class ShotsNeeded:
    """One file, decoded from finitely many shots.

    Attributes:
        qubits, features, blocks: Sizes of the circuit.
        parameters, total_bytes: Sizes of the file.
        seed: Of the training.
        exact_db: PSNR of exact probabilities on the valid pixels.
        psnr_db: PSNR at each of :data:`SHOTS`.
        mean_probability: Mean of what is read, over pixels and states.
        output_scale: Learned factor from probability to value.
        one_shot_variance: Mean over pixels of a value's variance after one shot.
        shots_expected: What that variance makes of :data:`TOLERANCE_DB`, clipping left aside.
        shots_needed: Found by sampling; ``None`` if more than 2^40.
    """

    qubits: int
    features: int
    blocks: int
    parameters: int
    seed: int
    total_bytes: int
    exact_db: float
    psnr_db: list[float]
    mean_probability: float
    output_scale: float
    one_shot_variance: float
    shots_expected: float
    shots_needed: int | None


@dataclass(frozen=True, eq=False)
class DecodedPixels:
    """Pixels of a file, with all a circuit needs to decode them.

    Attributes:
        field: One stage, one value.
        parameters: The file's: float64 [1, ...].
        coordinates: float64 [P, 2].
        targets: The original's values in [0, 1]: float64 [P].
        total_bytes: Size of the file.
    """

    field: QuinrField
    parameters: Parameters
    coordinates: Tensor
    targets: NDArray[np.float64]
    total_bytes: int

    def run(self, simulator: devices.Probabilities) -> Tensor:
        """Probabilities of the states that are read: [1, P, outputs]."""
        embedding = self.field.embed(self.parameters, 0, self.coordinates[None])
        angles = self.field.angles(self.parameters, 0)
        return simulator(self.field.circuits[0], embedding, *angles)

    def read(self, measured: Tensor) -> Tensor:
        """Values from probabilities or frequencies, as the decoder makes them: [1, P, 1]."""
        return self.field.read_out(self.parameters, measured).clamp(0, 1)

    def one_shot_variance(self, exact: Tensor) -> float:
        """Mean over pixels of the variance of a value that one shot gives, without clipping."""
        scale = self.parameters["output_scale"]
        return (scale.square() * exact * (1 - exact)).mean().item()

    def psnr(self, measured: Tensor) -> float:
        """PSNR of the values that come of probabilities or frequencies, dB, at most 120."""
        values = self.read(measured)[0, :, 0].numpy()
        # Pixels without any error would be infinite, for which JSON has no number.
        return min(metrics.psnr(self.targets, values, max_value=1.0), MAX_PSNR_DB)


class ShotsBench:
    """An image, encoded with several numbers of qubits and decoded by measurements.

    Args:
        image: What is encoded.
        profile: Settings of the encoder; qubits, features and blocks are the benchmark's.
        settings: What is measured.
        progress: Called with a line for each of ``settings.steps``.

    Raises:
        ProfileError: the profile has several stages, or reads several states.
    """

    def __init__(
        self,
        image: RangeImage,
        profile: Profile,
        settings: ShotsSettings,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        field = profile.field()
        if field.stages != 1 or field.shapes.get("output_scale") != (1,):
            raise ProfileError(f"profile {profile.name}: expected one stage that reads one state")
        self._image, self._profile, self._settings = image, profile, settings
        self._say = progress or (lambda _: None)
        self._order = np.random.default_rng(0).permutation(image.ranges.size)

    def run(self) -> dict[str, Any]:
        """All of it: a dictionary ready for JSON."""
        rows = list(self._shots())
        return {
            "profile": self._profile.model_dump(mode="json"),
            "settings": asdict(self._settings),
            "shots": list(SHOTS),
            "tolerance_db": TOLERANCE_DB,
            "files": [asdict(row) for row in rows],
            "growth": growth(rows),
            "noise": self._noise(),
            "machine": describe_machine(),
        }

    def open(self, qubits: int, seed: int, pixels: int) -> DecodedPixels:
        """A file of so many qubits and so many of its pixels, at most all."""
        size = equal_field(self._profile.field(), qubits, self._settings.parameters)
        changes = {"qubits": qubits, "features": size.features, "blocks": size.blocks}
        profile = self._profile.with_overrides(**changes, seed=self._profile.seed + seed)
        data = encode_frame(self._image, profile).data
        chosen = np.sort(self._order[:pixels])
        targets = self._image.filled().ravel()[chosen] / np.float32(self._image.no_return)
        return DecodedPixels(
            field=size,
            parameters=to_tensors(read_parameters(data), torch.float64),
            coordinates=pixel_coordinates(*self._image.shape, torch.float64)[chosen],
            targets=targets.astype(float),
            total_bytes=len(data),
        )

    def _shots(self) -> Iterator[ShotsNeeded]:
        for qubits in self._settings.qubits:
            for seed in range(self._settings.seeds):
                row = measure_shots(self.open(qubits, seed, self._settings.pixels), seed)
                needed = row.shots_needed or "more than 2^40"
                self._say(f"{qubits} qubits, seed {seed}: {row.exact_db:.2f} dB, {needed} shots")
                yield row

    def _noise(self) -> dict[str, Any]:
        pixels = self.open(self._settings.noise_qubits, 0, self._settings.noise_pixels)
        runs = [(value, 0.0) for value in DEPOLARIZING] + [(0.0, value) for value in READOUT_ERRORS]
        rows = []
        for gates, bits in runs:
            run = devices.DeviceRun(devices.MIXED, depolarizing=gates, readout_error=bits)
            psnr_db = pixels.psnr(pixels.run(devices.device_probabilities(run)))
            rows.append({"depolarizing": gates, "readout_error": bits, "psnr_db": psnr_db})
            self._say(f"depolarizing {gates:g}, readout error {bits:g}: {psnr_db:.2f} dB")
        return {"qubits": self._settings.noise_qubits, "pixels": len(pixels.targets), "runs": rows}


def measure_shots(pixels: DecodedPixels, seed: int) -> ShotsNeeded:
    """PSNR of one file by shots."""
    exact = pixels.run(probabilities)
    generator = np.random.default_rng([seed, pixels.field.qubits])

    def sampled(shots: int) -> float:
        return pixels.psnr(devices.sample_probabilities(exact, shots, generator))

    exact_db, variance = pixels.psnr(exact), pixels.one_shot_variance(exact)
    # Growth of the mean squared error that costs the tolerance.
    allowed = (10 ** (TOLERANCE_DB / 10) - 1) * 10 ** (-exact_db / 10)
    return ShotsNeeded(
        qubits=pixels.field.qubits,
        features=pixels.field.features,
        blocks=pixels.field.blocks,
        parameters=parameter_count(pixels.field),
        seed=seed,
        total_bytes=pixels.total_bytes,
        exact_db=exact_db,
        psnr_db=[sampled(shots) for shots in SHOTS],
        mean_probability=exact.mean().item(),
        output_scale=pixels.parameters["output_scale"].item(),
        one_shot_variance=variance,
        shots_expected=variance / allowed,
        shots_needed=shots_needed(sampled, exact_db - TOLERANCE_DB),
    )


def shots_needed(psnr: Callable[[int], float], goal_db: float) -> int | None:
    """Fewest shots, to 3.5 %, whose PSNR reaches a goal; ``None`` if none do."""
    low, high = 0.0, MAX_SHOTS_LOG2
    if psnr(round(2**high)) < goal_db:
        return None
    while high - low > PRECISION_LOG2:
        middle = (low + high) / 2
        if psnr(round(2**middle)) < goal_db:
            low = middle
        else:
            high = middle
    return round(2**high)


def growth(rows: Sequence[ShotsNeeded]) -> dict[str, float] | None:
    """Slope of log2(shots needed) against qubits and its standard error, by least squares.

    Slope 1 is growth as 2^n. ``None`` where there are too few files for a standard error.
    """
    reached = [(row.qubits, row.shots_needed) for row in rows if row.shots_needed]
    if len({qubits for qubits, _ in reached}) < 2 or len(reached) < 3:
        return None
    qubits, shots = np.array(reached, dtype=float).T
    line: Any = linregress(qubits, np.log2(shots))
    return {"slope": float(line.slope), "standard_error": float(line.stderr)}


def equal_field(field: QuinrField, qubits: int, parameters: int) -> QuinrField:
    """The field whose count of parameters, and of features to FEATURES, comes nearest."""
    sizes = [
        replace(field, qubits=qubits, features=features, blocks=blocks)
        for features in range(1, 2 * FEATURES)
        for blocks in range(1, 33)
    ]

    def distance(size: QuinrField) -> int:
        return abs(parameter_count(size) - parameters) + abs(size.features - FEATURES)

    return min(sizes, key=distance)
