"""Planted faults and healthy neighbours, and that model, optimizer and random states are what they were."""

import copy
import importlib.util
import json
import math
import random
import runpy
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from snippets.diagnostics import diagnose_pytorch as snippet
from snippets.diagnostics.diagnose_pytorch import diagnose
from tests.diagnostics import diagnose_page, diagnose_rules


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("rule", diagnose_rules.RULES)
def test_rule(rule):
    rule(snippet)


def codes(report, level="fault"):
    return [finding.code for finding in report.findings if finding.level == level]


def draw(count=256, width=8):
    x = torch.randn(count, width, generator=torch.Generator().manual_seed(count))
    return x, (x[:, 0] + x[:, 1] > 0).long()


def mlp(*last, width=8, classes=2):
    return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, classes), *last)


def look(model, data, loss, make=lambda weights: torch.optim.Adam(weights, 0.01), **more):
    settings = {"epochs": 20, "progress": False} | more
    if not isinstance(data, DataLoader):
        settings = {"batch_size": 32} | settings
    return diagnose(model, data, loss, make(model.parameters()), **settings)


def test_a_healthy_training_costs_one_trial_and_has_no_finding():
    report = look(mlp(), draw(), nn.CrossEntropyLoss())
    assert report.findings == () and report.complete
    assert [(trial.factor, len(trial.losses)) for trial in report.trials] == [(1.0, 100)]
    assert report.best_constant == pytest.approx(math.log(2), abs=0.02)
    assert report.planned == 20 * 8
    assert report.check.parameters == 8 * 32 + 32 + 32 * 2 + 2
    assert "No finding." in str(report)


def by_hand(p, y):
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


x, y = draw()
CORNERS = (x[:, 0] * x[:, 1] > 0).long()
PROGRAMS = {
    "steps-too-short": lambda: look(mlp(), (x, y), nn.CrossEntropyLoss(), lambda w: torch.optim.SGD(w, 1e-3)),
    "rate-too-high": lambda: look(mlp(), (x, y), nn.CrossEntropyLoss(), lambda w: torch.optim.SGD(w, 300.0)),
    "softmax-over-one-unit": lambda: look(mlp(nn.Softmax(-1), classes=1), (x, y.float()[:, None]), nn.BCELoss()),
    "targets-outside": lambda: look(mlp(nn.Sigmoid(), classes=1), (x, 2.0 * y[:, None] - 1), nn.BCELoss()),
    "sigmoid-before-categorical": lambda: look(mlp(nn.Sigmoid()), (x, y), nn.CrossEntropyLoss()),
    "softmax-axis": lambda: look(mlp(nn.Softmax(0)), (x, F.one_hot(y).float()), nn.BCELoss()),
    "linear-stack": lambda: look(
        nn.Sequential(nn.Linear(8, 32), nn.Dropout(0.1), nn.Linear(32, 2)), (x, CORNERS), nn.CrossEntropyLoss()
    ),
    "log-of-zero": lambda: look(
        mlp(nn.Sigmoid(), classes=1), (9 * x, y.float()[:, None]), by_hand, lambda w: torch.optim.Adam(w, 0.05)
    ),
    "dropout-too-strong": lambda: look(nn.Sequential(nn.Dropout(0.9), mlp()), (x, y), nn.CrossEntropyLoss()),
    "input-scale": lambda: look(mlp(), (x / 255, y), nn.CrossEntropyLoss()),
    "penalty-outweighs-loss": lambda: look(
        mlp(), (x, y), nn.CrossEntropyLoss(), lambda w: torch.optim.SGD(w, 0.01, weight_decay=1.0)
    ),
    "labels-unrelated": lambda: look(mlp(), (torch.randn(2000, 8), torch.randint(2, (2000,))), nn.CrossEntropyLoss()),
    "loss-against-score": lambda: look(
        mlp(classes=4),
        (x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0)),
        lambda output, y: nn.functional.cross_entropy(-output, y),
    ),
    "error": lambda: look(mlp(), (x[:, :5], y), nn.CrossEntropyLoss()),
    "labels-out-of-range": lambda: look(mlp(), (x, y + 1), nn.CrossEntropyLoss()),
}


@pytest.mark.parametrize("code", PROGRAMS)
def test_a_planted_fault_is_named_with_a_number_beside_its_limit(code):
    report = PROGRAMS[code]()
    assert code in codes(report), report
    finding = next(one for one in report.findings if one.code == code)
    assert any(letter.isdigit() for letter in finding.evidence)
    assert all(len(line) <= 100 for line in str(report).splitlines())
    assert report.cost <= 400
    json.dumps(report.to_dict())


