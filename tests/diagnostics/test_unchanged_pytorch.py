"""The model is afterwards what it was, whatever its pass changes and however it ends."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from snippets.diagnostics import check_model_pytorch as snippet
from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.healthy_models import HEALTHY, build
from tests.diagnostics.checked import batch, codes, cross_entropy, mean, mlp
from tests.diagnostics.things import Things

pytestmark = pytest.mark.usefixtures("seeded")


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
