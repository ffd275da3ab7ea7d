"""The numbers of a report against autograd by hand, and what every kind of model and batch must give."""

import collections
import copy
import itertools
import json
import math
import random
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional

from snippets.diagnostics import check_model_pytorch as snippet
from snippets.diagnostics.check_model_pytorch import ADVICE, check_model
from snippets.laboratory import planted_faults
from snippets.laboratory.healthy_models import HEALTHY, build
from tests.diagnostics.things import Things


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def codes(report) -> list[str]:
    return [finding.code for finding in report.findings]


def signals(report) -> list[str]:
    """Of a linear network, what is found beside that it is linear."""
    return [code for code in codes(report) if code != "linear-stack"]


def mlp(*activations: nn.Module, width: int = 64) -> nn.Sequential:
    """As many layers as activations; none follows the last layer, as logits want it."""
    return nn.Sequential(*[part for activation in activations for part in (nn.Linear(width, width), activation)][:-1])


def batch(examples: int = 32, width: int = 64):
    return torch.randn(examples, width), torch.randint(width, (examples,))


def mean(output, _=None):
    return output.mean()


cross_entropy = nn.CrossEntropyLoss()


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


# What must be as before -------------------------------------------------------------------------------------------


def state(model: nn.Module):
    tensors = {name: value.clone() for name, value in [*model.named_parameters(), *model.named_buffers()]}
    places = {name: id(value) for name, value in [*model.named_parameters(), *model.named_buffers()]}
    grads = {
        name: None if value.grad is None else (id(value.grad), value.grad.clone())
        for name, value in model.named_parameters()
    }
    rest = [
        (module.training, len(module._forward_hooks), len(module._forward_pre_hooks), sorted(vars(module)))
        for module in model.modules()
    ]
    frozen = [parameter.requires_grad for parameter in model.parameters()]
    return tensors, grads, (places, rest, frozen), (torch.get_rng_state(), random.getstate())


def assert_same(before, after):
    for name, value in before[0].items():
        torch.testing.assert_close(after[0][name], value, rtol=0, atol=0, equal_nan=True)
    for name, kept in before[1].items():
        assert (kept is None) == (after[1][name] is None)
        if kept is not None:
            assert kept[0] == after[1][name][0]
            assert torch.equal(kept[1], after[1][name][1])
    assert before[2] == after[2]
    assert torch.equal(before[3][0], after[3][0])
    assert before[3][1] == after[3][1]


@pytest.mark.parametrize("name", ["ResNet, basic blocks", "GPT-2", "T5", "ALBERT", "LSTM, packed", "DenseNet"])
@pytest.mark.parametrize("fails", ["", "loss", "forward"])
def test_the_model_is_afterwards_what_it_was(name, fails):
    case = build(HEALTHY[name], 0)
    parameters = list(case.model.parameters())
    parameters[0].requires_grad_(False)
    for parameter in parameters[1:4]:
        parameter.grad = torch.ones_like(parameter)
    case.model.register_forward_hook(lambda *_: None)
    next(case.model.children()).eval()

    def loss(output, targets):
        random.random()
        torch.rand(3)
        if fails == "loss":
            raise RuntimeError("planted")
        return case.loss(output, targets) if case.loss else output.loss

    if fails == "forward":
        list(case.model.modules())[-1].register_forward_hook(lambda *_: 1 / 0)
    before = state(case.model)
    if fails:
        with pytest.raises(Exception, match="planted|division by zero"):
            check_model(case.model, case.batch, loss)
    else:
        check_model(case.model, case.batch, loss)
    assert_same(before, state(case.model))