HEALTHY = {
    "a bottleneck": lambda: look(
        nn.Sequential(nn.Linear(8, 2), nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2)), (x, y), nn.CrossEntropyLoss()
    ),
    "linear layers of a model that learns": lambda: look(
        nn.Sequential(nn.Linear(8, 32), nn.Dropout(0.1), nn.Linear(32, 32, bias=False), nn.ReLU(), nn.Linear(32, 2)),
        (x, y),
        nn.CrossEntropyLoss(),
    ),
    "probabilities by hand, clipped": lambda: look(
        mlp(nn.Sigmoid(), classes=1),
        (9 * x, y.float()[:, None]),
        lambda p, y: by_hand(p.clamp(1e-7, 1 - 1e-7), y),
        lambda w: torch.optim.Adam(w, 0.05),
    ),
    "many labels to ignore": lambda: look(mlp(), (x, torch.where(x[:, 2] > -0.4, -100, y)), nn.CrossEntropyLoss()),
    "a linear layer read twice": lambda: look(Twice(), (x, y), nn.CrossEntropyLoss()),
    "frozen linear layers": lambda: look(
        nn.Sequential(*[nn.Linear(8, 8).requires_grad_(False) for _ in range(2)], mlp()), (x, y), nn.CrossEntropyLoss()
    ),
    "AdamW": lambda: look(
        mlp(), (x, y), nn.CrossEntropyLoss(), lambda w: torch.optim.AdamW(w, 0.01, weight_decay=0.01)
    ),
    "small inputs and a batch normalization": lambda: look(
        nn.Sequential(nn.BatchNorm1d(8), mlp()), (x / 255, y), nn.CrossEntropyLoss()
    ),
    "a small rate with time": lambda: look(
        mlp(), (x, y), nn.CrossEntropyLoss(), lambda w: torch.optim.Adam(w, 1e-4), epochs=2000
    ),
    "clipping at a high rate": lambda: look(
        mlp(), (x, y), nn.CrossEntropyLoss(), lambda w: torch.optim.SGD(w, 0.5), max_norm=1.0
    ),
    "several losses": lambda: look(
        mlp(), (x, y), lambda output, y: F.cross_entropy(output, y) + F.mse_loss(output, F.one_hot(y).float())
    ),
    "a part of the loss": lambda: look(mlp(), (x, y), lambda output, y: 3 * F.cross_entropy(output, y)),
    "a penalty by hand": lambda: look(
        mlp(), (x, y), lambda output, y: F.cross_entropy(output, y) + output.square().mean()
    ),
    "a loss below zero": lambda: look(mlp(classes=1), (x, y), lambda output, y: -output.tanh()[y > 0].mean()),
    "a log-likelihood by hand": lambda: look(
        mlp(), (x, y), lambda output, y: -output.log_softmax(1)[range(len(y)), y].mean()
    ),
    "soft classes": lambda: look(mlp(), (x, F.softmax(3 * x[:, :2], 1)), nn.CrossEntropyLoss()),
    "smooth and weighted classes": lambda: look(
        mlp(), (x, y), nn.CrossEntropyLoss(torch.tensor([1.0, 2.0]), label_smoothing=0.1)
    ),
    "labels to ignore": lambda: look(mlp(), (x, torch.where(x[:, 2] > 1, -100, y)), nn.CrossEntropyLoss()),
    "binary labels, weighted": lambda: look(
        mlp(classes=1), (x, y.float()[:, None]), nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0]))
    ),
    "regression in bfloat16": lambda: look(
        mlp(classes=1).bfloat16(), (x.bfloat16(), x[:, :1].bfloat16()), nn.HuberLoss()
    ),
    "pictures of classes": lambda: look(
        nn.Conv2d(1, 2, 3, padding=1), (PICTURES, (PICTURES[:, 0] > 0).long()), nn.CrossEntropyLoss(), epochs=200
    ),
    "pictures of soft classes": lambda: look(
        nn.Conv2d(1, 2, 3, padding=1), (PICTURES, torch.cat([PICTURES, -PICTURES], 1).softmax(1)), nn.CrossEntropyLoss()
    ),
    "pictures of probabilities": lambda: look(
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Softmax(1)),
        (PICTURES, torch.cat([PICTURES, -PICTURES], 1).softmax(1)),
        nn.MSELoss(),
        epochs=200,
    ),
    "an autoencoder of a loader": lambda: look(
        nn.Sequential(nn.Linear(8, 8)), DataLoader(x, 32), lambda output, batch: F.mse_loss(output, batch)
    ),
    "LBFGS": lambda: look(
        mlp(),
        (x, y),
        nn.CrossEntropyLoss(),
        lambda w: torch.optim.LBFGS(w, 0.5, max_iter=4),
        batch_size=256,
        epochs=200,
    ),
}
PICTURES = draw(64, 36)[0].reshape(64, 1, 6, 6)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.last = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 2)

    def forward(self, x):
        x = self.one(x)
        return self.last((x + self.two(x)).relu())


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_neighbour_gives_no_fault(name):
    report = HEALTHY[name]()
    assert codes(report) == [], report
    assert report.cost <= 400


