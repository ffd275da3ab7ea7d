"""Fold every trained batch normalization of a PyTorch model into the linear
layer or convolution before it.

    scale = gamma / sqrt(var + eps)
    weight' = scale weight
    bias' = beta + scale (bias - mean)

At test time mean and variance are constants, so both layers together are one
linear map: the same function, one layer less, and no statistics that could be
wrong. Only for test time: training would have to unfold it.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3.1 and algorithm
2, last step.
"""

import copy

import torch
from torch import nn

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@torch.no_grad()
def fold_batch_norm(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """A copy of `layer` (Linear or Conv) that computes what `norm(layer(x))`
    does in evaluation mode.

    ValueError if `norm` keeps no running statistics or has another number of
    features than `layer` has outputs.
    """
    if norm.running_var is None:
        raise ValueError(f"norm must keep running statistics to be folded, got {norm}")
    if norm.num_features != len(layer.weight):
        raise ValueError(f"norm must have {len(layer.weight)} features, as layer has outputs, got {norm.num_features}")
    scale, shift = torch.rsqrt(norm.running_var + norm.eps), -norm.running_mean
    if layer.bias is not None:
        shift = shift + layer.bias
    if norm.affine:
        scale = scale * norm.weight
    shift = scale * shift + (norm.bias if norm.affine else 0.0)
    folded = copy.deepcopy(layer)
    folded.weight.mul_(scale.reshape(-1, *[1] * (layer.weight.ndim - 1)))
    folded.bias = nn.Parameter(shift.to(layer.weight.dtype))
    return folded


def fold_model(model: nn.Sequential) -> nn.Sequential:
    """A copy of `model`, in evaluation mode, in which each pair of Linear or
    Conv and batch normalization is one layer.

    Goes into nested Sequentials, and takes their order for the order of
    computation. A batch normalization that follows no such layer stays as it
    is.
    """
    folded: list[nn.Module] = []
    for layer in model:
        if isinstance(layer, nn.Sequential):
            folded.append(fold_model(layer))
        elif isinstance(layer, BATCH_NORM) and folded and isinstance(folded[-1], LINEAR):
            folded[-1] = fold_batch_norm(folded[-1], layer)
        else:
            folded.append(copy.deepcopy(layer))
    return nn.Sequential(*folded).eval()
