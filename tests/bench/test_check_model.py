"""The benchmark of check_model counts in steps of the model that it checks."""

from types import SimpleNamespace

import torch
from torch import nn

from snippets.laboratory.healthy_models import features
from tests.bench import check_model


def test_the_ratio_is_that_of_the_two_times(monkeypatch):
    """On a clock that only the two tools move."""
    clock = SimpleNamespace(now=0.0, process_time=lambda: clock.now)

    def take(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(check_model, "time", clock)
    monkeypatch.setattr(check_model, "check_model", lambda *_: take(6.0))
    monkeypatch.setattr(check_model, "step", lambda _: take(2.0))
    assert check_model.ratio(features(nn.Linear(64, 10))) == 3.0


def test_every_model_is_timed(monkeypatch, capsys):
    monkeypatch.setattr(check_model, "build", lambda make, _: make)
    monkeypatch.setattr(check_model, "ratio", lambda _: 1.5)
    check_model.main()
    printed = capsys.readouterr().out
    assert printed.count("1.50       3   50%") == len(check_model.MODELS) == 3


def test_a_step_leaves_no_gradient_and_moves_nothing():
    case = features(nn.Linear(64, 10))
    before = case.model.weight.clone()
    check_model.step(case)
    assert torch.equal(case.model.weight, before)
    assert case.model.weight.grad is None
