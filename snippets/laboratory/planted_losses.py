"""Healthy networks whose loss does not get what it needs: targets, order, index, shift or sign are wrong."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional as F

from snippets.laboratory.healthy_models import CLASSES, Case

BATCH = 32


def network(units: int = CLASSES, *last: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, units), *last)


class Text(nn.Module):
    """A GRU over tokens, which guesses a token at each place; with `both`, it reads backward too."""

    def __init__(self, both: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.rnn = nn.GRU(32, 32, batch_first=True, bidirectional=both)
        self.head = nn.Linear(32 * (1 + both), 50)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(tokens))[0])


class Attention(nn.Module):
    """Weights of a softmax over `axis` of (examples, heads, queries, keys), times values."""

    def __init__(self, axis: int, classes: int = CLASSES) -> None:
        super().__init__()
        self.axis = axis
        self.mixed, self.head = nn.Linear(16, 48), nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.mixed(x).chunk(3, 2)
        query, key, value = (
            part.unflatten(2, (2, 8)).transpose(1, 2) for part in parts
        )
        weights = F.softmax(query @ key.transpose(2, 3) / 8**0.5, dim=self.axis)
        weights = F.dropout(weights, 0.1, self.training)
        return self.head((weights @ value).transpose(1, 2).flatten(2).mean(1))


class Residual(nn.Module):
    """A branch that starts with a ReLU, beside a skip connection."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(inplace=inplace),
            nn.Linear(128, 128),
            nn.ReLU(),
            nn.Linear(128, 128),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def residual(inplace: bool) -> nn.Sequential:
    blocks = (Residual(inplace) for _ in range(2))
    return nn.Sequential(nn.Linear(64, 128), *blocks, nn.Linear(128, CLASSES))


def bootstrapped(values: Tensor, rewards: Tensor, cut: bool = False) -> Tensor:
    """Each value against the reward and the value of the state after it."""
    after = values[1:].detach() if cut else values[1:]
    return F.mse_loss(values[:-1], rewards[:-1] + 0.9 * after)


def each_token(output: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, 1), targets.flatten())


def shifted(output: Tensor, targets: Tensor) -> Tensor:
    """Each output against the token that comes after its place."""
    return each_token(output[:, :-1], targets[:, 1:])


