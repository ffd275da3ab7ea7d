import pytest
import torch

from snippets.laboratory.healthy_models import HEALTHY, build, features, gru, he_mlp


def test_one_seed_gives_one_case_and_the_global_generator_stays():
    state = torch.get_rng_state()
    one, same, other = (build(he_mlp, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.model[0].weight, same.model[0].weight)
    assert torch.equal(one.batch[0], same.batch[0])
    assert not torch.equal(one.model[0].weight, other.model[0].weight)


def test_there_are_enough_families():
    assert len(HEALTHY) >= 15
    assert sum("transformers" in make.__code__.co_names for make in HEALTHY.values()) >= 10


def test_padded_steps_have_no_label():
    (_, lengths), labels = build(gru, 0).batch
    assert torch.equal((labels != -100).sum(1), lengths)


def test_features_are_standard_normal():
    inputs, _ = build(lambda: features(torch.nn.Linear(64, 10)), 0).batch
    assert inputs.std().item() == pytest.approx(1.0, abs=0.05)
