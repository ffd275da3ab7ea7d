import math

import pytest
import torch
from torch import nn

from snippets.weight_initialization.residual_scaling_pytorch import fixup_, gpt2_scale_, zero_gamma_


def ones(branch: nn.Module) -> nn.Module:
    for parameter in branch.parameters():
        nn.init.ones_(parameter)
    return branch


def branches(number: int, layers: int) -> list[nn.Module]:
    def branch() -> nn.Sequential:
        pairs = [part for _ in range(layers) for part in (nn.Linear(4, 4), nn.ReLU())]
        return nn.Sequential(*pairs[:-1], nn.LayerNorm(4))

    return [ones(branch()) for _ in range(number)]


def linear_weights(branch: nn.Module) -> list[float]:
    weights = [layer.weight for layer in branch if isinstance(layer, nn.Linear)]
    assert all((weight == weight[0, 0]).all() for weight in weights)
    return [weight[0, 0].item() for weight in weights]


def test_gpt2_divides_the_last_weight_by_the_root_of_the_number_of_branches():
    many = branches(9, layers=2)
    gpt2_scale_(many)
    assert all(linear_weights(branch) == [1.0, pytest.approx(1 / 3)] for branch in many)
    assert all((branch[0].bias == 1).all() and (branch[2].bias == 1).all() for branch in many)


@pytest.mark.parametrize(("layers", "factor"), [(1, None), (2, 16**-0.5), (3, 16**-0.25)])
def test_fixup(layers, factor):
    """L^(-1 / (2 m - 2)) for m layers: with 16 branches 1/4 for two, 1/2 for three."""
    many = branches(16, layers)
    fixup_(many)
    for branch in many:
        *others, last = linear_weights(branch)
        assert last == 0.0 and others == [pytest.approx(factor)] * (layers - 1)


def test_zero_gamma():
    many = branches(3, layers=2)
    zero_gamma_(many)
    assert all(not branch[-1].weight.any() and linear_weights(branch) == [1, 1] for branch in many)


def test_the_last_norm_of_a_branch_alone_is_zeroed():
    branch = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.LayerNorm(4))
    assert zero_gamma_([branch]).reached == {"0.2.weight": 0.0}
    assert (branch[0].weight == 1).all() and not branch[2].weight.any()


def test_convolutions_count_as_well():
    many = [ones(nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.ConvTranspose2d(2, 2, 3)))] * 1
    gpt2_scale_(many * 4)
    assert many[0][3].weight[0, 0, 0, 0].item() == 0.5  # the same branch four times, halved once
    assert (many[0][0].weight == 1).all()


def test_the_sum_of_many_scaled_branches_has_the_variance_of_one():
    """Each of 64 branches adds variance 1 / 64 to a stream of variance 1. Without scaling it would add 64."""
    generator = torch.Generator().manual_seed(0)
    many = [nn.Sequential(nn.Linear(128, 128, bias=False)) for _ in range(64)]
    for branch in many:
        branch[0].weight.data.normal_(0.0, 1 / math.sqrt(128), generator=generator)
    gpt2_scale_(many)
    inputs = torch.randn(256, 128, generator=generator)
    total = sum(branch(inputs) for branch in many)
    assert total.var().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("scale", [gpt2_scale_, fixup_, zero_gamma_])
def test_a_branch_without_such_a_layer_is_refused(scale):
    with pytest.raises(ValueError, match="branches .*ReLU"):
        scale([nn.ReLU()])


@pytest.mark.parametrize("scale", [gpt2_scale_, fixup_])
def test_weights_that_are_computed_from_others_or_lazy_are_refused_before_a_change(scale):
    plain = nn.Linear(3, 3)
    before = plain.weight.detach().clone()
    for other in (nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), nn.LazyLinear(3)):
        with pytest.raises(ValueError, match="branches must hold weights of their own, '1.0' does not"):
            scale([plain, nn.Sequential(other)])
    assert torch.equal(plain.weight, before)
    with pytest.raises(ValueError, match="branches must hold weights of their own"):
        zero_gamma_([nn.BatchNorm1d(3, affine=False)])


def test_branches_come_in_a_list():
    with pytest.raises(ValueError, match="branches must be a list of modules, got one Sequential"):
        gpt2_scale_(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)))
    with pytest.raises(ValueError, match="branches must hold a branch, got none"):
        zero_gamma_([])
    layers = nn.ModuleList([nn.Linear(3, 3, bias=False) for _ in range(4)])
    before = layers[0].weight.detach().clone()
    gpt2_scale_(iter(layers))
    assert torch.equal(layers[0].weight, before / 2)


def test_fixup_scales_a_shared_weight_once():
    shared, ends = nn.Linear(2, 2), [nn.Linear(2, 2) for _ in range(4)]
    nn.init.ones_(shared.weight)
    fixup_([nn.Sequential(shared, end) for end in ends])
    assert shared.weight[0, 0].item() == pytest.approx(4**-0.5)
    assert not any(end.weight.any() for end in ends)


def test_the_report_names_what_was_reached_and_what_was_left():
    report = fixup_(branches(4, layers=2))
    assert list(report.reached)[:2] == ["0.0.weight", "0.2.weight"]
    assert report.reached["3.0.weight"] == pytest.approx(0.5) and report.reached["3.2.weight"] == 0.0
    assert set(report.left) == {f"{i}.{name}" for i in range(4) for name in ("0.bias", "2.bias", "3.weight", "3.bias")}
    assert set(gpt2_scale_(branches(4, layers=2)).left) >= {"0.0.weight", "3.0.weight"}


@pytest.mark.parametrize("settings", [{}, {"kdim": 6, "vdim": 6}], ids=["packed", "separate"])
def test_of_attention_fixup_takes_the_values_and_the_output(settings):
    """Two weights follow each other, so that four branches halve the first. Queries and keys stay."""
    many = [ones(nn.MultiheadAttention(4, 2, **settings)) for _ in range(4)]
    report = fixup_(many)
    for layer in many:
        packed = layer.in_proj_weight
        queries, keys, values = (
            packed.chunk(3) if packed is not None else (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
        )
        assert (queries == 1).all() and (keys == 1).all() and (values == 0.5).all()
        assert not layer.out_proj.weight.any()
    name = "in_proj_weight" if not settings else "v_proj_weight"
    assert report.reached == {
        f"{i}.{part}": factor
        for i in range(4)
        for part, factor in ((name, pytest.approx(0.5)), ("out_proj.weight", 0.0))
    }
    assert ("0.in_proj_weight" in report.left) == (not settings)


def test_attention_is_no_norm():
    branch = nn.ModuleList([nn.MultiheadAttention(4, 2), nn.LayerNorm(4)])
    assert zero_gamma_([branch]).reached == {"0.1.weight": 0.0}


def test_weights_that_are_tied_by_their_memory_are_scaled_once():
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight.data = first.weight.data
    ones(first)
    assert list(gpt2_scale_([first, second]).reached) == ["0.weight", "1.weight"]
    assert second.weight[0, 0].item() == pytest.approx(2**-0.5)
