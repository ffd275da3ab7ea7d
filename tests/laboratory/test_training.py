import math

import torch
from torch import nn

from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import accuracy_on_test_digits, multilayer_perceptron, train


def small_network(seed: int = 0) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    return multilayer_perceptron([64, 32, 10], nn.ReLU, lambda w: nn.init.kaiming_normal_(w, generator=generator))


def test_the_perceptron_has_no_activation_after_its_last_layer_and_zero_biases():
    network = small_network()
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear]
    assert [tuple(layer.weight.shape) for layer in network if isinstance(layer, nn.Linear)] == [(32, 64), (10, 32)]
    assert all(not layer.bias.any() for layer in network if isinstance(layer, nn.Linear))


def test_training_learns_the_digits():
    network, digits = small_network(), load_digits()
    losses = train(network, digits, steps=200, learning_rate=0.2, seed=0)
    assert len(losses) == 200
    assert losses[-1] < 0.5 < losses[0]
    assert accuracy_on_test_digits(network, digits) > 0.9


def test_an_untrained_constant_network_scores_ten_percent_at_ln_10():
    network, digits = multilayer_perceptron([64, 10], nn.ReLU, nn.init.zeros_), load_digits()
    assert 0.09 < accuracy_on_test_digits(network, digits) < 0.11
    assert math.isclose(train(network, digits, steps=1, learning_rate=0.0, seed=0)[0], math.log(10), rel_tol=1e-6)


def test_the_seed_decides_the_batches():
    digits = load_digits()
    first, same, other = (train(small_network(), digits, steps=5, learning_rate=0.1, seed=s) for s in (1, 1, 2))
    assert first == same != other


def test_clipping_bounds_the_step():
    network, digits = small_network(), load_digits()
    before = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
    train(network, digits, steps=1, learning_rate=1.0, seed=0, clip_norm=0.01)
    moved = nn.utils.parameters_to_vector(network.parameters()).detach() - before
    assert math.isclose(moved.norm().item(), 0.01, rel_tol=1e-3)


def test_training_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    train(small_network(), load_digits(), steps=2, learning_rate=0.1, seed=0)
    assert torch.equal(state, torch.get_rng_state())


def test_any_scalar_of_logits_and_labels_can_be_minimised():
    def nothing_but_the_first_logit(logits, labels):
        assert logits.shape == (64, 10) and labels.shape == (64,)
        return logits[:, 0].mean()

    losses = train(
        small_network(), load_digits(), steps=50, learning_rate=0.1, seed=0, criterion=nothing_but_the_first_logit
    )
    assert losses[-1] < losses[0] - 1
