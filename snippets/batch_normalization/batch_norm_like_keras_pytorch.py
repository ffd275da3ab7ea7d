"""A PyTorch batch normalization that trains like Keras's: the same outputs, the
same running statistics.

    running <- momentum running + (1 - momentum) of the batch
    variance with the divisor N
    eps = 1e-3

torch.nn.BatchNorm calls 1 - momentum `momentum`, has eps = 1e-5, and stores the
variance with the divisor N - 1. Trained layers come over by `load_keras`.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: documentation of torch.nn.BatchNorm1d and of
keras.layers.BatchNormalization.
"""

import operator
from typing import Any

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


class _LikeKeras(nn.modules.batchnorm._BatchNorm):
    """`momentum`: weight of the old value; `epsilon`: added to the variance.
    The channels stay on axis 1. torch.compile, torch.export and, in evaluation,
    torch.jit.trace take the layer; torch.jit.script does not.
    """

    ranks: tuple[int, ...]

    def __init__(
        self, num_features: int, momentum: float = 0.99, epsilon: float = 1e-3
    ) -> None:
        given = num_features
        momentum = float(momentum + 0.0)  # text is no number
        epsilon = float(epsilon + 0.0)  # text is no number
        try:
            num_features = operator.index(num_features)
        except TypeError:
            num_features = 0
        if num_features < 1:
            raise ValueError(
                f"num_features must be an integer from 1 on, got {given!r}"
            )
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"momentum must lie between 0 and 1, got {momentum}")
        if not 0.0 < epsilon < float("inf"):
            raise ValueError(f"epsilon must be positive and finite, got {epsilon}")
        super().__init__(num_features, eps=epsilon, momentum=1.0 - momentum)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `x`, shape (B, n, *positions).

        ValueError if training has only one value per channel. As in PyTorch,
        the statistics stay with `track_running_stats` = False, and a `momentum`
        of None averages over all batches.
        """
        own = self.weight
        if not isinstance(x, Tensor) or isinstance(x, LAZY) or x.is_nested:
            raise ValueError(
                f"x must be a tensor, neither lazy nor nested, got {type(x).__name__}"
            )
        if x.dim() not in self.ranks or x.shape[1] != self.num_features:
            raise ValueError(
                f"x must have {self.ranks} dimensions and {self.num_features} channels, got shape {tuple(x.shape)}"
            )
        if (
            x.layout != torch.strided
            or not x.is_floating_point()
            or x.element_size() < 2
            or x.device != own.device
        ):
            raise ValueError(
                f"x must be dense and floating on {own.device}, got {x.layout} {x.dtype} on {x.device}"
            )
        if not self.training:
            return super().forward(x)
        if x.numel() < 2 * x.shape[1]:
            raise ValueError(
                f"x must hold at least 2 values per channel in training, got shape {tuple(x.shape)}"
            )
        if self.track_running_stats and self.running_var is not None:
            self._keep_statistics(x.detach())
        return nn.functional.batch_norm(
            x, None, None, self.weight, self.bias, training=True, eps=self.eps
        )

    @torch.no_grad()
    def _keep_statistics(self, x: Tensor) -> None:
        mean: Any = self.running_mean
        var: Any = self.running_var
        seen: Any = self.num_batches_tracked
        wide = x.to(torch.promote_types(x.dtype, var.dtype))
        new_var, new_mean = torch.var_mean(
            wide, [axis for axis in range(x.dim()) if axis != 1], correction=0
        )
        seen.add_(1)  # in place, as torch.export needs it
        new = 1.0 / seen if self.momentum is None else self.momentum
        mean.add_(new * (new_mean - mean))
        var.add_(new * (new_var - var))

    @torch.no_grad()
    def load_keras(self, gamma, beta, moving_mean, moving_variance) -> None:
        """Copy what Keras's layer holds under these names, arrays of shape
        (n,). ValueError for another shape, and nothing is copied.
        """
        given = (gamma, beta, moving_mean, moving_variance)
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        tensors = []
        for name, values in zip(names, given, strict=True):
            try:
                tensor = torch.as_tensor(values)
            except (TypeError, ValueError, RuntimeError) as error:
                raise ValueError(f"{name} must be an array, got {values!r}") from error
            if tuple(tensor.shape) != (self.num_features,):
                raise ValueError(
                    f"{name} must have shape ({self.num_features},), got {tuple(tensor.shape)}"
                )
            if tensor.is_complex():
                raise ValueError(f"{name} must be real, got {tensor.dtype}")
            tensors.append(tensor)
        held: tuple[Any, ...] = (
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
        )
        for own, values in zip(held, tensors, strict=True):
            own.copy_(values)


class BatchNorm1dLikeKeras(_LikeKeras, nn.BatchNorm1d):
    """For (B, n) and (B, n, length)."""

    ranks = (2, 3)


class BatchNorm2dLikeKeras(_LikeKeras, nn.BatchNorm2d):
    """For (B, n, height, width)."""

    ranks = (4,)


class BatchNorm3dLikeKeras(_LikeKeras, nn.BatchNorm3d):
    """For (B, n, depth, height, width)."""

    ranks = (5,)
