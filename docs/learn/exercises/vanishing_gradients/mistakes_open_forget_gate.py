import torch


def _set(lstm, gate, bias, names=("bias_ih_l0", "bias_ih_l1"), clear=()):
    rows = slice(gate * lstm.hidden_size, (gate + 1) * lstm.hidden_size)
    with torch.no_grad():
        for name in names:
            getattr(lstm, name)[rows] = bias
        for name in clear:
            getattr(lstm, name)[rows] = 0


def opens_the_input_gate(lstm, bias=1.0):
    """you opened the input gate: PyTorch stacks the gates as i, f, g, o"""
    _set(lstm, 0, bias, clear=("bias_hh_l0", "bias_hh_l1"))


def sets_both_biases(lstm, bias=1.0):
    """the gate gets twice the bias: PyTorch adds b_ih and b_hh, so set one of them and clear the other"""
    _set(lstm, 1, bias, names=[name for name, _ in lstm.named_parameters() if name.startswith("bias")])


def sets_one_layer(lstm, bias=1.0):
    """the second layer is as it was: set all layers"""
    _set(lstm, 1, bias, names=["bias_ih_l0"], clear=["bias_hh_l0"])
