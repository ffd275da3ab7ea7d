import torch
from torch import nn


def open_forget_gate(lstm: nn.LSTM, bias=1.0):
    """Set the bias of the forget gate of every layer, in place, to `bias`.
    All other biases stay as they are."""
    size = lstm.hidden_size
    forget = slice(size, 2 * size)  # the gates stand in the order i, f, g, o
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias_ih"):
                parameter[forget] = bias
            elif name.startswith("bias_hh"):  # PyTorch adds the two
                parameter[forget] = 0
