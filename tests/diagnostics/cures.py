"""For every planted fault, what its finding says to do, done."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from snippets.laboratory import planted_faults as planted
from snippets.laboratory import planted_losses as losses
from snippets.laboratory.healthy_models import TOKENS, Case, features
from snippets.laboratory.planted_faults import changed


def model(change: Callable[[nn.Module], nn.Module | None]) -> Callable[[Case], Case]:
    """A cure of the model, in place or by another one."""
    return lambda case: case._replace(model=change(case.model) or case.model)


def each(kind: type[nn.Module] | tuple, change: Callable[[nn.Module], object]) -> Callable[[Case], Case]:
    def done(net: nn.Module) -> None:
        changed(net, change, kind)

    return model(done)


def loss(fn: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Case], Case]:
    return lambda case: case._replace(loss=fn)


def targets(change: Callable[[Tensor], Tensor]) -> Callable[[Case], Case]:
    return lambda case: case._replace(batch=(case.batch[0], change(case.batch[1])))


def inputs(change: Callable[[Tensor], Tensor]) -> Callable[[Case], Case]:
    return lambda case: case._replace(batch=(change(case.batch[0]), case.batch[1]))


def standardized(x: Tensor) -> Tensor:
    return (x - x.mean()) / x.std()


def he(layer: nn.Module) -> None:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def xavier(layer: nn.Module) -> None:
    nn.init.xavier_normal_(layer.weight), nn.init.zeros_(layer.bias)


def zero_bias(layer: nn.Module) -> None:
    nn.init.zeros_(layer.bias)


def redraw(layer: nn.Module) -> None:
    layer.reset_parameters()


def activated(activation: Callable[[], nn.Module], old: type[nn.Module]) -> Callable[[Case], Case]:
    """Another activation, with its initialization."""

    def swap(net: nn.Sequential) -> nn.Sequential:
        return changed(nn.Sequential(*(activation() if isinstance(part, old) else part for part in net)), he)

    return model(swap)


def without_last(net: nn.Sequential) -> nn.Sequential:
    return net[:-1]


class Skipped(nn.Module):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def with_skips(net: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(*(Skipped(*net[i : i + 3]) for i in range(0, 150, 3)), nn.BatchNorm1d(64), net[-1])


def quiet_branches(net: nn.Module) -> None:
    """The last layer of every branch of a ResNet of transformers starts at zero."""
    for module in net.modules():
        if type(module).__name__ in ("ResNetBottleNeckLayer", "ResNetBasicLayer"):
            nn.init.zeros_(module.layer[-1].convolution.weight)


def quiet_residuals(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, planted.Residual):
            nn.init.zeros_(module.branch[-1].weight), nn.init.zeros_(module.branch[-1].bias)


def smaller_last(net: nn.Sequential) -> None:
    net[-1].weight.data /= 128**0.5


def smaller_scores(net: nn.Module) -> None:
    """softmax(q @ k.T / sqrt(d))."""
    net.query.weight.data /= 512**0.5


def with_words(change: Callable[[Tensor], Tensor]) -> Callable[[Case], Case]:
    return lambda case: case._replace(batch={name: change(words) for name, words in case.batch.items()})


def labels_from_zero(case: Case) -> Case:
    return case._replace(batch=case.batch | {"labels": (case.batch["labels"] - 1).clamp(min=0)})


class Whole(nn.Module):
    """Body and head of the planted model, as they were meant."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts[:-1]:
            x = part(x).relu()
        return self.parts[-1](x)


class Sum(nn.Module):
    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.other(x)


