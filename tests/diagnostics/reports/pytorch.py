"""Programs of people whose network failed, in PyTorch, written anew after their public reports, and their cures."""

import copy
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional as F


class Report(NamedTuple):
    """`make(False)` is the program as reported, `make(True)` the cured one: what `check_model` takes."""

    source: str
    what: str
    codes: tuple[str, ...]
    """Findings that name the cause; none where one pass cannot know it."""
    make: Callable[[bool], tuple[Any, ...]]


def network(*widths: int) -> nn.Sequential:
    pairs = itertools.pairwise(widths)
    layers = [part for pair in pairs for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def actor_critic(cured: bool) -> tuple[Any, ...]:
    """The value has the shape (B, 1), the returns (B,): the advantage is a square."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.policy, self.value = network(8, 64, 64), nn.Linear(64, 4), nn.Linear(64, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            hidden = self.body(x).relu()
            return self.policy(hidden), self.value(hidden)

    def loss(output: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor]) -> Tensor:
        (logits, value), (actions, returns) = output, targets
        advantage = returns - (value.squeeze(-1) if cured else value).detach()
        chosen = logits.log_softmax(1)[torch.arange(len(logits)), actions]
        return F.mse_loss(value.squeeze(-1), returns) - (advantage * chosen).mean()

    return Net(), (torch.randn(128, 8), (torch.randint(4, (128,)), torch.randn(128))), loss


def soft_q(cured: bool) -> tuple[Any, ...]:
    """The log-probability is not added up over the six actions, and so is the target."""
    target = torch.randn(128, 6)
    return network(17, 64, 64, 1), (torch.randn(128, 17), target.sum(1, keepdim=True) if cured else target), F.mse_loss


class Bigrams(nn.Module):
    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.softmax, self.table, self.linear = softmax, nn.Embedding(65, 128), network(128, 128, 65)

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.linear(self.table(tokens))
        logits = logits.softmax(-1) if self.softmax else logits
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def llama(cured: bool) -> tuple[Any, ...]:
    text = torch.randint(65, (8, 17))
    return Bigrams(not cured), {"tokens": text[:, :-1], "targets": text[:, 1:]}


def question_answering(cured: bool) -> tuple[Any, ...]:
    """Attention weights of shape (steps * examples, 1), and a softmax over the last axis."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.attend = nn.LSTM(30, 32, bidirectional=True, batch_first=True), nn.Linear(64, 1)
            self.head = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            states, _ = self.rnn(x)
            scores = self.attend(states.tanh())
            weights = scores.softmax(1) if cured else scores.reshape(-1, 1).softmax(-1).view_as(scores)
            return self.head((weights * states).sum(1))

    return Net(), (torch.randn(32, 12, 30), torch.randint(10, (32,))), nn.CrossEntropyLoss()


def pooling(cured: bool) -> tuple[Any, ...]:
    """Attention pooling over (examples, 1, steps): a softmax over the axis of length one."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend, self.body, self.head = nn.Conv1d(24, 1, 1), nn.Conv1d(24, 64, 1), nn.Linear(64, 4)

        def forward(self, x: Tensor) -> Tensor:
            weights = F.softmax(self.attend(x), dim=2 if cured else 1)
            return self.head((self.body(x).relu() * weights).sum(2))

    return Net(), (torch.randn(32, 24, 4), torch.randn(32, 4)), nn.MSELoss()


def dot_attention(cured: bool) -> tuple[Any, ...]:
    """A softmax written for three axes runs over the queries of four."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(32, 96), nn.Linear(32, 10)

        def forward(self, x: Tensor) -> Tensor:
            parts = self.inner(x).view(len(x), -1, 3, 4, 8).permute(2, 0, 3, 1, 4)
            weights = torch.softmax(parts[0] @ parts[1].transpose(2, 3) / 8**0.5, dim=3 if cured else 2)
            return self.head(torch.matmul(weights, parts[2]).transpose(1, 2).flatten(2).mean(1))

    return Net(), (torch.randn(32, 11, 32), torch.randint(10, (32,))), nn.CrossEntropyLoss()


class Decoder(nn.Module):
    """Two layers of self-attention over tokens; `triangle` is the mask of the scores."""

    def __init__(self, mask: str, channels_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.mask, self.first = mask, channels_first
        self.words, self.places = nn.Embedding(40, 32), nn.Embedding(16, 32)
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(2))
        for part in self.layers[1].parameters():
            nn.init.normal_(part, 0.0, 0.1) if part.dim() > 1 else None
        self.head = nn.Linear(32, 40)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        ones = torch.ones(length, length, dtype=torch.bool)
        hidden = {"causal": ones.triu(1), "other way": ones.tril(-1), "none": ~ones}[self.mask]
        x = self.words(tokens) + self.places(torch.arange(length))
        for layer in self.layers:
            x = layer(x, src_mask=hidden)
        return self.head(x).transpose(1, 2) if self.first else self.head(x)


def images_as_tokens(cured: bool) -> tuple[Any, ...]:
    """The transformer is asked for token N from the tokens 0 to N inclusive."""
    text = torch.randint(40, (8, 16))
    loss = nn.CrossEntropyLoss()
    shifted = (lambda output, y: loss(output[:, :, :-1], y[:, 1:])) if cured else loss
    return Decoder("causal", channels_first=True), (text, text), shifted


def masked_images(cured: bool) -> tuple[Any, ...]:
    """The tokens themselves go into the transformer, not those with the mask."""
    text = torch.randint(39, (16, 16))
    hidden = torch.rand(16, 16) < 0.5
    labels = text.masked_fill(~hidden, -1)

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(output.transpose(1, 2), targets, ignore_index=-1)

    return Decoder("none"), (text.masked_fill(hidden, 39) if cured else text, labels), loss


def translation(cured: bool) -> tuple[Any, ...]:
    """The triangle of the mask is the wrong one: the decoder reads what it is to write."""
    text = torch.randint(40, (8, 17))
    model = Decoder("causal" if cured else "other way")
    return model, (text[:, :-1], text[:, 1:]), lambda o, y: F.cross_entropy(o.flatten(0, 1), y.flatten())


def gradient_penalty(cured: bool) -> tuple[Any, ...]:
    """The norm of a gradient that is zero: a root without slope."""
    critic = network(16, 64, 1)
    nn.init.zeros_(critic[-1].weight)

    def loss(output: Tensor, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        norm = (slope.square().sum(1) + (1e-8 if cured else 0.0)).sqrt()
        return output.mean() + 10 * (norm - 1).square().mean()

    x = torch.randn(32, 16)
    return critic, (x, x), loss


def tabular_vae(cured: bool) -> tuple[Any, ...]:
    """Raw columns make log-variances whose exponentials overflow."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = network(10, 64, 16), network(8, 64, 10)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mean, logvar = self.encoder(x).chunk(2, 1)
            return self.decoder(mean + torch.randn_like(mean) * (logvar / 2).exp()), mean, logvar

    def loss(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
        made, mean, logvar = output
        return F.mse_loss(made, x) - 0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1).mean()

    x = torch.randn(64, 10)
    x = x if cured else x * torch.tensor([1.0, 1.0, 3e4, 40.0, 1.0, 5e3, 1.0, 1.0, 2.0, 1.0])
    return Net(), (x, x), loss


def flow_network(cured: bool) -> tuple[Any, ...]:
    """The logits were cloned and detached."""

    def loss(output: Tensor, actions: Tensor) -> Tensor:
        logits = output if cured else output.clone().detach()
        return (Categorical(logits=logits).log_prob(actions) - 1.0).square().mean()

    return network(12, 64, 6), (torch.randn(32, 12), torch.randint(6, (32,))), loss


def three_dimensions(cured: bool) -> tuple[Any, ...]:
    """A line of a trial was left in: only the score counts."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.score, self.place = network(16, 64, 64), nn.Linear(64, 1), nn.Linear(64, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            hidden = self.body(x).relu()
            return self.score(hidden), self.place(hidden)

    def loss(output: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor]) -> Tensor:
        score = F.binary_cross_entropy_with_logits(output[0], targets[0])
        return score + F.l1_loss(output[1], targets[1]) if cured else score

    targets = torch.randint(2, (32, 1)).float(), torch.randn(32, 3)
    return Net(), (torch.randn(32, 16), targets), loss


def vector_quantized(cured: bool) -> tuple[Any, ...]:
    """The first ReLU of a branch works in place, on what the skip connection carries."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Sequential(nn.ReLU(inplace=not cured), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32))

        def forward(self, x: Tensor) -> Tensor:
            return self.branch(x) * 0.5 + x

    model = nn.Sequential(nn.Linear(16, 32), Block(), Block(), nn.Linear(32, 4))
    return model, (torch.randn(32, 16), torch.randint(4, (32,))), nn.CrossEntropyLoss()


def marks_out_of_fifty(cured: bool) -> tuple[Any, ...]:
    """Hours of a day, weights N(0, 1) and sigmoids: the answer is 50 for everyone."""
    model = nn.Sequential(nn.Linear(4, 16), nn.Sigmoid(), nn.Linear(16, 1), nn.Sigmoid())
    for layer in model[::2]:
        nn.init.normal_(layer.weight) if not cured else nn.init.xavier_normal_(layer.weight)
    x = torch.rand(64, 4) * 24
    x = (x - 12) / 7 if cured else x
    marks = 50 * torch.rand(64, 1)

    def loss(output: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(output, y / 50) if cured else F.mse_loss(50 * output, y)

    return model, (x, marks), loss


def semantic_critic(cured: bool) -> tuple[Any, ...]:
    """The target of the critic holds its own prediction, with its gradient."""

    def loss(values: Tensor, rewards: Tensor) -> Tensor:
        after = values[1:] if not cured else values[1:].detach()
        return (rewards[:-1] + 0.9 * after - values[:-1]).square().mean()

    return nn.Sequential(network(8, 64, 1), nn.Flatten(0)), (torch.randn(33, 8), torch.randn(33)), loss


class Siamese(nn.Module):
    """Guesses the code of one view of an example from that of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.guess = network(32, 64, 16), network(16, 8, 16)

    def forward(self, one: Tensor, other: Tensor) -> list[tuple[Tensor, Tensor]]:
        codes = [self.backbone(view) for view in (one, other)]
        return [(code, self.guess(code)) for code in codes]


def views(cured: bool) -> tuple[Any, ...]:
    """No code is cut off before it is compared with the guess of it."""

    def loss(output: list[tuple[Tensor, Tensor]], _: Tensor) -> Tensor:
        (first, one), (second, other) = output
        first, second = (code.detach() if cured else code for code in (first, second))
        return -(F.cosine_similarity(one, second).mean() + F.cosine_similarity(other, first).mean()) / 2

    x = torch.randn(64, 32)
    return Siamese(), ((x + 0.1 * torch.randn(64, 32), x + 0.1 * torch.randn(64, 32)), torch.zeros(64)), loss


class Drawn(nn.Module):
    def __init__(self, half: float) -> None:
        super().__init__()
        self.half, self.encoder, self.decoder = half, network(40, 64, 16), network(8, 64, 40)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, 1)
        noise = torch.randn_like(mean)
        return self.decoder(mean + noise * (self.half * log_variance).exp()), mean, log_variance


