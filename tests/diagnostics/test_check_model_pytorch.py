"""The numbers of a report against autograd by hand, and what every kind of model and batch must give."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.healthy_models import HEALTHY, build
from tests.diagnostics.checked import Called, batch, codes, cross_entropy, mean, mlp

pytestmark = pytest.mark.usefixtures("seeded")


def test_every_number_of_a_row_against_autograd_by_hand():
    first, last = nn.Linear(5, 40).double(), nn.Linear(40, 3).double()
    inputs, labels = torch.randn(16, 5).double(), torch.randint(3, (16,))
    report = check_model(nn.Sequential(first, nn.ReLU(), last), (inputs, labels), cross_entropy)
    hidden = first(inputs)
    output = last(hidden.relu())
    loss = cross_entropy(output, labels)
    d_hidden, d_output, d_first, d_last = torch.autograd.grad(loss, [hidden, output, first.weight, last.weight])
    assert report.loss == pytest.approx(loss.item(), rel=1e-12)
    assert report.chance_loss == pytest.approx(math.log(3))
    assert (report.parameters, report.trainable) == (5 * 40 + 40 + 40 * 3 + 3,) * 2
    for row, name, layer, out, d_out, d_weight in zip(
        report.layers, ("0", "2"), (first, last), (hidden, output), (d_hidden, d_output), (d_first, d_last), strict=True
    ):
        assert (row.name, row.kind, row.shape, row.non_finite) == (name, "Linear", tuple(out.shape), 0.0)
        assert row.mean == pytest.approx(out.mean().item(), rel=1e-12)
        assert row.std == pytest.approx(out.std(correction=0).item(), rel=1e-12)
        cosines = functional.cosine_similarity(out[:8, None], out[None, :8], dim=-1)
        assert row.cosine == pytest.approx((cosines.sum() - 8).item() / 56, rel=1e-9)
        assert row.gradient == pytest.approx(d_out.norm().item(), rel=1e-12)
        assert row.weight_gradient == pytest.approx(d_weight.norm().item(), rel=1e-12)
        assert row.ratio == pytest.approx((d_weight.norm() / layer.weight.norm()).item(), rel=1e-12)
        fan_in = layer.weight.shape[1]
        assert row.gain == pytest.approx((layer.weight.square().mean() * fan_in).sqrt().item(), rel=1e-12)
    assert report.layers[0].dead == pytest.approx((hidden <= 0).all(0).double().mean().item())
    assert (report.layers[1].dead, report.layers[0].saturated, report.layers[0].peaked) == (None, None, None)
    assert report.forward == pytest.approx(output.std(correction=0).item() / hidden.std(correction=0).item())
    assert report.backward == pytest.approx((d_hidden.norm() / d_output.norm()).item())


@pytest.mark.parametrize(("activation", "below"), [(nn.Sigmoid(), 0.025), (nn.Tanh(), 0.1)])
def test_saturated_means_a_slope_below_a_tenth_of_the_largest(activation, below):
    layer = nn.Linear(64, 64)
    nn.init.normal_(layer.weight, 0.0, 0.4)
    inputs = torch.randn(32, 64)
    row = check_model(nn.Sequential(layer, activation), inputs, mean).layers[0]
    z = layer(inputs).double().requires_grad_()
    (slope,) = torch.autograd.grad(activation(z).sum(), z)
    assert row.saturated == pytest.approx((slope < below).double().mean().item(), abs=1e-3)
    assert 0.1 < row.saturated < 0.9


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.ReLU6(inplace=True)], ids=str)
def test_dead_counts_units_and_works_in_place(activation):
    model = mlp(activation, nn.Identity())
    with torch.no_grad():
        model[0].bias[:48] = -50.0
        # Faint is not dead.
        model[0].weight[60] *= 1e-6
        model[0].bias[60] = 1e-3
    report = check_model(model, batch(), cross_entropy)
    assert report.layers[0].dead == 48 / 64
    assert codes(report) == []
    model[0].bias.data[48] = -50.0
    assert codes(check_model(model, batch(), cross_entropy)) == ["dead-relu"]


def test_in_place_activations_change_no_number():
    plain = mlp(nn.ReLU(), nn.ReLU(), nn.Identity())
    in_place = mlp(nn.ReLU(inplace=True), nn.ReLU(inplace=True), nn.Identity())
    in_place.load_state_dict(plain.state_dict())
    data = batch()
    assert check_model(plain, data, cross_entropy).layers == check_model(in_place, data, cross_entropy).layers


def test_channels_are_the_units_of_a_convolution():
    layer = nn.Conv2d(3, 40, 3)
    layer.bias.data[:35] = -50.0
    report = check_model(nn.Sequential(layer, nn.ReLU()), torch.randn(4, 3, 9, 7), mean)
    assert report.layers[0].dead == 35 / 40
    assert report.layers[0].gain == pytest.approx(3**-0.5, rel=0.05)


def test_samples_follow_no_period_of_the_shape():
    model = nn.Linear(64, 64)
    model.bias.data[::16] = 100.0
    inputs = torch.randn(4096, 64)
    row = check_model(model, inputs, mean).layers[0]
    assert row.mean == pytest.approx(model(inputs).mean().item(), rel=0.05)


def test_few_units_may_be_dead_together():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    model[0].bias.data[:15] = -50.0
    report = check_model(model, torch.randn(8, 8), mean)
    assert report.layers[0].dead is None and codes(report) == []
    model[0].bias.data[:] = -50.0
    (finding,) = check_model(model, torch.randn(8, 8), mean).findings
    assert (finding.code, finding.layers) == ("dead-relu", ("0",))


class Gate(nn.Module):
    """Squeeze and excitation: a few units, and a sigmoid that multiplies."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.down, self.up = nn.Linear(8, 8), nn.Linear(8, 2), nn.Linear(2, 8)
        nn.init.constant_(self.down.bias, -50.0)

    def forward(self, x):
        x = self.body(x)
        return x * self.up(self.down(x).relu()).sigmoid()


