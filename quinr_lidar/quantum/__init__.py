"""The circuit and nothing else: its description, its simulation, its PennyLane twin.

:mod:`quinr_lidar.quantum.pennylane` is not imported here: PennyLane takes seconds to load, and
encoding and decoding do not need it.
"""

from quinr_lidar.quantum.circuit import CircuitSpec
from quinr_lidar.quantum.statevector import probabilities

__all__ = ["CircuitSpec", "probabilities"]
