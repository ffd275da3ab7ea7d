"""The tests that the symptom finder offers for PyTorch: each tells a network with the fault from one without it."""

import copy
import itertools
import math
import re
from contextlib import nullcontext as does_not_raise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snippets.activation_functions.unit_health_pytorch import unit_health
from snippets.exploding_gradients.clip_gradients_pytorch import global_norm
from snippets.exploding_gradients.finite_guard_pytorch import finite_guard
from snippets.vanishing_gradients.forget_bias_pytorch import set_forget_bias_
from snippets.vanishing_gradients.layer_gradients_pytorch import factor_per_layer, layer_gradients
from tests.toolbox.tables import TOOLBOX, code, sections

pytestmark = pytest.mark.usefixtures("seeded_pytorch")

SECTIONS = sections("symptom-finder.md")
FILES = (unit_health, global_norm, finite_guard, factor_per_layer, layer_gradients)
NAMES = {"torch": torch, "F": F, "math": math, "copy": copy} | {function.__name__: function for function in FILES}


@pytest.fixture
def run(capsys):
    """Run the code of a section; the lines that it prints."""

    def run_code(section: str, number: int = 0, **names) -> list[str]:
        exec(code(SECTIONS[section], "PyTorch")[number], NAMES | batch() | names)
        return capsys.readouterr().out.splitlines()

    return run_code


def batch() -> dict[str, torch.Tensor]:
    return {"inputs": torch.randn(64, 20), "labels": torch.randint(0, 10, (64,))}


def network(depth: int = 4, activation: type = nn.ReLU, scale: float = 2**0.5, last: float = 0.3) -> nn.Sequential:
    """Layers of 64 units with normal weights of `scale` / sqrt(fan_in), the last layer of `last` / sqrt(fan_in)."""
    widths = [20, *[64] * (depth - 1), 10]
    layers = [nn.Linear(*pair) for pair in itertools.pairwise(widths)]
    for layer in layers:
        nn.init.normal_(layer.weight, 0.0, (last if layer is layers[-1] else scale) / layer.in_features**0.5)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*[module for layer in layers for module in (layer, activation())][:-1])


def test_nan(run):
    assert run("nan", model=network()) == ["tensor(True)"]
    with pytest.raises(FloatingPointError, match="forward"):
        run("nan", model=network(depth=30, scale=1e4))
    inputs = torch.full((64, 20), torch.nan)
    with pytest.raises((FloatingPointError, ValueError)):
        run("nan", model=network(), inputs=inputs)


def test_nan_in_mixed_precision(run):
    model = network()
    with torch.no_grad():
        model[2].weight.mul_(1e5)
    assert run("nan", model=model) == ["tensor(True)"]
    with torch.autocast("cpu", torch.bfloat16):
        assert run("nan", model=model) == ["tensor(True)"]
    half = torch.autocast("cpu", torch.float16)
    with half, pytest.raises(FloatingPointError, match="forward: the output of '2'"):
        run("nan", model=model)

    before = copy.deepcopy(model.state_dict())
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    with half:
        loss = F.cross_entropy(model(batch()["inputs"]), batch()["labels"])
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 512
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_nan_by_the_loss_scale(run, monkeypatch):
    model = network()
    loss = F.cross_entropy
    for scale, expected in (
        (2.0**10, does_not_raise()),
        (2.0**40, pytest.raises(FloatingPointError, match="backward")),
    ):
        monkeypatch.setattr(F, "cross_entropy", lambda *given, scale=scale: scale * loss(*given))
        with torch.autocast("cpu", torch.float16), expected:
            run("nan", model=model)


def test_first_loss(run):
    loss, guess, std = map(float, run("first-loss", model=network())[0].split())
    assert guess == pytest.approx(math.log(10)) and abs(loss - guess) < 0.2 and std < 0.5
    loss, guess, std = map(float, run("first-loss", model=network(depth=12, scale=4.0))[0].split())
    assert loss > 10 * guess and std > 10


def test_first_loss_of_logits_of_deviation_one():
    logits = torch.randn(20_000, 10)
    assert F.cross_entropy(logits, torch.zeros(20_000, dtype=int)).item() - math.log(10) == pytest.approx(0.5, abs=0.1)


def test_flat_gradients(run):
    *rows, factor = run("flat", model=network())
    assert len(rows) == 4 and 0.7 < float(factor) < 1.4
    assert float(run("flat", model=network(10, nn.Sigmoid, 1.0))[-1]) < 0.4
    assert float(run("flat", model=network(10, scale=4.0))[-1]) > 2
    dead = network()
    dead[2].bias.data.fill_(-100.0)
    with pytest.raises(ValueError, match="output_rms=0.0"):
        run("flat", model=dead)


