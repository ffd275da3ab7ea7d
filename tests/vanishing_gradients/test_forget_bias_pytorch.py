import copy

import numpy as np
import pytest
import torch
from torch import nn

from snippets.vanishing_gradients.forget_bias_pytorch import _unwritable, set_forget_bias_

LSTMS = [
    nn.LSTM(3, 5),
    nn.LSTM(3, 5, num_layers=2, bidirectional=True),
    nn.LSTM(3, 5, proj_size=2, dtype=torch.float64),
    nn.LSTM(3, 5, dtype=torch.bfloat16),
    nn.LSTMCell(3, 5),
]


@pytest.mark.parametrize("lstm", LSTMS, ids=str)
@pytest.mark.parametrize("value", [1.0, -0.5])
def test_the_two_biases_add_up_to_the_value_and_the_rest_stays(lstm, value):
    before = copy.deepcopy(dict(lstm.named_parameters()))
    assert set_forget_bias_(lstm, value) is lstm
    after = dict(lstm.named_parameters())
    assert all(parameter.requires_grad for parameter in after.values())
    forget = slice(5, 10)
    names = [name for name in after if name.startswith("bias_ih")]
    assert len(names) == getattr(lstm, "num_layers", 1) * (2 if getattr(lstm, "bidirectional", False) else 1)
    for name in names:
        assert (after[name] + after[name.replace("ih", "hh")])[forget].tolist() == [value] * 5
    for name, parameter in after.items():
        kept = torch.ones(len(parameter), dtype=torch.bool)
        if name.startswith("bias"):
            kept[forget] = False
        assert torch.equal(parameter[kept], before[name][kept]), name


def test_the_slice_is_the_forget_gate():
    """A gate that is open wide keeps the state of the cell, one that is shut loses it."""
    cell = nn.LSTMCell(3, 5)
    state = torch.zeros(1, 5), torch.full((1, 5), 7.0)
    kept = set_forget_bias_(cell, 30.0)(torch.zeros(1, 3), state)[1]
    lost = set_forget_bias_(cell, -30.0)(torch.zeros(1, 3), state)[1]
    assert torch.allclose(kept - lost, state[1])


def test_the_default_is_one():
    lstm = set_forget_bias_(nn.LSTM(3, 5))
    assert lstm.bias_ih_l0[5:10].tolist() == [1.0] * 5 and not lstm.bias_hh_l0[5:10].any()


@pytest.mark.parametrize("module", [nn.GRU(3, 5), nn.LSTM(3, 5, bias=False), nn.Linear(3, 5)], ids=str)
def test_what_has_no_forget_bias_is_refused(module):
    with pytest.raises(ValueError, match=r"lstm must be .*(GRU|LSTM|Linear)\("):
        set_forget_bias_(module)


def test_biases_that_are_computed_from_others_and_values_that_are_not_finite_are_refused():
    lstm = nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"value must be finite, got {value}"):
            set_forget_bias_(lstm, value)
    nn.utils.parametrize.register_parametrization(lstm, "bias_ih_l0", nn.Identity())
    with pytest.raises(ValueError, match="lstm must hold 8 biases as parameters of its own"):
        set_forget_bias_(lstm)


@pytest.mark.parametrize("value", [np.float32(2.0), np.array(2.0), np.int64(2), torch.tensor(2.0)])
def test_a_number_may_be_a_scalar_of_a_library(value):
    lstm = set_forget_bias_(nn.LSTM(3, 4), value)
    assert torch.equal(lstm.bias_ih_l0[4:8] + lstm.bias_hh_l0[4:8], torch.full((4,), 2.0))


def test_why_nothing_can_be_written_into_a_parameter():
    assert _unwritable(None) == "is computed from other parameters"
    assert _unwritable(torch.empty(2, device="meta")) == "holds no values yet"
    assert _unwritable(torch.ones(2)) is None