def test_a_gate_that_is_off_is_no_dead_layer():
    assert "dead-relu" not in codes(check_model(Gate(), torch.randn(8, 8), mean))


# Kinds of models -----------------------------------------------------------------------------------------------------


def test_a_module_that_runs_twice_has_two_rows_and_one_gradient():
    layer = nn.Linear(8, 8)
    inputs = torch.randn(4, 8)
    report = check_model(nn.Sequential(layer, nn.Tanh(), layer), inputs, mean)
    assert [row.name for row in report.layers] == ["0", "0 (2)"]
    (gradient,) = torch.autograd.grad(layer(layer(inputs).tanh()).mean(), layer.weight)
    assert [row.weight_gradient for row in report.layers] == [pytest.approx(gradient.norm().item(), rel=1e-5)] * 2


def test_tied_weights_are_no_copies():
    report = check_model(*build(HEALTHY["GPT-2"], 0))
    assert codes(report) == []
    assert report.layers[0].weight_gradient == report.layers[-1].weight_gradient


def test_frozen_layers_have_no_gradient_and_no_finding():
    model = mlp(nn.ReLU(), nn.ReLU(), nn.ReLU())
    for layer in (model[0], model[2]):
        layer.requires_grad_(False)
    report = check_model(model, batch(), cross_entropy)
    assert [row.gradient is None for row in report.layers] == [True, True, False]
    assert [row.weight_gradient is None for row in report.layers] == [True, True, False]
    assert report.trainable == report.parameters // 3
    assert codes(report) == []
    model[0].requires_grad_(True)
    row = check_model(model, batch(), cross_entropy).layers[1]
    assert row.gradient > 0 and row.weight_gradient is None


