import copy
import math

import pytest
import torch
from torch import nn

from snippets.he_initialization.fans_numpy import true_fans
from snippets.he_initialization.init_model_pytorch import he_initialize_, true_fan_in
from tests.laws import NORMAL, assert_law

SUMMING = [
    nn.Linear(7, 5),
    nn.Conv1d(6, 4, 5, stride=2),
    nn.Conv2d(6, 4, (3, 2), groups=2),
    nn.Conv2d(6, 12, 3, groups=6, dilation=2),
    nn.Conv3d(2, 3, 2),
    nn.ConvTranspose1d(6, 4, 3),
    nn.ConvTranspose2d(6, 4, 3, stride=2),
    nn.ConvTranspose2d(6, 4, (4, 3), stride=(2, 1), groups=2),
    nn.ConvTranspose2d(6, 4, 3, stride=2, dilation=3),
    nn.ConvTranspose3d(2, 3, 2, stride=2),
]


def small() -> nn.Sequential:
    """One of each that a rule covers."""
    return nn.Sequential(
        nn.Embedding(40, 24, padding_idx=3),
        nn.LayerNorm(24),
        nn.Conv1d(24, 48, 3, groups=4),
        nn.BatchNorm1d(48),
        nn.ReLU(),
        nn.ConvTranspose1d(48, 32, 4, stride=2, bias=False),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def disturbed(model: nn.Module) -> nn.Module:
    """Every parameter and buffer at a value that no rule gives."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(3)
    return model


@pytest.mark.parametrize("layer", SUMMING, ids=str)
def test_the_fan_is_the_number_of_summands(layer):
    """Ones times ones: each output value counts its summands."""
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    nn.init.zeros_(layer.bias)
    if isinstance(layer, nn.Linear):
        counts = layer(torch.ones(7))
    else:
        counts = layer(torch.ones(1, layer.in_channels, *[40] * len(layer.kernel_size)))
        for axis in range(2, counts.dim()):  # away from the borders, whole periods of every stride here
            counts = counts.narrow(axis, 8, 6)
    assert counts.mean().item() == pytest.approx(true_fan_in(layer))


@pytest.mark.parametrize("layer", SUMMING[1:], ids=str)
def test_the_oracle_agrees(layer):
    transposed = isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
    fans = true_fans(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.groups, transposed
    )
    assert true_fan_in(layer) == fans.fan_in


def test_the_report_names_every_parameter_with_its_rule():
    model = small()
    report = he_initialize_(disturbed(model), seed=0)
    assert [(row.name, row.shape) for row in report] == [(n, tuple(p.shape)) for n, p in model.named_parameters()]
    assert [(row.name, row.rule, row.fan_in, row.std_wanted) for row in report] == [
        ("0.weight", "embedding", 1.0, 1.0),
        ("1.weight", "one", None, 0.0),
        ("1.bias", "zero", None, 0.0),
        ("2.weight", "he", 18.0, pytest.approx(math.sqrt(2 / 18))),
        ("2.bias", "zero", None, 0.0),
        ("3.weight", "one", None, 0.0),
        ("3.bias", "zero", None, 0.0),
        ("5.weight", "he", 96.0, pytest.approx(math.sqrt(2 / 96))),
        ("7.weight", "output", 64.0, pytest.approx(math.sqrt(1 / 64))),
        ("7.bias", "zero", None, 0.0),
    ]
    for row, parameter in zip(report, model.parameters(), strict=True):
        assert row.std_measured == pytest.approx(parameter.detach().double().std(correction=0).item())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_weights_follow_the_law_and_the_rest_is_constant(dtype):
    model = disturbed(nn.Sequential(nn.Linear(300, 200), nn.BatchNorm1d(200), nn.Linear(200, 300))).to(dtype)
    he_initialize_(model, seed=0, a=0.2)
    assert_law(model[0].weight.detach().double().numpy(), math.sqrt(2 / 1.04 / 300), NORMAL)
    assert_law(model[2].weight.detach().double().numpy(), math.sqrt(1 / 200), NORMAL)
    assert not model[0].bias.any() and not model[1].bias.any() and (model[1].weight == 1).all()


def test_a_deep_stack_of_transposed_convolutions_keeps_the_mean_square():
    """With the fan that torch.nn.init reads off, 8 layers of stride 2 would lose a factor of 2^8."""
    layers = [layer for _ in range(8) for layer in (nn.ConvTranspose1d(64, 64, 4, stride=2, padding=1), nn.ReLU())]
    model = nn.Sequential(*layers)
    he_initialize_(model, seed=0, output="14")
    h = model(torch.randn(16, 64, 8, generator=torch.Generator().manual_seed(0)))
    # 2 for the gain of 1 of the output layer. With a fan of 128 log E h^2 deviates by sqrt(5 * 8 / 128) = 0.56 or less.
    assert abs(math.log(2 * h.square().mean().item())) < 3 * 0.56


def test_the_same_seed_gives_the_same_weights_again():
    model = small()
    first = he_initialize_(disturbed(model), seed=1)
    weights = copy.deepcopy(model.state_dict())
    assert he_initialize_(model, seed=1) == first
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert he_initialize_(model, seed=2) != first


def test_short_dtypes_get_the_same_weights_rounded():
    half, single = small().to(torch.bfloat16), small()
    he_initialize_(half, seed=0)
    he_initialize_(single, seed=0)
    assert torch.equal(half[7].weight, single[7].weight.to(torch.bfloat16))


def test_buffers_flags_and_global_state_stay():
    model, state = disturbed(small()), torch.get_rng_state()
    he_initialize_(model, seed=0)
    assert all((buffer == 3).all() for buffer in model.buffers()) and list(model.buffers())
    assert all(parameter.requires_grad and parameter.grad_fn is None for parameter in model.parameters())
    assert model.training and torch.is_grad_enabled()
    assert torch.equal(state, torch.get_rng_state())


def test_frozen_parameters_stay():
    model = disturbed(small())
    model[2].requires_grad_(False)
    report = {row.name: row for row in he_initialize_(model, seed=0)}
    assert report["2.weight"].rule == report["2.bias"].rule == "frozen"
    assert (model[2].weight == 3).all() and (model[2].bias == 3).all()
    assert report["2.weight"].std_wanted is None and report["2.weight"].std_measured == 0.0


def test_a_tied_parameter_is_drawn_once_with_the_smallest_std():
    model = nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 50, bias=False))
    model[0].weight = model[1].weight
    (row,) = he_initialize_(model, seed=0)
    assert (row.rule, row.fan_in, row.std_wanted) == ("output", 16.0, 0.25)
    assert model[0].weight is model[1].weight


def test_the_padding_row_of_an_embedding_is_zero():
    model = small()
    he_initialize_(model, seed=0)
    zero_rows = (model[0].weight == 0).all(dim=1)
    assert zero_rows[3] and zero_rows.sum() == 1


def test_what_no_rule_covers_is_left_and_told():
    attention = nn.MultiheadAttention(8, 2)
    model = disturbed(nn.ModuleList([attention, nn.GRU(4, 4), nn.PReLU(), nn.Embedding(0, 3)]))
    rules = {row.name: row.rule for row in he_initialize_(model, seed=0)}
    assert rules["0.in_proj_weight"] == rules["1.weight_ih_l0"] == rules["2.weight"] == rules["3.weight"] == "left"
    assert rules["0.out_proj.weight"] == "output" and (attention.in_proj_weight == 3).all()


def test_a_computed_weight_is_left():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    assert [row.rule for row in he_initialize_(model, seed=0)] == ["zero", "left", "left"]


def test_the_output_layer_can_be_named():
    model = nn.ModuleDict({"classes": nn.Linear(4, 2), "auxiliary": nn.Linear(4, 2)})
    rules = [row.rule for row in he_initialize_(model, seed=0, output="classes")]
    assert rules == ["output", "zero", "he", "zero"]
    assert [row.rule for row in he_initialize_(nn.Linear(4, 2), seed=0, output="")] == ["output", "zero"]
    with pytest.raises(ValueError, match=r"output .*\['classes', 'auxiliary'\], got 'logits'"):
        he_initialize_(model, seed=0, output="logits")


def test_a_model_without_layers_is_fine():
    assert [row.rule for row in he_initialize_(nn.LayerNorm(3), seed=0)] == ["one", "zero"]
    assert he_initialize_(nn.ReLU(), seed=0) == []


def test_a_model_without_values_is_refused():
    with pytest.raises(ValueError, match="'weight'"):
        he_initialize_(nn.Linear(3, 3, device="meta"), seed=0)
    with pytest.raises(ValueError, match="'weight'"):
        he_initialize_(nn.LazyLinear(3), seed=0)
