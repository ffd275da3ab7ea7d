"""Models, batches and losses with one fault each, and the code of the finding that must name it."""

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from snippets.laboratory import healthy_models as healthy
from snippets.laboratory import planted_losses as losses
from snippets.laboratory.healthy_models import (
    CLASSES,
    EXAMPLES,
    LENGTH,
    TOKENS,
    Case,
    features,
)

WIDTH = 128


class Fault(NamedTuple):
    """One planted fault."""

    code: str
    """Of the finding that names it."""
    make: Callable[[], Case]


def perceptron(
    depth: int, activation: Callable[[], nn.Module], std: float | None = None
) -> nn.Sequential:
    """`depth` hidden layers of 128 units; weights N(0, std^2) and zero biases, or as PyTorch draws them."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise([64, *[WIDTH] * depth, CLASSES]):
        linear = nn.Linear(fan_in, fan_out)
        if std is not None:
            nn.init.normal_(linear.weight, 0.0, std)
            nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1])


def he(depth: int = 5) -> nn.Sequential:
    return perceptron(depth, nn.ReLU, (2 / WIDTH) ** 0.5)


def changed(
    model: nn.Module,
    change: Callable[[nn.Module], object],
    kind: type[nn.Module] = nn.Linear,
) -> nn.Module:
    """`model` after `change` of each of its modules of the given kind."""
    for module in model.modules():
        if isinstance(module, kind):
            change(module)
    return model


def zero_weights() -> Case:
    return features(changed(he(), lambda layer: nn.init.zeros_(layer.weight)))


def constant_weights() -> Case:
    return features(changed(he(), lambda layer: nn.init.constant_(layer.weight, 0.01)))


def dead() -> Case:
    return features(changed(he(), lambda layer: nn.init.constant_(layer.bias, -5.0)))


def shared_initializer() -> Case:
    def draw(layer: nn.Module) -> None:
        nn.init.kaiming_normal_(
            layer.weight, generator=torch.Generator().manual_seed(0)
        )

    return features(changed(he(), draw))


def without_normalization() -> Case:
    """A VGG with each batch normalization taken out."""
    case = healthy.vgg()
    kept = [module for module in case.model if not isinstance(module, nn.BatchNorm2d)]
    model = changed(
        nn.Sequential(*kept), lambda layer: layer.reset_parameters(), nn.Conv2d
    )
    return case._replace(model=model)


def resnet_without_normalization() -> Case:
    case = healthy.resnet()
    for module in list(case.model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return case


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )
        changed(self, lambda layer: nn.init.kaiming_normal_(layer.weight))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def growing_residuals() -> Case:
    return features(
        nn.Sequential(*(Residual(64) for _ in range(20)), nn.Linear(64, CLASSES))
    )


class Attention(nn.Module):
    """Attention by hand, without the division by the square root of the head's size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(TOKENS, width)
        self.query, self.key, self.value = (
            nn.Linear(width, width, bias=False) for _ in range(3)
        )
        changed(self, lambda layer: nn.init.xavier_normal_(layer.weight))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens)
        weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2), dim=-1)
        return self.head((weights @ self.value(x)).mean(1))


def unscaled_attention() -> Case:
    batch = (
        torch.randint(TOKENS, (EXAMPLES, LENGTH)),
        torch.randint(CLASSES, (EXAMPLES,)),
    )
    return Case(Attention(512), batch, nn.CrossEntropyLoss())


def softmax_twice() -> Case:
    return features(nn.Sequential(he(), nn.Softmax(dim=1)))


def relu_after_the_last_layer() -> Case:
    return features(nn.Sequential(he(), nn.ReLU()))


def nll_of_logits() -> Case:
    return features(he())._replace(loss=nn.NLLLoss())


def sigmoid_twice() -> Case:
    batch = (torch.randn(32, 64), torch.randint(2, (32, CLASSES)).float())
    return Case(nn.Sequential(he(), nn.Sigmoid()), batch, nn.BCEWithLogitsLoss())


def _regression(targets: Tensor) -> Case:
    return Case(
        nn.Sequential(he(), nn.ReLU(), nn.Linear(CLASSES, 1)),
        (torch.randn(32, 64), targets),
        _mean_square,
    )


