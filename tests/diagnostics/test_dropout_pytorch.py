"""Dropout that is on in evaluation mode, in PyTorch, and dropout as it should be."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snippets.diagnostics.check_model_pytorch import check_model


class Net(nn.Module):
    """A dropout of the given kind between two layers."""

    def __init__(self, drop) -> None:
        super().__init__()
        self.before, self.after, self.drop = nn.Linear(8, 32), nn.Linear(32, 4), drop

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.drop(self, torch.relu(self.before(x))))


def attend(net: nn.Module, hidden: Tensor, rate: float, named: bool = True) -> Tensor:
    heads = hidden.unflatten(1, (4, 8))
    if named:
        return F.scaled_dot_product_attention(heads, heads, heads, dropout_p=rate).flatten(1)
    return F.scaled_dot_product_attention(heads, heads, heads, None, rate).flatten(1)


def found(drop) -> list[str]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batch = torch.randn(32, 8), torch.randint(4, (32,))
        report = check_model(Net(drop), batch, nn.CrossEntropyLoss())
    return [f"{finding.code} {finding.evidence}" for finding in report.findings]


@pytest.mark.parametrize(
    ("drop", "what"),
    [
        (lambda net, x: F.dropout(x), "dropout, rate 0.5"),
        (lambda net, x: F.dropout(x, 0.2), "dropout, rate 0.2"),
        (lambda net, x: F.dropout(x, p=0.2, training=True), "dropout, rate 0.2"),
        (lambda net, x: F.alpha_dropout(x, 0.2, True), "alpha_dropout, rate 0.2"),
        (lambda net, x: attend(net, x, 0.1), "scaled_dot_product_attention, rate 0.1"),
        (lambda net, x: attend(net, x, 0.1, named=False), "scaled_dot_product_attention, rate 0.1"),
    ],
)
def test_what_is_dropped_in_evaluation_is_named_with_its_line(drop, what):
    (finding,) = found(drop)
    assert finding.startswith(f"dropout-in-evaluation {what}, in line ")
    assert finding.endswith(" of test_dropout_pytorch.py")


@pytest.mark.parametrize(
    "drop",
    [
        lambda net, x: F.dropout(x, 0.2, net.training),
        lambda net, x: F.dropout(x, 0.0),
        lambda net, x: attend(net, x, 0.1 if net.training else 0.0),
        lambda net, x: attend(net, x, 0.0, named=False),
        lambda net, x: nn.Dropout(0.2).train(net.training)(x),
    ],
)
def test_dropout_that_follows_the_mode_is_healthy(drop):
    assert not found(drop)
