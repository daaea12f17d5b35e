"""The circuit: its description, its simulators, its PennyLane twin.

Importing this package loads NumPy and the compiled kernel only. Modules to import by their own
names: :mod:`~quinr_lidar.circuit.statevector` and :mod:`~quinr_lidar.circuit.autograd` need torch,
:mod:`~quinr_lidar.circuit.pennylane` and :mod:`~quinr_lidar.circuit.devices` PennyLane.
"""

from quinr_lidar.circuit.backend import Backend, choose_backend, probabilities
from quinr_lidar.circuit.specification import CircuitSpec

__all__ = ["Backend", "CircuitSpec", "choose_backend", "probabilities"]