def state(model, optimizer):
    def flat(value):
        if isinstance(value, dict):
            return {key: flat(part) for key, part in value.items()}
        return [flat(part) for part in value] if isinstance(value, list | tuple) else value

    parts = [
        flat(copy.deepcopy(model.state_dict())),
        flat(copy.deepcopy(optimizer.state_dict())),
        [None if part.grad is None else part.grad.clone() for part in model.parameters()],
        [part.training for part in model.modules()],
        torch.get_rng_state(),
        list(random.getstate()[1]),
        np.random.get_state()[1],
    ]
    return repr(torch.tensor(0)) and parts


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(np.array_equal(np.asarray(one), np.asarray(other))) if one is not None else other is None


class Noisy(nn.Module):
    """Has all that a step changes beside weights."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
        self.seen = []

    def forward(self, x):
        self.seen.append(len(x))
        random.random()
        np.random.rand()
        return self.body(x)


def trained(make):
    """A model in the middle of its training."""
    model = Noisy()
    optimizer = make(model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval(), optimizer


@pytest.mark.parametrize(
    "make",
    [
        lambda w: torch.optim.SGD(w, 30.0, momentum=0.9, weight_decay=0.1),
        lambda w: torch.optim.AdamW(w, 1e-6, amsgrad=True),
        lambda w: torch.optim.Adam(w, torch.tensor(0.01), weight_decay=0.1),
    ],
)
def test_model_optimizer_and_random_states_are_bit_for_bit_what_they_were(make):
    model, optimizer = trained(make)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 100))
    before, seen = state(model, optimizer), list(model.seen)
    report = diagnose(model, (x, y), nn.CrossEntropyLoss(), optimizer, batch_size=32, epochs=1, progress=False)
    assert report.trials
    assert same(before, state(model, optimizer))
    assert model.seen == seen and schedule.last_epoch == 0
    optimizer.step()
    assert not same(before, state(model, optimizer))


def test_a_model_without_a_step_has_an_optimizer_without_state_afterwards():
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters())
    diagnose(model, (x, y), nn.CrossEntropyLoss(), optimizer, batch_size=32, progress=False)
    assert not optimizer.state and all(part.grad is None for part in model.parameters())


class Breaks:
    """A loss that does something in the step with this number."""

    def __init__(self, step, what):
        self.step, self.what, self.calls = step, what, 0

    def __call__(self, output, y):
        Breaks.calls += 1
        if Breaks.calls == self.step:
            self.what()
        return F.cross_entropy(output, y)

    calls = 0


def fail(error):
    raise error


def test_an_error_in_a_step_is_a_finding_and_all_comes_back():
    Breaks.calls = 0
    model, optimizer = trained(torch.optim.Adam)
    before = state(model, optimizer)
    loss = Breaks(40, lambda: fail(RuntimeError("expected all tensors\non one device")))
    report = diagnose(model, (x, y), loss, optimizer, batch_size=32, progress=False)
    assert codes(report) == ["error"]
    assert "RuntimeError: expected all tensors on one device" in str(report)
    assert same(before, state(model, optimizer))


@pytest.mark.parametrize("step", [1, 40, 170])
def test_ctrl_c_gives_what_is_known_and_all_comes_back(step):
    Breaks.calls = 0
    model, optimizer = trained(lambda w: torch.optim.SGD(w, 1e-4))
    before, handler = state(model, optimizer), signal.getsignal(signal.SIGINT)
    loss = Breaks(step, lambda: signal.raise_signal(signal.SIGINT))
    data = (x / 1000, y)
    report = diagnose(model, data, loss, optimizer, batch_size=32, epochs=1, progress=False)
    assert not report.complete and "Ended by Ctrl-C" in str(report)
    assert "input-scale" in codes(report)
    assert same(before, state(model, optimizer))
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_ends_it_at_once_and_all_comes_back():
    Breaks.calls = 0
    model, optimizer = trained(torch.optim.Adam)
    before = state(model, optimizer)

    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        diagnose(model, (x, y), Breaks(40, twice), optimizer, batch_size=32, progress=False)
    assert same(before, state(model, optimizer))


def test_it_runs_in_another_thread():
    found = []
    work = threading.Thread(target=lambda: found.append(look(mlp(), (x, y), nn.CrossEntropyLoss())))
    work.start()
    work.join()
    assert found[0].findings == ()


def test_progress_is_one_line_that_vanishes(capsys, monkeypatch):
    monkeypatch.setattr(snippet.time, "monotonic", iter(range(10_000)).__next__)
    look(mlp(), (x, y), nn.CrossEntropyLoss(), progress=True)
    shown = capsys.readouterr().err
    assert "\n" not in shown and "of at most 400 steps, rate x 1" in shown
    assert shown.split("\r")[-2].strip() == "" and shown.endswith("\r")


class Numbered(Dataset):
    def __init__(self):
        self.draw = np.random.default_rng(0)
        self.python = random.Random(0)
        self.seen = 0

    def __len__(self):
        return 128

    def __getitem__(self, place):
        self.python.random()
        noise = torch.as_tensor(self.draw.normal(size=8) * 1e-3, dtype=torch.float32)
        return x[place] + noise, y[place]


class Stream(IterableDataset):
    def __iter__(self):
        return zip(x, y, strict=True)


def test_the_generators_of_a_loader_come_back():
    data = Numbered()
    loader = DataLoader(data, 32, shuffle=True, generator=torch.Generator().manual_seed(1))
    before = loader.generator.get_state(), data.draw.bit_generator.state, data.python.getstate()
    assert codes(look(mlp(), loader, nn.CrossEntropyLoss())) == []
    assert same(list(before[:1]), [loader.generator.get_state()])
    assert before[1:] == (data.draw.bit_generator.state, data.python.getstate())


def test_datasets_and_streams():
    report = look(mlp(), TensorDataset(x, y), nn.CrossEntropyLoss())
    assert report.findings == () and report.planned == 160
    report = look(mlp(), Stream(), nn.CrossEntropyLoss())
    assert report.findings == () and report.planned is None
    with pytest.raises(ValueError, match="data must hold a batch at least, got an empty loader"):
        look(mlp(), DataLoader(TensorDataset(x[:0], y[:0])), nn.CrossEntropyLoss())


def test_a_large_batch_is_held_alone(monkeypatch):
    monkeypatch.setattr(snippet, "HELD", 3000)
    report = look(mlp(), DataLoader(TensorDataset(x, y), 32), nn.CrossEntropyLoss())
    assert report.trials[0].losses[-1] < 0.01  # two batches, again and again


class Own(nn.Module):
    """Computes its loss itself, as transformers do."""

    def __init__(self):
        super().__init__()
        self.body = mlp()

    def forward(self, inputs, labels):
        output = self.body(inputs)
        return {"loss": F.cross_entropy(output, labels), "logits": output}


def test_a_model_that_computes_its_loss_itself():
    loader = DataLoader([{"inputs": one, "labels": label} for one, label in zip(x, y, strict=True)], 32)
    report = look(Own(), loader, None)
    assert report.findings == () and report.best_constant == pytest.approx(math.log(2), abs=0.02)


def test_inputs_and_targets_of_several_parts():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = mlp()

        def forward(self, one, two):
            return self.body(one + two)

    report = look(Sum(), ((x, x), {"y": y, "kind": "all"}), lambda output, y: F.cross_entropy(output, y["y"]))
    assert report.findings == ()


def test_what_no_rate_learns_is_a_note():
    inputs = torch.rand(4000, 1)
    data = inputs, ((150 * inputs[:, 0]).sin() > 0).long()
    report = look(mlp(width=1), data, nn.CrossEntropyLoss(), lambda w: torch.optim.SGD(w, 0.01), batch_size=16)
    assert codes(report, "note") == ["learns-nothing"] and codes(report) == [], report
    assert 300 < report.cost <= 400


class Mixing(nn.Module):
    """Gives each example the output of another one, in training alone, where the check of one pass does not see it."""

    def __init__(self):
        super().__init__()
        self.body = mlp()

    def forward(self, x):
        return self.body(x[torch.randperm(len(x))] if self.training else x)


def test_a_model_that_mixes_its_examples_cannot_overfit_one_batch():
    x, y = draw(4000)
    report = look(Mixing(), (x, y), nn.CrossEntropyLoss(), batch_size=64)
    assert codes(report) == ["cannot-overfit-one-batch"], report
    assert 300 < report.cost <= 400
    # Of a loader, neighbours are not known.
    report = look(Mixing(), DataLoader(TensorDataset(x, y), 64), nn.CrossEntropyLoss())
    assert codes(report) == ["cannot-overfit-one-batch"], report


def test_nothing_learned_is_no_news_where_a_fault_is_known():
    x, y = draw(4000)
    report = look(Mixing(), (x / 1e3, y), nn.CrossEntropyLoss(), batch_size=64)
    assert codes(report)[0] == "input-scale" and "cannot-overfit-one-batch" not in codes(report), report


def likelihood(output, targets):
    """`torch.distributions` raises a ValueError at a mean of NaN."""
    return -torch.distributions.Normal(output, 1.0).log_prob(targets).mean()


def test_a_trial_whose_output_the_loss_refuses_is_lost_and_no_error_of_the_program():
    """Found on the example of a VAE of PyTorch, whose binary cross-entropy refuses NaN."""
    drawn = torch.randn(len(x), 1, generator=torch.Generator().manual_seed(0))
    report = look(mlp(classes=1), (x, drawn), likelihood, lambda w: torch.optim.SGD(w, 0.05))
    assert math.inf in [trial.loss for trial in report.trials if trial.factor > 1]
    assert "error" not in codes(report), report
    report = look(mlp(classes=1), (x, x[:, :1]), likelihood, lambda w: torch.optim.SGD(w, 30.0))
    assert report.trials[0].loss == math.inf
    assert "rate-too-high" in codes(report) and "error" not in codes(report), report


def narrow(output, targets):
    if not output.abs().max() < 1e3:
        raise ValueError("the output is out of range")
    return F.mse_loss(output, targets)


def test_a_trial_that_a_loss_of_ones_own_refuses_is_lost():
    drawn = torch.randn(len(x), 1, generator=torch.Generator().manual_seed(0))
    report = look(mlp(classes=1), (x, drawn), narrow, lambda w: torch.optim.SGD(w, 0.05))
    assert math.inf in [trial.loss for trial in report.trials if trial.factor > 1]
    assert "error" not in codes(report), report


def test_a_loss_that_is_lost_at_any_rate():
    calls = iter(range(10_000))
    report = look(mlp(), (x, y), lambda output, y: F.cross_entropy(output, y) * (math.nan if next(calls) > 12 else 1.0))
    assert codes(report) == ["non-finite-training"], report
    assert "step 1 at 0.1 times the rate" in report.findings[0].evidence


def test_a_loss_below_zero_that_is_lost():
    def below(output, _):
        return -output.exp().exp().mean()

    model = mlp(classes=1)
    report = look(model, (x, y), below, lambda w: torch.optim.SGD(w, 1e9))
    assert codes(report) == ["non-finite-training"], report
    report = look(model, (x, y), lambda output, _: output.square().mean() - 5, lambda w: torch.optim.SGD(w, 30.0))
    assert codes(report) == ["rate-too-high"], report


def test_a_training_of_two_steps():
    report = look(mlp(), (x, y), nn.CrossEntropyLoss(), lambda w: torch.optim.SGD(w, 0.01), batch_size=128, epochs=1)
    assert codes(report) == ["steps-too-short"], report


model = mlp()
adam = torch.optim.Adam(model.parameters())
BAD = {
    "model must be a torch.nn.Module, got str": ("model", (x, y), nn.MSELoss(), adam, {}),
    "run a lazy model once before": (nn.LazyLinear(2), (x, y), nn.MSELoss(), adam, {}),
    "loss_fn must be a function or an instance": (model, (x, y), nn.MSELoss, adam, {}),
    "loss_fn must be a function or an instance such as nn.MSELoss\\(\\), got 'mse'": (model, (x, y), "mse", adam, {}),
    "optimizer must be a torch optimizer, got str": (model, (x, y), nn.MSELoss(), "adam", {}),
    "optimizer must hold parameters of the model, got 4 others": (mlp(), (x, y), nn.MSELoss(), adam, {}),
    "batch_size must be a positive integer, got 0": (model, (x, y), nn.MSELoss(), adam, {"batch_size": 0}),
    "epochs must be a positive integer, got 1.5": (model, (x, y), nn.MSELoss(), adam, {"epochs": 1.5}),
    "max_norm must be positive, got 0": (model, (x, y), nn.MSELoss(), adam, {"max_norm": 0}),
    "batch_size must be left to the DataLoader, got 32": (model, DataLoader(x), None, adam, {}),
    "batch_size must be given": (model, (x, y), nn.MSELoss(), adam, {"batch_size": None}),
    "data must be a pair .* got 3 items": (model, (x, y, y), nn.MSELoss(), adam, {}),
    "data must be a pair .* got Tensor": (model, x, nn.MSELoss(), adam, {}),
    "as many inputs as targets, got \\[256, 9\\]": (model, (x, y[:9]), nn.MSELoss(), adam, {}),
    "an example at least": (model, (x[:0], y[:0]), nn.MSELoss(), adam, {}),
    "of an array, got ndarray and Tensor": (model, (x.numpy(), y), nn.MSELoss(), adam, {}),
}


class Remembers(nn.Module):
    """Keeps a state for each example from batch to batch."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head, self.state = nn.GRUCell(8, 16), nn.Linear(16, 2), torch.zeros(16, 16)

    def forward(self, x):
        hidden = self.rnn(x, self.state)
        self.state = hidden.detach()
        return self.head(hidden)


