import copy
import math

import pytest
import torch
from torch import nn

from snippets.vanishing_gradients import layer_gradients_numpy as oracle
from snippets.vanishing_gradients import layer_gradients_pytorch as module
from snippets.vanishing_gradients.layer_gradients_pytorch import LayerGradient, factor_per_layer, layer_gradients
from tests.vanishing_gradients.networks import WIDTHS, arrays, batch, example

ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


def chain(activation: str, **options) -> nn.Sequential:
    layers = []
    for weight, bias in zip(*arrays(), strict=True):
        linear = nn.Linear(*weight.shape[::-1])
        linear.weight.data, linear.bias.data = torch.tensor(weight), torch.tensor(bias)
        layers += [linear, ACTIVATIONS[activation](**options)]
    return nn.Sequential(*layers[:-1])


def cross_entropy(labels):
    return lambda output: nn.functional.cross_entropy(output, torch.tensor(labels))


def normalized() -> nn.Sequential:
    """Batch statistics, dropout and an in-place activation: what a careless pass would leave changed."""
    return nn.Sequential(
        nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(), nn.Linear(12, 3)
    )


def images() -> torch.Tensor:
    return torch.randn(7, 1, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_both_gradients_are_those_of_the_oracle(activation, dtype):
    inputs, labels = batch()
    expected = oracle.layer_gradients(
        oracle.Perceptron(*arrays(), activation), inputs, lambda z: oracle.cross_entropy_gradient(z, labels)
    )
    rows = layer_gradients(
        chain(activation).to(dtype), torch.tensor(inputs, dtype=dtype), cross_entropy(labels)
    ).reached
    assert [row.name for row in rows] == ["0", "2", "4", "6"]
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for row, wanted in zip(rows, expected, strict=True):
        assert row[1:] == pytest.approx(wanted[1:], rel=tolerance)
    assert factor_per_layer(rows) == pytest.approx(oracle.factor_per_layer(expected), rel=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_dtypes(dtype):
    inputs, labels = batch()
    exact = layer_gradients(chain("tanh"), torch.tensor(inputs), cross_entropy(labels)).reached
    rows = layer_gradients(chain("tanh").to(dtype), torch.tensor(inputs, dtype=dtype), cross_entropy(labels)).reached
    for row, wanted in zip(rows, exact, strict=True):
        assert row[1:] == pytest.approx(wanted[1:], rel=0.1)


def test_the_example_of_the_docstring_runs(capsys):
    inputs, labels = map(torch.tensor, batch())
    exec(example(module), vars(module) | {"model": chain("tanh"), "inputs": inputs, "labels": labels})
    assert len(capsys.readouterr().out.splitlines()) == len(WIDTHS)


def test_an_activation_in_place_changes_nothing():
    inputs, labels = batch()
    plain = layer_gradients(chain("relu"), torch.tensor(inputs), cross_entropy(labels)).reached
    assert layer_gradients(chain("relu", inplace=True), torch.tensor(inputs), cross_entropy(labels)).reached == plain


def state(model: nn.Module) -> list:
    values = [value.clone() for value in model.state_dict().values()] + [torch.get_rng_state()]
    gradients = [None if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()]
    hooks = [list(layer._forward_hooks) for layer in model.modules()]
    return [values, gradients, hooks, [layer.training for layer in model.modules()], torch.is_grad_enabled()]


def equal(first, second) -> bool:
    if isinstance(first, list):
        return len(first) == len(second) and all(map(equal, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("has_gradients", [True, False])
def test_the_model_stays_as_it_is(training, has_gradients):
    model = normalized().train(training)
    model[-1].register_forward_hook(lambda *_: None)
    if has_gradients:
        model(images()).sum().backward()
    before = state(model)
    layer_gradients(model, images(), torch.sum)
    assert equal(before, state(model))


def test_the_model_stays_as_it_is_after_an_error():
    def fail(_output):
        raise KeyError("planted")

    model = normalized()
    before = state(model)
    with pytest.raises(KeyError, match="planted"):
        layer_gradients(model, images(), fail)
    with pytest.raises(RuntimeError, match="shape|size|channels"):
        layer_gradients(model, images()[:, :, :2], torch.sum)
    assert equal(before, state(model))


def test_the_mode_decides_over_dropout_and_batch_statistics():
    model = normalized()
    training = layer_gradients(model.train(), images(), torch.sum).reached
    assert layer_gradients(model.train(), images(), torch.sum).reached == training  # dropout drew the same units again
    assert layer_gradients(model.eval(), images(), torch.sum).reached != training


def test_it_works_where_gradients_are_switched_off():
    inputs, labels = batch()
    wanted = layer_gradients(chain("tanh"), torch.tensor(inputs), cross_entropy(labels)).reached
    with torch.no_grad():
        assert layer_gradients(chain("tanh"), torch.tensor(inputs), cross_entropy(labels)).reached == wanted


def test_frozen_weights_have_no_gradient_and_their_outputs_have():
    inputs, labels = batch()
    wanted = layer_gradients(chain("tanh"), torch.tensor(inputs), cross_entropy(labels)).reached
    model = chain("tanh")
    model[:3].requires_grad_(False)
    rows = layer_gradients(model, torch.tensor(inputs), cross_entropy(labels)).reached
    assert [row.output_rms for row in rows] == [row.output_rms for row in wanted]
    assert [row.weight_rms for row in rows] == [None, None, wanted[2].weight_rms, wanted[3].weight_rms]


def test_a_layer_that_runs_twice_has_two_rows_and_one_weight_gradient():
    shared = nn.Linear(5, 5)
    first, second = layer_gradients(nn.Sequential(shared, nn.Tanh(), shared), torch.ones(2, 5), torch.sum).reached
    assert first.name == second.name == "0"
    assert first.output_rms != second.output_rms
    copies = nn.Sequential(shared, nn.Tanh(), copy.deepcopy(shared))
    copies(torch.ones(2, 5)).sum().backward()
    total = copies[0].weight.grad + copies[2].weight.grad
    assert first.weight_rms == second.weight_rms == pytest.approx(total.square().mean().sqrt().item())


def test_a_weight_that_is_computed_has_no_gradient_of_its_own():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(5, 3)))
    (row,) = layer_gradients(model, torch.ones(2, 5), torch.sum).reached
    assert row.output_rms == 1.0 and row.weight_rms is None


def test_an_output_on_which_the_loss_does_not_depend_has_the_gradient_zero():
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(5, 3), nn.Linear(5, 3)

        def forward(self, x, scale):
            return scale * self.used(x), self.unused(x)

    used, unused = layer_gradients(TwoHeads(), (torch.ones(2, 5), 3.0), lambda outputs: outputs[0].sum()).reached
    assert used == LayerGradient("used", 3.0, 6.0)
    assert unused == LayerGradient("unused", 0.0, 0.0)


def test_gradients_too_small_to_be_squared_are_still_told():
    model = nn.Sequential(*[nn.Linear(3, 3, bias=False) for _ in range(4)]).double()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1e-70)
    rows = layer_gradients(model, torch.ones(2, 3, dtype=torch.float64), torch.sum).reached
    assert rows[0].output_rms == pytest.approx(27e-210, rel=1e-6, abs=0)


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_zero_infinity_and_nan_are_told_as_such(value):
    (row,) = layer_gradients(nn.Linear(3, 3), torch.ones(2, 3), lambda output: (output * value).sum()).reached
    assert row.name == "" and row.output_rms == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [LayerGradient("0", 1.0, 1.0)],
        [LayerGradient("0", 0.0, 0.0)] * 2,
        [LayerGradient("0", float(i < 2), 0.0) for i in range(3)],
    ],
)
def test_a_factor_needs_two_rows_with_a_gradient(rows):
    with pytest.raises(ValueError, match="rows must be two or more"):
        factor_per_layer(rows)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"loss must return a scalar, got shape \(7, 3\)"):
        layer_gradients(chain("tanh"), torch.tensor(batch()[0]), lambda output: output)
    with pytest.raises(ValueError, match=r"model must run a layer .*ReLU\(\)"):
        layer_gradients(nn.ReLU(), torch.ones(2, 3, requires_grad=True), torch.sum)


