from __future__ import annotations

import torch

from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import flatten, parameter_count
from quinr_lidar.training.batches import draw_batch
from quinr_lidar.training.loops import LoopSettings, TorchLoop

FIELD = QuinrField(2, 5, 2)
COORDINATES = pixel_coordinates(8, 16, torch.float64)


def test_it_is_torchs_adamw():
    generator = torch.Generator().manual_seed(1)
    random = FIELD.initial_parameters(1, generator)
    start = {name: tensor.double() for name, tensor in random.items()}
    targets = torch.rand(1, len(COORDINATES), 1, generator=generator, dtype=torch.float64)
    settings = LoopSettings(batch_size=40, weight_decay=0.05, betas=(0.9, 0.95), seed=6)
    factors = torch.ones(parameter_count(FIELD))
    factors[:10] = 3.0  # weight0
    loop = TorchLoop(FIELD, start, factors, COORDINATES, targets, settings)
    rates = [0.01 * (1 + step % 4) for step in range(25)]
    losses = loop.run(rates)

    own = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    groups = [{"params": [t], "factor": 3.0 if n == "weight0" else 1.0} for n, t in own.items()]
    optimizer = torch.optim.AdamW(groups, betas=settings.betas, weight_decay=0.05)
    for step, rate in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        batch = torch.from_numpy(draw_batch(6, step, len(COORDINATES), 40))
        values = FIELD.evaluate(own, COORDINATES[batch][None])
        clipped = values + (values.clamp(0, 1) - values).detach()
        loss = (clipped - targets[:, batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        # Where a gradient is zero, its rounding error over Adam's epsilon of 1e-8 moves parameters.
        torch.testing.assert_close(losses[step], loss.item(), rtol=1e-7, atol=0)
    torch.testing.assert_close(
        flatten(FIELD, loop.parameters()), flatten(FIELD, own), rtol=0, atol=1e-7
    )
