"""Derivatives of a field's values by its parameters, sample by sample."""

from __future__ import annotations

import torch
from torch import Tensor

from quinr_lidar.fields import fused, native_quinr
from quinr_lidar.fields.field import Field, Parameters, flatten, unflatten
from quinr_lidar.fields.quinr import QuinrField


def jacobian(field: Field, parameters: Parameters, coordinates: Tensor) -> tuple[Tensor, Tensor]:
    """Values and their derivatives for one frame.

    Args:
        field: Any.
        parameters: Parameters of one frame, [1, ...].
        coordinates: [P, inputs] in the dtype and on the device of the parameters.

    Returns:
        Values [C, P], and derivatives [C, S, P] by the parameters in the order of
        :func:`~quinr_lidar.fields.field.flatten`.
    """
    if isinstance(field, QuinrField) and fused.is_supported(
        field, coordinates.device, coordinates.dtype
    ):
        return native_quinr.jacobian(field, parameters, coordinates)
    return autograd_jacobian(field, parameters, coordinates)


def autograd_jacobian(
    field: Field, parameters: Parameters, coordinates: Tensor
) -> tuple[Tensor, Tensor]:
    """As :func:`jacobian`, from nothing but ``field.evaluate``.

    Every sample becomes a frame with parameters of its own, so that one backward pass an output
    gives all samples' derivatives.
    """
    flat = flatten(field, parameters).detach().expand(len(coordinates), -1).clone()
    flat.requires_grad_()
    with torch.enable_grad():
        values = field.evaluate(unflatten(field, flat), coordinates[:, None])[:, 0]
        derivatives = [
            torch.autograd.grad(values[:, output].sum(), flat, retain_graph=True)[0].T
            for output in range(field.outputs)
        ]
    return values.detach().T, torch.stack(derivatives)
