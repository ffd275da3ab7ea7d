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
architectures", section 2.2.
"""

import math

import torch
from torch import nn


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
    if not math.isfinite(value):
        raise ValueError(f"value must be finite, got {value}")
    if not isinstance(lstm, nn.LSTM | nn.LSTMCell) or not lstm.bias:
        raise ValueError(f"lstm must be an LSTM or LSTMCell with biases, got {lstm}")
    value = float(value)  # a NumPy scalar cannot be assigned to a slice
    size, own = lstm.hidden_size, dict(lstm.named_parameters(recurse=False))
    chains = (
        lstm.num_layers * (1 + lstm.bidirectional) if isinstance(lstm, nn.LSTM) else 1
    )
    if sum(name.startswith("bias") for name in own) != 2 * chains:
        raise ValueError(
            f"lstm must hold {2 * chains} biases as parameters of its own, got {list(own)}"
        )
    if any(bias.is_meta for bias in own.values()):
        raise ValueError(
            f"lstm must hold values, got biases on the meta device: {lstm}"
        )
    for name, bias in own.items():
        # (input | forget | cell | output), each of `size` entries
        if name.startswith("bias"):
            bias[size : 2 * size] = value if name.startswith("bias_ih") else 0.0
    return lstm