def test_flat_outputs(run):
    assert float(run("flat", 1, model=network())[0]) > 0.1
    hidden = [module for _ in range(12) for module in (nn.Linear(20, 20), nn.ReLU())]
    default = nn.Sequential(*hidden, nn.Linear(20, 10))
    assert float(run("flat", 1, model=default)[0]) < 0.01


def test_flat_step(run):
    changes = {}
    for rate in (0.01, 1e-7):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), rate)
        changes[rate] = float(run("flat", 2, model=model, optimizer=optimizer)[0].split()[1])
    assert 1e-5 < changes[0.01] < 1e-2 and changes[1e-7] < 1e-6
    other = torch.optim.SGD(network().parameters(), 0.1)
    assert float(run("flat", 2, model=network(), optimizer=other)[0].split()[1]) == 0.0


def test_plateau(run):
    # Printed as 1. or 1.0000, whether or not the processor rounds the sum to 1.
    ones = re.compile(r"tensor\(\[(1\.0*, ){2}1\.0*\]")
    sums, *ratios = run("plateau", model=network())
    assert not ones.match(sums) and all(float(line.split()[1]) > 0.3 for line in ratios)
    with_softmax = nn.Sequential(network(), nn.Softmax(1))
    assert ones.match(run("plateau", model=with_softmax)[0])
    assert len(run("plateau", model=nn.Linear(20, 1))) == 1  # of one row there is no second singular value
    constant = network()
    nn.init.constant_(constant[2].weight, 0.1)
    assert float(run("plateau", model=constant)[2].split()[1]) < 1e-5


def test_the_floor_of_two_softmaxes():
    floor = F.cross_entropy(torch.eye(10), torch.arange(10)).item()
    assert f"cannot fall below {floor:.3f}." in SECTIONS["plateau"]


def test_spikes(run):
    model = network()
    (norm,) = map(float, run("spikes", model=model))
    whole = torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm().item()
    assert norm == pytest.approx(whole, rel=1e-5)


def test_dead(run):
    rows = run("dead", model=network())
    assert len(rows) == 3 and all(float(row.split()[1]) < 0.1 for row in rows)
    dead = network()
    dead[2].bias.data.fill_(-100.0)
    assert run("dead", model=dead)[1].split()[1] == "1.0"


def test_copies(run):
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    assert run("copies", first=first, second=second) == ["False"]
    second.load_state_dict(first.state_dict())
    assert run("copies", first=first, second=second) == ["True"]


def test_memory(run):
    lstm = nn.LSTM(8, 32)

    def kept() -> float:
        (line,) = " ".join(run("memory", lstm=lstm, inputs=torch.randn(40, 4, 8))).split("\n")
        first, *_, last = torch.tensor(eval(line, {"tensor": list}))
        return (first / last).item()

    default = kept()
    set_forget_bias_(lstm, 3.0)
    assert default < 1e-6 and kept() > 1e3 * default


def test_eval(run):
    assert len(set(run("eval", model=network()))) == 1
    normalized = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30, momentum=1e-3), nn.ReLU(), nn.Linear(30, 10))
    normalized[0].weight.data *= 20.0
    before = copy.deepcopy(normalized.state_dict())
    evaluation, training = map(float, run("eval", model=normalized))
    assert evaluation > training + 0.5
    assert all(torch.equal(value, before[name]) for name, value in normalized.state_dict().items())


def test_regression(run):
    model, inputs = nn.Sequential(network(), nn.Linear(10, 1)), torch.randn(64, 20)
    same, outputs, targets, column = run("regression", model=model, inputs=inputs, targets=torch.randn(64, 1))
    low, high = map(float, outputs.split())
    assert same == "True" and low < 0 < high and 0.8 < float(targets.split()[2]) < 1.2 and float(column) < 1.5
    inputs[:, 3] = 240.0
    faulty = {"model": nn.Sequential(model, nn.ReLU()), "inputs": inputs, "targets": torch.randn(64) - 5}
    same, outputs, targets, column = run("regression", **faulty)
    assert same == "False" and float(outputs.split()[0]) >= 0 > float(targets.split()[0]) and float(column) == 240