def test_a_compiled_model_that_has_run_has_its_rows():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    compiled, inputs = torch.compile(model, backend="eager"), torch.ones(2, 3)
    compiled(inputs).sum().backward()
    wanted = layer_gradients(model, inputs, torch.sum).reached
    rows = layer_gradients(compiled, inputs, torch.sum).reached
    assert [row[1:] for row in rows] == [row[1:] for row in wanted]
    assert [row.name for row in rows] == ["_orig_mod.0", "_orig_mod.2"]


def test_it_works_in_inference_mode():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    wanted = layer_gradients(model, torch.ones(2, 3), torch.sum).reached
    with torch.inference_mode():
        assert layer_gradients(model, torch.ones(2, 3), torch.sum).reached == wanted


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="inputs must hold an example"):
        layer_gradients(nn.Linear(3, 1), torch.ones(0, 3), torch.sum)


def test_scales_and_slopes_have_no_row():
    model = nn.Sequential(*normalized(), nn.LayerNorm(3), nn.PReLU())
    reached, left = layer_gradients(model, images(), torch.sum)
    assert [row.name for row in reached] == ["0", "5"] and not left


def test_what_has_no_row_is_named():
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
            self.lstm, self.attention = nn.LSTM(4, 4), nn.MultiheadAttention(4, 2)
            self.idle = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h, _ = self.lstm(self.normed(x))
            return self.attention(h, h, h)[0]

    reached, left = layer_gradients(Mixed(), torch.ones(2, 4), torch.sum)
    assert [row.name for row in reached] == ["normed"]
    assert left == {
        "lstm.weight_ih_l0": "its layer has no tensor named weight",
        "lstm.weight_hh_l0": "its layer has no tensor named weight",
        "attention.in_proj_weight": "its layer has no tensor named weight",
        "attention.out_proj.weight": "its layer was not called",
        "idle.weight": "its layer was not called",
    }