def _mean_square(output: Tensor, targets: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of the shapes as well
        return nn.functional.mse_loss(output, targets)


def broadcast_loss() -> Case:
    return _regression(torch.randn(32))


def raw_targets() -> Case:
    return _regression(20_000 + 1000 * torch.randn(32, 1))


def _with_inputs(case: Case, change: Callable[[Tensor], Tensor]) -> Case:
    inputs, targets = case.batch
    return case._replace(batch=(change(inputs), targets))


def raw_pixels() -> Case:
    return _with_inputs(healthy.vit(), lambda x: (128 + 64 * x).clamp(0, 255))


def nan_input() -> Case:
    return _with_inputs(
        healthy.resnet(),
        lambda x: x.masked_fill(torch.arange(x.shape[-1]) == 3, torch.nan),
    )


def labels_from_one() -> Case:
    case = healthy.bert()
    labels = case.batch["labels"].clone()
    labels[0] = CLASSES
    return case._replace(batch=case.batch | {"labels": labels})


def unknown_token() -> Case:
    case = healthy.gpt2()
    return case._replace(
        batch={name: tokens + TOKENS // 2 for name, tokens in case.batch.items()}
    )


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = he(), nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).detach())


class Forgetful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.second = he(), he()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def wild_weights() -> Case:
    model = he()
    model[2].bias.data[::3] = 3e30  # what torch.empty may hold
    return features(model)


def odd_layer() -> Case:
    model = he()
    model[4].weight.data.mul_(100)
    return features(model)


class Listed(nn.Module):
    """Its layers stand in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = [he(), nn.Linear(CLASSES, 64)], nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = layer(x).relu()
        return self.head(x)


def softmax_of_one() -> Case:
    model = nn.Sequential(he(), nn.ReLU(), nn.Linear(CLASSES, 1), nn.Softmax(dim=1))
    return Case(
        model, (torch.randn(32, 64), torch.randint(2, (32, 1)).float()), nn.BCELoss()
    )


def softmax_of_the_batch() -> Case:
    return features(nn.Sequential(he(), nn.Softmax(dim=0), nn.Linear(CLASSES, CLASSES)))


class Tagger(nn.Module):
    """(time, examples, features) is brought to (examples, time, features) by a reshape, or by a transposition."""

    def __init__(self, proper: bool = False) -> None:
        super().__init__()
        self.rnn, self.head, self.proper = (
            nn.GRU(12, 32),
            nn.Linear(32, CLASSES),
            proper,
        )

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x.transpose(0, 1))
        if self.proper:
            return self.head(states.transpose(0, 1)[:, -1])
        return self.head(states.reshape(len(x), -1, 32)[:, -1])


class Pooled(nn.Module):
    """A classifier on the mean of the tokens without the padding; or, the mask inverted, of the padding alone."""

    def __init__(self, proper: bool = False) -> None:
        super().__init__()
        self.table, self.proper = nn.Embedding(TOKENS, 32), proper
        self.head = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == 0
        weights = (~padding if self.proper else padding)[..., None].float()
        return self.head((self.table(tokens) * weights).sum(1) / weights.sum(1))


def padded() -> Case:
    tokens = torch.randint(1, TOKENS, (32, 12))
    tokens[torch.arange(12) >= torch.randint(5, 11, (32, 1))] = 0
    return Case(
        Pooled(), (tokens, torch.randint(CLASSES, (32,))), nn.CrossEntropyLoss()
    )


def sequences(model: nn.Module, steps: int = 10) -> Case:
    batch = torch.randn(32, steps, 12), torch.randint(CLASSES, (32,))
    return Case(model, batch, nn.CrossEntropyLoss())


class Last(nn.Module):
    """A recurrent layer, and a classifier on its last output; the recurrent weights are orthogonal, times `radius`."""

    def __init__(self, radius: float, nonlinearity: str = "tanh") -> None:
        super().__init__()
        self.rnn = nn.RNN(12, 32, nonlinearity=nonlinearity, batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, radius)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def drawn_scales() -> Case:
    case = healthy.resnet()
    return case._replace(
        model=changed(
            case.model,
            lambda layer: nn.init.normal_(layer.weight, 0, 0.02),
            nn.BatchNorm2d,
        )
    )


def trained(momentum: float) -> Case:
    """Ten steps; inputs are far from the zero at which the running mean starts."""
    model = nn.Sequential(
        nn.Linear(64, 64),
        nn.BatchNorm1d(64, momentum=momentum),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )
    case = _with_inputs(features(model), lambda x: x + 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(10):
        optimizer.zero_grad()
        case.loss(model(case.batch[0]), case.batch[1]).backward()
        optimizer.step()
    optimizer.zero_grad()
    return case


def negative_targets() -> Case:
    case = _regression(-5 + torch.randn(32, 1))
    return case._replace(model=nn.Sequential(case.model, nn.ReLU()))


class Blocked(nn.Module):
    """A branch that is multiplied by zero, for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.branch = he(), he()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + 0.0 * self.branch(x)


def traced() -> Case:
    case = features(he())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its deprecation
        return case._replace(model=torch.jit.trace(case.model, case.batch[0]))


