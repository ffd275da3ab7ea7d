"""Small models, batches and readings of a report that the tests of `check_model` share."""

import torch
from torch import nn


def codes(report) -> list[str]:
    return [finding.code for finding in report.findings]


def signals(report) -> list[str]:
    """Of a linear network, what is found beside that it is linear."""
    return [code for code in codes(report) if code != "linear-stack"]


def mlp(*activations: nn.Module, width: int = 64) -> nn.Sequential:
    """As many layers as activations; none follows the last layer, as logits want it."""
    return nn.Sequential(*[part for activation in activations for part in (nn.Linear(width, width), activation)][:-1])


def batch(examples: int = 32, width: int = 64):
    return torch.randn(examples, width), torch.randint(width, (examples,))


def mean(output, _=None):
    return output.mean()


cross_entropy = nn.CrossEntropyLoss()


class Called(nn.Module):
    def __init__(self, call) -> None:
        super().__init__()
        self.layer, self.call = nn.Linear(16, 16), call

    def forward(self, x):
        return self.call(self.layer(x))
