"""Training by code length: its cost is that of the coder's own mixture, and it falls."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from quinr_lidar import _native
from quinr_lidar.errors import TrainingError
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.kernel import format_constants, instruction_sets
from quinr_lidar.training.code_length import (
    CodeLengthSettings,
    MaskBatch,
    RangeBatch,
    centres,
    mixture,
    train_by_code_length,
)

COMPONENTS, NEIGHBOURS = format_constants().components, format_constants().neighbours
OUTPUTS = 3 * COMPONENTS


def draw(pixels: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Linear, differences in units (some far away), outputs."""
    generator = torch.Generator().manual_seed(seed)
    linear = 0.1 * torch.randn(COMPONENTS, NEIGHBOURS, generator=generator)
    differences = 3 * torch.randn(pixels, NEIGHBOURS, generator=generator)
    differences[::5] *= 100
    outputs = 2 * torch.randn(pixels, OUTPUTS, generator=generator)
    outputs[::7] *= 20
    return linear, differences, outputs


@pytest.mark.parametrize("isa", instruction_sets())
def test_the_mixture_is_the_coders(isa):
    linear, differences, outputs = draw(48)
    step = torch.logspace(-3, 1, 48)
    unit = torch.sqrt(step**2 + 0.03**2)
    scale = (step / unit)[:, None].double()
    mean, log_scale, log_weight = mixture(linear.double(), differences.double(), outputs.double())
    # The coder counts in steps.
    expected = (mean / scale, torch.exp(-log_scale) * scale, log_weight.exp())
    found = [np.empty((COMPONENTS, 48), np.float32) for _ in expected]
    _native.mixture(
        np.ascontiguousarray(differences.T.numpy()),
        np.ascontiguousarray(outputs.T.numpy()),
        linear.numpy(),
        step.numpy(),
        unit.numpy(),
        *found,
        isa=isa,
    )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.T, theirs, rtol=3e-5, atol=3e-5)
    np.testing.assert_allclose(found[2].sum(0), 1, atol=1e-5)


def test_centres_are_the_neighbours_they_are_named_after():
    x = torch.arange(NEIGHBOURS, dtype=torch.float32)[None] ** 2
    left, straight, beside, second = x[0, 1], x[0, 6], x[0, 7], x[0, 11]
    slope, along = straight - x[0, 5], -left
    expected = [0, slope, along, straight, beside, (slope + along) / 2, second]
    torch.testing.assert_close(centres(x)[0, :7], torch.tensor([float(e) for e in expected]))
    assert (centres(x)[0, 7:] == 0).all()
    assert centres(1e6 * x)[0, 1] == 50  # slopes are cut
    assert centres(1e6 * x)[0, 2] == -50


def test_the_cost_is_that_of_discretised_logistics():
    linear, differences, outputs = draw(200)
    generator = np.random.default_rng(1)
    target = np.rint(generator.normal(scale=20, size=200)).astype(np.float32)
    scale = generator.uniform(0.02, 1, 200).astype(np.float32)
    batch = RangeBatch(
        torch.empty(200, 0), differences, torch.from_numpy(target), torch.from_numpy(scale)
    )
    bits = batch.bits({"linear": linear}, outputs).numpy()
    mean, log_scale, log_weight = (
        part.double().numpy() for part in mixture(linear, differences, outputs)
    )
    law = stats.logistic(mean, np.exp(log_scale))
    low, high = ((target + side) * scale for side in (-0.5, 0.5))
    # Where both tails are small: differences of survival functions lose no digits.
    above = law.sf(low[:, None]) - law.sf(high[:, None])
    below = law.cdf(high[:, None]) - law.cdf(low[:, None])
    likelihood = np.where((target * scale)[:, None] > mean, above, below)
    expected = -np.log2((np.exp(log_weight) * likelihood).sum(1))
    near = expected < 20
    assert near.sum() > 50
    np.testing.assert_allclose(bits[near], expected[near], rtol=1e-3, atol=1e-3)
    assert (bits[~near] > 15).all()


