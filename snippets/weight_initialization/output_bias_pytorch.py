"""Start a classifier at the frequencies of its classes, by the bias of the
output layer.

    sigmoid: b = -log((1 - p) / p)     p: frequency of the positive class
    softmax: b_c = log(p_c)            p_c: frequency of class c

With small output weights the loss then starts at the entropy of the classes: ln
C for C equally frequent ones.

    nn.init.constant_(model.output.bias, sigmoid_bias(0.01))
    model.output.bias.data.copy_(softmax_bias(torch.bincount(labels)))

Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Lin et al. (2017), "Focal Loss for Dense Object Detection",
arXiv:1708.02002 (the sigmoid, with p = 0.01).
"""

import math

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


def sigmoid_bias(frequency: float) -> float:
    """Bias of an output with a sigmoid, for the `frequency` of the positive
    class, between 0 and 1, both excluded.
    """
    frequency = float(frequency + 0.0)  # text is no number
    if not 0.0 < frequency < 1.0:
        raise ValueError(f"frequency must lie between 0 and 1, got {frequency}")
    return math.log(frequency) - math.log1p(-frequency)


def softmax_bias(counts: Tensor) -> Tensor:
    """Biases, float64, shape (C,), of outputs with a softmax, for the `counts`
    (or frequencies) of C classes.
    """
    if not isinstance(counts, Tensor) or isinstance(counts, LAZY) or counts.is_nested:
        raise ValueError(
            f"counts must be a tensor, neither lazy nor nested, got {type(counts).__name__}"
        )
    real = counts.is_floating_point() and counts.element_size() > 1
    integer = counts.dtype in (
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
    )
    if counts.layout != torch.strided or counts.is_meta or not (real or integer):
        raise ValueError(
            f"counts must be dense numbers, got {counts.layout} {counts.dtype} on {counts.device}"
        )
    if counts.dim() != 1 or not counts.numel() or not counts.isfinite().all():
        raise ValueError(f"counts must be finite, one for each class, got {counts}")
    if not (counts > 0).all():
        raise ValueError(
            f"counts must be positive, got {counts}; give a class that was not seen a count below 1"
        )
    # of the ratios 1e300 : 1e-300 one would be 0, and a sum may be Inf
    return counts.double().log().log_softmax(0)
