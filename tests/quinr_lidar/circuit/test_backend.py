from __future__ import annotations

import pytest
import torch

from quinr_lidar import kernel
from quinr_lidar.circuit import autograd, backend, choose_backend, probabilities
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.errors import BackendError

SPEC = CircuitSpec(2, 3, 1)


def inputs(dtype: torch.dtype = torch.float32, device: str = "cpu") -> list[torch.Tensor]:
    shapes = ((5, SPEC.features), SPEC.rotation_shape, SPEC.controlled_shape)
    return [torch.zeros(1, *shape, dtype=dtype, device=device) for shape in shapes]


def test_the_kernel_takes_what_it_can(monkeypatch):
    monkeypatch.delenv(backend.VARIABLE, raising=False)
    monkeypatch.delenv(kernel.ISA_VARIABLE, raising=False)
    best = kernel.instruction_sets()[0]
    for dtype in (torch.float32, torch.float64):
        assert str(choose_backend("cpu", dtype)) == f"native ({best})"
    assert str(choose_backend("cpu", torch.float16)) == "torch (cpu)"
    assert str(choose_backend("meta")) == "torch (meta)"
    assert probabilities(SPEC, *inputs(device="meta")).device.type == "meta"


def test_the_environment_decides(monkeypatch):
    calls = []
    real = autograd.probabilities
    monkeypatch.setattr(autograd, "probabilities", lambda *a: calls.append(1) or real(*a))
    monkeypatch.setenv(backend.VARIABLE, "torch")
    assert choose_backend().name == "torch"
    probabilities(SPEC, *inputs())
    assert not calls
    monkeypatch.setenv(backend.VARIABLE, "native")
    probabilities(SPEC, *inputs())
    assert calls
    with pytest.raises(BackendError, match=r"QUINR_BACKEND=native.*meta"):
        choose_backend("meta")
    monkeypatch.setenv(backend.VARIABLE, "pennylane")
    with pytest.raises(BackendError, match="expected auto, native or torch, got 'pennylane'"):
        choose_backend()


def test_there_is_no_silent_fallback(monkeypatch):
    monkeypatch.delenv(backend.VARIABLE, raising=False)
    monkeypatch.setattr(kernel, "kernel", None)
    monkeypatch.setattr(kernel, "_import_error", ImportError("no such file"))
    with pytest.raises(BackendError, match=r"no such file.*pip install.*QUINR_BACKEND=torch"):
        probabilities(SPEC, *inputs())
    monkeypatch.setenv(backend.VARIABLE, "torch")
    assert probabilities(SPEC, *inputs()).shape == (1, 5, 1)


def test_the_instruction_set_can_be_named(monkeypatch):
    monkeypatch.setenv(kernel.ISA_VARIABLE, "baseline")
    assert str(choose_backend()) == "native (baseline)"