class Restless(nn.Module):
    """Changes itself in every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.average = nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False)
        self.register_buffer("total", torch.zeros(4))
        self.register_buffer("nothing", None)
        self.passes, self.free, self.things = 0, torch.zeros(4), Things()
        self.generator, self.sparse = torch.Generator(), torch.eye(3).to_sparse()
        self.running = torch.zeros(4)
        self.layer.weight.register_hook(lambda _: None)

    def forward(self, x):
        self.passes += 1
        self.last = x
        self.total = self.total + x.sum(0)
        self.total.add_(1)
        self.free += 1
        self.layer.weight.requires_grad_(True)
        self.layer.weight.data.clamp_(-0.1, 0.1)
        for parameter in self.layer.parameters():
            parameter.register_hook(lambda _: None)
        self.average.weight.data = 0.9 * self.average.weight.data
        self.eval()
        self.things.change()
        torch.rand(1), torch.rand(1, generator=self.generator)
        self.layer.register_forward_hook(lambda *_: None)
        self.sparse = self.sparse * 2
        self.running.add_(self.layer(x).sum(0))
        x += 1
        return self.layer(x)


def everything(model: Restless):
    """Of the state, what compares as it is."""
    tensors = [model.free, model.running, model.generator.get_state(), model.sparse.to_dense()]
    hooks = [dict(parameter._backward_hooks or {}) for parameter in model.layer.parameters()]
    rest = model.passes, sorted(vars(model)), len(model.layer._forward_hooks), model.running.requires_grad
    return rest, [tensor.tolist() for tensor in tensors], hooks, model.things.state()


def test_all_that_a_pass_changes_comes_back():
    model, inputs = Restless(), torch.randn(2, 4)
    before, wanted, first = state(model), everything(model), inputs.clone()
    report = check_model(model, inputs, mean)
    assert codes(report) == []
    assert_same(before, state(model))
    assert everything(model) == wanted
    assert torch.equal(inputs, first)


@pytest.mark.parametrize("module", ["builtins", "code"])
def test_a_class_in_a_module_with_a_name_of_the_standard_library_comes_back(module):
    """`exec` makes the first one, a package called code the second one."""
    model, inputs = type("Net", (Restless,), {"__module__": module})(), torch.randn(2, 4)
    before, wanted = state(model), everything(model)
    check_model(model, inputs, mean)
    assert_same(before, state(model))
    assert everything(model) == wanted


def test_a_loss_that_keeps_something_comes_back():
    class Smooth(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.seen = nn.Parameter(torch.ones(4)), []

        def forward(self, output, _):
            self.seen.append(output)
            return (self.scale * output).mean()

        def method(self, output, targets):
            return self(output, targets)

    for make in (lambda loss: loss, lambda loss: loss.method, lambda loss: lambda *pair: loss(*pair)):
        loss = Smooth()
        check_model(nn.Linear(4, 4), torch.randn(2, 4), make(loss))
        assert loss.seen == [] and loss.scale.grad is None


def test_a_loss_whose_closure_is_not_filled_yet():
    def loss(output, _):
        return output.mean() + (later if output is None else 0)

    assert check_model(nn.Linear(4, 4), torch.randn(2, 4), loss).loss is not None
    later = 1
    assert later


FREE = torch.ones(4, requires_grad=True)


def test_no_gradient_is_left_at_the_ends_of_the_graph():
    check_model(nn.Linear(4, 4), torch.randn(2, 4), lambda output, _: (FREE * output).mean())
    assert FREE.grad is None
    inputs = torch.randn(2, 4, requires_grad=True)
    check_model(nn.Linear(4, 4), inputs, mean)
    assert inputs.grad is None


def test_a_hook_that_steps_in_the_backward_pass_does_not():
    model, steps = nn.Linear(4, 4), []
    model.weight.register_post_accumulate_grad_hook(steps.append)
    check_model(model, torch.randn(2, 4), mean)
    assert steps == []
    mean(model(torch.randn(2, 4))).backward()
    assert len(steps) == 1


class Inner(torch.autograd.Function):
    """A layer that is run again on the way back, as reversible layers are; its gradients go to .grad."""

    @staticmethod
    def forward(context, x, layer):
        context.x, context.layer = x, layer
        with torch.no_grad():
            return layer(x)

    @staticmethod
    def backward(context, gradient):
        x = context.x.detach().requires_grad_()
        with torch.enable_grad():
            torch.autograd.backward(context.layer(x), gradient)
        return x.grad, None


class Reversible(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return Inner.apply(self.first(x), self.second)


def test_gradients_of_an_inner_backward_pass_are_seen_and_taken_back():
    model, inputs = Reversible(), torch.randn(3, 4)
    report = check_model(model, inputs, mean)
    assert all(parameter.grad is None for parameter in model.parameters()) and codes(report) == []
    model(inputs).mean().backward()
    assert report.layers[1].weight_gradient == pytest.approx(model.second.weight.grad.norm().item(), rel=1e-5)


def test_what_cannot_be_put_back_is_named(monkeypatch):
    monkeypatch.setattr(snippet, "ROOM", 100)
    model = Restless()
    model.free, model.things.array, model.things.other = torch.zeros(1000), np.zeros(1000), np.zeros(1000)
    (finding,) = check_model(model, torch.randn(2, 4), mean).findings
    assert (finding.code, set(finding.layers)) == ("not-put-back", {"free", "things.array"})


def test_a_storage_that_was_given_away_comes_back():
    class Giving(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            self.weight.untyped_storage().resize_(0)
            return y

    model = Giving(4, 4)
    model.weight.requires_grad_(False)
    weight = model.weight.clone()
    assert codes(check_model(model, torch.randn(2, 4), mean)) == []
    assert torch.equal(model.weight, weight)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64])
def test_buffers_of_any_number_format_come_back(dtype):
    class Odd(nn.Linear):
        def forward(self, x):
            self.odd.fill_(0)
            return super().forward(x)

    model = Odd(4, 4)
    model.register_buffer("odd", torch.ones(3).to(dtype))
    assert codes(check_model(model, torch.randn(2, 4), mean)) == []
    assert model.odd.to(torch.complex64).real.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(off):
    data = batch()
    with off():
        assert check_model(mlp(nn.ReLU()), data, cross_entropy).layers[0].gradient > 0
        assert not torch.is_grad_enabled()


# Kinds of models --------------------------------------------------------------------------------------------------


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


# What a model may call, in any legal form -------------------------------------------------------------------------


class Called(nn.Module):
    def __init__(self, call) -> None:
        super().__init__()
        self.layer, self.call = nn.Linear(16, 16), call

    def forward(self, x):
        return self.call(self.layer(x))


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


# Batches ----------------------------------------------------------------------------------------------------------


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


# Findings, beyond those that the experiments plant ----------------------------------------------------------------


@pytest.mark.parametrize(("factor", "found"), [(1.15, []), (1.4, ["exploding-activation"])])
def test_the_factor_per_layer_and_its_limits(factor, found):
    layers = [nn.Linear(64, 64, bias=False) for _ in range(40)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=factor)
    report = check_model(nn.Sequential(*layers), torch.randn(32, 64), mean)
    assert report.forward == pytest.approx(factor, rel=1e-4)
    assert report.backward == pytest.approx(factor, rel=1e-4)
    # 39 factors of 1.15 make 10^2.4, of 1.4 make 10^5.7.
    assert signals(report) == found
    (_, *followed) = report.findings
    assert [also.partition(":")[0] for finding in followed for also in finding.also] == (
        ["exploding-gradient"] if found else []
    )


@pytest.mark.parametrize(("depth", "found"), [(100, []), (160, ["vanishing-activation"])])
def test_a_factor_near_one_is_allowed_twice_the_decades(depth, found):
    layers = [nn.Linear(16, 16, bias=False) for _ in range(depth)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=1 / 1.095)
    # 99 factors make 10^-3.9, 159 make 10^-6.3.
    assert signals(check_model(nn.Sequential(*layers), torch.randn(8, 16), mean)) == found


def test_one_odd_layer_does_not_bend_the_factor():
    layers = [nn.Linear(16, 16, bias=False) for _ in range(9)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
    assert signals(check_model(nn.Sequential(*layers), torch.randn(8, 16), mean)) == []
    layers[1].weight.data.mul_(1e-3)
    layers[2].weight.data.mul_(1e3)
    report = check_model(nn.Sequential(*layers), torch.randn(8, 16), mean)
    assert report.forward == pytest.approx(1.0, rel=0.01)
    finding, _ = report.findings
    assert (finding.code, finding.layers) == ("layer-out-of-line", ("1", "2"))


@pytest.mark.parametrize(("dtype", "gain"), [(torch.float32, 1e-3), (torch.float64, 1e-16)])
def test_gradients_whose_squares_underflow_are_measured(dtype, gain):
    layers = [nn.Linear(16, 16, bias=False, dtype=dtype) for _ in range(12)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=gain)
    report = check_model(nn.Sequential(*layers), torch.randn(8, 16, dtype=dtype), mean)
    # Divided, since `approx` takes any two numbers near zero for equal.
    assert report.layers[0].gradient / gain**11 == pytest.approx(report.layers[-1].gradient, rel=1e-3)


@pytest.mark.parametrize("mask", [-torch.inf, -10_000.0])
def test_attention_is_judged_where_it_sees_eight_keys(mask):
    weights = []

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x):
            scores = self.layer(x) @ x.transpose(1, 2) / 4
            later = torch.ones(scores.shape[-2:]).triu(1).bool()
            weights.append(functional.softmax(scores.masked_fill(later, mask), dim=-1))
            return weights[0] @ x

    row = check_model(Causal(), torch.randn(4, 12, 16), mean).layers[0]
    assert row.peaked == pytest.approx(weights[0][:, 7:].amax(-1).mean().item(), rel=1e-5)


@pytest.mark.parametrize(("scale", "found"), [(None, []), (1.0, ["saturated-attention"])])
def test_the_scale_of_torchs_own_attention(scale, found):
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(256, 256)
            nn.init.orthogonal_(self.layer.weight)

        def forward(self, x):
            x = 3 * self.layer(x)
            return functional.scaled_dot_product_attention(x, torch.randn_like(x), x, scale=scale)

    assert codes(check_model(Attention(), torch.randn(2, 4, 16, 256), mean)) == found


def test_short_or_two_dimensional_softmaxes_are_no_attention():
    class Gate(nn.Linear):
        def forward(self, x):
            return super().forward(100 * x).softmax(-1) + super().forward(100 * x)[:, None, :4].softmax(-1).sum()

    model = nn.Sequential(nn.Linear(16, 16), Gate(16, 16))
    assert check_model(model, torch.randn(4, 16), mean).layers[0].peaked is None


def test_a_zero_layer_that_learns_is_no_fault():
    """The last layer of a residual branch, LoRA's second matrix, or an output layer may start at zero."""
    model = mlp(nn.ReLU(), nn.Identity())
    nn.init.zeros_(model[2].weight)
    assert codes(check_model(model, batch(), cross_entropy)) == []


