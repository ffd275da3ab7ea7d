"""The plain training loop that every PyTorch experiment shares."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from snippets.laboratory.digits import Digits


def multilayer_perceptron(
    widths: list[int],
    activation: Callable[[], nn.Module],
    initialize: Callable[[Tensor], object],
) -> nn.Sequential:
    """Linear layers of the given widths with `activation` between them, none after the last.

    `initialize` fills each weight of shape (fan_out, fan_in) in place; biases start at zero.
    """
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        # The constructor would fill the weight from the global generator first.
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        initialize(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1])


def train(
    model: nn.Module,
    data: Digits,
    *,
    steps: int,
    learning_rate: float,
    seed: int,
    batch_size: int = 64,
    clip_norm: float = float("inf"),
    optimizer: type[torch.optim.Optimizer] = torch.optim.SGD,
    criterion: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
) -> list[float]:
    """Minimise `criterion` on the training digits and return the loss (nats of cross-entropy) of each step's batch.

    `criterion` takes logits, shape (B, 10), and labels, shape (B,), and gives a scalar.

    Batches are drawn with replacement from a generator seeded with `seed`. The global gradient norm is clipped
    to `clip_norm`. Training goes on through Inf and NaN, which the returned losses then show.
    """
    inputs, labels = (
        torch.from_numpy(data.train_inputs),
        torch.from_numpy(data.train_labels),
    )
    generator = torch.Generator().manual_seed(seed)
    update = optimizer(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        batch = torch.randint(len(inputs), (batch_size,), generator=generator)
        loss = criterion(model(inputs[batch]), labels[batch])
        update.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        update.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def accuracy_on_test_digits(model: nn.Module, data: Digits) -> float:
    """The fraction of the 360 test digits that the model classifies correctly; 0.1 for one that learned nothing."""
    predicted = model(torch.from_numpy(data.test_inputs)).argmax(dim=1)
    return (predicted == torch.from_numpy(data.test_labels)).double().mean().item()
