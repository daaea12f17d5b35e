"""The circuit and nothing else: its description, its simulators, its PennyLane twin.

:mod:`quinr_lidar.circuit.pennylane` is not imported here: PennyLane takes seconds to load, and
encoding and decoding do not need it.
"""

from quinr_lidar.circuit.backend import Backend, choose_backend, probabilities
from quinr_lidar.circuit.specification import CircuitSpec

__all__ = ["Backend", "CircuitSpec", "choose_backend", "probabilities"]
