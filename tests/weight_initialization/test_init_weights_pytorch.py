import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from snippets.he_initialization.fans_numpy import true_fans
from snippets.laboratory.mean_field import gaussian_mean
from snippets.weight_initialization.init_weights_pytorch import GAINS, _unwritable, init_weights_, true_fan_in
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


FUNCTIONS = {
    "linear": lambda x: x,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "selu": functional.selu,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
}


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
    fans = true_fans(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.groups, transposed)
    assert true_fan_in(layer) == fans.fan_in


def test_the_report_names_every_parameter_with_its_rule():
    model = small()
    report = init_weights_(disturbed(model), seed=0).reached
    assert [(row.name, row.shape) for row in report] == [(n, tuple(p.shape)) for n, p in model.named_parameters()]
    assert [(row.name, row.rule, row.fan_in, row.std_wanted) for row in report] == [
        ("0.weight", "embedding", 1.0, 1.0),
        ("1.weight", "one", None, 0.0),
        ("1.bias", "zero", None, 0.0),
        ("2.weight", "gain", 18.0, pytest.approx(math.sqrt(2 / 18))),
        ("2.bias", "zero", None, 0.0),
        ("3.weight", "one", None, 0.0),
        ("3.bias", "zero", None, 0.0),
        ("5.weight", "gain", 96.0, pytest.approx(math.sqrt(2 / 96))),
        ("7.weight", "output", 64.0, pytest.approx(math.sqrt(1 / 64))),
        ("7.bias", "zero", None, 0.0),
    ]
    for row, parameter in zip(report, model.parameters(), strict=True):
        assert row.std_measured == pytest.approx(parameter.detach().double().std(correction=0).item())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_weights_follow_the_law_and_the_rest_is_constant(dtype):
    model = disturbed(nn.Sequential(nn.Linear(300, 200), nn.BatchNorm1d(200), nn.Linear(200, 300))).to(dtype)
    init_weights_(model, seed=0, gain=math.sqrt(2 / 1.04))
    assert_law(model[0].weight.detach().double().numpy(), math.sqrt(2 / 1.04 / 300), NORMAL)
    assert_law(model[2].weight.detach().double().numpy(), math.sqrt(1 / 200), NORMAL)
    assert not model[0].bias.any() and not model[1].bias.any() and (model[1].weight == 1).all()


def test_a_deep_stack_of_transposed_convolutions_keeps_the_mean_square():
    """With the fan that torch.nn.init reads off, 8 layers of stride 2 would lose a factor of 2^8."""
    layers = [layer for _ in range(8) for layer in (nn.ConvTranspose1d(64, 64, 4, stride=2, padding=1), nn.ReLU())]
    model = nn.Sequential(*layers)
    init_weights_(model, seed=0, output="14")
    h = model(torch.randn(16, 64, 8, generator=torch.Generator().manual_seed(0)))
    # 2 for the gain of 1 of the output layer. With a fan of 128 log E h^2 deviates by sqrt(5 * 8 / 128) = 0.56 or less.
    assert abs(math.log(2 * h.square().mean().item())) < 3 * 0.56


def test_the_same_seed_gives_the_same_weights_again():
    model = small()
    first = init_weights_(disturbed(model), seed=1).reached
    weights = copy.deepcopy(model.state_dict())
    assert init_weights_(model, seed=1).reached == first
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert init_weights_(model, seed=2).reached != first


def test_short_dtypes_get_the_same_weights_rounded():
    half, single = small().to(torch.bfloat16), small()
    init_weights_(half, seed=0)
    init_weights_(single, seed=0)
    assert torch.equal(half[7].weight, single[7].weight.to(torch.bfloat16))


def test_buffers_flags_and_global_state_stay():
    model, state = disturbed(small()), torch.get_rng_state()
    init_weights_(model, seed=0)
    assert all((buffer == 3).all() for buffer in model.buffers()) and list(model.buffers())
    assert all(parameter.requires_grad and parameter.grad_fn is None for parameter in model.parameters())
    assert model.training and torch.is_grad_enabled()
    assert torch.equal(state, torch.get_rng_state())