class Gated(nn.Module):
    """An LSTM whose forget gates start with a bias of 3, in place of the plain recurrent layer."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(12, 32, batch_first=True), net.head
        self.rnn.bias_ih_l0.data[32:64] = 3.0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Safe(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + (((x - x).square().sum(dim=1, keepdim=True)) + 1e-8).sqrt()


class Buffered(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.body = net.body
        self.register_buffer("table", torch.zeros(2**24 + 1))

    def forward(self, x: Tensor) -> Tensor:
        self.table[0] += 1
        return self.body(x)


def measured_anew(case: Case) -> Case:
    """Running statistics of batch normalization, from the batch itself."""
    with torch.no_grad():
        for module in case.model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 0.1
        for _ in range(60):
            case.model(case.batch[0])
    return case


def used(net: planted.Forgetful) -> nn.Module:
    return Sum(net.body, net.second)


def ones(layer: nn.Module) -> None:
    nn.init.ones_(layer.weight), nn.init.zeros_(layer.bias)


def tanh_and_orthogonal(net: planted.Last) -> nn.Module:
    return planted.Last(1.0)


linears = (nn.Linear, nn.Conv2d)

CURES: dict[str, Callable[[Case], Case]] = {
    "weights N(0, 0.01²), 10 ReLU layers": each(nn.Linear, he),
    "weights 4 times He's, 10 ReLU layers": each(nn.Linear, he),
    "weights N(0, 1), 5 tanh layers": each(nn.Linear, xavier),
    "10 sigmoid layers, default": activated(nn.ReLU, nn.Sigmoid),
    "20 ReLU layers, default": each(nn.Linear, he),
    "50 layers with batch norm, no skips": model(with_skips),
    "VGG without its batch norm, default": each(linears, he),
    "ResNet without its batch norm": model(quiet_branches),
    "20 residual blocks, nothing normalized": model(quiet_residuals),
    "biases −5 before ReLU": each(nn.Linear, zero_bias),
    "biases N(0, 300²)": each(nn.Linear, zero_bias),
    "weights zero": each(nn.Linear, he),
    "weights constant": each(nn.Linear, he),
    "one seed for every layer": each(nn.Linear, redraw),
    "attention without 1/√d": model(smaller_scores),
    "GPT-2 with weights N(0, 1)": model(lambda net: net.apply(lambda part: _small(part))),
    "last layer N(0, 1)": model(smaller_last),
    "softmax before cross-entropy": model(without_last),
    "sigmoid before BCEWithLogitsLoss": model(without_last),
    "ReLU after the last layer": model(without_last),
    "NLLLoss on logits": loss(nn.CrossEntropyLoss()),
    "mean square of (B, 1) and (B,)": targets(lambda y: y[:, None]),
    "targets near 20,000": targets(standardized),
    "ViT on pixels 0 to 255": inputs(standardized),
    "ResNet on a NaN": inputs(torch.nan_to_num),
    "BERT with labels from 1": labels_from_zero,
    "GPT-2 with unknown tokens": with_words(lambda words: words.clamp(max=TOKENS - 1)),
    "body detached from the head": model(lambda net: Whole(net.body, net.head)),
    "a branch forgotten in forward": model(used),
    "float16, weights 8 times He's": each(nn.Linear, he),
    # After it, the large weights are seen, and named: the second cure.
    "log(softmax) by hand, large logits": lambda case: each(nn.Linear, he)(loss(nn.CrossEntropyLoss())(case)),
    "norm of a zero vector": model(lambda net: nn.Sequential(net[0], Safe())),
    "ResNet with a NaN weight": each(linears, redraw),
    "a bias that nobody has drawn": each(nn.Linear, zero_bias),
    "one layer times 100": model(lambda net: he(net[4])),
    "layers in a plain list": model(lambda net: Whole(*net.hidden, net.head)),
    "softmax of one output": model(lambda net: nn.Sequential(*net[:-1], nn.Sigmoid())),
    "softmax over axis 0": model(lambda net: nn.Sequential(net[0], nn.Softmax(dim=1), net[2])),
    "ReLU, targets near −5": model(lambda net: net[0]),
    "a reshape in place of a transposition": model(lambda net: setattr(net, "proper", True)),
    "a mask the wrong way round": model(lambda net: setattr(net, "proper", True)),
    "5 linear layers, no activation": activated(nn.ReLU, nn.Identity),
    "ResNet, scales N(0, 0.02²) of its batch norm": each(nn.BatchNorm2d, ones),
    "40 steps, recurrent weights times 0.5": model(Gated),
    "40 steps of ReLU, recurrent weights times 2": model(tanh_and_orthogonal),
    "batch norm that lags behind, 10 steps": measured_anew,
    "trained for 10 steps": lambda case: case._replace(model=changed(case.model, redraw, (nn.Linear, nn.BatchNorm1d))),
    "a branch times 0": model(lambda net: Sum(net.body, net.branch)),
    "a traced model": lambda case: features(planted.he())._replace(batch=case.batch),
    "a large table that every pass changes": model(Buffered),
    "ResNet in evaluation mode": model(nn.Module.train),
    "dropout that is always on": model(lambda net: setattr(net, "asks", True)),
    "every weight frozen": model(lambda net: net.requires_grad_(True)),
    "labels −1 and 1 for MultiLabelSoftMarginLoss": targets(lambda y: (y + 1) / 2),
    "BCELoss on logits": loss(nn.BCEWithLogitsLoss()),
    "tanh before cross-entropy": model(without_last),
    "targets of 1 and 0.01, one sum": targets(lambda pair: tuple(part / part.std() for part in pair)),
    "Dice of logits": model(lambda net: nn.Sequential(net, nn.Sigmoid())),
    "softplus before PoissonNLLLoss": loss(nn.PoissonNLLLoss(log_input=False)),
    "sigmoid before cross-entropy": model(without_last),
    "cross-entropy with its arguments swapped": loss(nn.CrossEntropyLoss()),
    "values[:, actions]": loss(losses.of_each),
    "a policy gradient of the wrong sign": loss(lambda output, acted: -losses.rewarded(output, acted)),
    "next words that are not shifted": loss(losses.shifted),
    "next words, read from both sides": model(lambda net: losses.Text()),
    "softmax over the queries": model(lambda net: setattr(net, "axis", 3)),
    "a value's target with a gradient": loss(lambda values, rewards: losses.bootstrapped(values, rewards, cut=True)),
    "an advantage with a gradient": loss(lambda output, acted: losses.actor_critic(output, acted, cut=True)),
    "a network compared with itself": loss(lambda output, y: losses.compared(output, y, cut=True)),
    "a KL divergence with a minus": loss(losses.evidence),
    "a logarithm for a standard deviation": model(lambda net: setattr(net, "spread", losses.deviation)),
    "CTC labels from 0": loss(lambda output, labels: losses.connectionist(output, labels, blank=5)),
    "a skip connection behind a ReLU in place": each(nn.ReLU, lambda layer: setattr(layer, "inplace", False)),
}


def _small(part: nn.Module) -> None:
    if isinstance(getattr(part, "weight", None), Tensor) and part.weight.dim() > 1:
        nn.init.normal_(part.weight, 0.0, 0.02)


def trained(case: Case, steps: int = 40) -> tuple[float, float]:
    """First and last loss on the one batch; SGD for float16, where Adam's epsilon is 0, and Adam elsewhere."""
    net, given = copy.deepcopy(case.model), case.batch
    half = next(net.parameters()).dtype == torch.float16
    optimizer = torch.optim.SGD(net.parameters(), 0.05) if half else torch.optim.Adam(net.parameters(), 2e-3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = net(**given).loss if case.loss is None else case.loss(net(given[0]), given[1])
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses[0], losses[-1]