def test_copies_are_named_and_constants_are_not_copies():
    model = mlp(nn.ReLU(), nn.ReLU(), nn.ReLU())
    model[4].weight.data.copy_(model[0].weight)
    (finding,) = check_model(model, batch(), cross_entropy).findings
    assert (finding.code, finding.level, finding.layers) == ("identical-layers", "note", ("0.weight", "4.weight"))


def test_the_loss_of_guessing():
    def of(model, data, loss):
        report = check_model(model, data, loss)
        return report.chance_loss, codes(report)

    model, (inputs, labels) = mlp(nn.Identity()), batch()
    padded = labels.masked_fill(torch.arange(32) < 5, -100)
    soft = torch.softmax(torch.randn(32, 64), 1)
    assert of(model, (inputs, padded), cross_entropy) == (pytest.approx(math.log(64)), [])
    assert of(model, (inputs, padded.masked_fill(padded < 0, 99)), nn.CrossEntropyLoss(ignore_index=99))[1] == []
    assert of(model, (inputs, soft), cross_entropy) == (pytest.approx(math.log(64)), [])
    assert of(model, (inputs[0], labels[0]), cross_entropy) == (pytest.approx(math.log(64)), [])
    assert of(model, (inputs[0], soft[0]), cross_entropy) == (pytest.approx(math.log(64)), [])
    assert of(model, (inputs, (soft > 0.02).float()), nn.BCEWithLogitsLoss()) == (pytest.approx(math.log(2)), [])
    assert of(model, (inputs, labels), mean) == (None, [])
    logged = nn.Sequential(model, nn.LogSoftmax(1))
    assert of(logged, (inputs, labels), nn.NLLLoss()) == (None, [])


@pytest.mark.parametrize("scale", [1.5, 3.0])
def test_confidence_at_the_start(scale):
    model = nn.Linear(64, 64)
    nn.init.normal_(model.weight, 0.0, scale / 8)
    found = codes(check_model(model, batch(256), nn.CrossEntropyLoss(reduction="sum")))
    assert found == (["confident-at-start"] if scale > 2 else [])


@pytest.mark.parametrize("loss", [functional.l1_loss, functional.smooth_l1_loss, functional.huber_loss])
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_regressions_that_broadcast(loss):
    data = (torch.randn(32, 64), torch.randn(32))
    assert codes(check_model(nn.Linear(64, 1), data, lambda out, y: loss(out, y))) == ["broadcast-loss"]
    assert codes(check_model(nn.Linear(64, 1), data, lambda out, y: loss(out[:, 0], y))) == []


def test_activations_that_only_sound_like_a_relu_or_a_sigmoid():
    model, (inputs, labels) = mlp(nn.Identity()), batch()
    assert codes(check_model(nn.Sequential(model, nn.LeakyReLU()), (inputs, labels), cross_entropy)) == []
    targets = torch.rand(32, 64).round()
    assert codes(check_model(nn.Sequential(model, nn.LogSigmoid()), (inputs, targets), nn.BCEWithLogitsLoss())) == []


@pytest.mark.parametrize("labels", [torch.tensor([0, 64]), torch.tensor([-1, 3])])
def test_a_report_without_a_loss(labels):
    report = check_model(mlp(nn.ReLU()), (torch.randn(2, 64), labels), cross_entropy)
    assert codes(report) == ["labels-out-of-range"]
    assert math.isnan(report.loss)
    assert (len(report.layers), report.layers[0].gradient, report.backward) == (1, None, None)
    assert f"labels {labels.min()} to {labels.max()}, 64 classes" in str(report)


SPARE = nn.Linear(64, 64, bias=False)


class Hidden(nn.Module):
    """Layers where parameters() does not look."""

    def __init__(self, held) -> None:
        super().__init__()
        self.held, self.head = held, nn.Linear(64, 64)

    def forward(self, x):
        layers = self.held if isinstance(self.held, nn.Module | list | dict) else self.held()
        for layer in layers.values() if isinstance(layers, dict) else layers:
            x = layer(x).relu()
        return self.head(x)


@pytest.mark.parametrize(
    ("held", "names"),
    [
        ([nn.Linear(64, 64)], ("held.0.bias", "held.0.weight")),
        ({"a": nn.Linear(64, 64, bias=False)}, ("held.a.weight",)),
        (lambda: [nn.Linear(64, 64, bias=False)], ("made in the pass, of shape (64, 64)",)),
        (lambda layer=SPARE: [layer], ("held.weight",)),
        (nn.ModuleList([nn.Linear(64, 64)]), ()),
    ],
)
def test_weights_that_the_model_does_not_own(held, names):
    found = {finding.code: finding.layers for finding in check_model(Hidden(held), batch(), cross_entropy).findings}
    assert found == ({"unregistered-weights": names} if names else {})


def test_tensors_with_a_gradient_that_are_no_weights():
    """Points of a gradient penalty, and the weights of a loss."""
    scale = nn.Parameter(torch.ones(64))

    def loss(output, labels):
        points = torch.randn(32, 64, requires_grad=True)
        return cross_entropy(output * scale, labels) + (points * output).mean()

    assert codes(check_model(mlp(nn.ReLU()), batch(), loss)) == []