def test_frozen_parameters_stay():
    model = disturbed(small())
    model[2].requires_grad_(False)
    reached, left = init_weights_(model, seed=0)
    assert left == {"2.weight": "frozen: requires no gradient", "2.bias": "frozen: requires no gradient"}
    assert (model[2].weight == 3).all() and (model[2].bias == 3).all()
    assert not any(row.name.startswith("2.") for row in reached)


def test_a_tied_parameter_is_drawn_once_with_the_smallest_std():
    model = nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 50, bias=False))
    model[0].weight = model[1].weight
    (row,) = init_weights_(model, seed=0).reached
    assert (row.rule, row.fan_in, row.std_wanted) == ("output", 16.0, 0.25)
    assert model[0].weight is model[1].weight


def test_the_padding_row_of_an_embedding_is_zero():
    model = small()
    init_weights_(model, seed=0)
    zero_rows = (model[0].weight == 0).all(dim=1)
    assert zero_rows[3] and zero_rows.sum() == 1


def test_gains_keep_a_preactivation_of_variance_one():
    """By the definition, on the laboratory's exact integrals; tanh has the gain that keeps the gradient at zero."""
    assert GAINS.keys() - FUNCTIONS.keys() == {"tanh"} and GAINS["tanh"] == 1.0
    for name, function in FUNCTIONS.items():
        mean_square = gaussian_mean(lambda xi, phi=function: phi(torch.from_numpy(xi)).square().numpy())
        assert GAINS[name] == pytest.approx(mean_square**-0.5, abs=1e-6), name


def test_projections_of_attention_have_gain_one_and_the_output_is_found_before_them():
    model = disturbed(nn.ModuleList([nn.Linear(8, 3), nn.MultiheadAttention(8, 2, add_bias_kv=True)]))
    reached, left = init_weights_(model, seed=0)
    rows = {row.name: row[2:5] for row in reached}
    assert rows["1.in_proj_weight"] == rows["1.out_proj.weight"] == ("linear", 8, 1 / math.sqrt(8))
    assert rows["1.in_proj_bias"] == rows["1.out_proj.bias"] == ("zero", None, 0.0)
    assert left == {"1.bias_k": "no rule covers it", "1.bias_v": "no rule covers it"}
    assert rows["0.weight"][0] == "output"


def test_packed_and_separate_projections_follow_the_same_law():
    packed, separate = nn.MultiheadAttention(128, 2), nn.MultiheadAttention(128, 2, kdim=64, vdim=256)
    init_weights_(packed, seed=0)
    init_weights_(separate, seed=0)
    for weight in (*packed.in_proj_weight.chunk(3), separate.q_proj_weight, separate.k_proj_weight):
        assert_law(weight.detach().numpy(), weight.shape[1] ** -0.5, NORMAL)
    assert_law(separate.v_proj_weight.detach().numpy(), 256**-0.5, NORMAL)


RECURRENT = [
    (nn.LSTM(6, 8, num_layers=2, bidirectional=True), 4),
    (nn.LSTM(6, 8, proj_size=5), 4),
    (nn.LSTMCell(6, 8), 4),
    (nn.GRU(6, 8), 3),
    (nn.GRUCell(6, 8), 3),
    (nn.RNN(6, 8, bias=False), 1),
]


@pytest.mark.parametrize(("layer", "gates"), RECURRENT, ids=str)
def test_recurrent_weights_are_orthogonal_in_every_gate(layer, gates):
    report = init_weights_(disturbed(layer), seed=0).reached
    recurrent = [(row, layer.get_parameter(row.name)) for row in report if "weight_hh" in row.name]
    assert recurrent
    for row, weight in recurrent:
        assert (row.rule, row.fan_in) == ("orthogonal", weight.shape[1])
        assert row.std_measured == pytest.approx(row.std_wanted, rel=0.05)
        assert weight.shape[0] == gates * 8
        for gate in weight.split(8):
            assert torch.allclose(gate.T @ gate, torch.eye(weight.shape[1]), atol=1e-6)
        assert len({gate.sum().item() for gate in weight.split(8)}) == gates
    for row in report:
        if "weight_ih" in row.name or "weight_hr" in row.name:
            assert row[2:5] == ("linear", row.shape[1], 1 / math.sqrt(row.shape[1]))


