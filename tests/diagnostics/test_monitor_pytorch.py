import csv
import math
import re

import pytest
import torch
from torch import nn

from snippets.diagnostics.monitor_pytorch import TrainingMonitor, plot_rows


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def loss_of(model: nn.Module) -> torch.Tensor:
    return model(torch.randn(5, 4, generator=torch.Generator().manual_seed(1))).square().mean()


def backward(model: nn.Module) -> None:
    loss_of(model).backward()


def norm(*tensors: torch.Tensor) -> float:
    return math.sqrt(sum(tensor.detach().double().square().sum().item() for tensor in tensors))


def test_norms_and_ratios_are_those_of_the_step():
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    with TrainingMonitor(model, optimizer, every=2) as monitor:
        for step in range(3):
            optimizer.zero_grad()
            backward(model)
            before = [parameter.detach().clone() for parameter in model.parameters()]
            gradients = [parameter.grad.clone() for parameter in model.parameters()]
            optimizer.step()
            row = monitor.rows[step]
            assert row["step"] == step and row["gradient_norm"] == pytest.approx(norm(*gradients))
            assert ("update_ratio" in row) == ("gradient_norm/0" in row) == (step % 2 == 0)
            if step % 2 == 0:
                changes = [new - old for new, old in zip(model.parameters(), before, strict=True)]
                assert row["update_ratio"] == pytest.approx(norm(*changes) / norm(*before))
                assert row["gradient_norm/2"] == pytest.approx(norm(*gradients[2:]))
                assert row["update_ratio/2"] == pytest.approx(norm(*changes[2:]) / norm(*before[2:]))
    assert monitor.layers == ["0", "2"]
    assert monitor.non_finite is None and math.isnan(monitor.clipped_fraction)


