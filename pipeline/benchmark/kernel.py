"""``quinr bench kernel``: a training step (forward and backward) timed on every simulator."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.benchmark.machine import best_seconds, describe_machine, median_seconds, torch_threads
from pipeline.benchmark.operations import training_flops
from quinr_lidar.circuit import CircuitSpec, statevector
from quinr_lidar.circuit import autograd as native_circuit
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.fields.native_quinr import NativeTrainer
from quinr_lidar.kernel import instruction_set, load_kernel

PENNYLANE_CHUNKS = (2048, 8192, 16384, 32768)
"""Pixels that PennyLane simulates at once, the fastest of which counts: few suffer from Python,
many from the size of the caches (and all of an image would take gigabytes)."""
ADJOINT_PIXELS = 64
"""Circuits that ``lightning.qubit`` runs: it takes one at a time, so the rest is proportion."""
STEP_BATCH = 1536
TOGETHER = 5
"""Steps of one call, as in training: threads live as long as a call."""
PEAK_ROUNDS = 3_000_000
PARTS = 7

KERNEL, AUTOGRAD, TORCH = (
    "kernel, a step of training",
    "kernel, through autograd",
    "torch simulator",
)
PENNYLANE = "PennyLane default.qubit, backprop"
LIGHTNING = "PennyLane lightning.qubit, adjoint"


def bench_kernel(
    spec: CircuitSpec,
    *,
    pixels: int,
    threads: int,
    repeats: int = 5,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Time all simulators, each by its fastest repeat, and the kernel's share of the peak.

    ``progress`` is called :data:`PARTS` times, with the name of what is timed next.

    Returns:
        A dictionary ready for JSON; ``speedup_vs_pennylane`` and ``fma_share`` are its point. Its
        ``steps`` have the pixels that were timed, their seconds, those of the whole image in
        proportion, and the ratio to the kernel's.
    """
    batch, few = min(STEP_BATCH, pixels), min(ADJOINT_PIXELS, pixels)
    work: dict[str, Callable[[], tuple[int, float]]] = {
        KERNEL: lambda: (pixels, _training_step(spec, pixels, repeats=10 * repeats)),
        AUTOGRAD: lambda: (pixels, _autograd(native_circuit, spec, pixels, 2 * repeats)),
        TORCH: lambda: (pixels, _autograd(statevector, spec, pixels, min(repeats, 2))),
        PENNYLANE: lambda: _backprop(spec, pixels),
        LIGHTNING: lambda: (few, _adjoint(spec, few)),
    }
    steps: dict[str, dict[str, Any]] = {}
    with torch_threads(threads):
        for name, timed in work.items():
            progress(name)
            count, seconds = timed()
            image = seconds * pixels / count
            ratio = image / steps[KERNEL]["seconds_per_image"] if steps else 1.0
            steps[name] = {"simulator": name, "pixels": count, "seconds": seconds}
            steps[name] |= {"seconds_per_image": image, "slower_than_kernel": ratio}
        progress("kernel, a mini-batch")
        mini_batch = _training_step(spec, batch, repeats=200 * repeats)
        progress("the machine's peak")
        peak, machine = _peak_flops(threads), describe_machine()
    flops = training_flops(spec) * pixels / steps[KERNEL]["seconds"]
    ratios = {name: step["slower_than_kernel"] for name, step in steps.items()}
    sizes = ("qubits", "features", "blocks", "entangling_layers")
    return {
        "circuit": {name: getattr(spec, name) for name in sizes},
        "pixels": pixels,
        "steps": list(steps.values()),
        "speedup_vs_pennylane": ratios[PENNYLANE],
        "speedup_vs_lightning": ratios[LIGHTNING],
        "speedup_vs_torch": ratios[TORCH],
        "speedup_of_autograd_vs_pennylane": ratios[PENNYLANE] / ratios[AUTOGRAD],
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


def _autograd(simulator: Any, spec: CircuitSpec, pixels: int, repeats: int) -> float:
    angles = _angles(spec, pixels, torch.float32)
    leaves = [angle.detach()[None].requires_grad_() for angle in angles]

    def step() -> object:
        values = simulator.probabilities(spec, *leaves)
        return torch.autograd.grad(values.sum(), leaves, materialize_grads=True)

    return best_seconds(step, repeats=repeats)


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

    def run(chosen: list[Tensor]) -> None:
        for row in chosen:
            torch.autograd.grad(circuit(row, *shared), [row, *shared], allow_unused=True)

    run(rows[-1:])
    return median_seconds(lambda: run(rows[:-1]))[1]


def _training_step(spec: CircuitSpec, batch: int, *, repeats: int) -> float:
    """Seconds of a step with all that belongs to it: batch, field, loss, gradients, AdamW."""
    sizes = (spec.qubits, spec.features, spec.blocks, spec.entangling_layers)
    field = QuinrField(*sizes, outputs=spec.outputs)
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
    calls = max(3, repeats // TOGETHER)
    return best_seconds(lambda: trainer.run([1e-3] * TOGETHER), repeats=calls) / TOGETHER


def _peak_flops(threads: int) -> float:
    """Operations a second of fused multiply-adds on as many threads; each counts as two."""
    kernel, isa = load_kernel(), instruction_set()
    with ThreadPoolExecutor(threads) as pool:
        rounds = [
            sum(pool.map(lambda _: kernel.fma_peak(isa, PEAK_ROUNDS), range(threads)))
            for _ in range(5)
        ]
    return 2 * max(rounds)