class Counting(nn.Module):
    """Adds to a large table that is neither parameter nor buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.table = he(), torch.zeros(2**24 + 1)

    def forward(self, x: Tensor) -> Tensor:
        self.table[0] += 1
        return self.body(x)


class Norm(nn.Module):
    """Divides by the norm, which has no slope at zero."""

    def forward(self, x: Tensor) -> Tensor:
        return x + (x - x).square().sum(dim=1, keepdim=True).sqrt()


def overflow() -> Case:
    model = perceptron(12, nn.ReLU, 8 * (2 / WIDTH) ** 0.5).half()
    return _with_inputs(features(model), Tensor.half)


def _cross_entropy_by_hand(output: Tensor, targets: Tensor) -> Tensor:
    return -output.softmax(1).log().gather(1, targets[:, None]).mean()


def log_of_zero() -> Case:
    model = changed(he(), lambda layer: layer.weight.data.mul_(3))
    return features(model)._replace(loss=_cross_entropy_by_hand)


def nan_weight() -> Case:
    case = healthy.resnet()
    next(case.model.parameters()).data[0] = torch.nan
    return case


def deep_batch_norm() -> Case:
    layers: list[nn.Module] = []
    for _ in range(50):
        layers += [nn.Linear(64, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU()]
    return features(nn.Sequential(*layers, nn.Linear(64, CLASSES)))


def large_embeddings() -> Case:
    from transformers import GPT2Config, GPT2LMHeadModel

    case = healthy.gpt2()
    config = GPT2Config(
        vocab_size=TOKENS,
        n_positions=LENGTH,
        n_embd=64,
        n_layer=4,
        n_head=4,
        initializer_range=1.0,
    )
    return case._replace(model=GPT2LMHeadModel(config))


def large_last_layer() -> Case:
    model = he()
    nn.init.normal_(model[-1].weight)
    return features(model)


def large_biases() -> Case:
    return features(
        changed(he(), lambda layer: nn.init.normal_(layer.bias, 0.0, 300.0))
    )


def evaluation_mode() -> Case:
    case = healthy.resnet()
    case.model.eval()
    return case


class Dropping(nn.Module):
    """A dropout that does not ask for the mode, unless it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.asks = he(), nn.Linear(CLASSES, CLASSES), False

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.body(inputs))
        kept = nn.functional.dropout(hidden, 0.1, self.training or not self.asks)
        return self.head(kept)


