"""Programs as today's libraries write them, in PyTorch, none of which has a fault."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn import functional as F

from tests.diagnostics.reports.pytorch import network

X, WORDS = (32, 20), (16, 12)


def image_net(*last: nn.Module) -> nn.Sequential:
    convolved = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1)]
    return nn.Sequential(*convolved, nn.ReLU(), *last)


def supervised_contrast(output: Tensor, y: Tensor) -> Tensor:
    z = F.normalize(output, dim=1)
    apart = ~torch.eye(len(z), dtype=torch.bool)
    scores = (z @ z.T / 0.1).masked_fill(~apart, -1e9)
    same = (y[:, None] == y) & apart
    return -(scores.log_softmax(1) * same).sum(1).div(same.sum(1).clamp(min=1)).mean()


def two_views(output: Tensor, _: Tensor) -> Tensor:
    z = F.normalize(output, dim=1)
    scores = (z @ z.T / 0.5).masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
    return F.cross_entropy(scores, torch.arange(len(z)).roll(len(z) // 2))


def triplets(output: Tensor, y: Tensor) -> Tensor:
    return F.triplet_margin_loss(output[::3][:10], output[1::3][:10], output[2::3][:10])


def connectionist(output: Tensor, y: Tensor) -> Tensor:
    steps = output.log_softmax(2).transpose(0, 1)
    return F.ctc_loss(steps, y, torch.full((len(y),), len(steps)), torch.full((len(y),), y.shape[1]))


def q_learning(target: nn.Module) -> Callable[..., Tensor]:
    def loss(output: Tensor, given: tuple[Tensor, ...]) -> Tensor:
        actions, rewards, after = given
        with torch.no_grad():
            best = target(after).max(1).values
        return F.smooth_l1_loss(output.gather(1, actions[:, None])[:, 0], rewards + 0.99 * best)

    return loss


def proximal_policy(output: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    actions, old, advantage = given
    policy = Categorical(logits=output)
    ratio = (policy.log_prob(actions) - old).exp()
    worse = torch.max(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2))
    return worse.mean() - 0.01 * policy.entropy().mean()


def reinforce(output: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    actions, _, advantage = given
    return -(Categorical(logits=output).log_prob(actions) * advantage).mean()


class Variational(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = network(20, 64, 16), network(8, 64, 20)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, logvar = self.encoder(x).chunk(2, 1)
        return self.decoder(mean + torch.randn_like(mean) * (logvar / 2).exp()), mean, logvar


def evidence(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    made, mean, logvar = output
    return F.mse_loss(made, x) - 0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1).mean()


def fooled(critic: nn.Module) -> Callable[..., Tensor]:
    def loss(output: Tensor, _: Tensor) -> Tensor:
        scores = critic(output)
        return F.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))

    return loss


def wasserstein(critic: nn.Module) -> Callable[..., Tensor]:
    def loss(output: Tensor, x: Tensor) -> Tensor:
        mixed = (x + 0.1 * torch.randn_like(x)).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        return output.mean() + 10 * ((slope.norm(dim=1) - 1) ** 2).mean()

    return loss


def mixture(output: Tensor, y: Tensor) -> Tensor:
    weight, mean, scale = output.chunk(3, 1)
    return -(weight.log_softmax(1) + Normal(mean, scale.exp()).log_prob(y)).logsumexp(1).mean()


def quantiles(output: Tensor, y: Tensor) -> Tensor:
    wanted = torch.tensor([0.1, 0.5, 0.9])
    apart = y - output
    return torch.max(wanted * apart, (wanted - 1) * apart).mean()


def focal(output: Tensor, y: Tensor) -> Tensor:
    cost = F.binary_cross_entropy_with_logits(output, y, reduction="none")
    right = torch.exp(-cost)
    return ((1 - right) ** 2 * cost).mean()


def dice(output: Tensor, y: Tensor) -> Tensor:
    shown = output.softmax(1)[:, 1]
    return 1 - (2 * (shown * y).sum((1, 2)) + 1).div(shown.sum((1, 2)) + y.sum((1, 2)) + 1).mean()


def distilled(teacher: nn.Module) -> Callable[..., Tensor]:
    def loss(output: Tensor, given: tuple[Tensor, Tensor]) -> Tensor:
        x, y = given
        with torch.no_grad():
            wanted = (teacher(x) / 2).softmax(1)
        near = F.kl_div((output / 2).log_softmax(1), wanted, reduction="batchmean")
        return 4 * near + F.cross_entropy(output, y)

    return loss


class LinearAttention(nn.Module):
    """Softmax over the features of the queries and over the steps of the keys."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(16, 48), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.inner(x).chunk(3, -1)
        context = key.softmax(1).transpose(1, 2) @ value
        return self.head((query.softmax(-1) @ context).mean(1))


