"""``quinr bench shots``: what measurements and gates a quantum computer needs to decode a file.

A simulator reads a pixel's probability ``p`` to the last digit. A quantum computer estimates it
from N shots, with variance ``p (1 - p) / N``; the value is ``scale p + offset``, so the mean
squared error grows by the mean of ``scale^2 p (1 - p) / N``. The dimension enters only through
training: where ``p`` is of the order 2^-n and ``scale`` of 2^n, shots grow as 2^n (the paper's
O(2^n)); where training moves amplitude to the state that is read, they grow less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import linregress
from torch import Tensor

from pipeline.benchmark.baseline import values_of
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
NOISE = [(one, 0.0) for one in DEPOLARIZING] + [(0.0, one) for one in READOUT_ERRORS]
"""Depolarising and read-out errors of the noisy devices."""
FEATURES = 19
"""Features that a field should have at any number of qubits: what is compared is the circuits."""


@dataclass(frozen=True)
class ShotsSettings:
    """What is measured.

    Attributes:
        qubits: Numbers of qubits whose files are compared.
        seeds: Trainings for every number of qubits.
        pixels: Pixels of the image that are measured, at most all.
        parameters: Number of parameters that every file should have.
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
        for name, value in asdict(self).items():
            if name != "qubits" and value < 1:
                raise ProfileError(f"{name}: expected at least 1, got {value}")

    @property
    def steps(self) -> int:
        """Lines of progress of a run."""
        return len(self.qubits) * self.seeds + len(NOISE)


@dataclass(frozen=True, eq=False)
class DecodedPixels:
    """Pixels of a file, with all that a circuit needs to decode them.

    Attributes:
        field: A field of one stage that reads one state.
        parameters: The file's parameters, float64 [1, ...].
        coordinates: Coordinates of the pixels, float64 [P, 2].
        targets: The original's values in [0, 1], float64 [P].
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


def bench_shots(
    image: RangeImage,
    profile: Profile,
    settings: ShotsSettings,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Encode an image with several numbers of qubits, and decode it by measurements.

    Qubits, features and blocks of the profile are replaced. ``progress`` is called
    ``settings.steps`` times.

    Returns:
        A dictionary ready for JSON: ``files`` of :func:`measure_shots`, ``growth`` and ``noise``.

    Raises:
        ProfileError: the profile has several stages, or reads several states.
    """
    rows = []
    for qubits in settings.qubits:
        for seed in range(settings.seeds):
            opened = open_pixels(image, profile, settings, qubits, seed, settings.pixels)
            row = measure_shots(opened, seed)
            needed = row["shots_needed"] or "more than 2^40"
            progress(f"{qubits} qubits, seed {seed}: {row['exact_db']:.2f} dB, {needed} shots")
            rows.append(row)
    noisy, runs = settings.noise_qubits, []
    pixels = open_pixels(image, profile, settings, noisy, 0, settings.noise_pixels)
    for gates, bits in NOISE:
        run = devices.DeviceRun(devices.MIXED, depolarizing=gates, readout_error=bits)
        psnr_db = pixels.psnr(pixels.run(devices.device_probabilities(run)))
        runs.append({"depolarizing": gates, "readout_error": bits, "psnr_db": psnr_db})
        progress(f"depolarizing {gates:g}, readout error {bits:g}: {psnr_db:.2f} dB")
    return {
        "profile": profile.model_dump(mode="json"),
        "settings": asdict(settings),
        "shots": list(SHOTS),
        "tolerance_db": TOLERANCE_DB,
        "files": rows,
        "growth": growth(rows),
        "noise": {"qubits": noisy, "pixels": len(pixels.targets), "runs": runs},
        "machine": describe_machine(),
    }


def open_pixels(
    image: RangeImage, profile: Profile, settings: ShotsSettings, qubits: int, seed: int, count: int
) -> DecodedPixels:
    """A file of so many qubits and so many of its pixels, at most all.

    Raises:
        ProfileError: the profile has several stages, or reads several states.
    """
    field = profile.field()
    if field.stages != 1 or field.shapes.get("output_scale") != (1,):
        raise ProfileError(f"profile {profile.name}: expected one stage that reads one state")
    size = equal_field(field, qubits, settings.parameters)
    changes = {"qubits": qubits, "features": size.features, "blocks": size.blocks}
    data = encode_frame(image, profile.with_overrides(**changes, seed=profile.seed + seed)).data
    chosen = np.sort(np.random.default_rng(0).permutation(image.ranges.size)[:count])
    return DecodedPixels(
        field=size,
        parameters=to_tensors(read_parameters(data), torch.float64),
        coordinates=pixel_coordinates(*image.shape, torch.float64)[chosen],
        targets=values_of(image).ravel()[chosen].astype(float),
        total_bytes=len(data),
    )


def measure_shots(pixels: DecodedPixels, seed: int) -> dict[str, Any]:
    """PSNR of one file by shots.

    Returns:
        Sizes of circuit and file; ``exact_db``, PSNR of exact probabilities; ``psnr_db`` at each of
        :data:`SHOTS`; ``mean_probability`` of what is read; ``output_scale``, the learned factor
        from probability to value; ``one_shot_variance``, the mean over pixels of a value's variance
        after one shot; ``shots_expected``, what that variance makes of :data:`TOLERANCE_DB`,
        clipping left aside; ``shots_needed``, found by sampling, ``None`` if more than 2^40.
    """
    field, exact = pixels.field, pixels.run(probabilities)
    generator = np.random.default_rng([seed, field.qubits])

    def sampled(shots: int) -> float:
        return pixels.psnr(devices.sample_probabilities(exact, shots, generator))

    exact_db, variance = pixels.psnr(exact), pixels.one_shot_variance(exact)
    # Growth of the mean squared error that costs the tolerance.
    allowed = (10 ** (TOLERANCE_DB / 10) - 1) * 10 ** (-exact_db / 10)
    return {
        "qubits": field.qubits,
        "features": field.features,
        "blocks": field.blocks,
        "parameters": parameter_count(field),
        "seed": seed,
        "total_bytes": pixels.total_bytes,
        "exact_db": exact_db,
        "psnr_db": [sampled(shots) for shots in SHOTS],
        "mean_probability": exact.mean().item(),
        "output_scale": pixels.parameters["output_scale"].item(),
        "one_shot_variance": variance,
        "shots_expected": variance / allowed,
        "shots_needed": shots_needed(sampled, exact_db - TOLERANCE_DB),
    }


def shots_needed(psnr: Callable[[int], float], goal_db: float) -> int | None:
    """Fewest shots, to 3.5 %, whose PSNR reaches a goal; ``None`` if none do."""
    low, high = 0.0, MAX_SHOTS_LOG2
    if psnr(round(2**high)) < goal_db:
        return None
    while high - low > PRECISION_LOG2:
        middle = (low + high) / 2
        low, high = (middle, high) if psnr(round(2**middle)) < goal_db else (low, middle)
    return round(2**high)


def growth(rows: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Slope of log2(shots needed) against qubits and its standard error, by least squares.

    Slope 1 is growth as 2^n. ``None`` where there are too few files for a standard error.
    """
    reached = [(row["qubits"], row["shots_needed"]) for row in rows if row["shots_needed"]]
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
    return min(
        sizes,
        key=lambda one: abs(parameter_count(one) - parameters) + abs(one.features - FEATURES),
    )
