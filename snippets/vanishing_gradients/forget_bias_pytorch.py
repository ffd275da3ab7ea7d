"""Set the forget gate bias of an LSTM, so that the gradient survives the first
steps of training.

    f_t = sigmoid(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
    c_t = f_t * c_{t-1} + i_t * g_t
    b_if + b_hf = value

Along the cell state the gradient is multiplied by f_t at each step. PyTorch
draws both biases around 0, so f_t starts near 1/2. It adds two bias vectors:
filling both with 1 gives a forget bias of 2.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Gers, Schmidhuber & Cummins (2000), "Learning to forget"; Jozefowicz,
Zaremba & Sutskever (2015), "An empirical exploration of recurrent network
architectures", on the bias of the forget gate.
"""

import math
import re

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


@torch.no_grad()
def set_forget_bias_(
    lstm: nn.LSTM | nn.LSTMCell, value: float = 1.0
) -> nn.LSTM | nn.LSTMCell:
    """Make the sum of the two forget biases `value` in every layer and
    direction of `lstm`, in place, and return it.

    The biases of the other gates and all weights stay. Raises ValueError for a
    module that is no LSTM or has no biases, for biases that are computed from
    other parameters and for a `value` that is not finite.
    """
    value = float(value + 0.0)  # text is no number
    if not math.isfinite(value):
        raise ValueError(f"value must be finite, got {value}")
    if not isinstance(lstm, nn.LSTM | nn.LSTMCell) or not lstm.bias:
        raise ValueError(f"lstm must be an LSTM or LSTMCell with biases, got {lstm}")
    size, own = lstm.hidden_size, dict(lstm.named_parameters(recurse=False))
    chains = (
        lstm.num_layers * (1 + lstm.bidirectional) if isinstance(lstm, nn.LSTM) else 1
    )
    # a pruned one is called bias_ih_l0_orig
    plain = re.compile(r"bias_(ih|hh)(_l\d+(_reverse)?)?").fullmatch
    if sum(plain(name) is not None for name in own) != 2 * chains:
        raise ValueError(
            f"lstm must hold {2 * chains} biases as parameters of its own, got {list(own)}"
        )
    for name, bias in own.items():
        if name.startswith("bias") and (why := _unwritable(bias)):
            raise ValueError(f"lstm must hold plain biases, {name!r} {why}")
    for name, bias in own.items():
        # (input | forget | cell | output), each of `size` entries
        if name.startswith("bias"):
            bias[size : 2 * size] = value if name.startswith("bias_ih") else 0.0
    return lstm


def _unwritable(parameter: Tensor | None) -> str | None:
    """Why no values can be written into it, or None."""
    if parameter is None:
        return "is computed from other parameters"
    if isinstance(parameter, LAZY) or parameter.is_meta:
        return "holds no values yet"
    # what is written into a part of it would be lost
    if hasattr(parameter, "device_mesh"):
        return "is sharded"
    if not parameter.is_floating_point() or parameter.element_size() < 2:
        return f"holds {parameter.dtype}"
    if parameter.is_inference() and not torch.is_inference_mode_enabled():
        return "was made in inference mode"
    return None if _apart(parameter) else "shares memory between its entries"


def _apart(tensor: Tensor) -> bool:
    """Whether no two entries share memory, as those of `expand` do."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= reach:
                return False
            reach += step * (size - 1)
    return True
