"""Time of a training step (forward and backward) on every simulator, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.benchmark.machine import best_seconds, describe_machine, torch_threads
from pipeline.benchmark.operations import training_flops
from quinr_lidar.circuit import CircuitSpec, statevector
from quinr_lidar.circuit import autograd as native_circuit
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.fields.native_quinr import NativeTrainer
from quinr_lidar.kernel import instruction_set, load_kernel

PENNYLANE_CHUNKS = (2048, 8192, 16384, 32768)
"""Pixels PennyLane simulates at once, the fastest of which counts: few suffer from Python, many
from the caches' size (and all of an image would take gigabytes)."""

ADJOINT_PIXELS = 64
"""Circuits ``lightning.qubit`` runs: it takes one at a time, so the rest is proportion."""

STEP_BATCH = 1536
PEAK_ROUNDS = 3_000_000


@dataclass(frozen=True)
class StepTime:
    """One way to compute a training step.

    Attributes:
        simulator: Its name.
        pixels: Pixels it was timed on.
        seconds: Of these.
        seconds_per_image: In proportion, for all pixels of the image.
        slower_than_kernel: Ratio of this to the kernel's.
    """

    simulator: str
    pixels: int
    seconds: float
    seconds_per_image: float
    slower_than_kernel: float


def bench_kernel(
    spec: CircuitSpec,
    *,
    pixels: int,
    threads: int,
    repeats: int = 5,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Time all simulators and the kernel's share of the machine's peak.

    Args:
        spec: The circuit.
        pixels: Of the image.
        threads: Of torch, and so of everything that is timed.
        repeats: Timings of each, the fastest of which counts.
        progress: Called with the name of what is timed next.

    Returns:
        A dictionary ready for JSON; ``speedup_vs_pennylane`` and ``fma_share`` are its point.
    """
    say = progress or (lambda _: None)
    with torch_threads(threads):
        say("kernel, a step of training")
        kernel = _training_step(spec, pixels, repeats=10 * repeats)
        times = {"kernel, a step of training": (pixels, kernel)}
        say("kernel, through autograd")
        step = _autograd_step(native_circuit, spec, pixels)
        times["kernel, through autograd"] = (pixels, best_seconds(step, repeats=2 * repeats))
        say("torch simulator")
        step = _autograd_step(statevector, spec, pixels)
        times["torch simulator"] = (pixels, best_seconds(step, repeats=min(repeats, 2)))
        say("PennyLane default.qubit, backprop")
        times["PennyLane default.qubit, backprop"] = _backprop(spec, pixels)
        say("PennyLane lightning.qubit, adjoint")
        count = min(ADJOINT_PIXELS, pixels)
        times["PennyLane lightning.qubit, adjoint"] = (count, _adjoint(spec, count))
        say("kernel, a mini-batch")
        batch = min(STEP_BATCH, pixels)
        mini_batch = _training_step(spec, batch, repeats=200 * repeats)
        say("the machine's peak")
        peak = _peak_flops(threads)
        machine = describe_machine()
    steps = [
        StepTime(name, count, seconds, seconds * pixels / count, seconds * pixels / count / kernel)
        for name, (count, seconds) in times.items()
    ]
    _, autograd, simulator, pennylane, lightning = steps
    flops = training_flops(spec) * pixels / kernel
    return {
        "circuit": {
            "qubits": spec.qubits,
            "features": spec.features,
            "blocks": spec.blocks,
            "entangling_layers": spec.entangling_layers,
        },
        "pixels": pixels,
        "steps": [asdict(step) for step in steps],
        "speedup_vs_pennylane": pennylane.slower_than_kernel,
        "speedup_vs_lightning": lightning.slower_than_kernel,
        "speedup_vs_torch": simulator.slower_than_kernel,
        "speedup_of_autograd_vs_pennylane": pennylane.seconds_per_image / autograd.seconds,
        "flops_per_pixel": training_flops(spec),
        "gflops": flops / 1e9,
        "peak_gflops": peak / 1e9,
        "fma_share": flops / peak,
        "mini_batch_step": {"pixels": batch, "seconds": mini_batch},
        "machine": machine,
    }


def _angles(spec: CircuitSpec, pixels: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return (6 * torch.rand(shape, generator=generator) - 3).to(dtype).requires_grad_()

    return draw(pixels, spec.features), draw(*spec.rotation_shape), draw(*spec.controlled_shape)


def _autograd_step(simulator: Any, spec: CircuitSpec, pixels: int) -> Callable[[], object]:
    leaves = [
        angle.detach()[None].requires_grad_() for angle in _angles(spec, pixels, torch.float32)
    ]

    def step() -> object:
        values = simulator.probabilities(spec, *leaves)
        return torch.autograd.grad(values.sum(), leaves, materialize_grads=True)

    return step


def _backprop(spec: CircuitSpec, pixels: int) -> tuple[int, float]:
    """Pixels and seconds of PennyLane with broadcast angles and torch's gradients."""
    from quinr_lidar.circuit.pennylane import build_qnode

    circuit = build_qnode(spec, "default.qubit", diff_method="backprop")

    def seconds(chunk: int) -> float:
        leaves = _angles(spec, chunk, torch.float64)
        return best_seconds(
            lambda: torch.autograd.grad(circuit(*leaves).sum(), leaves, materialize_grads=True),
            repeats=3,
        )

    chunks = sorted({min(chunk, pixels) for chunk in PENNYLANE_CHUNKS})
    return min(((chunk, seconds(chunk)) for chunk in chunks), key=lambda timed: timed[1] / timed[0])


def _adjoint(spec: CircuitSpec, pixels: int) -> float:
    """Seconds of some pixels on PennyLane's compiled simulator.

    The adjoint method differentiates expectation values only, so it is given that of the
    projector on the last basis state: the probability that is read out.
    """
    import pennylane as qml

    from quinr_lidar.circuit.pennylane import apply_circuit

    @qml.qnode(qml.device("lightning.qubit", wires=spec.qubits), diff_method="adjoint")
    def circuit(embedding: Any, rotations: Any, controlled: Any) -> Any:
        apply_circuit(spec, embedding, rotations, controlled)
        projector = np.zeros((spec.states, spec.states))
        projector[-1, -1] = 1
        return qml.expval(qml.Hermitian(projector, wires=range(spec.qubits)))

    embedding, *shared = _angles(spec, pixels + 1, torch.float64)
    rows = [row.detach().requires_grad_() for row in embedding]

    def pixel(row: Tensor) -> None:
        torch.autograd.grad(circuit(row, *shared), [row, *shared], allow_unused=True)

    pixel(rows[-1])
    began = time.perf_counter()
    for row in rows[:-1]:
        pixel(row)
    return time.perf_counter() - began


def _training_step(spec: CircuitSpec, batch: int, *, repeats: int) -> float:
    """Seconds of a step with all that belongs to it: batch, field, loss, gradients, AdamW."""
    field = QuinrField(
        spec.qubits,
        spec.features,
        spec.blocks,
        spec.entangling_layers,
        outputs=spec.outputs,
    )
    coordinates = pixel_coordinates(64, max(1, batch // 64))
    trainer = NativeTrainer(
        field,
        field.initial_parameters(1, torch.Generator().manual_seed(0)),
        torch.ones(parameter_count(field)),
        coordinates,
        torch.full((1, len(coordinates), spec.outputs), 0.5),
        batch_size=batch,
        weight_decay=0.0,
        betas=(0.9, 0.99),
        seed=0,
    )
    # Several at a time, as in training: threads live as long as a call.
    together = 5
    calls = max(3, repeats // together)
    return best_seconds(lambda: trainer.run([1e-3] * together), repeats=calls) / together


def _peak_flops(threads: int) -> float:
    """Operations a second of fused multiply-adds on as many threads; each counts as two."""
    kernel, isa = load_kernel(), instruction_set()
    with ThreadPoolExecutor(threads) as pool:
        rounds = [
            sum(pool.map(lambda _: kernel.fma_peak(isa, PEAK_ROUNDS), range(threads)))
            for _ in range(5)
        ]
    return 2 * max(rounds)