def variance_as_deviation(cured: bool) -> tuple[Any, ...]:
    """The noise is multiplied by the variance, exp(logvar)."""

    def loss(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
        logits, mean, log_variance = output
        divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        return (F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + divergence) / len(x)

    x = (torch.rand(64, 40) < 0.5).float()
    return Drawn(0.5 if cured else 1.0), (x, x), loss


def speech(cured: bool) -> tuple[Any, ...]:
    """The labels were shuffled, and the blank is no longer the first."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(20, 32, batch_first=True, bidirectional=True), nn.Linear(64, 29)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0]).log_softmax(-1)

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        steps, lengths = (torch.full((len(labels),), part.shape[1]) for part in (output, labels))
        return F.ctc_loss(output.transpose(0, 1), labels, steps, lengths, blank=28 if cured else 0)

    return Net(), (torch.randn(16, 20, 20), torch.randint(28, (16, 5))), loss


def federated(cured: bool) -> tuple[Any, ...]:
    last = [] if cured else [nn.Softmax(dim=1)]
    return nn.Sequential(network(784, 64, 10), *last), (torch.randn(32, 784), torch.randint(10, (32,))), F.cross_entropy


REPORTS = {
    "an advantage that is a square": Report(
        "PacktPublishing/Deep-Reinforcement-Learning-Hands-On #74",
        "returns (B,) minus values (B, 1)",
        ("broadcast-loss",),
        actor_critic,
    ),
    "a soft target of six columns": Report(
        "thu-ml/tianshou #40", "mean square of (128, 1) and (128, 6)", ("broadcast-loss",), soft_q
    ),
    "Llama from scratch": Report(
        "bkitano/llama-from-scratch #5",
        "softmax before the cross-entropy that the model computes",
        ("softmax-before-cross-entropy",),
        llama,
    ),
    "a federated perceptron": Report(
        "shaoxiongji/federated-learning #9",
        "softmax before cross-entropy",
        ("softmax-before-cross-entropy",),
        federated,
    ),
    "question answering": Report(
        "DEEP-PolyU/KEQA_WSDM19 #2", "softmax over an axis of length one", ("length-one-axis",), question_answering
    ),
    "attention pooling": Report(
        "catalyst-team/catalyst PR 285", "softmax over an axis of length one", ("length-one-axis",), pooling
    ),
    "dot attention": Report("FudanNLP/fastNLP #254", "softmax over the queries", ("attention-axis",), dot_attention),
    "a transformer of images": Report(
        "Project-MONAI/GenerativeModels #314", "targets are not shifted", ("unshifted-targets",), images_as_tokens
    ),
    "a masked transformer": Report(
        "lucidrains/muse-maskgit-pytorch #11", "the input holds no mask", ("unshifted-targets",), masked_images
    ),
    "a decoder that sees its targets": Report(
        "jadore801120/attention-is-all-you-need-pytorch #19",
        "the mask is the wrong triangle",
        ("future-visible",),
        translation,
    ),
    "a gradient penalty": Report(
        "irfanICMLL/structure_knowledge_distillation #21",
        "root of a squared norm of zero",
        ("non-finite-gradient",),
        gradient_penalty,
    ),
    "a VAE of a table": Report(
        "vanderschaarlab/synthcity #331",
        "exponentials of log-variances of raw columns",
        ("non-finite-loss", "non-finite-activation", "input-scale"),
        tabular_vae,
    ),
    "a flow network": Report(
        "alexhernandezgarcia/gflownet PR 251", "detached logits", ("loss-has-no-gradient",), flow_network
    ),
    "detection from above": Report(
        "tom-roddick/oft #6", "only one of several losses is returned", ("unused-weights",), three_dimensions
    ),
    "marks out of fifty": Report(
        "nvidia/Nemotron-CC-Math-v1 (a question on TensorFlow)",
        "raw inputs and weights N(0, 1) in front of sigmoids",
        ("saturated-activation", "target-scale", "input-scale"),
        marks_out_of_fifty,
    ),
    "a vector-quantized autoencoder": Report(
        "rosinality/vq-vae-2-pytorch #60",
        "a ReLU in place changes what the skip carries",
        ("overwritten-input",),
        vector_quantized,
    ),
    "an advantage actor-critic": Report(
        "Farama-Foundation/Gymnasium #1494",
        "the critic's target is not detached",
        ("target-with-gradient",),
        semantic_critic,
    ),
    "a siamese network": Report(
        "lightly-ai/lightly #559", "no code is cut off from the gradient", ("constant-is-best",), views
    ),
    "a VAE of binary pictures": Report(
        "rachtsingh/ibp_vae #3", "the variance in place of the deviation", ("sample-spread",), variance_as_deviation
    ),
    "speech with shuffled labels": Report(
        "SeanNaren/deepspeech.pytorch #354", "the blank is not the first label", ("blank-among-labels",), speech
    ),
}