def test_weights(run):
    sizes = {line.split()[0]: float(line.split()[1]) for line in run("weights", model=network())}
    assert sizes.keys() == dict(network().named_parameters()).keys() and max(sizes.values()) < 1
    faulty = network()
    faulty.append(nn.Linear(10, 10))
    faulty[-1].weight.data.fill_(3.7e30)
    hidden = [nn.Linear(20, 20)]
    faulty.forward = lambda x: faulty[0](hidden[0](x))
    sizes = {line.split()[0]: float(line.split()[1]) for line in run("weights", model=faulty)}
    assert not 1e-20 < sizes["7.weight"] < 1e4 and len(sizes) == 10


def test_mixed(run):
    assert run("mixed", model=network()) == ["0.0"]

    over_examples = nn.Sequential(network(), nn.Softmax(0))
    assert float(run("mixed", model=over_examples)[0]) > 1e-4


def test_decay(run):
    assert all(float(line.split()[1]) < 0.5 for line in run("decay", model=network(), decay=1e-4))
    pulls = [float(line.split()[1]) for line in run("decay", model=network(), decay=1.0) if "weight" in line]
    assert min(pulls[:3]) > 1  # the last layer's gradient is the largest


@pytest.mark.parametrize(("decay", "fits"), [(1.0, True), (100.0, False)])
def test_decay_of_adamw(run, decay, fits):
    """It divides the gradient by its size: above 1 in the test, a network learns until decay * rms is above 1."""
    model, one = network(), batch()
    pulls = [float(line.split()[1]) for line in run("decay", model=model, decay=decay, **one) if "weight" in line]
    assert min(pulls[:3]) > 1
    assert all((decay * layer.weight.square().mean().sqrt() > 1) != fits for layer in model[::2])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=decay)
    for _ in range(200):
        loss = F.cross_entropy(model(one["inputs"]), one["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (loss < 0.1) == fits


def test_loss(run):
    """A tanh, labels of -1, and an index that is read for all examples, beside the same as they should be."""
    binary, targets = nn.Sequential(network(), nn.Linear(10, 1)), torch.randint(2, (64, 1)).float()
    given = {"model": binary, "targets": targets, "loss_fn": F.binary_cross_entropy_with_logits}
    shapes, outputs, labels, slopes = run("loss", **given)
    assert shapes == "(64, 1) (64, 1)" and labels == "0.0 1.0" and slopes.split()[0] == "64"
    binary[-1].weight.data *= 30
    low, high = map(float, run("loss", **given)[1].split())
    assert low < -1 and high > 1
    faulty = given | {"model": nn.Sequential(binary, nn.Tanh()), "targets": 2 * targets - 1}
    _, outputs, labels, _ = run("loss", **faulty)
    assert all(abs(float(number)) <= 1 for number in outputs.split()) and labels == "-1.0 1.0"
    actions = torch.randint(10, (64,))
    chosen = {"model": network(), "targets": actions}
    one = run("loss", loss_fn=lambda q, a: q.gather(1, a[:, None]).square().mean(), **chosen)
    square = run("loss", loss_fn=lambda q, a: q[:, a].square().mean(), **chosen)
    assert one[-1].split()[0] == "64" and square[-1].split()[0] == "640"


class Text(nn.Module):
    def __init__(self, both: bool = False) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(50, 16), nn.GRU(16, 16, batch_first=True, bidirectional=both)
        self.head = nn.Linear(16 * (1 + both), 50)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.embedding(tokens))[0])


@pytest.mark.parametrize(("shift", "both"), [(0, False), (1, False), (2, False), (1, True)])
def test_language(run, shift, both):
    text = torch.randint(50, (8, 14))
    given = {"tokens": text[:, :12], "targets": text[:, shift : shift + 12], "model": Text(both)}
    *shares, change = map(float, run("language", **given))
    assert [share == 1 for share in shares] == [place == shift for place in range(3)]
    assert (change > 1e-4) == both


def test_every_piece_of_code_is_tried():
    blocks = {name: len(code(section, "PyTorch")) for name, section in SECTIONS.items()}
    assert blocks == {
        "nan": 1, "first-loss": 1, "flat": 3, "plateau": 1, "spikes": 1, "slow": 0, "dead": 1, "copies": 1, "memory": 1,
        "eval": 1, "seeds": 0, "framework": 0, "regression": 1, "weights": 1, "mixed": 1, "decay": 1,
        "loss": 1, "language": 1,
    }  # fmt: skip
    assert blocks == {name: len(code(section, "Keras")) for name, section in SECTIONS.items()}


def test_the_list_at_the_top_names_every_section():
    text = (TOOLBOX / "symptom-finder.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\d+\. \[[^]]*\]\(#([\w-]+)\)", text, re.MULTILINE)
    assert listed == list(SECTIONS)