@pytest.mark.parametrize(
    ("last", "targets", "found"),
    [
        (nn.ReLU(), -5.0, True), (nn.ReLU(), 5.0, False), (nn.Sigmoid(), 1.5, True), (nn.Sigmoid(), 0.5, False),
        (nn.Tanh(), -2.0, True), (nn.Softmax(1), -0.1, True), (nn.Softplus(), -1.0, True), (nn.Identity(), -5.0, False),
        (nn.Sequential(nn.Tanh(), nn.Unflatten(1, (8, 8)), nn.Flatten()), 2.0, True),
    ],
)  # fmt: skip
def test_targets_that_the_output_cannot_reach(last, targets, found):
    wanted = torch.full((32, 64), targets).index_fill(0, torch.arange(30 if not found else 2), 0.5)
    report = check_model(nn.Sequential(mlp(nn.Identity()), last), (torch.randn(32, 64), wanted), nn.SmoothL1Loss())
    assert codes(report) == (["output-range"] if found else [])


def test_a_few_targets_out_of_range_are_outliers():
    wanted = torch.rand(32, 64)
    wanted[0] = -1
    model = nn.Sequential(mlp(nn.Identity()), nn.ReLU())
    assert codes(check_model(model, (torch.randn(32, 64), wanted), nn.MSELoss())) == []


def test_softmaxes_over_an_axis_of_length_one():
    class Reader(nn.Module):
        def __init__(self, axis) -> None:
            super().__init__()
            self.score, self.head, self.axis = nn.Linear(8, 1), nn.Linear(8, 4), axis

        def forward(self, x):
            return self.head((self.score(x).softmax(self.axis) * x).sum(1))

    data = torch.randn(16, 12, 8), torch.randint(4, (16,))
    assert codes(check_model(Reader(-1), data, cross_entropy)) == ["length-one-axis"]
    assert codes(check_model(Reader(1), data, cross_entropy)) == []
    single = nn.Sequential(nn.Linear(8, 1), nn.Softmax(1))
    found = codes(check_model(single, (torch.randn(16, 8), torch.rand(16, 1).round()), nn.BCELoss()))
    assert found[0] == "length-one-axis"
    normalized = nn.Sequential(nn.Linear(8, 1), nn.LayerNorm(1))
    assert (
        codes(check_model(normalized, (torch.randn(16, 8), torch.randn(16, 1)), nn.MSELoss()))[0] == "length-one-axis"
    )


def test_attention_of_one_query_to_one_key_is_no_wrong_axis():
    model = Called(lambda h: (h @ h.transpose(-1, -2) / 4).softmax(-1) @ h)
    assert "length-one-axis" not in codes(check_model(model, torch.randn(4, 3, 1, 16), mean))


def test_softmaxes_over_the_examples():
    for axis, found in ((0, ["softmax-over-batch"]), (1, [])):
        model = nn.Sequential(nn.Linear(64, 64), nn.Softmax(axis), nn.Linear(64, 64))
        assert codes(check_model(model, batch(), cross_entropy)) == found
    # Time first: the targets say that axis 0 does not count examples.
    steps = nn.Sequential(nn.Linear(8, 8), nn.Softmax(0))
    assert (
        codes(
            check_model(steps, (torch.randn(12, 4, 8), torch.randn(4, 8)), lambda o, y: (o.sum(0) - y).square().mean())
        )
        == []
    )


def test_losses_by_hand_that_broadcast():
    model, inputs = nn.Linear(64, 1), torch.randn(32, 64)
    for loss in (
        lambda o, y: (y - o).pow(2).mean(),
        lambda o, y: torch.sub(o, y).abs().mean(),
        lambda o, y: (o * y).mean(),
    ):
        assert codes(check_model(model, (inputs, torch.randn(32)), loss)) == ["broadcast-loss"]
        assert codes(check_model(model, (inputs, torch.randn(32, 1)), loss)) == []

    # Every prediction with every other, as ranking wants it.
    def ranking(o, y):
        return ((o - o[:, 0]) * (y[:, None] - y)).relu().mean()

    assert "broadcast-loss" not in codes(check_model(model, (inputs, torch.randn(32)), ranking))


def test_outputs_of_one_unit_have_no_angle():
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1))
    for _ in range(20):
        changed = [layer.reset_parameters() for layer in model if isinstance(layer, nn.Linear)]
        report = check_model(model, (torch.randn(4, 16), torch.randn(4, 1)), nn.MSELoss())
        assert changed and codes(report) == [] and report.layers[-1].cosine is None


