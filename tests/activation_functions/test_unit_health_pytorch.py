import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from snippets.activation_functions import unit_health_numpy as oracle
from snippets.activation_functions.unit_health_pytorch import ACTIVATIONS, unit_health
from tests.activation_functions.shapes import FUNCTIONS

MODULES = {
    "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "relu": nn.ReLU(), "elu": nn.ELU(), "selu": nn.SELU(),
    "silu": nn.SiLU(), "mish": nn.Mish(), "softplus": nn.Softplus(),
}  # fmt: skip


def draws(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_oracle_agrees(name, dtype):
    z = draws(3, 20, 5, dtype=dtype)
    ((_, *ours),) = unit_health(nn.Sequential(MODULES[name]), z).reached
    assert ours == list(oracle.unit_health(FUNCTIONS[name], z.numpy(), unit_axis=-1))


def test_dead_units_are_counted_layer_by_layer_in_the_order_of_the_pass():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 6), nn.ReLU())
    with torch.no_grad():
        model[0].bias[:2] = -1e6
        model[2].weight.zero_()
        model[2].bias.copy_(torch.tensor([-1.0, 0.0, 0.0, 1.0, 1.0, 1.0]))
    first, second = unit_health(model, draws(64, 4)).reached
    assert (first.name, first.dead) == ("1", 2 / 8)
    assert (second.name, second.dead, second.saturated) == ("3", 3 / 6, 3 / 6)


def test_half_of_a_fresh_relu_layer_is_off_and_none_of_it_dead():
    layer = nn.Linear(256, 200, bias=False)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    (row,) = unit_health(nn.Sequential(layer, nn.ReLU()), draws(128, 256)).reached
    # 25,600 signs, of which those of one unit agree in part: 0.5 +- 0.005.
    assert row.dead == 0 and row.saturated == pytest.approx(0.5, abs=0.03)


def test_a_module_that_is_called_twice_has_two_rows():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.ReLU()

        def forward(self, x):
            return self.shared(self.shared(x) - 1e6)

    first, second = unit_health(Twice(), draws(50, 3)).reached
    assert (first.name, first.dead) == ("shared", 0.0)
    assert (second.name, second.dead) == ("shared", 1.0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(mode):
    with mode():
        (row,) = unit_health(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), draws(8, 3)).reached
    assert 0 <= row.saturated <= 1


def test_the_model_stays_as_it_was():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.PReLU()).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = draws(8, 3)
    outputs = model(inputs)
    unit_health(model, inputs)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert torch.equal(model(inputs), outputs) and not model.training and torch.is_grad_enabled()


def test_hooks_go_when_the_model_fails():
    model = nn.Sequential(nn.ReLU(), nn.Linear(3, 3))
    with pytest.raises(RuntimeError):
        unit_health(model, draws(2, 5))
    assert not model[0]._forward_pre_hooks


def test_own_kinds_can_be_named():
    class Swish(nn.Module):
        def forward(self, x):
            return functional.silu(x)

    model = nn.Sequential(Swish(), nn.Softmax(dim=1))
    with pytest.raises(ValueError, match="kinds .*'ReLU'"):
        unit_health(model, draws(5, 4))
    assert len(unit_health(model, draws(5, 4), kinds=(*ACTIVATIONS, Swish)).reached) == 1


def test_a_threshold_must_be_positive():
    with pytest.raises(ValueError, match=r"threshold .*-1"):
        unit_health(nn.ReLU(), draws(5, 4), threshold=-1)
    assert unit_health(nn.Tanh(), draws(5, 4), threshold=2.0).reached[0].saturated == 1.0
    assert np.isclose(unit_health(nn.Tanh(), torch.zeros(5, 4)).reached[0].saturated, 0.0)


def test_a_unit_is_what_has_weights_of_its_own_at_all_positions():
    images, tokens = draws(6, 3, 5, 5), draws(6, 9, 4)
    convolution = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
    row = nn.Sequential(nn.Conv1d(9, 8, 1), nn.ReLU())
    dense = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    with torch.no_grad():
        convolution[1].bias.copy_(torch.tensor([-1e6, 0.0, 0.0, 0.0]))
        row[0].bias[:2] = -1e6
        dense[0].bias[:4] = -1e6
    for model, inputs, wanted in ((convolution, images, 1 / 4), (row, tokens, 2 / 8), (dense, tokens, 4 / 8)):
        assert unit_health(model, inputs).reached[0].dead == wanted
    # with no layer before: the second dimension of four, the last of three
    for shape, index in (((2, 3, 4, 5), (slice(None), 0)), ((2, 4, 3), (..., 0))):
        inputs = torch.ones(shape)
        inputs[index] = -1.0
        assert unit_health(nn.Sequential(nn.ReLU()), inputs).reached[0].dead == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "batch", [torch.full((3, 4), torch.nan), torch.full((3, 4), torch.inf), torch.ones(0, 4), torch.ones(4)]
)
def test_what_is_no_batch_of_finite_values_is_refused(batch):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    with pytest.raises(ValueError, match="batch must give '1' finite values"):
        unit_health(model, batch)
    assert not model[0]._forward_hooks and not model[1]._forward_pre_hooks


