"""The gain that an activation function needs, also one that
torch.nn.init.calculate_gain does not know.

    forward = 1 / sqrt(E[phi(xi)^2])
    backward = 1 / sqrt(E[phi'(xi)^2])
    xi standard normal

Preactivations of variance 1 keep it through a layer with weights of std =
forward / sqrt(fan_in); the gradient keeps its mean square through weights of
std = backward / sqrt(fan_out). No single gain does both unless the two agree.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section
2.2, for ReLU; Poole et al. (2016), "Exponential expressivity in deep neural
networks through transient chaos", the length map, for the integrals.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

Function = Callable[[Tensor], Tensor]


def gaussian_rule() -> tuple[Tensor, Tensor]:
    """Nodes and weights, float64 of shape (768,), for the mean over a standard
    normal variable.

    Gauss-Legendre on panels of half a unit. Zero and the other usual kinks (1
    of hard tanh, 3 of hard sigmoid) are edges of panels and cost no accuracy,
    as they do with Gauss-Hermite.
    """
    nodes, weights = (
        torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(16)
    )
    edges = torch.arange(-12.0, 12.0, 0.5, dtype=torch.float64, device="cpu")
    points = (edges[:, None] + 0.25 * (nodes + 1.0)).flatten()
    return points, 0.25 * weights.repeat(len(edges)) * torch.exp(
        -0.5 * points**2
    ) / math.sqrt(2.0 * math.pi)


@torch.no_grad()
def forward_gain(
    activation: Function, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> float:
    """Factor that makes up for what the elementwise `activation` does to the
    mean square of a standard normal.

    A function or a module; one with parameters is called with their `dtype` and
    `device`. The mean is in float64. Raises ValueError for a `dtype` that is
    not floating or not that of the parameters, for an activation without such a
    mean square and for one that draws numbers, as Dropout does in training.
    """
    return _gain(_values(activation, _points(activation, dtype, device)))


@torch.inference_mode(False)
@torch.enable_grad()
def backward_gain(
    activation: Function, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> float:
    """Factor that makes up for what the slope of the elementwise `activation`
    does to the mean square of a gradient.
    """
    points = _points(activation, dtype, device).requires_grad_()
    values = _values(activation, points)
    if not values.requires_grad:
        raise ValueError(
            f"activation must be differentiable by autograd, got {activation}"
        )
    return _gain(torch.autograd.grad(values.sum(), points)[0])


def _points(activation: Function, dtype: torch.dtype, device: str) -> Tensor:
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"dtype must be a torch.dtype, got {dtype!r}")
    if not dtype.is_floating_point:
        raise ValueError(f"dtype must be floating, got {dtype}")
    own = activation.parameters() if isinstance(activation, nn.Module) else ()
    if other := {parameter.dtype for parameter in own} - {dtype}:
        raise ValueError(
            f"dtype must be that of the parameters of activation, {other}, got {dtype}"
        )
    return gaussian_rule()[0].to(device, dtype)


def _values(activation: Function, points: Tensor) -> Tensor:
    if not callable(activation):
        raise ValueError(f"activation must be a function, got {activation!r}")
    values = activation(points.clone())  # an activation may work in place
    if not isinstance(values, Tensor) or not values.is_floating_point():
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"activation must return floating numbers, got {kind} from {activation}"
        )
    alone = activation(points[3:-1].clone())
    # libraries may round the last digit another way in another place
    rounding = 1e-5 if values.element_size() > 2 else 1e-2
    if values.shape != points.shape or not torch.allclose(
        values[3:-1], alone, rtol=rounding, atol=rounding, equal_nan=True
    ):
        raise ValueError(
            f"activation must act on every entry by itself and draw nothing, got {activation}"
        )
    return values


def _gain(factors: Tensor) -> float:
    mean_square = (gaussian_rule()[1] @ factors.cpu().double() ** 2).item()
    if not 0.0 < mean_square < math.inf:
        raise ValueError(
            f"activation must have a positive and finite mean square, got {mean_square}"
        )
    return 1.0 / math.sqrt(mean_square)