@pytest.mark.parametrize(("layer", "gates"), RECURRENT, ids=str)
def test_only_forget_gates_have_a_bias_and_their_sum_is_one(layer, gates):
    report = init_weights_(disturbed(layer), seed=0).reached
    for row in report:
        if "bias_ih" in row.name:
            total = layer.get_parameter(row.name) + layer.get_parameter(row.name.replace("_ih", "_hh"))
            assert total.tolist() == ([0] * 8 + [1] * 8 + [0] * 16 if gates == 4 else [0] * 8 * gates)
            assert row.std_measured == pytest.approx(row.std_wanted)


def test_a_forget_gate_starts_open():
    """Zero input and state: the gate of an LSTM is sigmoid(1) = 0.731, so that much of the cell survives one step."""
    cell = nn.LSTMCell(6, 8)
    init_weights_(cell, seed=0)
    _, after = cell(torch.zeros(1, 6), (torch.zeros(1, 8), torch.ones(1, 8)))
    assert after.detach() == pytest.approx(torch.full((1, 8), 1 / (1 + math.exp(-1))), abs=1e-6)


def test_what_no_rule_covers_is_left_and_told():
    model = disturbed(nn.ModuleList([nn.Bilinear(2, 2, 2), nn.PReLU(), nn.Embedding(0, 3)]))
    reached, left = init_weights_(model, seed=0)
    assert not reached and left == {name: "no rule covers it" for name, _ in model.named_parameters()}
    assert all((parameter == 3).all() for parameter in model.parameters())


def test_a_computed_weight_is_left():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    (row,), left = init_weights_(model, seed=0)
    assert row.name == "0.bias" and set(left) == {f"0.parametrizations.weight.original{i}" for i in (0, 1)}


def test_the_output_layer_can_be_named():
    model = nn.ModuleDict({"classes": nn.Linear(4, 2), "auxiliary": nn.Linear(4, 2)})
    rules = [row.rule for row in init_weights_(model, seed=0, output="classes").reached]
    assert rules == ["output", "zero", "gain", "zero"]
    assert [row.rule for row in init_weights_(nn.Linear(4, 2), seed=0, output="").reached] == ["output", "zero"]
    with pytest.raises(ValueError, match="gain .*-1"):
        init_weights_(model, seed=0, gain=-1.0)
    with pytest.raises(ValueError, match=r"output .*\['classes', 'auxiliary'\], got 'logits'"):
        init_weights_(model, seed=0, output="logits")


def test_a_model_without_layers_is_fine():
    assert [row.rule for row in init_weights_(nn.LayerNorm(3), seed=0).reached] == ["one", "zero"]
    assert init_weights_(nn.ReLU(), seed=0) == ([], {})


def test_a_model_without_values_is_refused():
    with pytest.raises(ValueError, match="'weight'"):
        init_weights_(nn.Linear(3, 3, device="meta"), seed=0)
    with pytest.raises(ValueError, match="'weight'"):
        init_weights_(nn.LazyLinear(3), seed=0)


def test_the_first_layer_may_have_a_gain_of_one_and_then_silu_keeps_the_mean_square():
    """With the gain before the inputs as well, the mean square of layer 20 is some hundred."""
    torch.manual_seed(0)
    model = nn.Sequential(*[part for _ in range(20) for part in (nn.Linear(256, 256), nn.SiLU())][:-1])
    inputs, found = torch.randn(256, 256), {}
    for first in (None, "0"):
        report = init_weights_(model, seed=0, gain=GAINS["silu"], output="38", first=first).reached
        found[first] = model(inputs).square().mean().item(), report[0].rule
    assert found["0"][1] == "linear" and found[None][1] == "gain"
    assert found["0"][0] < 20.0 < 100.0 < found[None][0]
    with pytest.raises(ValueError, match="first must be one of .* got 'none'"):
        init_weights_(model, seed=0, first="none")
    with pytest.raises(ValueError, match="gain must be positive and finite, got inf"):
        init_weights_(model, seed=0, gain=math.inf)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantized_layer_is_left_by_name():
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)), {nn.Linear})
    report = init_weights_(model, seed=0)
    assert report.left == {"0": "quantized: its weight is no parameter"}
    assert [row.name for row in report.reached] == ["1.weight", "1.bias"]


def test_why_nothing_can_be_written_into_a_parameter():
    assert _unwritable(None) == "is computed from other parameters"
    assert _unwritable(torch.empty(2, device="meta")) == "holds no values yet"
    assert _unwritable(torch.ones(2)) is None
