import math

import pytest
import torch
from torch import nn

from snippets.laboratory.checked_model import checked
from snippets.laboratory.healthy_models import Case


def test_the_powers_of_ten_from_end_to_end():
    layers = [nn.Linear(8, 8, bias=False) for _ in range(5)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=0.1)
    model = checked(Case(nn.Sequential(*layers).eval(), torch.eye(8), lambda output, _: output.mean()))
    assert (model.layers, model.parameters) == (5, 5 * 64)
    assert model.forward == pytest.approx(-4, abs=0.05)
    assert model.backward == pytest.approx(-4, abs=1e-4)
    assert math.isnan(model.excess)
    assert (model.faults, model.notes) == (("linear-stack", "vanishing-activation"), ("evaluation-mode",))


def test_dropout_draws_the_same_masks_again():
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(), nn.Linear(8, 8))
    case = Case(model, (torch.eye(8), torch.arange(8)), nn.CrossEntropyLoss())
    torch.manual_seed(1)
    one = checked(case)
    torch.manual_seed(2)
    assert checked(case) == one
