import math

import pytest
import torch
from torch import nn

from snippets.exploding_gradients.finite_guard_pytorch import finite_guard


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Linear(4, 2)
    )


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_a_healthy_pass_gives_the_same_numbers_and_leaves_no_hook():
    model, x = network(), torch.ones(3, 4)
    wanted = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    with finite_guard(model) as guarded:
        assert guarded is model
        model(x).square().sum().backward()
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert hooks(model) == 0


def test_the_layer_that_overflows_is_named():
    model = network()
    with torch.no_grad():
        model[2][0].weight.fill_(3e38)
    message = r"forward: the output of '2\.0' \(Linear\) holds 12 Inf and 0 NaN among 12 values"
    with pytest.raises(FloatingPointError, match=message), finite_guard(model):
        model(torch.full((3, 4), 100.0))
    assert hooks(model) == 0


def test_a_lost_parameter_is_named_before_the_pass():
    model = network()
    with torch.no_grad():
        model[3].bias[1] = math.nan
    with pytest.raises(FloatingPointError, match=r"before the pass: the parameter '3\.bias' holds 0 Inf and 1 NaN"):
        with finite_guard(model):
            pytest.fail("the guard must not open")


def test_a_batch_with_nan_is_named():
    with pytest.raises(FloatingPointError, match="forward: an input of the model holds 0 Inf and 1 NaN"):
        with finite_guard(model := network()):
            x = torch.ones(3, 4)
            x[1, 2] = math.nan
            model(x)


def test_a_gradient_that_overflows_is_named():
    with pytest.raises(FloatingPointError, match=r"backward: the gradient of the output of '3' \(Linear\) holds 6 Inf"):
        with finite_guard(model := network()):
            (model(torch.ones(3, 4)).sum() * math.inf).backward()


class Attending(nn.Module):
    """Takes a mask by keyword and returns a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor, *, mask: torch.Tensor) -> dict:
        values, weights = self.attention(x, x, x, attn_mask=mask)
        return {"values": values, "more": [weights, "a word", torch.tensor(3)]}


def test_a_mask_of_minus_infinity_is_no_fault():
    mask = torch.triu(torch.full((3, 3), -math.inf), diagonal=1)
    with finite_guard(model := Attending()):
        model(torch.ones(2, 3, 4), mask=mask)["values"].sum().backward()


def test_tensors_in_containers_are_found():
    model = Attending()
    with torch.no_grad():
        model.attention.out_proj.weight.fill_(3e38)
        model.attention.out_proj.bias.fill_(3e38)
    with pytest.raises(FloatingPointError, match="'attention'"), finite_guard(model):
        model(torch.full((1, 3, 4), 1e3), mask=torch.zeros(3, 3))


def test_a_compiled_model_that_has_run_names_the_layer():
    model, x = network(), torch.full((3, 4), 100.0)
    compiled = torch.compile(model, backend="eager")
    compiled(x)
    with torch.no_grad():
        model[2][0].weight.fill_(3e38)
    with pytest.raises(FloatingPointError, match=r"the output of '_orig_mod\.2\.0' \(Linear\)"), finite_guard(compiled):
        compiled(x)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_model_is_refused():
    with pytest.raises(ValueError, match="model must not be scripted, got a ScriptModule at ''"):
        with finite_guard(torch.jit.script(nn.Linear(2, 2))):
            pytest.fail("the guard must not open")


@pytest.mark.parametrize(
    "change",
    [
        lambda x: torch.complex(x, x),
        lambda x: x.to_sparse(),
        lambda x: x.to_sparse_csr(),
        lambda x: torch.nested.as_nested_tensor([x[0], x[1]]),
        lambda x: torch.nested.as_nested_tensor([x[0], x[1]], layout=torch.jagged),
        lambda x: x.to(torch.float8_e4m3fn),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors", "ignore:Sparse CSR")
def test_every_kind_of_tensor_is_looked_into(change):
    class Changing(nn.Module):
        def forward(self, x):
            return change(x)

    with finite_guard(Changing()) as model:
        model(torch.ones(2, 3))
        with pytest.raises(FloatingPointError, match=r"the output of 'the model' .* 0 Inf and 6 NaN"):
            model.forward = lambda _: change(torch.full((2, 3), math.nan))
            model(torch.ones(2, 3))


def test_what_inference_mode_made_is_looked_into():
    with torch.inference_mode():
        model = nn.Linear(2, 2)
    with finite_guard(model), torch.no_grad():
        model(torch.ones(1, 2))


def test_parameters_that_stand_in_are_looked_into():
    model = nn.Linear(2, 2)
    with finite_guard(model), pytest.raises(FloatingPointError, match="forward: the output"):
        torch.func.functional_call(model, {"weight": torch.full((2, 2), math.nan)}, torch.ones(1, 2))
