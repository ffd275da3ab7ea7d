import pytest
import torch
from torch import nn

from snippets.weight_initialization.lsuv_pytorch import lsuv_


def network(activation: type[nn.Module] = nn.GELU) -> nn.Sequential:
    layers = [part for _ in range(6) for part in (nn.Linear(32, 32), activation())]
    return nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 32, bias=False), *layers)


def batch(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("activation", [nn.GELU, nn.Tanh, nn.SELU, nn.Sigmoid])
def test_every_layer_puts_out_variance_one(activation):
    model = network(activation)
    found = lsuv_(model, batch(64, 4, 10), seed=0).reached
    assert list(found) == [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv1d)]
    h = batch(64, 4, 10)
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Linear | nn.Conv1d):
            assert h.std(correction=0).item() == pytest.approx(1.0, rel=1e-4)


def test_weights_are_orthogonal_up_to_the_factor_that_is_told():
    model = nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 16))
    found = lsuv_(model, batch(64, 32), seed=0).reached
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):
            unscaled = found[name] * layer.weight.detach()
            assert unscaled @ unscaled.T == pytest.approx(torch.eye(layer.out_features), abs=1e-5)
            assert not layer.bias.any()


def test_the_same_seed_gives_the_same_weights_and_nothing_else_changes():
    model, state = network(), torch.get_rng_state()
    first = lsuv_(model, batch(8, 4, 10), seed=0).reached
    assert lsuv_(model, batch(8, 4, 10), seed=0).reached == first != lsuv_(model, batch(8, 4, 10), seed=1).reached
    assert torch.equal(state, torch.get_rng_state())
    assert not any(layer._forward_hooks for layer in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_layer_that_is_called_twice_is_measured_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared, self.idle = nn.Linear(32, 32), nn.Linear(4, 4)

        def forward(self, x):
            return self.shared(self.shared(x) ** 2)

    model = Twice()
    reached, left = lsuv_(model, batch(64, 32), seed=0)
    assert list(reached) == ["shared"]
    assert left == {"idle": "did not run: its weight is orthogonal, its bias zero"}
    assert model.shared(batch(64, 32)).std(correction=0).item() == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype(dtype):
    model = nn.Sequential(nn.Linear(32, 32)).to(dtype)
    lsuv_(model, batch(64, 32).to(dtype), seed=0)
    assert model[0].weight.dtype == dtype
    assert model(batch(64, 32).to(dtype)).float().std().item() == pytest.approx(1.0, rel=0.02)


def test_a_dead_signal_is_refused_and_the_hooks_go():
    model = nn.Sequential(nn.Linear(32, 32), nn.Threshold(1e9, 0.0), nn.Linear(32, 2))
    with pytest.raises(ValueError, match="'2' has deviation 0"):
        lsuv_(model, batch(4, 32), seed=0)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_weights_that_a_write_would_not_reach_are_refused_before_a_change():
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    for other in (nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.LazyLinear(4), tied):
        model = nn.Sequential(nn.Linear(4, 4), other)
        before = model[0].weight.detach().clone()
        with pytest.raises(ValueError, match="model must hold a weight of its own in every layer, '1"):
            lsuv_(model, torch.ones(2, 4), seed=0)
        assert torch.equal(model[0].weight, before)


def test_a_model_that_runs_no_such_layer_is_refused():
    with pytest.raises(ValueError, match="model must run a linear or convolutional layer, got ReLU"):
        lsuv_(nn.ReLU(), torch.ones(2, 4), seed=0)


def test_it_says_what_it_left():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.PReLU(4))
    reached, left = lsuv_(model, batch(8, 4), seed=0)
    assert list(reached) == ["0"] and list(left) == ["1.weight", "1.bias", "2.weight"]
    assert set(left.values()) == {"belongs to no linear or convolutional layer"}


def test_a_compiled_model_that_has_run_is_reached():
    inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        compiled(inputs)
    assert list(lsuv_(compiled, inputs, seed=0).reached) == ["_orig_mod.0", "_orig_mod.2"]
    assert model(inputs).std(correction=0).item() == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("middle", [nn.Threshold(1e9, 0.0), nn.Linear(7, 4)])
def test_after_an_error_the_model_is_what_it_was(middle):
    """The signal dies there, or the model refuses its own input."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), middle, nn.Linear(4, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises((ValueError, RuntimeError)):
        lsuv_(model, torch.randn(8, 3), seed=0)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_a_bias_that_a_write_would_not_reach_is_refused():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    nn.utils.parametrize.register_parametrization(model[1], "bias", nn.Softplus())
    with pytest.raises(ValueError, match="'1' does not: it or the bias is computed from other parameters"):
        lsuv_(model, torch.randn(8, 3), seed=0)


def test_the_random_state_stays():
    model, state = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2)), torch.get_rng_state()
    lsuv_(model, torch.randn(9, 3, generator=torch.Generator().manual_seed(0)), seed=0)
    assert torch.equal(torch.get_rng_state(), state)
