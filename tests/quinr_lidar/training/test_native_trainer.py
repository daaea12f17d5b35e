"""The loop in the kernel does what the loop in torch does, batch for batch."""

from __future__ import annotations

import pytest
import torch

from quinr_lidar import _native, kernel
from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.fields.fused import native_field
from quinr_lidar.fields.native_quinr import NativeTrainer
from quinr_lidar.training import FitSettings, fit
from quinr_lidar.training.loops import LoopSettings, TorchLoop

COORDINATES = pixel_coordinates(12, 20)
RATES = [1e-3 * (1 + step % 7) for step in range(30)]
FIELDS = [
    QuinrField(3, 7, 2),
    QuinrField(1, 2, 1),
    QuinrField(4, 5, 2, entangling_layers=2),
    QuinrField(2, 5, 2, outputs=3, w0=7.0),
    QuinrField(3, 5, 2, outputs=3, readout=6),
    QuinrField(3, 4, 2, sine_layers=3, w0=10.0),
]


def loops(field: QuinrField, frames: int = 1, **changes):
    generator = torch.Generator().manual_seed(2)
    start = field.initial_parameters(frames, generator)
    targets = torch.rand(frames, len(COORDINATES), field.outputs, generator=generator)
    factors = 0.5 + torch.rand(parameter_count(field), generator=generator)
    settings = {"batch_size": 50, "weight_decay": 0.01, "betas": (0.9, 0.98), "seed": 4} | changes
    arguments = (field, start, factors, COORDINATES, targets)
    return NativeTrainer(*arguments, **settings), TorchLoop(*arguments, LoopSettings(**settings))


def random_axes(field: QuinrField, frames: int, seed: int) -> torch.Tensor:
    size = parameter_count(field)
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(frames, size, size, generator=generator))[0]


@pytest.mark.parametrize(
    "field",
    FIELDS,
    ids=lambda f: f"n{f.qubits}M{f.features}O{f.outputs}r{f.readout}D{f.sine_layers}",
)
@pytest.mark.parametrize("isa", kernel.instruction_sets())
def test_both_loops_take_the_same_steps(field, isa, monkeypatch):
    monkeypatch.setenv(kernel.ISA_VARIABLE, isa)
    ours, theirs = loops(field, frames=2)
    torch.testing.assert_close(
        torch.tensor(ours.run(RATES)), torch.tensor(theirs.run(RATES)), rtol=2e-4, atol=0
    )
    for name, tensor in theirs.parameters().items():
        torch.testing.assert_close(ours.parameters()[name], tensor, rtol=0, atol=2e-4)


@pytest.mark.parametrize("field", FIELDS[:3])
def test_both_loops_take_the_same_steps_along_other_axes(field):
    both = ours, theirs = loops(field, frames=2)
    first, second = (random_axes(field, 2, seed) for seed in (0, 1))
    for basis, turn in ((0.5 * first, first), (0.5 * second, second @ first.transpose(1, 2))):
        for loop in both:
            loop.rotate(basis, turn)
        torch.testing.assert_close(
            torch.tensor(ours.run(RATES)), torch.tensor(theirs.run(RATES)), rtol=5e-4, atol=0
        )
    for name, tensor in theirs.parameters().items():
        torch.testing.assert_close(ours.parameters()[name], tensor, rtol=0, atol=1e-3)


def test_the_axes_of_the_parameters_are_where_it_begins():
    field = FIELDS[0]
    plain, _ = loops(field)
    rotated, _ = loops(field)
    axes = torch.eye(parameter_count(field))[None]
    rotated.rotate(axes, axes)
    assert rotated.run(RATES) == plain.run(RATES)


def test_values_beyond_the_target_range_are_clipped_as_a_decoder_clips():
    for field in FIELDS[::3]:
        ours, theirs = loops(field)
        rates = [0.2] * 40  # far enough for scale and offset to leave [0, 1]
        assert ours.run(rates[:3]) == pytest.approx(theirs.run(rates[:3]), rel=1e-3)


def test_slices_of_a_run_are_the_run():
    whole, _ = loops(FIELDS[0])
    sliced, _ = loops(FIELDS[0])
    losses = whole.run(RATES)
    assert sliced.run(RATES[:11]) + sliced.run(RATES[11:]) == losses
    for name, tensor in whole.parameters().items():
        assert torch.equal(tensor, sliced.parameters()[name])


def test_threads_change_nothing():
    results = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        trainer, _ = loops(FIELDS[0], frames=3, batch_size=700)
        results.append((trainer.run(RATES), trainer.parameters()))
    torch.set_num_threads(before)
    assert results[0][0] == results[1][0]
    for name, tensor in results[0][1].items():
        assert torch.equal(tensor, results[1][1][name])


def test_divergence_is_an_error():
    for loop in loops(FIELDS[0]):
        with pytest.raises(TrainingError, match=r"the loss became (nan|inf)"):
            loop.run([1e30] * 60)


def test_fit_says_what_it_used(monkeypatch):
    targets = torch.rand(1, len(COORDINATES), 1)
    settings = FitSettings(steps=2, batch_size=8)
    assert fit(FIELDS[0], COORDINATES, targets, settings).backend.startswith("native (")
    monkeypatch.setenv("QUINR_BACKEND", "torch")
    assert fit(FIELDS[0], COORDINATES, targets, settings).backend == "torch (cpu)"


def test_a_field_of_two_stages_trains_in_torch():
    field = QuinrField(2, 3, 1, stages=2)
    targets = torch.rand(1, len(COORDINATES), 1)
    result = fit(field, COORDINATES, targets, FitSettings(steps=30, batch_size=64))
    assert result.losses[-5:].mean() < result.losses[:5].mean()


def test_the_extension_checks_every_shape():
    field = FIELDS[0]
    size = native_field(field).size
    shapes = {
        "coordinates": (10, 2),
        "targets": (1, 10, 1),
        "parameters": (1, size),
        "factors": (size,),
    }
    good = {name: torch.zeros(shape).numpy() for name, shape in shapes.items()}
    rest = {
        "batch": 4,
        "weight_decay": 0.0,
        "beta1": 0.9,
        "beta2": 0.99,
        "seed": 0,
        "threads": 1,
        "isa": "baseline",
    }
    _native.trainer(native_field(field), **good, **rest)
    for name, array in good.items():
        for bad in (array[..., :-1].copy(), array[:0].copy(), array.astype("f8")):
            with pytest.raises((ValueError, TypeError)):
                _native.trainer(native_field(field), **(good | {name: bad}), **rest)
    for change in ({"batch": 0}, {"isa": "mmx"}):
        with pytest.raises(ValueError, match=r"."):
            _native.trainer(native_field(field), **good, **(rest | change))
    trainer = _native.trainer(native_field(field), **good, **rest)
    axes = torch.eye(size)[None].numpy()
    trainer.rotate(axes, axes)
    for bad in (axes[0], axes[:, :-1].copy(), axes.astype("f8")):
        for pair in ((axes, bad), (bad, axes)):
            with pytest.raises((ValueError, TypeError)):
                trainer.rotate(*pair)