class ClassToken(nn.Module):
    """Class attention after CaiT: the token starts as a parameter, and its branches are scaled down."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.token = nn.Linear(16, 32), nn.Parameter(torch.randn(1, 1, 32))
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))
        self.mlp, self.head = nn.Linear(32, 32), nn.Linear(32, 10)
        self.scale = nn.Parameter(torch.full((32,), 2e-3))

    def forward(self, x):
        x, token = self.patch(x), self.token.expand(len(x), -1, -1)
        all_tokens = torch.cat([token, x], 1)
        weights = torch.softmax(self.query(token) @ self.key(all_tokens).transpose(1, 2) / 32**0.5, -1)
        token = token + self.scale * self.out(weights @ self.value(all_tokens))
        token = token + self.scale * functional.gelu(self.mlp(token))
        return self.head(functional.layer_norm(token[:, 0], (32,)))


def test_a_class_token_that_has_not_read_yet_is_no_collapse():
    report = check_model(ClassToken(), (torch.randn(8, 12, 16), torch.randint(10, (8,))), cross_entropy)
    assert report.layers[-1].cosine > 1 - 1e-4
    assert "collapsed-angles" not in codes(report)


def test_layers_behind_the_first_that_the_loss_does_not_reach_are_a_note():
    class Pooling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.pooler, self.idle = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = self.body(x)
            self.pooler(x)
            return x

    (finding,) = check_model(Pooling(), torch.randn(3, 4), mean).findings
    assert (finding.code, finding.level) == ("unused-weights", "note")
    assert finding.layers == ("pooler.weight", "pooler.bias", "idle.weight", "idle.bias")


@pytest.mark.parametrize(
    ("call", "born"),
    [
        (lambda h: h + (h - 9).log(), "born in log, torch.float32, inputs -"),
        (
            lambda h: h.masked_fill(h < 99, -torch.inf).softmax(-1),
            "born in softmax, torch.float32, inputs -inf to -inf",
        ),
        (lambda h: (999 * h).exp().float(), "born in exp, torch.float32"),
    ],
)
def test_the_place_where_a_number_that_is_none_was_born(call, born):
    report = check_model(nn.Sequential(Called(call), nn.Linear(16, 16)), torch.randn(4, 12, 16), mean)
    (finding,) = report.findings
    assert finding.code == "non-finite-activation" and born in finding.evidence
    (finding,) = check_model(nn.Linear(4, 4), torch.randn(3, 4), lambda o, _: (o.mean() - 9).sqrt()).findings
    assert finding.code == "non-finite-loss" and "born in sqrt" in finding.evidence
    (finding,) = check_model(nn.Linear(4, 4), torch.randn(3, 4), lambda o, _: -(0 * o.mean()).log()).findings
    assert finding.code == "non-finite-loss" and "born in log" in finding.evidence


def test_a_model_that_does_not_run_twice_is_not_hunted():
    class Once(nn.Linear):
        passes = 0

        def forward(self, x):
            self.passes += 1
            assert self.passes == 1
            return super().forward(x) * torch.nan

    (finding,) = check_model(Once(4, 4), torch.randn(3, 4), mean).findings
    assert finding.evidence == "100% of the output"


def test_without_a_loss_function_the_place_is_found_as_well():
    class Own(nn.Linear):
        def forward(self, x):
            return {"loss": (super().forward(x).mean() - 9).log()}

    (finding,) = check_model(Own(4, 4), (torch.randn(3, 4), None)).findings
    assert "born in log" in finding.evidence


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_one_bad_number_among_many_is_found(value):
    class Plant(nn.Module):
        def forward(self, x):
            return x.masked_fill(torch.arange(x.numel()).view_as(x) == 77_777, value)

    model = nn.Sequential(nn.Linear(64, 64), Plant(), nn.Linear(64, 64))
    (finding,) = check_model(model, torch.randn(4096, 64), mean).findings
    assert (finding.code, finding.layers) == ("non-finite-activation", ("2",))
    targets = torch.randn(4096, 64).masked_fill(torch.arange(64) == 3, value)
    report = check_model(nn.Linear(64, 64), (torch.randn(4096, 64), targets), functional.mse_loss)
    assert codes(report) == ["non-finite-input"]


# The report -------------------------------------------------------------------------------------------------------


def test_the_report_fits_100_columns_and_holds_nothing_but_plain_numbers():
    for name in ("Swin", "T5", "RegNet"):
        report = check_model(*build(HEALTHY[name], 0))
        text = str(report)
        assert max(map(len, text.splitlines())) <= 100
        assert "No finding." in text
        assert json.loads(json.dumps(report.to_dict()))["layers"][0]["name"] == report.layers[0].name


def test_long_tables_are_folded_and_long_names_shortened():
    report = check_model(*build(HEALTHY["BERT"], 0))
    lines = str(report).splitlines()
    hidden = [int(line.split()[1]) for line in lines if line.endswith("more in report.layers")]
    table = lines[lines.index("") + 2 : len(lines) - 1 - lines[::-1].index("")]
    assert sum(hidden) + len(table) - len(hidden) == len(report.layers) == 77
    assert any(line.startswith("b.e.l.0.a.self.query ") for line in lines)
    assert snippet._short_names(["a" * 50 + "tail"]) == ["…" + "a" * 22 + "tail"]


def test_names_that_were_alike_when_shortened_stay_apart():
    names = [f"{part}.{'block' * 5}.query" for part in ("encoder", "embedding", "one", "other")]
    short = snippet._short_names([*names, "0.weight"])
    assert len(set(short)) == 5 and all(len(name) < 28 for name in short) and short[4] == "0.weight"


def test_extreme_and_named_rows_of_a_long_table_are_printed():
    layers = [part for _ in range(100) for part in (nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU())]
    layers[120].weight.data.mul_(1e4)
    layers[180].bias.data[:] = -100
    report = check_model(nn.Sequential(*layers), torch.randn(32, 8), mean)
    assert any(line.startswith("120 ") for line in str(report).splitlines())
    found = (*report.findings, snippet.Finding("vanishing-gradient", "fault", ("150",), *([""] * 5)))
    assert any(line.startswith("150 ") for line in str(report._replace(findings=found)).splitlines())


def test_the_table_has_room_for_every_number():
    row = check_model(nn.Linear(8, 8), torch.randn(4, 8), mean).layers[0]
    row = snippet.LayerReport(*row[:3], *[-1e-100 if name == "mean" else 1e-100 for name in row._fields[3:]])._replace(
        dead=1.0, saturated=1.0, peaked=1.0, cosine=-1.0
    )
    assert len(snippet._row("0", row).split()) == 1 + len(snippet._COLUMNS)


def test_faults_come_before_notes_and_many_layers_are_counted():
    model = mlp(*[nn.Sigmoid()] * 12).eval()
    for layer in model[::2]:
        layer.load_state_dict(model[0].state_dict())
    report = check_model(model, batch(), cross_entropy)
    assert [finding.level for finding in report.findings] == ["fault", "note", "note"]
    assert "also seen collapsed-angles" in str(report)
    assert "0.weight, 2.weight, 4.weight, 6.weight and 8 more: 12 weights" in str(report)


def test_the_plot_has_a_point_for_every_layer():
    report = check_model(mlp(nn.ReLU(), nn.ReLU(), nn.ReLU()), batch(), cross_entropy)
    figure = report.plot()
    assert isinstance(figure, Figure)
    std, gradient = (axes.lines[0].get_ydata().tolist() for axes in figure.axes)
    assert std == [layer.std for layer in report.layers]
    assert gradient == [layer.gradient for layer in report.layers]
    assert all(axes.get_yscale() == "log" and axes.get_ylabel() for axes in figure.axes)


def test_no_model_has_fewer_than_no_layers():
    report = check_model(nn.LayerNorm(8), torch.randn(4, 8), mean)
    assert (report.layers, report.forward, report.backward) == ((), None, None)
    assert "factor per layer: none" in str(report)


def test_every_finding_says_all_it_promises():
    for code, (level, *words, link) in ADVICE.items():
        assert level in ("fault", "note"), code
        assert all(len(word) > 20 and word[-1] in ".)" for word in words), code
        assert link.startswith(("chapters/", "experiments/", "code/", "toolbox/")), code


# What one pass does not show --------------------------------------------------------------------------------------


class Order(nn.Module):
    """A recurrent layer that takes the first axis for time."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(6, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class Similar(nn.Module):
    """Each example against each, as contrastive losses take them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 32)

    def forward(self, x):
        x = self.layer(x)
        return x @ x.T


class Spread(nn.Module):
    """Nodes of a graph: the edges join them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 64)

    def forward(self, x, edges):
        return self.layer(edges @ x if edges.is_floating_point() else x + x[edges[0]].mean(0))