def test_a_model_of_one_batch_size_is_looked_at_with_that():
    report = look(Remembers(), draw(), nn.CrossEntropyLoss(), batch_size=16)
    assert codes(report) == [] and report.check


class Translator(nn.Module):
    """A generator that its critic and the targets train."""

    def __init__(self, cut):
        super().__init__()
        self.generator, self.critic, self.cut = mlp(classes=8), mlp(classes=1), cut

    def forward(self, x):
        fake = self.generator(x)
        return fake, self.critic(fake.detach() if self.cut else fake)


def both_terms(output, y):
    fake, score = output
    return F.binary_cross_entropy_with_logits(score, torch.ones_like(score)) + 10 * F.l1_loss(fake, y)


def stacked_terms(output, y):
    fake, score = output
    return torch.stack([(1 - score).square().mean() / 2, F.l1_loss(fake, y)]).sum() - 0.1


@pytest.mark.parametrize("loss", [both_terms, stacked_terms])
@pytest.mark.parametrize("cut", [True, False])
def test_a_term_that_reaches_no_weight_of_the_optimizer(cut, loss):
    (x, _), model = draw(), Translator(cut)
    settings = {"batch_size": 32, "progress": False}
    one = torch.optim.Adam(model.generator.parameters(), 0.01)
    notes = codes(diagnose(model, (x, x.roll(1, 1)), loss, one, **settings), "note")
    assert notes == ["part-not-in-optimizer"] + ["idle-term"] * cut
    both = torch.optim.Adam(model.parameters(), 0.01)
    assert codes(diagnose(model, (x, x.roll(1, 1)), loss, both, **settings), "note") == []