def of_all(values: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
    """`values[:, actions]` is (examples, examples): the actions of all for each."""
    actions, returns = targets
    return (values[:, actions] - returns).square().mean()


def of_each(values: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
    actions, returns = targets
    return (values.gather(1, actions[:, None])[:, 0] - returns).square().mean()


def rewarded(output: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
    """What a policy gradient makes larger."""
    actions, returns = targets
    return (Categorical(logits=output).log_prob(actions) * returns).mean()


def actor_critic(
    output: Tensor, targets: tuple[Tensor, Tensor], cut: bool = False
) -> Tensor:
    """The last output is the value of the state, the others are logits."""
    actions, returns = targets
    values = output[:, -1]
    advantage = returns - values
    weights = advantage.detach() if cut else advantage
    policy = Categorical(logits=output[:, :-1]).log_prob(actions)
    return advantage.square().mean() - (policy * weights).mean()


def _case(model: nn.Module, targets: object, loss) -> Case:
    return Case(model, (torch.randn(BATCH, 64), targets), loss)


def _classes() -> Tensor:
    return torch.randint(CLASSES, (BATCH,))


def _acted() -> tuple[Tensor, Tensor]:
    return _classes(), torch.rand(BATCH)


def signs_as_labels() -> Case:
    signs = 2.0 * torch.randint(2, (BATCH, CLASSES)) - 1
    return _case(network(), signs, nn.MultiLabelSoftMarginLoss())


def bce_of_logits() -> Case:
    labels = torch.randint(2, (BATCH, 1)).float()
    return _case(network(1), labels, nn.BCELoss())


def tanh_last() -> Case:
    return _case(network(CLASSES, nn.Tanh()), _classes(), nn.CrossEntropyLoss())


def overlap(output: Tensor, targets: Tensor) -> Tensor:
    """The loss of Dice."""
    both = 2 * (output * targets).sum(1)
    return (1 - (both + 1) / (output.sum(1) + targets.sum(1) + 1)).mean()


class Heads(nn.Module):
    """Two outputs of one trunk."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(width, 128), nn.ReLU())
        self.one, self.other = nn.Linear(128, 1), nn.Linear(128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(x)
        return self.one(hidden), self.other(hidden)


def summed(
    output: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor], weight: float = 1.0
) -> Tensor:
    """The errors of both outputs."""
    one, other = (F.mse_loss(*pair) for pair in zip(output, targets, strict=True))
    return one + weight * other


def meters_and_millimeters() -> Case:
    targets = torch.randn(BATCH, 1) / 100, torch.randn(BATCH, 1)
    return _case(Heads(), targets, summed)


def overlap_of_logits() -> Case:
    targets = (torch.rand(BATCH, 64) < 0.3).float()
    return _case(network(64), targets, overlap)


def rate_as_logarithm() -> Case:
    counts = torch.poisson(torch.full((BATCH, 1), 0.5))
    return _case(network(1, nn.Softplus()), counts, nn.PoissonNLLLoss())


def sigmoid_last() -> Case:
    return _case(network(CLASSES, nn.Sigmoid()), _classes(), nn.CrossEntropyLoss())


def swapped_arguments() -> Case:
    targets = F.one_hot(_classes(), CLASSES).float()
    return _case(network(), targets, lambda output, y: F.cross_entropy(y, output))


def actions_of_all() -> Case:
    return _case(network(), _acted(), of_all)


def policy_that_gets_worse() -> Case:
    return _case(network(), _acted(), rewarded)


def target_with_gradient() -> Case:
    return _case(network(1), torch.randn(BATCH, 1), bootstrapped)


def advantage_with_gradient() -> Case:
    return _case(network(CLASSES + 1), _acted(), actor_critic)


class Views(nn.Module):
    """Two halves of each example, encoded alike, and a guess of each from the other."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16), nn.Tanh()
        )
        self.guess = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        one, other = self.encoder(x[:, :32]), self.encoder(x[:, 32:])
        return self.guess(one), self.guess(other), one, other


def compared(output: tuple[Tensor, ...], _: object, cut: bool = False) -> Tensor:
    """Each guess against the code of the other half."""
    *guesses, one, other = output
    one, other = (part.detach() if cut else part for part in (one, other))
    return F.mse_loss(guesses[0], other) + F.mse_loss(guesses[1], one)


def nothing_cut() -> Case:
    return _case(Views(), _classes(), compared)


def deviation(log_variance: Tensor) -> Tensor:
    return (0.5 * log_variance).exp()


class Variational(nn.Module):
    """An autoencoder whose codes are drawn, with a deviation from the last output."""

    def __init__(self, spread: Callable[[Tensor], Tensor] = deviation) -> None:
        super().__init__()
        self.spread = spread
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(64, 8), nn.Linear(64, 8)
        self.decoder = network(64)
        self.decoder[0] = nn.Linear(8, 128)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        code = mean + self.spread(log_variance) * torch.randn_like(mean)
        return self.decoder(code), mean, log_variance


def evidence(
    output: tuple[Tensor, Tensor, Tensor], x: Tensor, sign: float = 1.0
) -> Tensor:
    """The squared error of an autoencoder, plus the divergence of its codes."""
    made, mean, log_variance = output
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
    return (made - x).square().sum(1).mean() + sign * divergence.mean()


def _coded(model: nn.Module, loss) -> Case:
    x = torch.randn(BATCH, 8) @ torch.randn(8, 64)
    return Case(model, (x, x), loss)


def divergence_with_a_minus() -> Case:
    return _coded(Variational(), lambda output, x: evidence(output, x, -1.0))


def logarithm_for_a_deviation() -> Case:
    return _coded(Variational(lambda log_variance: log_variance), evidence)


class Spoken(nn.Module):
    """Of each step of a sequence, the log-probabilities of 6 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(16, 32, batch_first=True), nn.Linear(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.head(self.rnn(x)[0]), -1)


def connectionist(output: Tensor, labels: Tensor, blank: int = 0) -> Tensor:
    steps, lengths = (
        torch.full((len(part),), part.shape[1]) for part in (output, labels)
    )
    return F.ctc_loss(output.transpose(0, 1), labels, steps, lengths, blank=blank)


def labels_with_the_blank() -> Case:
    labels = torch.arange(4).repeat(BATCH, 1) + torch.randint(2, (BATCH, 1))
    sequences = F.one_hot(labels.repeat_interleave(3, 1), 16).float()
    return Case(Spoken(), (sequences, labels), connectionist)


def overwritten_skip() -> Case:
    return _case(residual(inplace=True), _classes(), nn.CrossEntropyLoss())


def next_word_not_shifted() -> Case:
    text = torch.randint(50, (16, 12))
    return Case(Text(), (text, text), each_token)


def next_word_from_both_sides() -> Case:
    text = torch.randint(50, (16, 12))
    return Case(Text(both=True), (text[:, :-1], text[:, 1:]), each_token)


def attention_over_queries() -> Case:
    sequences = torch.randn(BATCH, 9, 16)
    return Case(Attention(2), (sequences, _classes()), nn.CrossEntropyLoss())


def frozen() -> Case:
    model = network().requires_grad_(False)
    return _case(model, _classes(), nn.CrossEntropyLoss())