def test_examples_that_may_depend_on_each_other():
    by_time = torch.randn(12, 8, 6), torch.randint(4, (12, 8))
    report = check_model(Order(), by_time, lambda output, labels: cross_entropy(output.transpose(1, 2), labels))
    assert codes(report) == []
    labels = torch.arange(8)
    assert codes(check_model(Similar(), (torch.randn(8, 64), labels), cross_entropy)) == []
    x = torch.randn(16, 64)
    for edges in (torch.randint(16, (2, 30)), torch.rand(16, 16)):
        assert codes(check_model(Spread(), ((x, edges), torch.randint(64, (16,))), cross_entropy)) == []


@pytest.mark.parametrize("examples", [2, 5, 8])
def test_examples_that_are_mixed(examples):
    case = planted_faults.sequences(planted_faults.Tagger())
    inputs, labels = (part[:examples] for part in case.batch)
    found = codes(check_model(case.model, (inputs, labels), case.loss))
    assert found == (["mixed-examples"] if examples > 2 else [])
    case.model.proper = True
    assert codes(check_model(case.model, (inputs, labels), case.loss)) == []


def test_recurrence_over_the_examples_is_found():
    data = torch.randn(8, 10, 6), torch.randint(4, (8,))
    (finding,) = check_model(Order(), data, lambda output, labels: cross_entropy(output[:, -1], labels)).findings
    assert finding.code == "mixed-examples"


class Mixture(nn.Module):
    """Means, and weights of a mixture that add up to 1 over the axis `dim`."""

    def __init__(self, dim: int):
        super().__init__()
        self.layer, self.dim = nn.Linear(64, 10), dim

    def forward(self, x):
        means, weights = self.layer(x).chunk(2, -1)
        return means, weights.t().log_softmax(self.dim).t()


@pytest.mark.parametrize("dim", [0, 1])
def test_a_second_output_may_be_mixed_alone(dim):
    data = torch.randn(16, 64), torch.randn(16, 1)

    def loss(output, targets):
        return -torch.logsumexp(output[1] - (output[0] - targets).square(), -1).mean()

    found = codes(check_model(Mixture(dim), data, loss))
    assert ("mixed-examples" in found) == (dim == 1), "over the examples, which are the second axis here"


class Reader(nn.Module):
    """Reads columns in their order, with the time first, as a network for text in images does."""

    def __init__(self, batch_first: bool):
        super().__init__()
        self.rnn, self.out = nn.LSTM(8, 48, batch_first=batch_first), nn.Linear(48, 7)

    def forward(self, x):
        return self.out(self.rnn(x.permute(2, 0, 1))[0]).log_softmax(2)


@pytest.mark.parametrize("batch_first", [False, True])
def test_what_all_outputs_have_in_common_hides_no_mixing(batch_first):
    """At the start each log-probability is near -ln(7), whatever the others of the batch are."""
    data = torch.randn(16, 8, 20), torch.randint(1, 7, (16, 4))

    def loss(output, targets):
        return functional.ctc_loss(output, targets, torch.full((16,), 20), torch.full((16,), 4))

    assert ("mixed-examples" in codes(check_model(Reader(batch_first), data, loss))) == batch_first