def test_non_contiguous_weights():
    model = mlp(nn.ReLU())
    twin = mlp(nn.ReLU())
    twin.load_state_dict(model.state_dict())
    twin[0].weight = nn.Parameter(model[0].weight.detach().T.contiguous().T)
    assert not twin[0].weight.is_contiguous()
    data = batch()
    theirs, ours = check_model(model, data, cross_entropy).layers[0], check_model(twin, data, cross_entropy).layers[0]
    for field in ("std", "gradient", "weight_gradient", "gain"):
        assert getattr(ours, field) == pytest.approx(getattr(theirs, field), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_floating_dtype(dtype):
    model, (inputs, labels) = mlp(nn.ReLU(), nn.Identity()), batch()
    single = check_model(model, (inputs, labels), cross_entropy)
    other = check_model(model.to(dtype), (inputs.to(dtype), labels), cross_entropy)
    assert codes(other) == []
    for ours, theirs in zip(other.layers, single.layers, strict=True):
        assert ours.std == pytest.approx(theirs.std, rel=0.02)
        assert ours.gradient == pytest.approx(theirs.gradient, rel=0.05)


def test_mixed_precision():
    case = build(HEALTHY["ResNet, basic blocks"], 0)
    single = check_model(*case)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = check_model(*case)
    assert codes(mixed) == []
    assert mixed.loss == pytest.approx(single.loss, rel=0.05)
    assert mixed.layers[-1].std == pytest.approx(single.layers[-1].std, rel=0.1)


def test_parametrized_weights():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 8))
    report = check_model(model, batch(4, 8), cross_entropy)
    assert [row.name for row in report.layers] == ["0", "2"]
    assert report.layers[0].weight_gradient > 0


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_do_not_run_a_layer_twice(reentrant):
    class Saving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(nn.ReLU(), nn.ReLU())

        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(self.body, x.requires_grad_(), use_reentrant=reentrant)

    report = check_model(Saving(), batch(), cross_entropy)
    assert [row.name for row in report.layers] == ["body.0", "body.2"]
    assert all(row.weight_gradient > 0 for row in report.layers)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_is_checked_uncompiled():
    model = mlp(nn.ReLU())
    assert [row.name for row in check_model(torch.compile(model), batch(), cross_entropy).layers] == ["0"]


def test_embeddings_with_sparse_gradients():
    model = nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Linear(8, 4))
    report = check_model(model, torch.randint(50, (4, 6)), mean)
    assert report.layers[0].weight_gradient > 0
    assert report.layers[0].gain is None


def test_fan_in_of_layers_that_store_their_weight_the_other_way():
    transposed = nn.ConvTranspose2d(20, 5, 3)
    nn.init.normal_(transposed.weight)
    row = check_model(transposed, torch.randn(2, 20, 4, 4), mean).layers[0]
    assert row.gain == pytest.approx((20 * 9) ** 0.5, rel=0.1)
    row = next(row for row in check_model(*build(HEALTHY["GPT-2"], 0)).layers if row.kind == "Conv1D")
    assert row.gain == pytest.approx(0.02 * 64**0.5, rel=0.1)