def test_the_cure_of_an_idle_term_lets_it_train():
    """The critic gets the fakes themselves: its term falls with the generator's steps, and did not before."""

    def loss(output, y):
        return (1 - output[1]).square().mean() + 0.01 * F.l1_loss(output[0], y)

    (x, _), fallen = draw(), []
    for cut in (True, False):
        torch.manual_seed(1)
        model = Translator(cut)
        optimizer = torch.optim.Adam(model.generator.parameters(), 0.01)
        report = diagnose(model, (x, x.roll(1, 1)), loss, optimizer, batch_size=32, progress=False)
        assert ("idle-term" in codes(report, "note")) is cut
        terms = []
        for _ in range(60):
            optimizer.zero_grad()
            fake, score = model(x)
            terms.append((1 - score).square().mean().item())
            loss((fake, score), x.roll(1, 1)).backward()
            optimizer.step()
        fallen.append(terms[-1] / terms[0])
    assert fallen[1] < 0.9 < fallen[0]


def test_the_cure_of_reversed_weights_lets_the_rare_class_be_learned():
    """Of n examples in k classes a class weighs n / (k * its count)."""
    x = torch.randn(1024, 8)
    y = (x[:, 0] + torch.randn(1024) > 2.0).long()
    counts = torch.bincount(y)
    recalls = []
    for weights in (counts / len(y), len(y) / (2 * counts)):
        torch.manual_seed(1)
        model, loss = mlp(), nn.CrossEntropyLoss(weights)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        report = diagnose(model, (x, y), loss, optimizer, batch_size=64, progress=False)
        assert ("reversed-weights" in codes(report, "note")) is (not recalls)
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            losses.append(loss(model(x), y))
            losses[-1].backward()
            optimizer.step()
        assert losses[-1] < 0.9 * losses[0]
        recalls.append((model(x).argmax(1)[y == 1] == 1).double().mean().item())
    assert recalls[0] < 0.2 and recalls[1] > 0.6