class Lifted(nn.Module):
    """Each output is 1,000 and a little, of which a part is the mean over the batch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)

    def forward(self, x):
        y = self.layer(x)
        return 1000 + y + y.mean(0)


def test_a_large_offset_hides_no_mixing():
    data = torch.randn(16, 64), 1000 + torch.randn(16, 1)
    assert "mixed-examples" in codes(check_model(Lifted(), data, nn.MSELoss()))


class Beside(nn.Module):
    """Logits, and something of the batch whose sizes may be the number of examples by chance."""

    def __init__(self, what):
        super().__init__()
        self.layer, self.what = nn.Linear(64, 10), what

    def forward(self, x):
        logits = self.layer(x)
        return logits, self.what(logits)


@pytest.mark.parametrize(
    "what",
    [
        lambda logits: logits[:, :4].softmax(1).mean(0),  # how often each of four codes is used
        lambda logits: functional.normalize(logits) @ functional.normalize(logits).t(),
    ],
    ids=["usage of four codes", "similarities"],
)
def test_what_belongs_to_no_example_is_not_compared(what):
    data = torch.randn(16, 64), torch.randint(10, (16,))
    assert codes(check_model(Beside(what), data, lambda output, labels: cross_entropy(output[0], labels))) == []


@pytest.mark.parametrize("shift", [0, 1])
def test_a_temperature_within_the_batch_is_no_confidence(shift):
    """Of each example against each, the targets are the places; else the logits are too large."""

    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 32)

        def forward(self, x, y):
            one, other = (functional.normalize(self.layer(part), dim=-1) for part in (x, y))
            return one @ other.t() / 0.02

    targets = (torch.arange(32) + shift) % 32
    found = codes(check_model(Pairs(), ((torch.randn(32, 64), torch.randn(32, 64)), targets), cross_entropy))
    assert ("confident-at-start" in found) == bool(shift)


class Following(nn.Module):
    """A network, and one that follows it without training, which runs first."""

    def __init__(self, copied: bool, width: int = 32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
        other = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))
        self.target = copy.deepcopy(self.net) if copied else other

    def forward(self, x):
        with torch.no_grad():
            best = self.target(x).amax(1)
        return self.net(x), best


@pytest.mark.parametrize(
    ("model", "level"),
    [
        (lambda: Following(True), "note"),
        (lambda: Following(False), "note"),  # it lags behind
        (lambda: nn.Sequential(collections.OrderedDict(agent=Following(True))), "note"),
        (lambda: Following(False, 16), "fault"),
    ],
)
def test_a_target_network_needs_no_gradient(model, level):
    report = check_model(model(), (torch.randn(16, 8), torch.randn(16, 3)), lambda output, y: mean(output[0] - y, y))
    (finding,) = report.findings
    assert (finding.code, finding.level) == ("no-gradient", level)
    assert ("is made alike and has one" in finding.evidence) == (level == "note")


class Critics(nn.Module):
    """Two networks, and a target network for each."""

    def __init__(self):
        super().__init__()
        self.q1, self.q2, self.target_q1, self.target_q2 = (
            nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3)) for _ in range(4)
        )

    def forward(self, x):
        with torch.no_grad():
            best = torch.minimum(self.target_q1(x), self.target_q2(x)).amax(1)
        return self.q1(x) + self.q2(x), best


class Cut(nn.Module):
    """Blocks in a row, of which the first ones are cut off."""

    def __init__(self, cut: int):
        super().__init__()
        blocks = (nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)) for _ in range(4))
        self.blocks, self.head, self.cut = nn.ModuleList(blocks), nn.Linear(64, 10), cut

    def forward(self, x):
        for place, block in enumerate(self.blocks):
            x = x + block(x)
            x = x.detach() if place == self.cut else x
        return self.head(x)


def test_each_of_two_target_networks_has_its_own():
    data = torch.randn(16, 8), torch.randn(16, 3)
    (finding,) = check_model(Critics(), data, lambda output, y: mean(output[0] - y, y)).findings
    assert (finding.code, finding.level) == ("no-gradient", "note")
    assert finding.layers == ("target_q1.0", "target_q1.2", "target_q2.0", "target_q2.2")


def test_one_layer_is_no_target_network():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x):
            x = torch.relu(self.first(x)).detach()
            return self.head(torch.relu(self.second(x)))

    report = check_model(Chain(), (torch.randn(16, 64), torch.randint(10, (16,))), cross_entropy)
    assert {finding.code: finding.level for finding in report.findings}["no-gradient"] == "fault"


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_blocks_in_a_row_are_no_target_networks(cut):
    report = check_model(Cut(cut), (torch.randn(16, 64), torch.randint(10, (16,))), cross_entropy)
    assert {finding.code: finding.level for finding in report.findings}["no-gradient"] == "fault"


def test_rows_that_a_mask_left_empty_are_counted():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 64)

        def forward(self, x):
            scores = self.layer(x) @ x.t()
            mask = torch.zeros(16, 16).masked_fill(torch.arange(16)[:, None] < 3, -torch.inf)
            return torch.softmax(scores + mask, dim=-1) @ x

    (finding,) = check_model(Masked(), batch(16), cross_entropy).findings
    assert finding.code == "non-finite-loss"  # no layer of the framework stands behind it
    assert "3 of 16 rows are -inf throughout" in finding.evidence


def stacked(*sizes: int, between: nn.Module | None = None) -> nn.Sequential:
    layers = [part for n, m in itertools.pairwise(sizes) for part in (nn.Linear(n, m), between or nn.Identity())]
    return nn.Sequential(nn.Linear(64, sizes[0]), nn.ReLU(), *layers)


@pytest.mark.parametrize(
    ("model", "level"),
    [
        (stacked(64, 64, 64), "note"),
        (stacked(64, 64, 64, 64), "fault"),
        (stacked(64, 64, 64, 64, between=nn.Dropout(0.1)), "fault"),
        (stacked(64, 8, 64), None),
        (stacked(64, 64, 64, between=nn.GELU()), None),
        (nn.Sequential(nn.Unflatten(1, (4, 4, 4)), nn.Conv2d(4, 8, 3), nn.Conv2d(8, 16, 1), nn.Flatten()), None),
    ],
)
def test_layers_without_an_activation_between_them(model, level):
    found = check_model(model, torch.randn(16, 64), mean).findings
    assert [(finding.code, finding.level) for finding in found] == ([("linear-stack", level)] if level else [])


def test_a_layer_that_others_read_too_is_more_than_a_step_on_the_way():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x):
            x = self.one(x)
            return x + self.other(x)

    assert codes(check_model(Twice(), batch(), cross_entropy)) == []


def test_scales_of_a_normalization():
    model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64))
    assert codes(check_model(model, batch(), cross_entropy)) == []
    nn.init.zeros_(model[1].weight)
    (finding,) = check_model(model, batch(), cross_entropy).findings
    assert (finding.code, finding.layers) == ("norm-scale", ("1.weight",))
    assert any(also.startswith("dead-relu") for also in finding.also)
    nn.init.uniform_(model[1].weight, 0.5, 1.5)
    (finding,) = check_model(model, batch(), cross_entropy).findings
    assert finding.code == "trained-already"


def test_one_raw_column_is_named():
    inputs, labels = batch()
    inputs[:, 3] = 50.0
    finding = check_model(mlp(nn.ReLU(), nn.ReLU()), (inputs, labels), cross_entropy).findings[0]
    assert finding.code == "input-scale" and finding.evidence.startswith("column 3, root mean square 50,")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_memory_through_time(kind, first):
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = kind(6, 16, 2, batch_first=first, bidirectional=True), nn.Linear(32, 4)

        def forward(self, x):
            return self.head(self.rnn(x)[0].mean(int(first)))

    def check(steps):
        shape = (8, steps, 6) if first else (steps, 8, 6)
        return check_model(Reader(), (torch.randn(shape), torch.randint(4, (8,))), cross_entropy)

    assert codes(check(10)) == []
    (finding,) = check(150).findings
    assert (finding.code, finding.level, finding.layers) == ("vanishing-through-time", "note", ("rnn",))


def test_a_recurrent_layer_that_reads_nothing_has_no_finding_through_time():
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(6, 16, batch_first=True), nn.Linear(16, 4)
            nn.init.zeros_(self.rnn.weight_ih_l0)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    found = check_model(Reader(), (torch.randn(8, 60, 6), torch.randint(4, (8,))), cross_entropy)
    assert not [code for code in codes(found) if "through-time" in code]


def test_a_loss_that_takes_its_arguments_the_other_way_round():
    with pytest.raises(ValueError, match="the other way round it works: pass lambda"):
        check_model(mlp(nn.ReLU()), batch(), lambda targets, output: cross_entropy(output, targets))


def test_a_notebook_shows_the_report():
    model = mlp(nn.ReLU(), nn.ReLU())
    assert "<p>No finding.</p>" in check_model(model, batch(), cross_entropy)._repr_html_()
    nn.init.constant_(model[0].bias, -50.0)
    report = check_model(model, (batch()[0], torch.randint(64, (32,))), cross_entropy)
    shown = report._replace(model="<model>")._repr_html_()
    assert "&lt;model&gt;" in shown and "<model>" not in shown
    assert "<b>fault dead-relu</b>" in shown
    assert shown.count("<tr") == 1 + len(report.layers) and shown.count("font-weight:bold") == 1
    assert shown.count("<td>") == len(report.layers) * (1 + len(snippet._COLUMNS))
    assert "also seen: collapsed" in check_model(mlp(*[nn.Sigmoid()] * 10), batch(), cross_entropy)._repr_html_()


class Queue(nn.Module):
    """Compares with what earlier batches left, as MoCo does."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 4)
        self.register_buffer("queue", torch.randn(4, 16))

    def forward(self, x):
        features = self.body(x)
        scores = features @ self.queue.clone()
        self.queue[:, : len(x)] = features.detach().T
        return scores


