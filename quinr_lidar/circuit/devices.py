"""Circuits on PennyLane's devices: finitely many measurements, noisy gates, wrong readings.

The simulators of :mod:`quinr_lidar.circuit.backend` know a circuit's exact probabilities. A
quantum computer does not: it draws basis states, one a *shot*, from gates that fail now and then.
This module runs circuits that way, from arrays of NumPy or torch. PennyLane takes seconds to
import, so nothing else in the library imports this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.exceptions import DeviceError

from quinr_lidar.arrays import Array, like, to_numpy
from quinr_lidar.circuit.pennylane import build_qnode
from quinr_lidar.circuit.specification import CircuitSpec, check_arrays
from quinr_lidar.errors import BackendError, CircuitError

Probabilities = Callable[[CircuitSpec, Any, Any, Any], Any]
"""The signature of :func:`quinr_lidar.circuit.backend.probabilities`."""

MIXED = "default.mixed"
"""The device that simulates density matrices, and so noise."""

MAX_VALUES = 1 << 22
"""Complex numbers of the states simulated at once: 64 MB."""

_ROUNDING = 1e-6
"""By how much float32 probabilities may miss [0, 1]."""


@dataclass(frozen=True)
class DeviceRun:
    """How circuits are run.

    Attributes:
        device: Name of an installed PennyLane device; see ``qml.plugin_devices``.
        shots: Measurements of every pixel's circuit; exact probabilities when ``None``.
        depolarizing: Probability of an error on each of a gate's qubits after every gate: X, Y or
            Z, each as likely (``qml.DepolarizingChannel``; 3/4 leaves nothing of the state).
            Needs the device "default.mixed".
        readout_error: Probability that a measured bit is read wrongly, for each bit.
        seed: Seed of the measurements; ``None`` draws others every time.

    Raises:
        BackendError: a value is out of range, or the device cannot simulate noise.
    """

    device: str = "default.qubit"
    shots: int | None = None
    depolarizing: float = 0.0
    readout_error: float = 0.0
    seed: int | None = 0

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not self.device:
            raise BackendError(f"device: expected a device's name, got {self.device!r}")
        if self.shots is not None:
            _require_shots(self.shots)
        for name in ("depolarizing", "readout_error"):
            value = getattr(self, name)
            if not (_is_number(value) and 0 <= value <= 1):
                raise BackendError(f"{name}: expected a probability in [0, 1], got {value!r}")
        if self.seed is not None and not (_is_integer(self.seed) and self.seed >= 0):
            raise BackendError(f"seed: expected an integer >= 0 or None, got {self.seed!r}")
        if self.depolarizing and self.device != MIXED:
            raise BackendError(
                f"depolarizing: expected 0 on the device {self.device}, got {self.depolarizing}; "
                f"only {MIXED} simulates noise"
            )


def device_probabilities(run: DeviceRun, max_values: int = MAX_VALUES) -> Probabilities:
    """A function that runs circuits as :func:`quinr_lidar.circuit.backend.probabilities` would.

    Example:
        >>> noisy = device_probabilities(DeviceRun("default.mixed", shots=100, depolarizing=1e-3))
        >>> spec = CircuitSpec(qubits=2, features=3, blocks=1)
        >>> shapes = ((5, 3), spec.rotation_shape, spec.controlled_shape)
        >>> noisy(spec, *(np.zeros((1, *shape)) for shape in shapes)).shape
        (1, 5, 1)

    Args:
        run: Device, shots and noise.
        max_values: Complex numbers of the states that are simulated at once.

    Returns:
        ``probabilities(spec, embedding [F, P, M], rotations [F, L, E, 4, n], controlled [F, L, E,
        pairs])`` with the probabilities, or the measured frequencies, of the last
        ``spec.outputs`` basis states: float64 [F, P, outputs] on the CPU, without gradients, of
        the library of the embedding.
        Equal inputs give equal results, unless the run's seed is ``None``. It raises

        - :class:`CircuitError` where an array does not fit the specification,
        - :class:`BackendError` where the device does not exist or cannot run the circuit.
    """

    def probabilities(
        spec: CircuitSpec, embedding: Array, rotations: Array, controlled: Array
    ) -> Array:
        check_arrays(spec, embedding, rotations, controlled)
        frames = [_doubles(array) for array in (embedding, rotations, controlled)]
        states = np.zeros((*embedding.shape[:2], spec.states))
        device, noise = _open_device(run, spec), _noise_model(run)
        # PennyLane splits batches itself for devices that have no broadcasting.
        circuit = build_qnode(_all_states(spec), device, shots=run.shots, noise=noise)
        rows = spec.states**2 if run.device == MIXED else spec.states
        chunk = max(1, max_values // rows)
        for frame, (angles, *parameters) in enumerate(zip(*frames, strict=True)):
            for start in range(0, len(angles), chunk):
                part = slice(start, start + chunk)
                try:
                    states[frame, part] = circuit(angles[part], *parameters)
                except DeviceError as error:
                    raise BackendError(f"device {run.device}: {error}") from error
        read = _misread(run, spec.qubits, states)
        return like(read[..., spec.states - spec.outputs :].copy(), embedding)

    return probabilities


def sample_probabilities(exact: Array, shots: int, generator: np.random.Generator) -> Array:
    """What finitely many measurements make of exact probabilities: draws / shots.

    The same distribution as running every circuit ``shots`` times, at next to no cost. States
    that ``exact`` leaves out share the probability that is missing from one.

    Args:
        exact: [..., S] probabilities of all basis states or of those read out, any real dtype.
        shots: Measurements of every circuit.
        generator: Draws the measurements.

    Returns:
        Frequencies, float64 [..., S] on the CPU, of the library of ``exact``.

    Raises:
        BackendError: ``shots`` is not a positive integer.
        CircuitError: ``exact`` holds no probabilities.
    """
    _require_shots(shots)
    values = _doubles(exact)
    sums = values.sum(-1, keepdims=True)
    inside = (values >= -_ROUNDING).all() and (sums <= 1 + _ROUNDING).all()
    if not inside:  # NaN is not inside either
        raise CircuitError(
            f"exact: expected probabilities with sums of at most 1, got {list(exact.shape)} "
            f"values from {values.min():.6g} and sums to {sums.max():.6g}"
        )
    # The generator wants sums of one to the last bit, which no simulator's are.
    whole = np.concatenate((values, 1 - sums), -1).clip(0, None)
    counts = generator.multinomial(shots, whole / whole.sum(-1, keepdims=True))
    return like(counts[..., :-1] / shots, exact)


def _open_device(run: DeviceRun, spec: CircuitSpec) -> Any:
    # Exact runs draw nothing, and not every device takes a seed.
    seed = {} if run.shots is None or run.seed is None else {"seed": run.seed}
    if run.device not in qml.plugin_devices:
        installed = ", ".join(sorted(qml.plugin_devices))
        raise BackendError(f"device: PennyLane knows no {run.device!r}; installed are {installed}")
    try:
        return qml.device(run.device, wires=spec.qubits, **seed)
    except (DeviceError, ImportError, TypeError) as error:
        raise BackendError(f"device {run.device}: cannot be opened: {error}") from error


def _noise_model(run: DeviceRun) -> Any:
    """Noise after every gate, or ``None``."""
    if not run.depolarizing:
        return None

    def depolarize(gate: Any, **_: Any) -> None:
        for wire in gate.wires:
            qml.DepolarizingChannel(run.depolarizing, wires=wire)

    return qml.NoiseModel({qml.BooleanFn(lambda _: True): depolarize})


def _misread(run: DeviceRun, qubits: int, states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities or frequencies [F, P, 2^n] as they are read, every bit wrong now and then."""
    if not run.readout_error:
        return states
    one = np.array([[1 - run.readout_error, run.readout_error]])
    confusion = np.ones((1, 1))
    for _ in range(qubits):
        confusion = np.kron(confusion, np.vstack((one, one[:, ::-1])))
    if run.shots is None:
        return states @ confusion
    # Each shot is read once: those of one true state are drawn from that state's row.
    # A stream of its own: the device draws from the seed's.
    generator = np.random.default_rng(None if run.seed is None else [run.seed, 1])
    counts = np.rint(states * run.shots).astype(np.int64)
    read = np.zeros_like(counts)
    for state, row in enumerate(confusion):
        read += generator.multinomial(counts[..., state], row)
    return read / run.shots


def _all_states(spec: CircuitSpec) -> CircuitSpec:
    """The same circuit, read out completely: wrong readings mix all states."""
    return replace(spec, outputs=spec.states)


def _doubles(array: Any) -> NDArray[np.float64]:
    return to_numpy(array).astype(np.float64)


def _require_shots(shots: int) -> None:
    if not (_is_integer(shots) and shots >= 1):
        raise BackendError(f"shots: expected an integer >= 1, got {shots!r}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
