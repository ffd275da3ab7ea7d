import pytest
import torch
from torch import nn

from snippets.diagnostics.check_model_pytorch import check_model


def test_a_stack_of_sigmoids_loses_its_gradient():
    torch.manual_seed(0)
    layers = (module for _ in range(10) for module in (nn.Linear(64, 64), nn.Sigmoid()))
    batch = (torch.randn(32, 64), torch.randint(10, (32,)))
    report = check_model(nn.Sequential(*layers, nn.Linear(64, 10)), batch, nn.CrossEntropyLoss())
    assert [finding.code for finding in report.findings] == ["vanishing-gradient", "collapsed-angles"]
    # nn.Linear keeps a third of the variance, and the slope of a sigmoid is at most a quarter.
    assert report.backward == pytest.approx(0.25 / 3**0.5, rel=0.1)