def train(model: nn.Module, watched: bool, **settings: object) -> tuple[list[torch.Tensor], TrainingMonitor | None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    monitor = TrainingMonitor(model, optimizer, **settings) if watched else None
    for _ in range(4):
        optimizer.zero_grad()
        backward(model)
        optimizer.step()
    if monitor:
        monitor.close()
        assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    return list(model.parameters()), monitor


def test_the_training_is_the_same_to_the_bit_and_nothing_stays_behind():
    alone, _ = train(network(), watched=False)
    watched, _ = train(network(), watched=True, every=1)
    assert all(torch.equal(one, other) for one, other in zip(alone, watched, strict=True))


def test_hooks_go_also_after_an_error_and_closing_twice_is_harmless():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(KeyError), TrainingMonitor(model, optimizer) as monitor:
        backward(model)
        optimizer.step()
        raise KeyError
    monitor.close()
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    optimizer.step()
    assert len(monitor.rows) == 1


@pytest.mark.parametrize(
    "clip",
    [
        lambda parameters, part: nn.utils.clip_grad_norm_(parameters, part * norm(*(p.grad for p in parameters))),
        lambda parameters, part: nn.utils.clip_grad_value_(
            parameters, part * max(p.grad.abs().max().item() for p in parameters)
        ),
    ],
)
def test_clipping_is_seen_whatever_its_rule_and_norms_are_those_before(clip):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with TrainingMonitor(model, optimizer, every=1) as monitor:
        for part in (0.5, 2.0, 2.0, 0.9):
            optimizer.zero_grad()
            backward(model)
            gradients = [parameter.grad.clone() for parameter in model.parameters()]
            monitor.before_clipping()
            clip(list(model.parameters()), part)
            optimizer.step()
            assert monitor.rows[-1]["gradient_norm"] == pytest.approx(norm(*gradients))
            assert monitor.rows[-1]["gradient_norm/0"] == pytest.approx(norm(*gradients[:2]))
    assert [row["clipped"] for row in monitor.rows] == [1, 0, 0, 1]
    assert monitor.clipped_fraction == 0.5


def test_the_first_gradient_that_is_not_finite_is_named_with_its_step():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    monitor = TrainingMonitor(model, optimizer, every=10)
    for step in range(5):
        optimizer.zero_grad()
        backward(model)
        if step == 3:
            model[2].bias.grad[0] = math.inf
        optimizer.step()
    with pytest.warns(RuntimeWarning, match=r"step 3: the gradient of \['2'\] is not finite"):
        monitor.close()
    assert monitor.non_finite == (3, ["2"])
    assert monitor.rows[3]["gradient_norm"] == math.inf and math.isnan(monitor.rows[4]["gradient_norm"])


def test_accumulated_gradients_are_seen_once_and_whole():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with TrainingMonitor(model, optimizer) as monitor:
        for _ in range(4):
            (loss_of(model) / 4).backward()
        optimizer.step()
    assert len(monitor.rows) == 1
    assert monitor.rows[0]["gradient_norm"] == pytest.approx(norm(*(p.grad for p in model.parameters())))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscale", [False, True])
def test_a_grad_scaler_gives_unscaled_gradients_and_its_skipped_steps_are_not_seen(fused, unscale):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    backward(model)
    wanted = norm(*(parameter.grad for parameter in model.parameters()))
    with TrainingMonitor(model, optimizer, every=1) as monitor:
        for overflow in (False, True):
            optimizer.zero_grad()
            scaler.scale(loss_of(model)).backward()
            if overflow:
                model[0].bias.grad[0] = math.inf
            if unscale:
                scaler.unscale_(optimizer)
                monitor.before_clipping()
                nn.utils.clip_grad_norm_(model.parameters(), wanted / 2)
            scaler.step(optimizer)
            scaler.update()
    assert [row["gradient_norm"] for row in monitor.rows] == pytest.approx([wanted], rel=1e-3)
    assert monitor.rows[0].get("clipped") == (1 if unscale else None)
    assert 0 < monitor.rows[0]["update_ratio"] < 0.1


def test_groups_frozen_tied_and_sparse_parameters_and_parameters_of_the_model_itself():
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))
            self.embedding = nn.Embedding(6, 4, sparse=True)
            self.table = nn.Embedding(6, 4)
            self.head = nn.Linear(4, 6, bias=False)
            self.head.weight = self.table.weight
            self.unused, self.frozen, self.apart = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            return self.head(self.scale * (self.embedding(words) + self.table(words)))

    model = Language()
    model.frozen.requires_grad_(False)
    most = [*model.table.parameters(), *model.unused.parameters(), *model.frozen.parameters(), model.scale]
    optimizer = torch.optim.SGD([{"params": model.embedding.parameters(), "lr": 1.0}, {"params": most}], lr=0.1)
    with TrainingMonitor(model, optimizer) as monitor:
        model(torch.tensor([1, 1, 3])).square().sum().backward()
        assert model.embedding.weight.grad.is_sparse
        optimizer.step()
    assert monitor.layers == ["scale", "embedding", "table", "unused", "frozen"]
    row = monitor.rows[0]
    assert row["gradient_norm/embedding"] == pytest.approx(norm(model.embedding.weight.grad.to_dense()))
    assert row["gradient_norm/table"] == pytest.approx(norm(model.table.weight.grad))
    assert row["gradient_norm/scale"] == pytest.approx(norm(model.scale.grad))
    assert row["gradient_norm/unused"] == row["update_ratio/unused"] == row["update_ratio/frozen"] == 0.0
    assert row["gradient_norm"] == pytest.approx(math.hypot(*(row[f"gradient_norm/{name}"] for name in monitor.layers)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_norms_of_any_dtype_are_summed_in_float32_or_wider(dtype):
    layer = nn.Linear(64, 64, bias=False).to(dtype)
    layer.weight.grad = torch.full((64, 64), 3000.0, dtype=dtype)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-6)
    with TrainingMonitor(nn.ModuleDict({"whole": layer}), optimizer) as monitor:
        optimizer.step()
    assert monitor.rows[0]["gradient_norm/whole"] == pytest.approx(3000.0 * 64, rel=1e-2)


def test_weights_of_zero_have_an_infinite_ratio():
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with TrainingMonitor(layer, optimizer) as monitor:
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert monitor.layers == ["weight", "bias"]
    assert monitor.rows[0]["update_ratio"] == monitor.rows[0]["update_ratio/bias"] == math.inf


def test_the_csv_has_one_line_per_step_and_leaves_the_unknown_empty(tmp_path):
    _, monitor = train(network(), watched=True, every=2)
    monitor.to_csv(tmp_path / "training.csv")
    with open(tmp_path / "training.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["step"] for line in lines] == ["0", "1", "2", "3"]
    assert [float(line["gradient_norm"]) for line in lines] == [row["gradient_norm"] for row in monitor.rows]
    assert lines[1]["update_ratio/0"] == lines[1]["clipped"] == ""
    assert float(lines[2]["update_ratio/2"]) == monitor.rows[2]["update_ratio/2"]


def test_a_writer_of_tensorboard_gets_every_number():
    class Writer:
        def __init__(self) -> None:
            self.scalars: dict[tuple[str, int], float] = {}

        def add_scalar(self, tag: str, value: float, step: int) -> None:
            self.scalars[tag, step] = value

    writer = Writer()
    _, monitor = train(network(), watched=True, every=2, writer=writer)
    assert writer.scalars == {
        (tag, step): value for step, row in enumerate(monitor.rows) for tag, value in row.items() if tag != "step"
    }
    assert ("update_ratio/2", 2) in writer.scalars and ("gradient_norm", 3) in writer.scalars


def test_the_plot_shows_every_layer_and_the_whole():
    _, monitor = train(nn.Sequential(network(), nn.Linear(3, 3), nn.Linear(3, 3)), watched=True, every=2)
    above, below = monitor.plot().axes
    assert above.get_shared_x_axes().joined(above, below)
    assert above.get_yscale() == below.get_yscale() == "log"
    assert len(above.lines) == len(below.lines) == 5
    assert list(above.lines[-1].get_ydata()) == [row["gradient_norm"] for row in monitor.rows]
    assert list(below.lines[-1].get_xdata()) == [0, 2]
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["layer 0.0", "layer 2", "all layers"]


def test_bad_input_is_named():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="every must be an integer from 1 on, got 0"):
        TrainingMonitor(model, optimizer, every=0)
    with pytest.raises(ValueError, match="optimizer must hold parameters of model"):
        TrainingMonitor(network(), optimizer)
    with TrainingMonitor(model, optimizer) as monitor, pytest.raises(ValueError, match="without a closure"):
        optimizer.step(lambda: 0.0)
    with pytest.raises(ValueError, match="nothing was recorded"):
        monitor.plot()


def noted(clear: bool = True, passes: int = 1, half: bool = False, epsilon: float = 1e-8, **settings: float) -> list:
    """The notes on eight steps of a loop."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3)).to(torch.float16 if half else torch.float32)
    inputs, labels = torch.randn(64, 8, dtype=model[0].weight.dtype), torch.randint(3, (64,))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, **settings)
    if half:
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, eps=epsilon, foreach=False)
    with TrainingMonitor(model, optimizer, every=1) as monitor:
        for step in range(8):
            if clear:
                optimizer.zero_grad(set_to_none=step % 2 == 0)
            for _ in range(passes):
                nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    assert not model[0].weight._backward_hooks
    return monitor.notes


def test_gradients_that_stay_are_looked_for_in_the_first_steps_alone():
    """A look waits for the device, and a loop that clears them at first does so later."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with TrainingMonitor(model, optimizer) as monitor:
        for step in range(7):
            if step < 5:
                optimizer.zero_grad()
            backward(model)
            optimizer.step()
    assert monitor.notes == []


@pytest.mark.parametrize("settings", [{}, {"half": True, "epsilon": 1e-2}, {"weight_decay": 1e-3}])
def test_there_is_nothing_to_note_of_a_usual_loop(settings):
    assert noted(**settings) == []


@pytest.mark.filterwarnings("ignore:step 1. the gradient:RuntimeWarning")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"clear": False}, "step 1: the gradients of the step before were still there"),
        ({"passes": 4}, "4 backward passes in a step .* divide each loss by 4"),
        ({"half": True}, r"step 0: the gradient is finite and the update of \['0', '2'\] is not"),
        ({"weight_decay": 2.0}, "the weights only shrink, to 0.2"),
    ],
)
def test_what_is_wrong_with_a_loop_is_noted(settings, words):
    (note,) = noted(**settings)
    assert re.match(words, note)