def test_a_model_that_remembers_earlier_batches_mixes_no_examples():
    torch.manual_seed(0)
    report = check_model(Queue(), (torch.randn(16, 8), torch.randint(16, (16,))), nn.CrossEntropyLoss())
    assert "mixed-examples" not in [finding.code for finding in report.findings], report


class Quantized(nn.Module):
    """Activations of few levels, whose scale is the largest one of the batch."""

    def __init__(self, levels):
        super().__init__()
        self.body, self.head, self.levels = nn.Linear(8, 16), nn.Linear(16, 4), levels

    def forward(self, x):
        scale = x.abs().amax() / (self.levels or 1)
        x = x + (torch.round(x / scale) * scale - x).detach() if self.levels else x / scale
        return self.head(self.body(x).relu())


@pytest.mark.parametrize("levels", [0, 3])
@pytest.mark.parametrize("largest", [0, 1, 2, 3, 40, 63])
def test_a_scale_of_the_whole_batch_mixes_examples_unless_it_quantizes(levels, largest):
    """Whichever example the largest number stands in."""
    data = torch.randn(64, 8), torch.randint(4, (64,))
    data[0][largest, 5] = 8.0
    assert codes(check_model(Quantized(levels), data, nn.CrossEntropyLoss())) == ([] if levels else ["mixed-examples"])


class Alternating(nn.Module):
    """Returns its hidden layer too, every other time: what it returns cannot be compared."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.calls = nn.Linear(8, 16), nn.Linear(16, 4), 0

    def forward(self, x):
        self.calls += 1
        hidden = self.body(x / x.abs().amax()).relu()
        return (self.head(hidden), *[hidden] * (self.calls % 2))


def test_outputs_whose_number_changes_tell_nothing_of_the_neighbors():
    data = torch.randn(64, 8), torch.randint(4, (64,))
    report = check_model(Alternating(), data, lambda outputs, targets: nn.functional.cross_entropy(outputs[0], targets))
    assert codes(report) == []


class Rare(nn.Module):
    """Starts at a probability of 1 % and computes its loss itself."""

    def __init__(self, bias):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(8, 32), nn.ReLU()), nn.Linear(32, 3)
        nn.init.constant_(self.head.bias, bias)

    def forward(self, x, labels):
        chances = self.head(self.body(x)).sigmoid()
        return {"loss": -(chances * labels + (1 - chances) * (1 - labels)).clamp_min(1e-8).log().mean()}


def test_a_rare_class_may_start_at_its_frequency():
    torch.manual_seed(0)
    batch = {"x": torch.randn(32, 8), "labels": (torch.rand(32, 3) < 0.01).float()}
    assert check_model(Rare(-4.6), batch).findings == ()


class Queries(nn.Module):
    """Learned queries, the same for every example until they look at it."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(4, 32))
        self.inputs, self.first, self.last = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 64)

    def forward(self, x):
        x = self.inputs(x)
        queries = self.first(self.queries.expand(len(x), -1, -1))
        return self.last(torch.relu(queries + x[:, None])).mean(1)


class Prompts(nn.Module):
    """What each class is called is read last, and for every example alike."""

    def __init__(self):
        super().__init__()
        self.image, self.text = nn.Linear(64, 32), nn.Linear(16, 32)
        self.words = nn.Parameter(torch.randn(64, 16))

    def forward(self, x):
        image = self.image(x)
        text = self.text(self.words.expand(len(x), -1, -1))
        return (text @ image[..., None])[..., 0] / 32**0.5


def constant_head() -> nn.Module:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    nn.init.zeros_(model[-1].weight)
    nn.init.constant_(model[-1].bias, 0.1)
    return model


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Queries(), torch.randn(16, 64)),
        (Prompts(), torch.randn(16, 64)),
        (constant_head(), torch.randn(16, 64)),  # the first step moves its weights
        (nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)), torch.randn(1, 64).expand(16, 64)),
    ],
    ids=["learned queries", "names of classes", "zero head", "one example, repeated"],
)
def test_outputs_may_be_the_same_for_a_reason(model, inputs):
    assert "same-output" not in codes(check_model(model, (inputs, torch.randint(64, (16,))), cross_entropy))


def test_the_layer_that_sees_no_difference_is_named():
    case = planted_faults.padded()
    (finding,) = check_model(*case).findings
    assert (finding.code, finding.layers) == ("same-output", ("head.0",))
    assert re.match(r"cos 0\.\d\d at table, 1\.000000 at head\.0 and after it", finding.evidence)
    case.model.proper = True
    assert check_model(*case).findings == ()


def test_what_is_infinite_in_evaluation_alone_is_not_compared():
    class Endless(nn.Linear):
        def forward(self, x):
            return super().forward(x) if self.training else torch.full((len(x), 64), math.inf)

    assert codes(check_model(Endless(64, 64), batch(16), cross_entropy)) == []


class Codebook(nn.Module):
    """The nearest of 512 codes, as a VQ-VAE takes it; `far` are biases that outweigh the inputs before it."""

    def __init__(self, table=True, far=False):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(64, 16), nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64))
        self.codes = nn.Embedding(512, 16) if table else nn.Parameter(torch.empty(512, 16))
        nn.init.uniform_(self.codes.weight if table else self.codes, -1 / 512, 1 / 512)
        if far:
            nn.init.normal_(self.encoder.bias, 0.0, 300.0)

    def forward(self, x):
        codes = getattr(self.codes, "weight", self.codes)
        given = self.encoder(x)
        nearest = torch.cdist(given, codes).argmin(1)
        code = codes[nearest] if codes is self.codes else self.codes(nearest)
        return self.decoder(given + (code - given).detach()), functional.mse_loss(code, given.detach())


@pytest.mark.parametrize("table", [True, False])
def test_what_a_model_chose_itself_may_look_the_same_at_first(table):
    """All inputs have the same code nearest to them, until codes and encoder come together."""
    x = torch.rand(32, 64)
    rebuilt = (x, x), lambda output, y: functional.mse_loss(output[0], y) + output[1]
    report = check_model(Codebook(table), *rebuilt)
    assert report.layers[-1].cosine > 1 - snippet.ANGLE and codes(report) == []
    assert "collapsed-angles" in str(check_model(Codebook(table, far=True), *rebuilt))