def test_a_compiled_model_that_has_run_is_seen():
    compiled = torch.compile(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), backend="eager")
    with torch.no_grad():
        compiled(draws(8, 4))
    assert [row.name for row in unit_health(compiled, draws(8, 4)).reached] == ["_orig_mod.1"]


class Transposed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.movedim(1, -1)


def test_a_transposition_takes_the_units_with_it():
    """Channels last since: six channels of which two are dead, at five positions of which none is."""
    convolution = nn.Conv1d(3, 6, 1)
    with torch.no_grad():
        convolution.bias[:2] = -1e6
    inputs = draws(7, 3, 5)
    for model in (
        nn.Sequential(convolution, nn.ReLU()),
        nn.Sequential(convolution, Transposed(), nn.ReLU()),
        nn.Sequential(convolution, Transposed(), nn.Linear(6, 6), Transposed(), nn.ReLU()),
    ):
        if len(model) == 5:
            nn.init.eye_(model[2].weight)
            nn.init.zeros_(model[2].bias)
        assert unit_health(model, inputs).reached[0].dead == pytest.approx(2 / 6)


def test_recurrent_layers_and_norms_say_where_the_units_are():
    class States(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.relu = nn.LSTM(3, 6, batch_first=True), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h, _ = self.lstm(x)
            return self.relu(h.abs() - torch.tensor([9.0, 9.0, 0.0, 0.0, 0.0, 0.0]))

    for first in (nn.Conv1d(4, 4, 1), nn.BatchNorm1d(4), nn.LayerNorm(3)):
        assert unit_health(nn.Sequential(first, States()), draws(8, 4, 3)).reached[0].dead == pytest.approx(2 / 6)


class Mixed(nn.Module):
    """Activations as modules, as functions, as methods, and inside of other modules."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.idle, self.other = nn.ReLU(), nn.Tanh(), nn.LogSigmoid()
        self.lstm, self.cell = nn.LSTM(4, 4), nn.GRUCell(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = functional.gelu(self.seen(input=x)).relu_() + torch.tanh(x)
        return self.cell(self.lstm(self.other(h))[0])


def test_what_has_no_row_is_named():
    reached, left = unit_health(nn.Sequential(Mixed()), draws(8, 4))
    assert [row.name for row in reached] == ["0.seen"]
    assert left == {
        "0.idle": "did not run",
        "gelu in '0'": "called as a function",
        "relu in '0'": "called as a function",
        "tanh in '0'": "called as a function",
        "log_sigmoid in '0.other'": "called as a function",
        "lstm in '0.lstm'": "called as a function",
        "gru_cell in '0.cell'": "called as a function",
    }
    everything = unit_health(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Softmax(dim=1)), draws(8, 4))
    assert everything.left == {}


@pytest.mark.parametrize("training", [True, False])
def test_the_activation_of_a_transformer_is_named(training):
    """In evaluation mode the whole layer may be one function."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).train(training)
    left = unit_health(nn.Sequential(nn.ReLU(), layer), draws(3, 5, 8)).left
    (name,) = left
    assert name.endswith("in '1'")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_part_is_named():
    model = nn.Sequential(nn.ReLU(), torch.jit.trace(nn.Tanh(), torch.ones(2, 4)))
    assert unit_health(model, draws(8, 4)).left == {"1": "scripted: it takes no hooks"}


def test_a_packed_sequence_says_where_the_units_are():
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.relu = nn.LSTM(3, 6), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            states, _ = self.lstm(nn.utils.rnn.pack_sequence(list(x)))
            return self.relu(states.data)

    assert len(unit_health(Packed(), draws(8, 4, 3)).reached) == 1


def test_as_many_positions_as_channels_are_no_transposition():
    convolution = nn.Conv1d(3, 6, 1)
    with torch.no_grad():
        convolution.bias[:2] = -1e6
    assert unit_health(nn.Sequential(convolution, nn.ReLU()), draws(7, 3, 6)).reached[0].dead == pytest.approx(2 / 6)


@pytest.mark.parametrize("kind", [nn.Softmax, nn.Dropout, nn.RReLU, nn.GLU])
def test_what_is_no_function_of_one_entry_is_refused_by_name(kind):
    model = nn.Sequential(nn.Linear(3, 4), kind(-1) if kind in (nn.Softmax, nn.GLU) else kind())
    with pytest.raises(ValueError, match="kinds must act on every entry by itself and draw nothing, '1' is"):
        unit_health(model, draws(9, 3), kinds=(kind,))


def test_other_kinds_that_act_on_entries_have_rows():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanhshrink(), nn.Linear(4, 4), nn.Dropout()).eval()
    report = unit_health(model, draws(9, 3), kinds=(nn.Tanhshrink, nn.Dropout))
    assert [row.name for row in report.reached] == ["1", "3"]
    assert unit_health(model, draws(9, 3), kinds=nn.Tanhshrink).reached == report.reached[:1]


@pytest.mark.parametrize("kinds", [["relu"], None, (nn.ReLU(),), (int,)])
def test_kinds_that_are_no_classes_of_modules_are_refused(kinds):
    with pytest.raises(ValueError, match="kinds must be classes of modules, got"):
        unit_health(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), draws(9, 3), kinds=kinds)


def test_the_random_state_stays():
    model, state = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.ReLU()), torch.get_rng_state()
    unit_health(model, draws(9, 3))
    assert torch.equal(torch.get_rng_state(), state)
