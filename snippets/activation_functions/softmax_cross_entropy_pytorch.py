"""Softmax and cross-entropy as one stable function of the logits, with its
gradient by hand.

    loss_i = log(sum_k exp(z_ik)) - z_iy
    d loss_i / d z_i = softmax(z_i) - onehot(y_i)

Softmax alone saturates; together with the logarithm it does not: the gradient
is small only where the label has almost all of the probability. The largest
logit is taken off first, so that no exponential overflows and the logarithm
never sees a zero. In a model use torch.nn.functional.cross_entropy, which takes
logits and does the same.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Bishop (2006), "Pattern Recognition and Machine Learning", section
4.3.4.
"""

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


@torch.no_grad()
def softmax_cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss over the batch in nats, and its gradient with respect to the
    logits, of their shape and dtype.

    `logits`: any floating dtype, shape (B, K). `labels`: integers in 0 ... K -
    1, shape (B,). Raises ValueError for other shapes, dtypes or labels and for
    an empty batch. Compiled, a label out of range ends in PyTorch's own error.
    """
    for name, tensor in (("logits", logits), ("labels", labels)):
        if (
            not isinstance(tensor, Tensor)
            or isinstance(tensor, LAZY)
            or tensor.is_nested
        ):
            raise ValueError(
                f"{name} must be a tensor, neither lazy nor nested, got {type(tensor).__name__}"
            )
    if logits.dim() != 2 or labels.shape != logits.shape[:1] or not logits.numel():
        raise ValueError(
            "logits and labels must have the shapes (B, K) and (B,), none of them 0, "
            f"got {tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    for name, tensor in (("logits", logits), ("labels", labels)):
        if tensor.layout != torch.strided or tensor.is_meta:
            raise ValueError(
                f"{name} must be dense and hold values, got {tensor.layout} on {tensor.device}"
            )
    integer = not (
        labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool
    )
    floating = logits.is_floating_point() and logits.element_size() > 1
    if not (floating and integer):
        raise ValueError(
            f"logits and labels must be floating and integer, got {logits.dtype} and {labels.dtype}"
        )
    batch, classes = logits.shape
    labels = labels.long()  # uint8 as an index would be a mask
    # a compiled function cannot branch on values
    if not torch.compiler.is_compiling() and (
        labels.min() < 0 or labels.max() >= classes
    ):
        raise ValueError(
            f"labels must lie in 0 ... {classes - 1}, got {labels.min()} ... {labels.max()}"
        )
    # in float16 a sum of exponentials over 65,504 classes is Inf
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    shifted = wide - wide.max(dim=1, keepdim=True).values
    log_p = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    rows = torch.arange(batch, device=logits.device)
    gradient = log_p.exp()
    gradient[rows, labels] -= 1.0
    loss = -log_p[rows, labels].mean()
    return loss.to(logits.dtype), (gradient / batch).to(logits.dtype)