class Slots(nn.Module):
    """Slots compete for the inputs, and each takes a weighted mean of those that it got."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.key, self.value = nn.Parameter(torch.randn(5, 16)), nn.Linear(16, 16), nn.Linear(16, 16)
        self.cell, self.head = nn.GRUCell(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        key, value = self.key(x), self.value(x)
        slots = self.start.expand(len(x), -1, -1)
        for _ in range(2):
            weights = (slots @ key.transpose(1, 2) / 4).softmax(1) + 1e-8
            taken = (weights / weights.sum(2, keepdim=True)) @ value
            slots = self.cell(taken.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
        return self.head(slots.mean(1))


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(50, 32), nn.Linear(32, 50)
        self.body = nn.Transformer(32, 4, 1, 1, 64, batch_first=True, norm_first=True)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.out(self.body(self.words(source), self.words(target), tgt_mask=mask, tgt_is_causal=True))


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(20, 4)
        self.experts = nn.ModuleList(network(20, 32, 4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        best = self.gate(x).softmax(1).topk(2, 1)
        made = torch.stack([expert(x) for expert in self.experts], 1)
        return (made.gather(1, best.indices[..., None].expand(-1, -1, 4)) * best.values[..., None]).sum(1)


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = network(20, 64, 16)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return (self.tower(one) - self.tower(other)).square().sum(1).add(1e-8).sqrt()


class Radiance(nn.Module):
    """Coordinates as sines, density by softplus, color by a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = network(24, 64, 64), nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        waves = torch.cat([part for k in range(4) for part in (torch.sin(2**k * x), torch.cos(2**k * x))], 1)
        made = self.head(self.body(waves).relu())
        return made[:, :3].sigmoid() * (1 - torch.exp(-F.softplus(made[:, 3:])))