def test_non_floating_outputs_and_inputs_are_passed_over():
    class Rounding(nn.Linear):
        def forward(self, x):
            return super().forward(x).long()

    class Twofold(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.side, self.main = Rounding(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.main(x) + self.side(x)

    report = check_model(Twofold(), torch.randn(3, 4), mean)
    assert [row.name for row in report.layers] == ["main"]
    assert codes(report) == ["unused-weights"]


def test_hardtanh_has_a_slope_where_it_is_negative():
    model = mlp(nn.Hardtanh(), nn.Identity())
    nn.init.constant_(model[0].bias, -0.3), nn.init.normal_(model[0].weight, 0, 0.02)
    report = check_model(model, batch(), cross_entropy)
    assert (report.layers[0].dead, report.layers[0].saturated, codes(report)) == (None, 0.0, [])
    nn.init.constant_(model[0].bias, -3.0)
    report = check_model(model, batch(), cross_entropy)
    assert report.layers[0].saturated == 1.0 and "saturated-activation" in codes(report)
    model[1] = nn.Hardtanh(0.0, 6.0)
    assert codes(check_model(model, batch(), cross_entropy)) == ["dead-relu"]


class Zero(nn.Module):
    """A block whose scales and last layer start at zero, as those of diffusion transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scales, self.last = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64)
        for layer in (self.scales, self.last):
            nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.last(x + self.scales(x) * self.body(x).relu())


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64)
        self.gamma = nn.Parameter(torch.zeros(64))

    def forward(self, x):
        return self.last(x + self.gamma * self.two(self.one(x).relu()))


@pytest.mark.parametrize("block", [Zero, Scale])
def test_branches_that_start_at_zero(block):
    assert codes(check_model(block(), batch(), cross_entropy)) == []


class Ready(nn.Module):
    """Makes raw inputs ready: by a number, by sines of a time step, by a normalization."""

    def __init__(self, how) -> None:
        super().__init__()
        self.how, self.norm, self.layer = how, nn.BatchNorm1d(64), nn.Linear(64, 64)

    def forward(self, x, mask=None):
        x = self.how(self, x)
        return self.layer(x) if mask is None else self.layer(x) + mask.clamp(min=-1)


def test_raw_inputs_may_be_made_ready_by_the_model():
    raw, labels = 128 + 50 * torch.randn(32, 64), torch.randint(64, (32,))
    for how in (lambda m, x: x / 128 - 1, lambda m, x: x.sin(), lambda m, x: m.norm(x)):
        assert "input-scale" not in codes(check_model(Ready(how), (raw, labels), cross_entropy))
    assert codes(check_model(Ready(lambda m, x: x), (raw, labels), cross_entropy))[0] == "input-scale"
    frozen = nn.Sequential(nn.Linear(64, 64).requires_grad_(False), nn.Linear(64, 64))
    frozen[0].weight.data.mul_(100)
    assert "input-scale" not in codes(check_model(frozen, batch(), cross_entropy))


@pytest.mark.parametrize("low", [-1e4, -torch.inf, torch.finfo(torch.float32).min])
def test_a_mask_of_large_negative_numbers_is_no_raw_input(low):
    mask = torch.zeros(32, 64).masked_fill(torch.rand(32, 64) < 0.3, low)
    inputs, labels = batch()
    assert codes(check_model(Ready(lambda m, x: x), ((inputs, mask), labels), cross_entropy)) == ["unused-weights"]
    attention = nn.MultiheadAttention(64, 4, batch_first=True)
    later = torch.full((8, 8), low).triu(1)
    x = torch.randn(4, 8, 64)
    report = check_model(
        attention, ({"query": x, "key": x, "value": x, "attn_mask": later}, x), lambda o, y: (o[0] - y).mean()
    )
    assert "input-scale" not in codes(report) and "non-finite-input" not in codes(report)


def test_a_prediction_may_be_near_its_ends():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid(), nn.Flatten(0))
    nn.init.constant_(model[2].bias, -4.6)
    report = check_model(model, (torch.randn(32, 64), torch.zeros(32)), functional.binary_cross_entropy)
    assert report.layers[1].saturated == 1.0 and codes(report) == []
    focal = check_model(
        model[:3], (torch.randn(32, 64), torch.zeros(32, 1)), lambda o, y: (o.sigmoid() - y).square().mean()
    )
    assert codes(focal) == []


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize(
    ("logits", "found"),
    [
        (lambda x, w: 64 * functional.linear(functional.normalize(x), functional.normalize(w)), []),
        (lambda x, w: 64 * unit(x) @ unit(w).t(), []),
        (lambda x, w: unit(x) @ (64 * unit(w)).t(), []),
        (lambda x, w: 64 * torch.mm(unit(x), unit(w).t()), []),
        (lambda x, w: 64 * functional.cosine_similarity(x[:, None], w[None], dim=-1), []),
        (lambda x, w: 64 * functional.normalize(x @ w.t()), []),
        (lambda x, w: 64 * unit(x) @ w.t(), ["confident-at-start"]),
        (lambda x, w: 64 * x @ unit(w).t(), ["confident-at-start"]),
        (lambda x, w: 100 + 64 * (x @ w.t()), ["confident-at-start"]),
    ],
    ids=["functions", "by hand", "scaled weights", "mm", "cosines", "rows", "one side", "the other side", "neither"],
)
def test_logits_that_are_scaled_cosines_have_their_size_by_design(logits, found):
    class Cosine(nn.Linear):
        def forward(self, x):
            return logits(x, self.weight)

    model = nn.Sequential(nn.Linear(64, 8), Cosine(8, 64, bias=False))
    report = check_model(model, batch(), cross_entropy)
    assert report.loss > 8 and codes(report) == found


def test_a_few_examples_prove_no_confidence():
    model = nn.Linear(64, 64)
    nn.init.normal_(model.weight, 0.0, 3 / 8)
    found = [codes(check_model(model, batch(examples), cross_entropy)) for examples in (256, 2, 1)]
    assert found == [["confident-at-start"], [], []]


def test_frozen_copies_and_rows_that_all_say_the_same_are_no_copies():
    model = mlp(nn.ReLU(), nn.ReLU())
    model.target = nn.Linear(64, 64).requires_grad_(False)
    model.target.load_state_dict(model[0].state_dict())
    model.rates = nn.ParameterList([nn.Parameter(torch.arange(1.0, 9).log().repeat(4, 1)) for _ in range(2)])
    model.forward = lambda x: model[:3](x)
    assert codes(check_model(model, batch(), cross_entropy)) == ["unused-weights"]


def test_experts_behind_each_other_have_the_gain_of_one():
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 32, 64))

        def forward(self, x):
            return torch.einsum("bi,eoi->bo", x, self.weight)

    assert check_model(Experts(), torch.randn(8, 64), mean).layers[0].gain == pytest.approx(8.0, rel=0.05)


def test_the_factors_follow_the_longest_path():
    """Heads beside each other, one weaker than the other, are no chain."""

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(*[nn.Tanh()] * 4)
            self.heads = nn.ModuleList([nn.Linear(64, 64) for _ in range(8)])
            for power, head in enumerate(self.heads):
                nn.init.normal_(head.weight, 0, 0.1 * 4.0**-power), nn.init.zeros_(head.bias)

        def forward(self, x):
            x = self.body(x)
            return torch.cat([head(x) for head in self.heads], 1)

    report = check_model(Heads(), torch.randn(32, 64), lambda o, _: o.square().mean())
    assert (report.depth, len(report.layers)) == (5, 12)
    assert not {"vanishing-activation", "exploding-gradient", "vanishing-gradient"} & set(codes(report))


# What a model may call, in any legal form ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda h: torch.softmax(input=h @ h.transpose(1, 2) / 16, dim=-1) @ h,
        lambda h: functional.scaled_dot_product_attention(query=h, key=h, value=h),
        lambda h: functional.scaled_dot_product_attention(h[0], h[0], h[0]),
        lambda h: functional.hardtanh(input=h),
        lambda h: torch.relu(input=h) + torch.sigmoid(input=h) + torch.tanh(input=h),
        lambda h: torch.add(h, h, alpha=2) + torch.add(input=h, other=h) + h.add(1),
    ],
)
def test_functions_may_be_called_by_keyword(call):
    assert codes(check_model(Called(call), torch.randn(4, 12, 16), mean)) == []


def test_losses_may_be_called_by_keyword():
    model, (inputs, labels) = mlp(nn.Identity()), batch()
    for loss, targets in (
        (functional.cross_entropy, labels), (functional.mse_loss, inputs), (functional.nll_loss, labels),
        (functional.binary_cross_entropy_with_logits, (inputs > 0).float()), (functional.cross_entropy, labels.byte()),
    ):  # fmt: skip
        last = nn.LogSoftmax(1) if loss is functional.nll_loss else nn.Identity()
        report = check_model(
            nn.Sequential(model, last), (inputs, targets), lambda o, y, loss=loss: loss(input=o, target=y)
        )
        assert codes(report) == []


def test_the_words_of_torch_are_not_hidden():
    model, (inputs, labels) = mlp(nn.Identity()), batch()
    for targets, words in (
        (labels.float(), "Long or Byte, but got Float"),
        (labels[:, None], "0D or 1D target tensor expected"),
    ):
        with pytest.raises(ValueError, match=words):
            check_model(model, (inputs, targets), cross_entropy)


def test_an_expert_without_an_example_has_no_row():
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList([nn.Linear(64, 64) for _ in range(3)])

        def forward(self, x):
            out = torch.zeros_like(x)
            for place, expert in enumerate(self.experts):
                chosen = torch.arange(len(x)) % 2 == place
                out[chosen] = expert(x[chosen])
            return out

    report = check_model(Experts(), batch(), cross_entropy)
    assert [row.name for row in report.layers] == ["experts.0", "experts.1"] and codes(report) == []


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:The PyTorch API of nested tensors")
def test_sparse_nested_and_tiny_formats():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.register_parameter("empty", nn.Parameter(torch.empty(0, 4)))
            self.register_parameter("tiny", nn.Parameter(torch.ones(4, 4).to(torch.float8_e4m3fn), requires_grad=False))

        def forward(self, x):
            if x.is_nested:
                return self.layer(x).to_padded_tensor(0.0)
            return torch.sparse.mm(x, self.layer.weight)

    for inputs in (
        torch.randn(8, 8).to_sparse(), torch.randn(8, 8).to_sparse_csr(),
        torch.nested.nested_tensor([torch.randn(3, 8), torch.randn(5, 8)]),
    ):  # fmt: skip
        report = check_model(Odd(), (inputs, torch.randn(8, 8)), lambda o, _: o.square().mean())
        assert report.loss > 0 and {finding.level for finding in report.findings} <= {"note"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_part_has_no_row():
    model = nn.Sequential(torch.jit.script(nn.Linear(64, 64)), nn.Linear(64, 64))
    report = check_model(model, batch(), cross_entropy)
    assert [row.name for row in report.layers] == ["1"] and "nothing-seen" not in codes(report)


def test_a_module_that_fails_where_the_model_goes_on():
    class Try(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fails, self.works = nn.Sequential(nn.Linear(3, 3)), nn.Linear(64, 64)

        def forward(self, x):
            try:
                return self.fails(x)
            except RuntimeError:
                return self.works(x)

    assert [row.name for row in check_model(Try(), batch(), cross_entropy).layers] == ["works"]


def test_a_gradient_that_is_none():
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(context, x, y):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            return gradient, None

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x):
            return Half.apply(self.one(x), self.two(x))

    report = check_model(Two(), batch(), cross_entropy)
    assert report.layers[1].gradient in (None, 0.0) and report.layers[0].gradient > 0


# Batches -------------------------------------------------------------------------------------------------------------


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, one, other=0.0):
        return {"logits": self.layer(one) + other, "loss": self.layer(one).square().mean()}


@pytest.mark.parametrize(
    "inputs",
    [torch.ones(3, 4), (torch.ones(3, 4), 1.0), {"one": torch.ones(3, 4), "other": 1.0}],
    ids=["tensor", "tuple", "dict"],
)
def test_inputs_may_be_a_tensor_a_tuple_or_a_dict(inputs):
    report = check_model(Two(), (inputs, torch.zeros(3, 4)), lambda out, y: (out["logits"] - y).mean())
    assert report.layers[0].cosine == pytest.approx(1.0)


def test_a_model_may_return_its_loss_alone_or_in_parts():
    class Parts(nn.Linear):
        def forward(self, x):
            loss = super().forward(x).square().mean()
            return {"loss_a": loss, "loss_b": 2 * loss, "other": 1}

    model, inputs = Parts(4, 4), torch.randn(3, 4)
    wanted = 3 * model(inputs)["loss_a"].item()
    assert check_model(model, (inputs, None)).loss == pytest.approx(wanted)
    alone = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    assert check_model(alone, (inputs[:1], None)).loss == pytest.approx(alone(inputs[:1]).item())
    with pytest.raises(ValueError, match="scalar, got NoneType"):
        check_model(Two().eval(), ({"one": inputs}, None), lambda output, _: None)


def test_without_a_loss_the_output_brings_it():
    model = Two()
    assert check_model(model, {"one": torch.ones(3, 4)}).loss == model(torch.ones(3, 4))["loss"].item()


def test_a_batch_that_is_no_pair_is_its_own_target():
    model, inputs = nn.Linear(4, 4), torch.randn(3, 4)
    loss = check_model(model, inputs, functional.mse_loss).loss
    assert loss == pytest.approx(functional.mse_loss(model(inputs), inputs).item())


@pytest.mark.parametrize(
    ("model", "data", "loss", "message"),
    [
        (nn.ReLU(), batch(), cross_entropy, "model must have parameters.* got ReLU"),
        (nn.LazyLinear(4), batch(), cross_entropy, "run a lazy model once before"),
        (batch(), mlp(nn.ReLU()), cross_entropy, "must be a torch.nn.Module, got tuple"),
        (mlp(nn.ReLU()), batch(), nn.CrossEntropyLoss, "got the class CrossEntropyLoss"),
        (mlp(nn.ReLU()), cross_entropy, cross_entropy, r"next\(iter\(loader\)\).*got CrossEntropyLoss"),
        (mlp(nn.ReLU()), (np.ones((2, 64)), 1), cross_entropy, "must hold tensors.*got ndarray"),
        (mlp(nn.ReLU()), (torch.ones(2, 64, device="meta"), 1), cross_entropy, "device meta"),
        (mlp(nn.ReLU()), (torch.ones(0, 64), torch.ones(0)), cross_entropy, r"an example at least, got .*\(0, 64\)"),
        (mlp(nn.ReLU()), (*batch(), 1), cross_entropy, r"inputs are \(a, b\) for model\(a, b\)"),
        (mlp(nn.ReLU()), batch(32, 60), cross_entropy, r"batch of shape \(32, 60\): `0` does not take"),
        (Two(), {"none": 1}, None, "batch of shape dict: `Two` does not take"),
        (mlp(nn.ReLU()), (torch.ones(4, 64), torch.ones(5).long()), cross_entropy, r"\[\(4, 64\)\] and \[\(5,\)\]"),
        (mlp(nn.ReLU()), batch(), nn.CrossEntropyLoss(reduction="none"), r"must be a scalar, got shape \(32,\)"),
        (nn.LSTM(64, 8), batch(), None, "must be a scalar, got tuple.*pass a loss_fn"),
        (mlp(nn.ReLU()), batch(), None, "must be a scalar, got shape"),
        (mlp(nn.ReLU()), batch(), lambda *_: 1.0, "must be a scalar, got float"),
        (mlp(nn.ReLU()), batch(), lambda out, _: out.detach().mean(), "loss has no gradient.*at detach in the loss"),
        (mlp(nn.ReLU()), batch(), lambda out, _: out.data.mean().requires_grad_(), "no gradient.*at data in the loss"),
        (mlp(nn.ReLU()), batch(), lambda out, _: (out > 0).float().mean(), "no gradient.*at gt in the loss"),
        (
            mlp(nn.ReLU()),
            batch(),
            lambda out, _: torch.tensor(out.mean().item(), requires_grad=True),
            r"requires_grad=True on the result brings nothing back\)$",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_says_what_to_pass(model, data, loss, message):
    with pytest.raises(ValueError, match=message):
        check_model(model, data, loss)


def test_running_out_of_memory_is_no_error_of_the_caller():
    def loss(*_):
        raise torch.OutOfMemoryError("planted")

    with pytest.raises(torch.OutOfMemoryError, match="planted"):
        check_model(mlp(nn.ReLU()), batch(), loss)
