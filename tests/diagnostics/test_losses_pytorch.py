"""What the loss gets, in PyTorch: each planted fault is named, and the same with its cure, and healthy ones near it,
give no fault."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn import functional as F

from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.planted_losses import (
    Attention,
    Heads,
    Residual,
    Spoken,
    Text,
    Variational,
    bootstrapped,
    each_token,
    evidence,
    overlap,
    summed,
)
from snippets.laboratory.planted_losses import shifted as shifted_again

LOGITS = F.binary_cross_entropy_with_logits


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def network(units: int = 4, *last: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, units), *last)


class Several(nn.Module):
    """A language model that takes its tokens and a mask."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, text: tuple[Tensor, Tensor]) -> Tensor:
        return self.model(text[0])


def log_probability(output: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
    return Categorical(logits=output).log_prob(targets[0])


def advantage(values: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
    """As in an actor-critic whose critic returns (examples, 1): the advantage is a square."""
    output, returns = values[:, :1], targets[1]
    return (log_probability(values, targets) * (returns - output.detach())).mean() + F.mse_loss(output[:, 0], returns)


class Crossed(nn.Module):
    """An attention written by einsum."""

    def __init__(self, axis: int, equation: str = "bhqk,bhkd->bhqd") -> None:
        super().__init__()
        self.axis, self.equation = axis, equation
        self.mixed, self.head = nn.Linear(16, 48), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.mixed(x).unflatten(2, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        weights = (torch.einsum("bhqd,bhkd->bhqk", query, key) / 8**0.5).softmax(self.axis)
        return self.head(torch.einsum(self.equation, weights, value).transpose(1, 2).flatten(2).mean(1))


class Centers(nn.Module):
    """Soft assignments to eight centers, and a sum over all places, as NetVLAD has them."""

    def __init__(self) -> None:
        super().__init__()
        self.centers, self.head = nn.Conv1d(16, 8, 1), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.centers(x.transpose(1, 2)).softmax(1).bmm(x).flatten(1))


def q_learning(model: nn.Module, cut: bool) -> object:
    """One network for the value and its target, as no reference network is kept."""
    after, done = torch.randn(32, 20), (torch.rand(32) < 0.1).float()

    def loss(values: Tensor, acted: tuple[Tensor, Tensor]) -> Tensor:
        best = torch.min(model(after), model(after)).max(1).values
        best = best.detach() if cut else best
        chosen = values.gather(1, acted[0][:, None])[:, 0]
        return F.smooth_l1_loss(chosen, acted[1] + 0.99 * best * (1 - done))

    return loss


def steps_back(values: Tensor, rewards: Tensor) -> Tensor:
    """Returns of many steps, from the value of the last state."""
    after, found = values[-1], []
    for place in reversed(range(len(rewards) - 1)):
        after = rewards[place] + 0.99 * after * float(place != 7)
        found.insert(0, after)
    return (torch.stack(found) - values[:-1]).pow(2).mean()


def aligned(output: Tensor, labels: Tensor, padded: bool = False) -> Tensor:
    """Eight texts of four steps, of which two letters are read; the last step may be padding."""
    steps = output.unflatten(0, (4, 8))
    steps = torch.cat([steps[:3], 0 * steps[3:]]) if padded else steps
    letters = labels[:16].reshape(8, 2) % 3 + 1
    return F.ctc_loss(steps, letters, torch.full((8,), 3 if padded else 4), torch.full((8,), 1))


class Actor(nn.Module):
    """Two heads on one trunk: logits of the actions, and the value of the state."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(20, 64), nn.Tanh())
        self.actor, self.critic = nn.Linear(64, 4), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(x)
        return self.actor(hidden), self.critic(hidden)[:, 0]


def actor_critic(cut: bool, how: str = "", next_value: bool = False) -> object:
    """`how` the log-probability is written: that of a distribution, a cross-entropy, or the ratio of PPO."""
    old, later = -torch.rand(32), torch.randn(32, 20)

    def loss(output: tuple[Tensor, Tensor], acted: tuple[Tensor, Tensor]) -> Tensor:
        (logits, values), (actions, returns) = output, acted
        if next_value:
            returns = returns + 0.9 * (later @ torch.ones(20, 1, requires_grad=True))[:, 0]
        advantage = returns - values
        weights = advantage.detach() if cut else advantage
        policy = Categorical(logits=logits)
        log = policy.log_prob(actions)
        if how == "cross-entropy":
            log = -F.cross_entropy(logits, actions, reduction="none")
        elif how == "ratio":
            weights = (weights - weights.mean()) / (weights.std() + 1e-8)
            log = (log - old).exp()
        return advantage.square().mean() - (log * weights).mean() - 0.01 * policy.entropy().mean()

    return loss


def focal(logits: Tensor, labels: Tensor) -> Tensor:
    logs = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    return -((1 - logs.exp()) ** 2 * logs).mean()


def weighted_by_error(output: Tensor, targets: Tensor) -> Tensor:
    """The error of a probability is no advantage."""
    return -((targets - output.softmax(1)) * output.log_softmax(1)).mean()


def residual(block: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(20, 128), block, nn.Linear(128, 4))


class Series(nn.Module):
    """What comes next of two series, at each place."""

    def __init__(self, both: bool = False, said: int = 2) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, 16, batch_first=True, bidirectional=both)
        self.head = nn.Linear(32 if both else 16, said)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.rnn(series)[0])


class Changed(nn.Module):
    """A branch that changes its input and returns it: the sum adds its output."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def above(net: nn.Sequential) -> nn.Sequential:
    """All outputs start above 0, and need not stay there."""
    nn.init.constant_(net[-1].bias, 5.0)
    return net


DIVERGENCES = {
    "the logarithm of a variance": (torch.exp, lambda v: v),
    "the logarithm of a deviation": (lambda v: torch.exp(2 * v), lambda v: 2 * v, torch.exp),
    "a deviation": (lambda v: v.exp() ** 2, lambda v: 2 * v.exp().log(), torch.exp),
    "a variance": (F.softplus, lambda v: F.softplus(v).log()),
    "a deviation that is squared twice": (lambda v: F.softplus(v) ** 2, lambda v: torch.log(F.softplus(v).square())),
}
"""What the variance and its logarithm are of the last output; and the deviation, if another one than exp(v / 2)."""


class Reader(nn.Module):
    """A decoder that reads its tokens beside a text."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.decoder = Text(), Text()

    def forward(self, text: Tensor, tokens: Tensor) -> Tensor:
        return self.decoder(tokens) + self.text(text).mean(1, keepdim=True)


class Compared(nn.Module):
    """The codes of the halves of each example, of one network."""

    def __init__(self, twice: bool = True) -> None:
        super().__init__()
        self.encoder, self.twice = network(8), twice
        self.encoder[0] = nn.Linear(10, self.encoder[0].out_features)

    def forward(self, x: Tensor) -> object:
        if not self.twice:
            return self.encoder(x[:, :10])
        return {"codes": [self.encoder(half) for half in x.split(10, 1)]}


def comparison(of: Callable[[Tensor, Tensor], Tensor]) -> object:
    return lambda output, _: of(*output["codes"])


def spread(codes: Tensor) -> Tensor:
    """What VICReg keeps apart."""
    return F.relu(1 - (codes.var(0) + 1e-4).sqrt()).mean()


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """It has no value where all codes are one."""
    one, other = one - one.mean(0), other - other.mean(0)
    return -(one * other).sum() / (one.norm() * other.norm())


def told_apart(one: Tensor, other: Tensor) -> Tensor:
    """SimCLR's, halved."""
    logits = F.normalize(one) @ F.normalize(other).T / 0.1
    return F.cross_entropy(logits, torch.arange(len(one)))


def hardest(codes: Tensor, labels: Tensor) -> Tensor:
    """The triplet loss that stands at its margin where all codes are one."""
    apart, same = torch.cdist(codes, codes), labels[:, None] == labels
    return F.relu((apart * same).amax(1) - (apart + 9 * same).amin(1) + 0.5).mean()


def spoken(targets: Callable[[Tensor], tuple[Tensor, Tensor]], blank: int = 0) -> object:
    def loss(output: Tensor, labels: Tensor) -> Tensor:
        steps = torch.full((len(output),), output.shape[1])
        return F.ctc_loss(output.transpose(0, 1), *targets(labels)[:1], steps, targets(labels)[1], blank=blank)

    return loss


def padded(labels: Tensor) -> tuple[Tensor, Tensor]:
    return F.pad(labels, (0, 2)), torch.full((len(labels),), labels.shape[1])


def in_a_row(labels: Tensor) -> tuple[Tensor, Tensor]:
    return labels.flatten(), torch.full((len(labels),), labels.shape[1])


def gaussian(mean: Tensor, last: Tensor) -> Tensor:
    return torch.mean(last.exp() + mean**2 - 1 - last) / 2


def divergence(grown: Callable[[Tensor], Tensor], logarithm: Callable[[Tensor], Tensor], sign: float) -> object:
    """Of Gaussians, written in one of many ways; the last output gives the variance."""

    def loss(output: tuple[Tensor, ...], x: Tensor) -> Tensor:
        made, mean, last = output
        return F.mse_loss(made, x) + sign * torch.mean(grown(last) + mean * mean - 1.0 - logarithm(last)) / 2

    return loss


def cases() -> dict[str, tuple[str, nn.Module, object, object]]:
    """The code, or none; model, batch and loss."""
    x, classes, binary = torch.randn(32, 20), torch.randint(4, (32,)), torch.randint(2, (32, 1)).float()
    several_q = network()
    several, returns = torch.randint(2, (32, 4)).float(), torch.rand(32)
    hot, text = F.one_hot(classes, 4).float(), torch.randint(50, (16, 12))
    masked = text.where(torch.rand(16, 12) < 0.3, torch.tensor(-100))
    acted = classes, returns
    sigmoid, tanh = nn.Sigmoid(), nn.Tanh()
    wave = torch.sin(torch.arange(24) + 6 * torch.rand(16, 1))[..., None] + 0.1 * torch.randn(16, 24, 2)
    still = torch.randn(16, 1, 2).expand(16, 24, 2)
    pair = torch.randn(32, 2)
    columns, uneven = pair * torch.tensor([1, 0.01]), (pair[:, 1:] / 100, pair[:, :1])
    many, margin = nn.MultiLabelSoftMarginLoss(), nn.SoftMarginLoss()
    relative, crossed = nn.KLDivLoss(reduction="batchmean"), nn.CrossEntropyLoss()
    codes, signs, other = torch.randn(32, 64), torch.tensor([1.0, -1.0]).repeat(16), torch.randint(50, (16, 12))
    said, labels = torch.randn(16, 12, 16), torch.arange(4).repeat(16, 1)
    return {
        "labels -1 and 1, many labels": ("targets-outside", network(), (x, 2 * several - 1), many),
        "labels 0 and 1, many labels": ("", network(), (x, several), many),
        "labels -1 and 1, logits": ("targets-outside", network(1), (x, 2 * binary - 1), LOGITS),
        "labels 0 and 3, probabilities": ("targets-outside", network(1, sigmoid), (x, 3 * binary), nn.BCELoss()),
        "labels 0 and 1, probabilities": ("", network(1, sigmoid), (x, binary), nn.BCELoss()),
        "labels 0 and 1, margin": ("targets-outside", network(1), (x, binary), margin),
        "labels -1 and 1, margin": ("", network(1), (x, 2 * binary - 1), margin),
        "scores as targets": ("targets-outside", network(), (x, 5 * hot), crossed),
        "smoothed targets": ("", network(), (x, 0.9 * hot + 0.025), crossed),
        "counts below 0": ("targets-outside", network(1), (x, -binary), nn.PoissonNLLLoss()),
        "ranks 0 and 1": (
            "targets-outside",
            network(2),
            (x, binary),
            lambda output, y: F.margin_ranking_loss(output[:, :1], output[:, 1:], y),
        ),
        "logits without sigmoid": ("bce-without-sigmoid", network(1), (x, binary), nn.BCELoss()),
        "columns of 1 and 0.01": ("uneven-targets", network(2), (x, columns), nn.MSELoss()),
        "columns of 1 and 0.1": ("", network(2), (x, pair * torch.tensor([1, 0.1])), nn.MSELoss()),
        "columns of 1 and 0.01, of four examples": ("", network(2), (x[:4], columns[:4]), nn.L1Loss()),
        "a column and a constant": ("", network(2), (x, columns * torch.tensor([1.0, 0.0]) + 0.1), nn.HuberLoss()),
        "outputs of 1 and 0.01": ("uneven-targets", Heads(20), (x, uneven), summed),
        "outputs of 1 and 0.01 that are weighted": (
            "",
            Heads(20),
            (x, uneven),
            lambda o, y: summed(o, y, weight=100.0),
        ),
        "outputs of 1 and 1": ("", Heads(20), (x, pair.split(1, 1)), summed),
        "outputs of 1 and 0.01, and an error that is printed": (
            "uneven-targets",
            Heads(20),
            (x, uneven),
            lambda o, y: summed(o, y) + 0 * len(f"{F.l1_loss(o[0], y[0])}"),
        ),
        "each error of its own": (
            "",
            network(2),
            (x, columns),
            lambda o, y: (F.mse_loss(o, target=y, reduction="none") / y.var(0)).mean(),
        ),
        "an overlap of logits": ("overlap-of-logits", network(), (x, several), overlap),
        "an overlap of logits above 0": ("overlap-of-logits", above(network()), (x, several), overlap),
        "an overlap of classes": (
            "overlap-of-logits",
            network(),
            (x, several),
            lambda o, y: sum(overlap(o[:, [place]], y[:, [place]]) for place in range(4)),
        ),
        "an intersection over a union": (
            "overlap-of-logits",
            network(),
            (x, several),
            lambda o, y: 1 - (o * y).sum() / (o.sum() + y.sum() - (o * y).sum() + 1),
        ),
        "an overlap, weighed by its errors": (
            "overlap-of-logits",
            network(),
            (x, several),
            lambda o, y: (
                1 - (o * y).sum() / ((o * y).sum() + 0.7 * ((1 - o) * y).sum() + 0.3 * (o * (1 - y)).sum() + 1)
            ),
        ),
        "an overlap of probabilities": ("", network(4, nn.Sigmoid()), (x, several), overlap),
        "an overlap of probabilities in the loss": ("", network(), (x, several), lambda o, y: overlap(o.sigmoid(), y)),
        "an overlap with squares below": (
            "",
            network(),
            (x, several),
            lambda o, y: 1 - 2 * (o * y).sum() / (o.square().sum() + y.sum()),
        ),
        "a mean of absolute weights": (
            "",
            network(),
            (x, several),
            lambda o, y: (o * y).sum() / o.abs().sum(),
        ),
        "a correlation": (
            "",
            network(1),
            (x, returns[:, None]),
            lambda o, y: 1 - ((o - o.mean()) * (y - y.mean())).mean() / (o.std() * y.std()),
        ),
        "shares of a sum": (
            "",
            network(),
            (x, several),
            lambda o, y: (o / (5 + o.sum(1, keepdim=True)) - y).abs().mean(),
        ),
        "a rate in place of its logarithm": (
            "poisson-rate",
            network(1, nn.Softplus()),
            (x, binary),
            nn.PoissonNLLLoss(),
        ),
        "a logarithm in place of the rate": (
            "poisson-rate",
            network(1),
            (x, binary),
            nn.PoissonNLLLoss(log_input=False),
        ),
        "the logarithm of a rate": ("", network(1), (x, binary), nn.PoissonNLLLoss()),
        "a rate": ("", network(1, nn.Softplus()), (x, binary), nn.PoissonNLLLoss(log_input=False)),
        "tanh before probabilities": ("tanh-before-loss", network(1, tanh), (x, binary), nn.BCELoss()),
        "tanh before logits": ("tanh-before-loss", network(1, tanh), (x, binary), LOGITS),
        "tanh before classes": ("tanh-before-loss", network(4, tanh), (x, classes), crossed),
        "ReLU before logits": ("relu-before-loss", network(1, nn.ReLU()), (x, binary), LOGITS),
        "ReLU before many labels": ("relu-before-loss", network(4, nn.ReLU()), (x, several), many),
        "ReLU before probabilities": ("relu-before-loss", network(1, nn.ReLU()), (x, binary), nn.BCELoss()),
        "ReLU before log-probabilities": (
            "relu-before-loss",
            network(4, nn.ReLU(), nn.LogSoftmax(1)),
            (x, classes),
            nn.NLLLoss(),
        ),
        "ReLU before a policy": (
            "relu-before-loss",
            network(4, nn.ReLU()),
            (x, acted),
            lambda o, y: -(o.log_softmax(1).gather(1, y[0][:, None])[:, 0] * y[1]).mean(),
        ),
        "leaky ReLU before log-probabilities": (
            "",
            network(4, nn.LeakyReLU(), nn.LogSoftmax(1)),
            (x, classes),
            nn.NLLLoss(),
        ),
        "tanh before log-probabilities": (
            "tanh-before-loss",
            network(4, tanh, nn.LogSoftmax(1)),
            (x, classes),
            nn.NLLLoss(),
        ),
        "sigmoid before log-probabilities": (
            "sigmoid-before-categorical",
            network(4, sigmoid, nn.LogSoftmax(1)),
            (x, classes),
            nn.NLLLoss(),
        ),
        "scaled tanh before classes": ("", network(4, tanh), (x, classes), lambda o, y: F.cross_entropy(10 * o, y)),
        "tanh in a regression": ("", network(1, tanh), (x, binary - 0.5), nn.MSELoss()),
        "sigmoid before classes": ("sigmoid-before-categorical", network(4, sigmoid), (x, classes), crossed),
        "sigmoid before many labels": ("sigmoid-before-logits-loss", network(4, sigmoid), (x, several), many),
        "probabilities in a divergence": ("nll-without-log-softmax", network(4, nn.Softmax(1)), (x, hot), relative),
        "logits in a loss of alignments": ("nll-without-log-softmax", network(), (x, classes), aligned),
        "probabilities in a loss of alignments": (
            "nll-without-log-softmax",
            network(4, nn.Softmax(1)),
            (x, classes),
            aligned,
        ),
        "log-probabilities in a loss of alignments": (
            "",
            network(4, nn.LogSoftmax(1)),
            (x, classes),
            lambda o, y: aligned(o, y, padded=True),
        ),
        "log-probabilities in a divergence": ("", network(4, nn.LogSoftmax(1)), (x, hot), relative),
        "swapped, classes": ("swapped-arguments", network(), (x, hot), lambda o, y: F.cross_entropy(y, o)),
        "swapped, logits": ("swapped-arguments", network(1), (x, binary), lambda o, y: LOGITS(y, o)),
        "swapped, probabilities": (
            "swapped-arguments",
            network(1, nn.Sigmoid()),
            (x, binary),
            lambda o, y: F.binary_cross_entropy(y, o),
        ),
        "distillation": ("", network(), (x, hot), lambda o, y: F.cross_entropy(o, y.softmax(1))),
        "index of all": ("index-for-all", network(), (x, acted), lambda q, y: (q[:, y[0]] - y[1]).square().mean()),
        "index of all, selected": ("index-for-all", network(), (x, classes), lambda q, a: q.index_select(1, a).mean()),
        "index of each": (
            "",
            network(),
            (x, acted),
            lambda q, y: (q.gather(1, y[0][:, None])[:, 0] - y[1]).square().mean(),
        ),
        "columns in another order": (
            "",
            network(32),
            (x, returns),
            lambda q, _: q[:, torch.randperm(32)].square().mean(),
        ),
        "an advantage that is a square": ("broadcast-loss", network(), (x, acted), advantage),
        "pairs of targets": (
            "",
            network(1, nn.Flatten(0)),
            (x, returns),
            lambda o, y: F.softplus(-(o - o[:, None]) * (y - y[:, None]).sign()).mean(),
        ),
        "targets that are the inputs": ("unshifted-targets", Text(), (text, text), each_token),
        "targets that are the next tokens": ("", Text(), (text[:, :-1], text[:, 1:]), each_token),
        "an autoencoder of text": ("", Text(both=True), (text, text), each_token),
        "shifted twice": ("unshifted-targets", Text(), (text[:, :-1], text[:, 1:]), shifted_again),
        "shifted in the loss": ("", Text(), (text, text), shifted_again),
        "a masked model that sees the words": ("unshifted-targets", Text(both=True), (text, masked), each_token),
        "a masked model": ("", Text(both=True), (text.where(masked < 0, torch.tensor(0)), masked), each_token),
        "both directions": ("future-visible", Text(both=True), (text[:, :-1], text[:, 1:]), each_token),
        "both directions, several inputs": (
            "future-visible",
            Several(Text(both=True)),
            ({"text": (text[:, :-1], text[:, :-1] > 0)}, text[:, 1:]),
            each_token,
        ),
        "a series in both directions": ("future-visible", Series(both=True), (wave[:, :-1], wave[:, 1:]), nn.MSELoss()),
        "one of two series, in both directions": (
            "future-visible",
            Series(both=True, said=1),
            (wave[:, :-1], wave[:, 1:, :1]),
            nn.MSELoss(),
        ),
        "a series in one direction": ("", Series(), (wave[:, :-1], wave[:, 1:]), nn.MSELoss()),
        "an autoencoder of a series": ("", Series(both=True), (wave, wave), nn.MSELoss()),
        "a later part of a series": ("", Series(both=True), (wave[:, :12], wave[:, 12:]), nn.MSELoss()),
        "a series that stands still": ("", Series(both=True), (still[:, :-1], still[:, 1:]), nn.MSELoss()),
        "nothing to judge": (
            "",
            network(),
            (x, classes),
            lambda o, y: o.mean() + LOGITS(o[:0], several[:0]).nan_to_num(),
        ),
        "a policy that gets worse": (
            "policy-sign",
            network(),
            (x, acted),
            lambda o, y: (log_probability(o, y) * y[1]).mean(),
        ),
        "a policy": ("", network(), (x, acted), lambda o, y: -(log_probability(o, y) * y[1]).mean()),
        "a policy, negative weights": ("", network(), (x, acted), lambda o, y: (-y[1] * log_probability(o, y)).mean()),
        "a policy by cross-entropy": (
            "",
            network(),
            (x, acted),
            lambda o, y: (F.cross_entropy(o, y[0], reduction="none") * y[1]).mean(),
        ),
        "a policy by cross-entropy that gets worse": (
            "policy-sign",
            network(),
            (x, acted),
            lambda o, y: -(F.cross_entropy(o, y[0], reduction="none") * y[1]).mean(),
        ),
        "continuous actions that get worse": (
            "policy-sign",
            network(1, nn.Flatten(0)),
            (x, (torch.randn(32), returns)),
            lambda o, y: (Normal(o, 1.0).log_prob(y[0]) * y[1]).mean(),
        ),
        "a weighted regression": ("", network(1), (x, binary), lambda o, y: ((o - y) ** 2 * torch.rand(32, 1)).mean()),
        "a divergence by hand": (
            "",
            network(),
            (x, torch.randn(32, 4).softmax(1)),
            lambda o, y: (y * (y.log() - o.log_softmax(1))).sum(1).mean(),
        ),
        "attention over the queries": ("attention-axis", Attention(2, 4), (torch.randn(32, 9, 16), classes), crossed),
        "attention over the keys": ("", Attention(3, 4), (torch.randn(32, 9, 16), classes), crossed),
        "einsum over the queries": ("attention-axis", Crossed(2), (torch.randn(32, 9, 16), classes), crossed),
        "einsum over the keys": ("", Crossed(3), (torch.randn(32, 9, 16), classes), crossed),
        "einsum with dots": ("", Crossed(3, "...qk,...kd->...qd"), (torch.randn(32, 9, 16), classes), crossed),
        "soft assignments": ("", Centers(), (torch.randn(32, 9, 16), classes), crossed),
        "a target from the same network": ("target-with-gradient", several_q, (x, acted), q_learning(several_q, False)),
        "a target that is cut off": ("", several_q, (x, acted), q_learning(several_q, True)),
        "a target of the next values": ("target-with-gradient", network(1), (x, torch.randn(32, 1)), bootstrapped),
        "a target by hand": (
            "target-with-gradient",
            network(1, nn.Flatten(0)),
            (x, returns),
            lambda o, r: (torch.add(r[1:], o[1:], alpha=0.9) - o[:-1]).square().mean(),
        ),
        "returns of many steps": ("target-with-gradient", network(1, nn.Flatten(0)), (x, returns), steps_back),
        "differences of pairs": (
            "",
            network(1, nn.Flatten(0)),
            (x, returns),
            lambda o, y: ((y[1:] - y[:-1]) + o[:-1] - o[1:]).square().mean(),
        ),
        "a residual of boosting": (
            "",
            network(1, nn.Flatten(0)),
            (x, returns),
            lambda o, y: (y[1:] - 0.9 * o[1:] - o[:-1]).square().mean(),
        ),
        "a guess that is not cut off": (
            "target-with-gradient",
            network(),
            (x, classes),
            lambda o, _: F.cross_entropy(o, (o / 0.5).softmax(1)),
        ),
        "a guess": ("", network(), (x, classes), lambda o, _: F.cross_entropy(o, (o / 0.5).softmax(1).detach())),
        "a guess of another layer": (
            "",
            Heads(20),
            (x, uneven),
            lambda o, _: F.cross_entropy(o[0].T, o[1].T.softmax(1)),
        ),
        "two views": ("constant-is-best", network(), (x, returns), lambda o, _: F.mse_loss(o[:16], o[16:])),
        "a center that moves slowly": (
            "",
            network(),
            (x, returns),
            lambda o, _: (o - (0.1 * torch.ones(4) + 0.9 * o.mean(0))).square().mean(),
        ),
        "an advantage with a gradient": ("advantage-with-gradient", Actor(), (x, acted), actor_critic(False)),
        "an advantage that is cut off": ("", Actor(), (x, acted), actor_critic(True)),
        "an advantage times a cross-entropy": (
            "advantage-with-gradient",
            Actor(),
            (x, acted),
            actor_critic(False, "cross-entropy"),
        ),
        "an advantage in the loss of PPO": (
            "advantage-with-gradient",
            Actor(),
            (x, acted),
            actor_critic(False, "ratio"),
        ),
        "an advantage in the loss of PPO, cut off": ("", Actor(), (x, acted), actor_critic(True, "ratio")),
        "a difference with a gradient": (
            "advantage-with-gradient",
            Actor(),
            (x, acted),
            actor_critic(False, next_value=True),
        ),
        "a margin of two outputs": (
            "",
            network(),
            (x, classes),
            lambda o, _: -((o[:, 0] - o[:, 1]) * o.log_softmax(1)[:, 2]).mean(),
        ),
        "a focal loss": ("", network(), (x, classes), focal),
        "classes that are weighted by their error": ("", network(), (x, hot), weighted_by_error),
        "a focal loss of probabilities": (
            "softmax-before-cross-entropy",
            network(4, nn.Softmax(1)),
            (x, classes),
            focal,
        ),
        "probabilities as logits of a policy": (
            "softmax-before-cross-entropy",
            network(4, nn.Softmax(1)),
            (x, acted),
            lambda o, y: -(log_probability(o, y) * y[1]).mean(),
        ),
        "probabilities of a policy": (
            "",
            network(4, nn.Softmax(1)),
            (x, acted),
            lambda o, y: -(Categorical(probs=o).log_prob(y[0]) * y[1]).mean(),
        ),
        "a cross-entropy by hand": (
            "",
            network(),
            (x, hot),
            lambda o, y: -(y * o.log_softmax(1)).sum(1).mean(),
        ),
        "two softmaxes by hand": (
            "softmax-before-cross-entropy",
            network(4, nn.Softmax(1)),
            (x, hot),
            lambda o, y: -(y * F.log_softmax(o, 1)).sum(1).mean(),
        ),
        "a sigmoid before a softplus": (
            "sigmoid-before-logits-loss",
            network(1, sigmoid),
            (x, binary),
            lambda o, _: F.softplus(-o).mean(),
        ),
        "a softplus": ("", network(1), (x, binary), lambda o, _: F.softplus(-o).mean()),
        **{
            f"{name}, {'a minus' if sign < 0 else 'a plus'}": (
                "divergence-sign" if sign < 0 else "",
                Variational(*deviation),
                (codes, codes),
                divergence(grown, logarithm, sign),
            )
            for name, (grown, logarithm, *deviation) in DIVERGENCES.items()
            for sign in (1.0, -1.0)
        },
        **{
            f"a mean and a logarithm {how}, {'a minus' if sign < 0 else 'a plus'}": (
                "divergence-sign" if sign < 0 else "",
                network(),
                (x, x),
                lambda o, _, sign=sign, parts=parts: sign * gaussian(*parts(o)) + o.square().mean(),
            )
            for how, parts in (
                ("in one output", lambda o: o.chunk(2, 1)),
                ("in one output, cut by hand", lambda o: (o[:, :2], o[:, 2:])),
            )
            for sign in (1.0, -1.0)
        },
        "a divergence in a stack of losses": (
            "divergence-sign",
            Variational(),
            (codes, codes),
            lambda o, y: torch.stack([F.mse_loss(o[0], y), (1 + o[2] - o[1] ** 2 - o[2].exp()).mean()]).sum(),
        ),
        "a divergence that may not fall below a limit": (
            "",
            Variational(),
            (codes, codes),
            lambda o, y: F.mse_loss(o[0], y) - F.relu(o[2].exp() + o[1] ** 2 - 1 - o[2] - 0.1).mean(),
        ),
        "a divergence that is taken off by half": (
            "",
            Variational(),
            (codes, codes),
            lambda o, y: evidence(o, y) + evidence(o, y) - (o[2].exp() + o[1] ** 2 - o[2]).mean(),
        ),
        "a Poisson likelihood with a minus": ("", network(), (x, several), lambda o, y: (y * o - o.exp()).mean()),
        **{
            f"a deviation of {name} in the sample": (
                "" if fits else "sample-spread",
                Variational(deviation),
                (codes, codes),
                divergence(*DIVERGENCES[f"the logarithm of a {of}"][:2], 1.0),
            )
            for name, deviation, of, fits in (
                ("exp(x / 2), a variance of exp(x)", lambda x: (x / 2).exp(), "variance", True),
                (
                    "exp(x / 2) at several scales",
                    lambda x: (x * torch.linspace(0.9, 1.1, 8) / 2).exp(),
                    "variance",
                    True,
                ),
                ("sqrt(exp(x)), a variance of exp(x)", lambda x: x.exp().sqrt(), "variance", True),
                ("exp(x), a variance of exp(2 x)", torch.exp, "deviation", True),
                ("exp(x), a variance of exp(x)", torch.exp, "variance", False),
                ("x, a variance of exp(2 x)", lambda x: x, "deviation", False),
            )
        },
        "a deviation in the sample that nothing is known of": (
            "",
            Variational(lambda x: F.softplus(x.exp())),
            (codes, codes),
            divergence(*DIVERGENCES["the logarithm of a variance"][:2], 1.0),
        ),
        "noise on what no divergence reads": (
            "",
            Variational(lambda x: x),
            (codes, codes),
            lambda o, y: F.mse_loss(o[0], y) + o[1].square().mean(),
        ),
        "codes compared": ("constant-is-best", Compared(), (x, classes), comparison(F.mse_loss)),
        "codes compared by their angle": (
            "constant-is-best",
            Compared(),
            (x, classes),
            comparison(lambda a, b: -F.cosine_similarity(a, b).mean()),
        ),
        "pairs that all belong together": (
            "constant-is-best",
            Compared(),
            (x, torch.ones(32)),
            lambda o, y: F.cosine_embedding_loss(*o["codes"], y),
        ),
        "pairs of both kinds": ("", Compared(), (x, signs), lambda o, y: F.cosine_embedding_loss(*o["codes"], y)),
        "codes compared with what is cut off": (
            "",
            Compared(),
            (x, classes),
            comparison(lambda a, b: F.mse_loss(a, b.detach())),
        ),
        "codes in one output, one of them cut off in the loss": (
            "",
            network(),
            (x, classes),
            lambda o, _: F.mse_loss(o[:, :2], o[:, 2:].detach()),
        ),
        "codes in one batch, one of them cut off in the loss": (
            "",
            network(),
            (x, classes),
            lambda o, _: F.mse_loss(o[:16], o[16:].detach()),
        ),
        "codes compared, and kept apart": (
            "",
            Compared(),
            (x, classes),
            comparison(lambda a, b: F.mse_loss(a, b) + spread(a) + spread(b)),
        ),
        "codes compared with those of others": ("", Compared(), (x, classes), comparison(told_apart)),
        "codes that correlate": ("", Compared(), (x, classes), comparison(correlation)),
        "codes compared, by pairs of which one is larger": (
            "",
            Compared(),
            (x, classes),
            comparison(lambda a, b: F.relu(1 + (a - b).mean(1)).mean()),
        ),
        "a critic's two means": ("", Compared(), (x, classes), comparison(lambda a, b: a.mean() - b.mean())),
        "the hardest triplets": ("", Compared(False), (x, classes), hardest),
        "codes near a center": ("", Compared(False), (x, classes), lambda o, _: (o - 1).square().mean()),
        "an entropy": (
            "",
            Compared(False),
            (x, classes),
            lambda o, _: -(o.softmax(1) * o.log_softmax(1)).sum(1).mean(),
        ),
        "three examples compared": ("", Compared(), (x[:3], classes[:3]), comparison(F.mse_loss)),
        "CTC labels from 0, padded": ("blank-among-labels", Spoken(), (said, labels), spoken(padded)),
        "CTC labels from 0, in a row": ("blank-among-labels", Spoken(), (said, labels), spoken(in_a_row)),
        "CTC labels from 1, padded": ("", Spoken(), (said, labels + 1), spoken(padded)),
        "CTC labels from 1, in a row": ("", Spoken(), (said, labels + 1), spoken(in_a_row)),
        "CTC labels from 0, another blank": ("", Spoken(), (said, labels), spoken(in_a_row, blank=5)),
        "a decoder that reads its targets": ("unshifted-targets", Reader(), ((text, other), other), each_token),
        "a decoder": ("", Reader(), ((text, other[:, :-1]), other[:, 1:]), each_token),
        "a skip behind a ReLU in place": ("overwritten-input", residual(Residual(True)), (x, classes), crossed),
        "a skip behind a ReLU": ("", residual(Residual(False)), (x, classes), crossed),
        "a branch that is its input": ("", residual(Changed()), (x, classes), crossed),
    }


def faults(*checked: object) -> list[str]:
    return [finding.code for finding in check_model(*checked).findings if finding.level == "fault"]


@pytest.mark.parametrize("name", cases())
def test_what_the_loss_gets(name):
    code, *checked = cases()[name]
    assert [finding.code for finding in check_model(*checked).findings] == ([code] if code else [])


def test_the_tokens_are_no_labels_and_no_mask():
    """A model that gets all in a dictionary, labels first, and computes its loss itself."""

    class Own(Text):
        def forward(self, labels: Tensor, attention_mask: Tensor, input_ids: Tensor) -> dict[str, Tensor]:
            output = super().forward(input_ids)
            return {"loss": shifted_again(output, labels), "logits": output}

    text = torch.randint(50, (16, 12))
    batch = {"labels": text, "attention_mask": torch.ones(16, 12, dtype=int), "input_ids": text}
    assert not faults(Own(), batch)
    assert faults(Own(), batch | {"labels": text.roll(-1, 1)}) == ["unshifted-targets"]