class Soft(nn.Module):
    """The policy of a soft actor-critic, with the entropy of its squashed actions."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.critic = network(20, 64, 8), network(24, 64, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean, scale = self.body(x).chunk(2, 1)
        policy = Normal(mean, scale.clamp(-5, 2).exp())
        raw = policy.rsample()
        cost = policy.log_prob(raw).sum(1) - (2 * (math.log(2) - raw - F.softplus(-2 * raw))).sum(1)
        return 0.2 * cost - self.critic(torch.cat([x, raw.tanh()], 1))[:, 0]


def preferred(reference: nn.Module) -> Callable[..., Tensor]:
    """Direct preference optimization on single decisions."""

    def loss(output: Tensor, given: tuple[Tensor, ...]) -> Tensor:
        x, chosen, rejected = given
        own, old = output.log_softmax(1), reference(x).log_softmax(1).detach()
        apart = (own - old).gather(1, chosen[:, None]) - (own - old).gather(1, rejected[:, None])
        return -F.logsigmoid(0.1 * apart).mean()

    return loss


def cases() -> dict[str, Callable[[], tuple[Any, ...]]]:
    def x() -> Tensor:
        return torch.randn(*X)

    def y(classes: int = 4) -> Tensor:
        return torch.randint(classes, (32,))

    def words() -> Tensor:
        return torch.randint(50, WORDS)

    def twin(model: nn.Module, make: Callable[[nn.Module], Any]) -> tuple[nn.Module, Any]:
        return model, make(copy.deepcopy(model).requires_grad_(False))

    def acted() -> tuple[Tensor, ...]:
        return y(), -torch.rand(32) - 1, torch.randn(32)

    def with_teacher() -> tuple[Any, ...]:
        student, loss = twin(network(20, 64, 4), distilled)
        given = x()
        return student, (given, (given, y())), loss

    def with_target() -> tuple[Any, ...]:
        policy, loss = twin(network(20, 64, 4), q_learning)
        return policy, (x(), (y(), torch.randn(32), x())), loss

    def with_reference() -> tuple[Any, ...]:
        policy, loss = twin(network(20, 64, 4), preferred)
        given = x()
        return policy, (given, (given, y(), y())), loss

    def critic() -> tuple[Any, ...]:
        model, given = network(20, 64, 1), x()
        return model, (given, given), wasserstein(model)

    def pictures() -> Tensor:
        return torch.randn(8, 3, 16, 16)

    def ranked(o: Tensor, t: Tensor) -> Tensor:
        return F.softplus(-(o - o[:, None]) * (t - t[:, None]).sign()).mean()

    def siamese(o: Tensor, t: Tensor) -> Tensor:
        return (t * o.square() + (1 - t) * F.relu(1 - o).square()).mean()

    return {
        "supervised contrast": lambda: (network(20, 64, 16), (x(), y()), supervised_contrast),
        "contrast of two views": lambda: (network(20, 64, 16), (x(), y()), two_views),
        "triplets": lambda: (network(20, 64, 16), (x(), y()), triplets),
        "CTC": lambda: (network(20, 64, 6), (torch.randn(8, 15, 20), torch.randint(1, 6, (8, 4))), connectionist),
        "deep Q-learning": with_target,
        "PPO": lambda: (network(20, 64, 4), (x(), acted()), proximal_policy),
        "REINFORCE": lambda: (network(20, 64, 4), (x(), acted()), reinforce),
        "soft actor-critic": lambda: (Soft(), (x(), y()), lambda o, _: o.mean()),
        "preferences": with_reference,
        "VAE": lambda: (Variational(), (given := x(), given), evidence),
        "generator of a GAN": lambda: (
            nn.Sequential(network(20, 64, 30), nn.Tanh()),
            (x(), x()),
            fooled(network(30, 64, 1).requires_grad_(False)),
        ),
        "critic with a gradient penalty": critic,
        "mixture density": lambda: (network(20, 64, 15), (x(), torch.randn(32, 1)), mixture),
        "quantiles": lambda: (network(20, 64, 3), (x(), torch.randn(32, 1)), quantiles),
        "focal loss": lambda: (network(20, 64, 4), (x(), torch.randint(2, (32, 4)).float()), focal),
        "dice": lambda: (
            image_net(nn.Upsample(scale_factor=2), nn.Conv2d(32, 2, 1)),
            (pictures(), torch.randint(2, (8, 16, 16)).float()),
            dice,
        ),
        "distillation": with_teacher,
        "linear attention": lambda: (LinearAttention(), (torch.randn(32, 9, 16), y()), F.cross_entropy),
        "slot attention": lambda: (Slots(), (torch.randn(32, 9, 16), y()), F.cross_entropy),
        "translator": lambda: (
            Translator(),
            ((words(), (text := words())[:, :-1]), text[:, 1:]),
            lambda o, t: F.cross_entropy(o.flatten(0, 1), t.flatten()),
        ),
        "experts": lambda: (Experts(), (x(), y()), F.cross_entropy),
        "siamese": lambda: (Siamese(), ((x(), x()), torch.randint(2, (32,)).float()), siamese),
        "radiance field": lambda: (Radiance(), (torch.rand(64, 3) * 2 - 1, torch.rand(64, 3)), F.mse_loss),
        "ranking": lambda: (nn.Sequential(network(20, 64, 1), nn.Flatten(0)), (x(), torch.randn(32)), ranked),
        "Gaussian likelihood": lambda: (
            network(20, 64, 2),
            (x(), torch.randn(32)),
            lambda o, t: F.gaussian_nll_loss(o[:, 0], t, o[:, 1].exp()),
        ),
        "counts": lambda: (
            nn.Sequential(network(20, 64, 1), nn.Flatten(0)),
            (x(), torch.poisson(torch.full((32,), 2.0))),
            F.poisson_nll_loss,
        ),
        "log-softmax and cross-entropy": lambda: (
            nn.Sequential(network(20, 64, 4), nn.LogSoftmax(1)),
            (x(), y()),
            F.cross_entropy,
        ),
        "sigmoids and many labels": lambda: (
            nn.Sequential(network(20, 64, 4), nn.Sigmoid()),
            (x(), torch.randint(2, (32, 4)).float()),
            F.binary_cross_entropy,
        ),
    }