def test_weights_in_no_group_are_noted():
    model = network()
    model[0].bias.requires_grad_(False)
    with TrainingMonitor(model, torch.optim.SGD(model[2].parameters(), 0.1)) as monitor:
        (note,) = monitor.notes
    assert note.startswith("1 weights that are to be trained are in no group of the optimizer, such as 0.weight")


@pytest.mark.parametrize("used", [0, 2])
def test_passes_are_counted_too_where_the_layer_at_one_end_gets_no_gradient(used):
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with TrainingMonitor(model, optimizer) as monitor:
        optimizer.zero_grad()
        for _ in range(2):
            model[used](torch.ones(4, 3)).square().mean().backward()
        optimizer.step()
        (note,) = monitor.notes
    assert note.startswith("2 backward passes in a step")


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_norm_is_right_where_its_squares_do_not_fit(scale):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 / scale)
    with TrainingMonitor(model, optimizer) as monitor:
        (loss_of(model) * scale).backward()
        gradients = [parameter.grad.clone() for parameter in model.parameters()]
        before = [parameter.detach().clone() for parameter in model.parameters()]
        optimizer.step()
    changes = [new - old for new, old in zip(model.parameters(), before, strict=True)]
    assert monitor.rows[0]["gradient_norm"] == pytest.approx(norm(*gradients))
    assert monitor.rows[0]["update_ratio"] == pytest.approx(norm(*changes) / norm(*before), rel=1e-4)
    assert monitor.non_finite is None


def test_wrong_arguments_are_named():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for every in (math.nan, 1.5, "1", None):
        with pytest.raises(ValueError, match="every must be an integer from 1 on, got"):
            TrainingMonitor(model, optimizer, every=every)
    for given, name in (((optimizer, model), "model"), ((model, [optimizer]), "optimizer")):
        with pytest.raises(ValueError, match=f"{name} must be an? "):
            TrainingMonitor(*given)
    with pytest.raises(ValueError, match="writer must have add_scalar, got 3"):
        TrainingMonitor(model, optimizer, writer=3)
    lazy = nn.Sequential(nn.LazyLinear(2))
    with pytest.raises(ValueError, match=r"model must have seen a batch: '0.weight' is lazy"):
        TrainingMonitor(lazy, torch.optim.SGD(lazy.parameters()))
    with pytest.raises(ValueError, match="rows must be those of a monitor"):
        plot_rows(TrainingMonitor(model, optimizer))