def test_costs_and_gradients_of_outliers_are_finite():
    linear, differences, outputs = draw(64)
    for tensor in (linear, outputs):
        tensor.requires_grad_()
    target = torch.linspace(-(2.0**30), 2.0**30, 64)
    batch = RangeBatch(torch.empty(64, 0), 1e6 * differences, target, torch.full((64,), 1e-3))
    bits = batch.bits({"linear": linear}, outputs)
    bits.sum().backward()
    assert torch.isfinite(bits).all()
    assert (bits >= 0).all()
    for tensor in (linear, outputs):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()


def test_a_masks_cost_is_the_logits_own():
    logits = torch.tensor([[0.0], [3.0], [3.0], [-80.0]])
    batch = MaskBatch(torch.empty(4, 0), torch.tensor([1.0, 1.0, 0.0, 0.0]))
    expected = -np.log2([0.5, 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3)), 1])
    np.testing.assert_allclose(batch.bits({}, logits), expected, atol=1e-6)


def toy(generator: torch.Generator) -> MaskBatch:
    """A pixel is measured where its two inputs have one sign."""
    inputs = torch.rand(256, 2, generator=generator) * 2 - 1
    return MaskBatch(inputs, (inputs.prod(1) > 0).float())


def test_training_finds_what_no_linear_rule_can():
    field = ConditionalField(2, 1, (8,), 2, 1)
    generator = torch.Generator().manual_seed(3)
    steps: list[tuple[int, int]] = []
    trained = train_by_code_length(
        field,
        {},
        lambda: toy(generator),
        CodeLengthSettings(steps=250, learning_rate=3e-2),
        lambda step: steps.append((step.step, step.steps)),
    )
    batch = toy(torch.Generator().manual_seed(4))
    cost = batch.bits(trained, field.evaluate(trained, batch.inputs)).mean()
    assert cost < 0.5  # without inputs it is 1
    assert steps == [(step, 250) for step in range(1, 251)]
    assert set(trained) == set(field.shapes)
    assert not any(tensor.requires_grad for tensor in trained.values())


def test_training_moves_the_extra_parameters_of_ranges():
    """Neighbours all say where the pixel is, which ``linear`` may learn as well as the field."""
    generator = torch.Generator().manual_seed(5)

    def draw_batch() -> RangeBatch:
        place = torch.randn(256, 1, generator=generator) * 4
        differences = place.expand(256, NEIGHBOURS).contiguous()
        return RangeBatch(differences / 8, differences, place[:, 0].round(), torch.ones(256))

    field = ConditionalField(NEIGHBOURS, OUTPUTS, (6,), 2, 1)
    first = {"linear": torch.zeros(COMPONENTS, NEIGHBOURS)}
    start = field.initial_parameters(torch.Generator().manual_seed(0)) | first
    batch = draw_batch()
    before = batch.bits(start, field.evaluate(start, batch.inputs)).mean()
    settings = CodeLengthSettings(steps=120, learning_rate=3e-2)
    trained = train_by_code_length(field, first, draw_batch, settings)
    after = batch.bits(trained, field.evaluate(trained, batch.inputs)).mean()
    assert after < before - 1
    assert trained["linear"].abs().max() > 0.01
    assert (first["linear"] == 0).all()  # the caller's own stay as they are


def test_a_seed_makes_training_repeatable():
    field = ConditionalField(2, 1, (3,), 1, 1)

    def train(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        settings = CodeLengthSettings(steps=4, seed=seed)
        return train_by_code_length(field, {}, lambda: toy(generator), settings)["weight0"]

    assert torch.equal(train(0), train(0))
    assert not torch.equal(train(0), train(1))


def test_training_that_diverges_says_so():
    batch = MaskBatch(torch.full((4, 2), torch.nan), torch.ones(4))
    with pytest.raises(TrainingError, match="diverged at step 0"):
        train_by_code_length(
            ConditionalField(2, 1, (3,), 1, 1), {}, lambda: batch, CodeLengthSettings(steps=3)
        )
