import math
import runpy

import pytest
import torch
from torch import nn

from snippets.xavier_initialization import packed_attention_pytorch
from snippets.xavier_initialization import xavier_init_numpy as oracle
from snippets.xavier_initialization.packed_attention_pytorch import projections, xavier_attention_
from tests.laws import UNIFORM, assert_law

KINDS = {"packed": {}, "kdim": {"kdim": 160, "vdim": 320}, "no bias": {"bias": False}, "bias_kv": {"add_bias_kv": True}}
every_kind = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)


def attention(options: dict | None = None, dtype: torch.dtype = torch.float32) -> nn.MultiheadAttention:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.MultiheadAttention(240, num_heads=8, **(options or {}), dtype=dtype)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@every_kind
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_each_projection_follows_xavier(options, gain):
    layer = xavier_attention_(attention(options), gain, generator())
    weights = dict(projections(layer))
    assert list(weights) == ["q", "k", "v", "out"]
    for weight in weights.values():
        assert_law(weight.detach().numpy(), oracle.xavier_std(weight.shape, gain), UNIFORM)


def test_no_two_projections_are_equal():
    weights = [weight for _, weight in projections(xavier_attention_(attention(), generator=generator()))]
    assert all(not torch.equal(one, other) for i, one in enumerate(weights) for other in weights[:i])


@every_kind
def test_biases_are_zero_and_extra_tokens_stay(options):
    layer = attention(options)
    token = None if layer.bias_k is None else layer.bias_k.clone()
    if layer.in_proj_bias is not None:
        nn.init.ones_(layer.in_proj_bias), nn.init.ones_(layer.out_proj.bias)
    xavier_attention_(layer)
    assert layer.in_proj_bias is None or not layer.in_proj_bias.any()
    assert layer.out_proj.bias is None or not layer.out_proj.bias.any()
    assert token is None or torch.equal(token, layer.bias_k)


def test_what_torch_does_packed_and_unpacked():
    """The trap of the chapter: if torch mends it, the snippet can go."""
    packed, separate = attention(), attention({"kdim": 239, "vdim": 239})
    assert_law(packed.in_proj_weight.detach().numpy(), math.sqrt(2 / (240 + 720)), UNIFORM)
    assert_law(separate.q_proj_weight.detach().numpy(), math.sqrt(2 / (240 + 240)), UNIFORM)
    assert_law(packed.out_proj.weight.detach().numpy(), 1 / math.sqrt(3 * 240), UNIFORM)


def test_the_bounds_of_a_width_of_512():
    """0.0541 and 0.0765 are on the page."""
    weight = xavier_attention_(nn.MultiheadAttention(512, 8), generator=generator()).in_proj_weight
    assert weight.abs().max().item() == pytest.approx(0.0765, abs=5e-5)
    assert nn.MultiheadAttention(512, 8).in_proj_weight.abs().max().item() == pytest.approx(0.0541, abs=5e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_generator_and_gradients(dtype):
    state = torch.get_rng_state()
    first, same, other = (
        xavier_attention_(attention(dtype=dtype), generator=generator(seed)).in_proj_weight for seed in (1, 1, 2)
    )
    assert first.dtype == dtype and first.requires_grad and first.grad_fn is None
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("gain", [-1.0, math.nan, math.inf])
def test_an_impossible_gain_is_refused(gain):
    with pytest.raises(ValueError, match=f"gain .*{gain}"):
        xavier_attention_(attention(), gain)


def test_run_by_itself_it_shows_the_difference(capsys):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        runpy.run_path(packed_attention_pytorch.__file__, run_name="__main__")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["q", "k", "v", "out"]
    assert all(float(line[2]) < 0.035 and 0.0435 < float(line[4]) < 0.045 for line in lines)


@pytest.mark.parametrize("options", [{}, {"kdim": 160, "vdim": 320}])
def test_weights_that_are_computed_from_others_are_refused(options):
    layer = attention(options)
    nn.utils.parametrizations.orthogonal(layer, "q_proj_weight" if options else "in_proj_weight")
    for other in (layer, nn.Linear(2, 2)):
        with pytest.raises(ValueError, match="attention must "):
            xavier_attention_(other)
    layer = attention(options)
    nn.utils.parametrizations.weight_norm(layer.out_proj)
    with pytest.raises(ValueError, match="attention must hold its weights as parameters of its own"):
        xavier_attention_(layer)


def test_importing_it_prints_nothing(capsys):
    runpy.run_path(packed_attention_pytorch.__file__, run_name="packed_attention_pytorch")
    assert not capsys.readouterr().out