def test_a_data_parallel_model_is_refused():
    with pytest.raises(ValueError, match=r"model must not be wrapped in DataParallel, got one: give model\.module"):
        layer_gradients(nn.DataParallel(chain("relu")), batch()[0], lambda z: z.square().mean())


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_the_factor_fits_where_the_ratio_does_not(size):
    rows = [LayerGradient(str(layer), rms, None) for layer, rms in enumerate([size, 1.0, 1.0 / size])]
    assert factor_per_layer(rows) == pytest.approx(size, rel=1e-12, abs=0)
    assert factor_per_layer(iter(rows)) == factor_per_layer(rows)


def test_a_complex_gradient_counts_with_both_parts():
    model = nn.Linear(3, 2, dtype=torch.complex64)
    x = torch.randn(5, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    (row,) = layer_gradients(model, x, lambda z: z.abs().square().sum()).reached
    model(x).abs().square().sum().backward()
    assert row.weight_rms == pytest.approx(torch.view_as_real(model.weight.grad).square().mean().sqrt().item())


def test_the_sparse_gradient_of_an_embedding_counts_in_all_its_rows():
    tokens = torch.tensor([1, 2, 1])
    reports = [
        layer_gradients(nn.Embedding(5, 3, sparse=sparse), tokens, lambda z: z.sum()).reached
        for sparse in (False, True)
    ]
    assert reports[0][0].weight_rms == reports[1][0].weight_rms == pytest.approx(1.0)
