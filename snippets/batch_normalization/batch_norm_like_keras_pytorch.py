"""A PyTorch batch normalization that trains like Keras's: the same outputs, the
same running statistics.

    running <- momentum running + (1 - momentum) of the batch
    variance with the divisor N
    eps = 1e-3

torch.nn.BatchNorm calls 1 - momentum `momentum`, has eps = 1e-5, and stores the
variance with the divisor N - 1. Trained layers come over by `load_keras`.
Source: documentation of torch.nn.BatchNorm1d and of
keras.layers.BatchNormalization.
"""

import torch
from torch import Tensor, nn


class _LikeKeras:
    """`momentum`: weight of the old value; `epsilon`: added to the variance.
    The channels stay on axis 1.
    """

    def __init__(self, num_features: int, momentum: float = 0.99, epsilon: float = 1e-3) -> None:
        super().__init__(num_features, eps=epsilon, momentum=1.0 - momentum)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `x`, shape (B, n, *positions)."""
        if not self.training:
            return super().forward(x)
        before = self.running_var.clone()
        y = super().forward(x)
        # What this batch added to the running variance has the divisor N - 1:
        # take 1 / N of it away. Through `.data`, because autograd holds the
        # buffer for the backward pass, though in training it does not use it.
        added = self.running_var - (1.0 - self.momentum) * before
        self.running_var.data -= added * (x.shape[1] / x.numel())
        return y

    @torch.no_grad()
    def load_keras(self, gamma, beta, moving_mean, moving_variance) -> None:
        """Copy what Keras's layer holds under these names, arrays of shape
        (n,).
        """
        given = (gamma, beta, moving_mean, moving_variance)
        for own, values in zip((self.weight, self.bias, self.running_mean, self.running_var), given, strict=True):
            own.copy_(torch.as_tensor(values))


class BatchNorm1dLikeKeras(_LikeKeras, nn.BatchNorm1d):
    """For (B, n) and (B, n, length)."""


class BatchNorm2dLikeKeras(_LikeKeras, nn.BatchNorm2d):
    """For (B, n, height, width)."""


class BatchNorm3dLikeKeras(_LikeKeras, nn.BatchNorm3d):
    """For (B, n, depth, height, width)."""