def test_a_bias_that_a_loss_reads_is_no_term_of_it():
    class Biased(Translator):
        def forward(self, x):
            return self.critic[:2](self.generator(x)) @ self.critic[2].weight.T + self.critic[2].bias

    (x, _), model = draw(), Biased(False)
    one = torch.optim.Adam(model.generator.parameters(), 0.01)
    report = diagnose(model, (x, x), lambda made, _: -made.mean(), one, batch_size=32, progress=False)
    assert codes(report, "note") == ["part-not-in-optimizer"]


class Adversaries(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.critic = mlp(classes=8), mlp(classes=1)

    def forward(self, x):
        return self.critic(self.generator(x))


def test_one_target_is_what_a_critic_gets():
    """It is frozen, or another optimizer trains it."""
    (x, _), adversaries = draw(), Adversaries()
    data, loss = (x, torch.ones(len(x), 1)), nn.BCEWithLogitsLoss()
    parts = adversaries.generator.parameters()
    assert codes(look(adversaries, data, loss, lambda _: torch.optim.Adam(parts, 0.01))) == []
    assert "one-target" in codes(look(adversaries, data, loss))
    adversaries.critic.requires_grad_(False)
    assert codes(look(adversaries, data, loss)) == []


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_with_its_name_and_value(message):
    *given, settings = BAD[message]
    with pytest.raises(ValueError, match=message):
        diagnose(*given, **{"batch_size": 32} | settings)


def test_both_files_in_one_folder_serve_without_a_package(monkeypatch):
    monkeypatch.syspath_prepend(Path(snippet.__file__).parent)
    spec = importlib.util.spec_from_file_location("diagnose_pytorch", snippet.__file__)
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    adam = torch.optim.Adam(model.parameters(), 0.01)
    report = alone.diagnose(model, (x, y), nn.CrossEntropyLoss(), adam, batch_size=32, progress=False)
    assert report.findings == ()
    del sys.modules["check_model_pytorch"]


def test_run_by_itself_it_prints_the_report_on_the_page(capsys, monkeypatch):
    monkeypatch.syspath_prepend(Path(snippet.__file__).parent)
    runpy.run_path(snippet.__file__, run_name="__main__")
    del sys.modules["check_model_pytorch"]
    diagnose_page.check_report(capsys.readouterr().out)


def test_the_page_lists_every_finding_and_its_limits():
    diagnose_page.check_findings(snippet)
    diagnose_page.check_limits(snippet)


class Critic(nn.Module):
    """A penalty on the slope of its own output, so that its forward pass needs gradients."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def forward(self, real):
        mixed = (0.5 * real).requires_grad_()
        (slope,) = torch.autograd.grad(self.body(mixed).sum(), mixed, create_graph=True)
        return (slope.norm(dim=1) - 1).square().mean()


def test_a_forward_pass_that_needs_gradients_can_be_tried():
    data = torch.randn(64, 8), torch.zeros(64)
    assert codes(look(Critic(), data, lambda output, _: output)) == []


def test_what_still_falls_on_one_batch_can_be_learned():
    x = torch.linspace(0, 1, 100)[:, None]
    report = look(nn.Sequential(nn.Linear(1, 1)), (x, 0.7 * x + 4), nn.L1Loss(), epochs=500)
    assert "cannot-overfit-one-batch" not in codes(report), report


@pytest.mark.parametrize(("bias", "level"), [(True, "fault"), (False, "note")])
def test_two_factors_of_a_matrix_are_no_forgotten_activation(bias, level):
    model = nn.Sequential(nn.Linear(8, 8, bias=bias), nn.Linear(8, 2))
    report = look(model, (x, CORNERS), nn.CrossEntropyLoss())
    assert "linear-stack" in codes(report, level), report


def test_linear_layers_in_a_row_are_a_fault_of_a_model_that_does_not_learn():
    layers = nn.Linear(8, 32), nn.Linear(32, 2)
    learned = look(nn.Sequential(*layers), (x, y), nn.CrossEntropyLoss())
    assert codes(learned, "note") == ["linear-stack"]
    explained = look(nn.Sequential(*layers), (x / 1e3, CORNERS), nn.CrossEntropyLoss())
    assert "input-scale" in codes(explained) and "linear-stack" in codes(explained, "note")
    three = look(nn.Sequential(nn.Linear(8, 8), *layers), (x, y), nn.CrossEntropyLoss())
    assert codes(three) == ["linear-stack"]


def test_a_model_in_evaluation_mode_is_told_and_stays_in_it():
    model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 2)).eval()
    (finding,) = look(model, (x, y), nn.CrossEntropyLoss()).findings
    assert (finding.code, finding.level) == ("evaluation-mode", "note")
    assert "training mode" in finding.evidence and not any(part.training for part in model.modules())
    assert look(model.train(), (x, y), nn.CrossEntropyLoss()).findings == ()
    model[1].eval()  # a part of it may be meant to
    assert look(model, (x, y), nn.CrossEntropyLoss()).findings == ()


class TwoViews(nn.Module):
    """A projector ends in a linear layer, and the predictor of SimSiam or BYOL begins with one."""

    def __init__(self, target):
        super().__init__()
        self.target = target
        self.encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 24))
        self.predictor = nn.Sequential(nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 24))
        self.teacher = copy.deepcopy(self.encoder).requires_grad_(False)

    def forward(self, x):
        x = torch.cat([x, x + 0.1 * torch.randn_like(x)])
        z = self.encoder(x)
        return self.predictor(z), self.target(self, x, z).roll(len(x) // 2, 0)


def alone(model, x, z):
    with torch.no_grad():
        return model.encoder(x)


def two_views(target):
    def loss(output, _):
        return 2 - 2 * F.cosine_similarity(*output).mean()

    return look(TwoViews(target), (x, x), loss, lambda weights: torch.optim.SGD(weights, 0.05))


@pytest.mark.parametrize(
    "target",
    [
        lambda model, x, z: z.detach(),
        lambda model, x, z: F.normalize(z).data,
        lambda model, x, z: torch.cat([*z.chunk(2)]).detach(),
        alone,
        lambda model, x, z: model.teacher(x),
    ],
)
def test_a_projector_that_a_target_is_made_of_and_a_predictor_are_two_layers(target):
    report = two_views(target)
    assert "linear-stack" not in {finding.code for finding in report.findings + report.check.findings}, report


def test_a_target_of_something_else_leaves_linear_layers_in_a_row_a_finding():
    report = two_views(lambda model, x, z: x.repeat(1, 3))
    assert "linear-stack" in {finding.code for finding in report.findings}


def test_weights_in_no_group_of_the_optimizer_are_named():
    x, y = torch.randn(128, 8), torch.randint(2, (128,))
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    model[2] = nn.Linear(16, 2)
    found = {finding.code: finding for finding in diagnose(model, (x, y), nn.CrossEntropyLoss(), optimizer,
                                                           batch_size=32, progress=False).findings}  # fmt: skip
    assert found["not-in-optimizer"].layers == ("2.weight", "2.bias")
    assert "of the same width that are not the model's" in found["not-in-optimizer"].evidence
    model[2].requires_grad_(False)
    report = diagnose(model, (x, y), nn.CrossEntropyLoss(), optimizer, batch_size=32, progress=False)
    assert "not-in-optimizer" not in {finding.code for finding in report.findings}


class Pair(nn.Module):
    """A part that the optimizer trains, and one of another kind."""

    def __init__(self, gradient):
        super().__init__()
        self.body, self.other, self.gradient = mlp(), mlp(classes=2), gradient

    def forward(self, x):
        with torch.set_grad_enabled(self.gradient):
            other = self.other(x)
        return self.body(x) + 0.1 * other


def held(model, weights):
    data = torch.randn(128, 8), torch.randint(2, (128,))
    optimizer = torch.optim.Adam(weights, 1e-2)
    found = diagnose(model, data, nn.CrossEntropyLoss(), optimizer, batch_size=32, progress=False).findings
    return {finding.code: finding for finding in found if finding.code.endswith("not-in-optimizer")}


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_part_that_another_optimizer_may_train_is_a_note_and_a_part_without_gradient_none(wrapped):
    model = Pair(gradient=True)
    found = held(nn.Sequential(model) if wrapped else model, model.body.parameters())
    (code,), (finding,) = found, found.values()
    assert (code, finding.level, len(finding.layers)) == ("part-not-in-optimizer", "note", 4)
    target = Pair(gradient=False)
    assert not held(target, target.body.parameters())


def test_a_part_of_which_some_weights_are_held_is_a_fault():
    model = Pair(gradient=True)
    biases = [part for name, part in model.named_parameters() if name != "body.2.bias"]
    (finding,) = held(model, biases).values()
    assert (finding.code, finding.layers) == ("not-in-optimizer", ("body.2.bias",))
