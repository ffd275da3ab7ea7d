"""PyTorch's activation functions for the exact integrals of `mean_field`, so that a figure needs each of them once."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from snippets.laboratory.mean_field import Activation


def from_torch(function: Callable[[Tensor], Tensor]) -> Activation:
    """Value and slope, float64, of an elementwise function of PyTorch; the slope is that of autograd."""

    def value(x: np.ndarray) -> np.ndarray:
        return function(torch.tensor(x)).numpy()

    def slope(x: np.ndarray) -> np.ndarray:
        points = torch.tensor(x, requires_grad=True)
        return torch.autograd.grad(function(points).sum(), points)[0].numpy()

    return Activation(value, slope)