FAULTS: dict[str, Fault] = {
    "weights N(0, 0.01²), 10 ReLU layers": Fault(
        "vanishing-activation", lambda: features(perceptron(10, nn.ReLU, 0.01))
    ),
    "weights 4 times He's, 10 ReLU layers": Fault(
        "exploding-activation",
        lambda: features(perceptron(10, nn.ReLU, 4 * (2 / WIDTH) ** 0.5)),
    ),
    "weights N(0, 1), 5 tanh layers": Fault(
        "saturated-activation", lambda: features(perceptron(5, nn.Tanh, 1.0))
    ),
    "10 sigmoid layers, default": Fault(
        "vanishing-gradient", lambda: features(perceptron(10, nn.Sigmoid))
    ),
    "20 ReLU layers, default": Fault(
        "vanishing-gradient", lambda: features(perceptron(20, nn.ReLU))
    ),
    "50 layers with batch norm, no skips": Fault("exploding-gradient", deep_batch_norm),
    "VGG without its batch norm, default": Fault(
        "vanishing-gradient", without_normalization
    ),
    "ResNet without its batch norm": Fault(
        "residual-growth", resnet_without_normalization
    ),
    "20 residual blocks, nothing normalized": Fault(
        "residual-growth", growing_residuals
    ),
    "biases −5 before ReLU": Fault("dead-relu", dead),
    "biases N(0, 300²)": Fault("collapsed-angles", large_biases),
    "weights zero": Fault("symmetric-units", zero_weights),
    "weights constant": Fault("symmetric-units", constant_weights),
    "one seed for every layer": Fault("identical-layers", shared_initializer),
    "attention without 1/√d": Fault("saturated-attention", unscaled_attention),
    "GPT-2 with weights N(0, 1)": Fault("saturated-attention", large_embeddings),
    "last layer N(0, 1)": Fault("confident-at-start", large_last_layer),
    "softmax before cross-entropy": Fault(
        "softmax-before-cross-entropy", softmax_twice
    ),
    "sigmoid before BCEWithLogitsLoss": Fault(
        "sigmoid-before-logits-loss", sigmoid_twice
    ),
    "ReLU after the last layer": Fault("relu-before-loss", relu_after_the_last_layer),
    "NLLLoss on logits": Fault("nll-without-log-softmax", nll_of_logits),
    "mean square of (B, 1) and (B,)": Fault("broadcast-loss", broadcast_loss),
    "targets near 20,000": Fault("target-scale", raw_targets),
    "ViT on pixels 0 to 255": Fault("input-scale", raw_pixels),
    "ResNet on a NaN": Fault("non-finite-input", nan_input),
    "BERT with labels from 1": Fault("labels-out-of-range", labels_from_one),
    "GPT-2 with unknown tokens": Fault("index-out-of-range", unknown_token),
    "body detached from the head": Fault("no-gradient", lambda: features(Detached())),
    "a branch forgotten in forward": Fault(
        "unused-weights", lambda: features(Forgetful())
    ),
    "float16, weights 8 times He's": Fault("non-finite-activation", overflow),
    "log(softmax) by hand, large logits": Fault("non-finite-loss", log_of_zero),
    "norm of a zero vector": Fault(
        "non-finite-gradient", lambda: features(nn.Sequential(he(), Norm()))
    ),
    "ResNet with a NaN weight": Fault("non-finite-weight", nan_weight),
    "a bias that nobody has drawn": Fault("uninitialized-weights", wild_weights),
    "one layer times 100": Fault("layer-out-of-line", odd_layer),
    "layers in a plain list": Fault("unregistered-weights", lambda: features(Listed())),
    "softmax of one output": Fault("length-one-axis", softmax_of_one),
    "softmax over axis 0": Fault("softmax-over-batch", softmax_of_the_batch),
    "ReLU, targets near −5": Fault("output-range", negative_targets),
    "a reshape in place of a transposition": Fault(
        "mixed-examples", lambda: sequences(Tagger())
    ),
    "a mask the wrong way round": Fault("same-output", padded),
    "5 linear layers, no activation": Fault(
        "linear-stack", lambda: features(perceptron(4, nn.Identity))
    ),
    "ResNet, scales N(0, 0.02²) of its batch norm": Fault("norm-scale", drawn_scales),
    "40 steps, recurrent weights times 0.5": Fault(
        "vanishing-through-time", lambda: sequences(Last(0.5), 40)
    ),
    "40 steps of ReLU, recurrent weights times 2": Fault(
        "exploding-through-time", lambda: sequences(Last(2.0, "relu"), 40)
    ),
    "batch norm that lags behind, 10 steps": Fault(
        "evaluation-gap", lambda: trained(0.01)
    ),
    "trained for 10 steps": Fault("trained-already", lambda: trained(0.5)),
    "a branch times 0": Fault("zero-gradient", lambda: features(Blocked())),
    "a traced model": Fault("nothing-seen", traced),
    "a large table that every pass changes": Fault(
        "not-put-back", lambda: features(Counting())
    ),
    "ResNet in evaluation mode": Fault("evaluation-mode", evaluation_mode),
    "dropout that is always on": Fault(
        "dropout-in-evaluation", lambda: features(Dropping())
    ),
    "every weight frozen": Fault("nothing-trains", losses.frozen),
    "labels −1 and 1 for MultiLabelSoftMarginLoss": Fault(
        "targets-outside", losses.signs_as_labels
    ),
    "BCELoss on logits": Fault("bce-without-sigmoid", losses.bce_of_logits),
    "tanh before cross-entropy": Fault("tanh-before-loss", losses.tanh_last),
    "targets of 1 and 0.01, one sum": Fault(
        "uneven-targets", losses.meters_and_millimeters
    ),
    "Dice of logits": Fault("overlap-of-logits", losses.overlap_of_logits),
    "softplus before PoissonNLLLoss": Fault("poisson-rate", losses.rate_as_logarithm),
    "sigmoid before cross-entropy": Fault(
        "sigmoid-before-categorical", losses.sigmoid_last
    ),
    "cross-entropy with its arguments swapped": Fault(
        "swapped-arguments", losses.swapped_arguments
    ),
    "values[:, actions]": Fault("index-for-all", losses.actions_of_all),
    "a policy gradient of the wrong sign": Fault(
        "policy-sign", losses.policy_that_gets_worse
    ),
    "next words that are not shifted": Fault(
        "unshifted-targets", losses.next_word_not_shifted
    ),
    "next words, read from both sides": Fault(
        "future-visible", losses.next_word_from_both_sides
    ),
    "softmax over the queries": Fault("attention-axis", losses.attention_over_queries),
    "a value's target with a gradient": Fault(
        "target-with-gradient", losses.target_with_gradient
    ),
    "an advantage with a gradient": Fault(
        "advantage-with-gradient", losses.advantage_with_gradient
    ),
    "a network compared with itself": Fault("constant-is-best", losses.nothing_cut),
    "a KL divergence with a minus": Fault(
        "divergence-sign", losses.divergence_with_a_minus
    ),
    "a logarithm for a standard deviation": Fault(
        "sample-spread", losses.logarithm_for_a_deviation
    ),
    "CTC labels from 0": Fault("blank-among-labels", losses.labels_with_the_blank),
    "a skip connection behind a ReLU in place": Fault(
        "overwritten-input", losses.overwritten_skip
    ),
}
