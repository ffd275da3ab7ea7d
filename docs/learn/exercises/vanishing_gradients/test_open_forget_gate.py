import torch
from open_forget_gate import open_forget_gate
from torch import nn

GATES = {"input": 0, "forget": 1, "cell": 2, "output": 3}


def biases(lstm, layer):
    """What each gate adds: the sum of PyTorch's two biases, one row a gate."""
    both = getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
    return both.detach().view(4, lstm.hidden_size)


def opened(bias):
    torch.manual_seed(0)
    lstm = nn.LSTM(6, 5, num_layers=2)
    before = [biases(lstm, layer).clone() for layer in range(2)]
    open_forget_gate(lstm, bias)
    return before, [biases(lstm, layer) for layer in range(2)]


def test_the_forget_gate_and_no_other():
    (before, _), (after, _) = opened(3.0)
    changed = [gate for gate, row in GATES.items() if not after[row].equal(before[row])]
    assert changed != ["output"], "you opened the output gate: PyTorch stacks the gates as i, f, g, o"
    assert changed != ["input"], "you opened the input gate: PyTorch stacks the gates as i, f, g, o"
    assert changed == ["forget"], f"the biases of these gates changed: {', '.join(changed) or 'none'}"


def test_both_biases_add_up():
    (_, _), (after, _) = opened(3.0)
    forget = after[GATES["forget"]]
    assert not forget.allclose(torch.full_like(forget, 6.0)), (
        "the gate gets twice the bias: PyTorch adds b_ih and b_hh, so set one of them and clear the other"
    )
    assert forget.allclose(torch.full_like(forget, 3.0)), (
        f"the gate gets {forget[0]:.3g} instead of 3: PyTorch adds b_ih and b_hh, and the other one is not zero"
    )


def test_every_layer():
    _, (_, after) = opened(3.0)
    assert after[GATES["forget"]].allclose(torch.tensor(3.0)), "the second layer is as it was: set all layers"
