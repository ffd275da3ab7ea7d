import itertools

import pytest
import torch
from torch import nn

from snippets.weight_initialization import looks_linear_numpy as oracle
from snippets.weight_initialization.looks_linear_pytorch import looks_linear_


def chain(*widths: int, bias: bool = True) -> nn.Sequential:
    layers = [part for pair in itertools.pairwise(widths) for part in (nn.Linear(*pair, bias=bias), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def test_it_is_the_oracle_on_the_same_draws():
    model = chain(6, 16, 12, 5).double()
    looks_linear_(model, seed=3)
    generator = torch.Generator().manual_seed(3)
    shapes = [(8, 6), (6, 8), (5, 6)]
    for i, shape in enumerate(shapes):
        draws = torch.randn(shape, generator=generator, dtype=torch.float64).numpy()
        expected = oracle.mirrored(oracle.orthogonal_factor(draws), rows=i < 2, columns=i > 0)
        assert model[2 * i].weight.detach().numpy() == pytest.approx(expected, abs=1e-12)


def test_the_chain_is_a_linear_isometry_at_any_depth():
    model = chain(6, *[12] * 200, 6)
    looks_linear_(model, seed=0)
    jacobian = torch.func.jacrev(model)(torch.randn(6, generator=torch.Generator().manual_seed(0)))
    assert torch.linalg.svdvals(jacobian.detach()).numpy() == pytest.approx([1.0] * 6, abs=1e-4)
    inputs = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    assert model(-inputs).detach().numpy() == pytest.approx(-model(inputs).detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtype_biases_and_global_state(dtype):
    model, state = chain(4, 8, 2).to(dtype), torch.get_rng_state()
    looks_linear_(model, seed=0)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert not model[0].bias.any() and not model[2].bias.any()
    assert torch.equal(state, torch.get_rng_state())


def test_a_chain_without_biases():
    model = chain(4, 8, 2, bias=False)
    looks_linear_(model, seed=0)
    assert torch.equal(model[0].weight[:4], -model[0].weight[4:])


@pytest.mark.parametrize(
    ("model", "named"),
    [(chain(4, 7, 3), "even.*7"), (nn.Sequential(nn.Linear(4, 8), nn.Linear(6, 2)), "6 inputs after 8")],
)
def test_what_is_no_chain_is_refused(model, named):
    with pytest.raises(ValueError, match=named):
        looks_linear_(model, seed=0)


def test_what_a_write_would_not_reach_is_named_before_a_change():
    tied = nn.Linear(4, 4)
    twin = nn.Linear(4, 4)
    twin.weight = tied.weight
    for others, message in (
        ([nn.utils.parametrizations.orthogonal(nn.Linear(4, 4))], "a weight of its own in every layer, '2' does not"),
        ([nn.LazyLinear(4)], "a weight of its own in every layer, '2' does not"),
        ([tied, twin], "a weight of its own in every layer, '3' does not"),
        ([nn.Bilinear(4, 4, 4)], "a chain of Linear layers, '2' is Bilinear"),
    ):
        model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), *others)
        before = model[0].weight.detach().clone()
        with pytest.raises(ValueError, match=f"model must (hold|be) {message}"):
            looks_linear_(model, seed=0)
        assert torch.equal(model[0].weight, before)
    with pytest.raises(ValueError, match="model must hold a Linear layer, got ReLU"):
        looks_linear_(nn.ReLU(), seed=0)


def test_it_says_what_it_set_and_what_it_left():
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 8, bias=False), nn.Linear(8, 2))
    model.temperature = nn.Parameter(torch.tensor(1.0))
    reached, left = looks_linear_(model, seed=0)
    assert reached == {
        "0.weight": "first", "0.bias": "zero", "2.weight": "hidden", "3.weight": "last", "3.bias": "zero",
    }  # fmt: skip
    assert left == dict.fromkeys(("temperature", "1.weight", "1.bias"), "belongs to no Linear")


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.LeakyReLU(), nn.ELU()])
def test_an_activation_that_mirrored_units_do_not_undo_is_refused(activation):
    model = nn.Sequential(nn.Linear(4, 8), activation, nn.Linear(8, 2))
    before = model[0].weight.detach().clone()
    with pytest.raises(ValueError, match=f"ReLU between its layers, '1' is {type(activation).__name__}"):
        looks_linear_(model, seed=0)
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.GELU(), nn.SiLU()])
def test_mirrored_units_undo_these_and_the_last_layer_may_have_any(activation):
    model = nn.Sequential(nn.Linear(4, 8), activation, nn.Linear(8, 4), nn.Tanh())
    looks_linear_(model, seed=0)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model[:3](x).norm(dim=1), x.norm(dim=1))
