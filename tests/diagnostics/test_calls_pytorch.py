"""Calls that are odd and valid: what is no plain float32 module with a pair of tensors and a loss that is a scalar."""

import math
import random
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from snippets.diagnostics.check_model_pytorch import check_model


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def data() -> tuple[Tensor, Tensor]:
    return torch.randn(32, 64), torch.randint(10, (32,))


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def test_a_frozen_model_is_seen_and_said_to_be_frozen():
    model = plain().requires_grad_(False)
    report = check_model(model, data(), cross_entropy)
    (finding,) = report.findings
    assert finding.code == "nothing-trains" and "4 weights" in finding.evidence and len(report.layers) == 2
    assert report.loss == pytest.approx(cross_entropy(model(data()[0]), data()[1]).item(), rel=0.3)


@pytest.mark.filterwarnings("ignore")  # of their deprecation
def test_a_quantized_model_is_run_and_said_to_be_quantized():
    model = torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear}, dtype=torch.qint8).train()
    report = check_model(model, data(), cross_entropy)
    assert [finding.code for finding in report.findings] == ["nothing-trains"] and math.isfinite(report.loss)
    assert report.findings[0].layers == ("0", "2")
    middle = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(32, 32)), {nn.Linear}, dtype=torch.qint8)
    between = nn.Sequential(nn.Linear(64, 32), middle[0], nn.ReLU(), nn.Linear(32, 10))
    report = check_model(between, data(), cross_entropy)
    assert [(finding.code, finding.layers) for finding in report.findings] == [("no-gradient", ("0",))]


@pytest.mark.filterwarnings("ignore")
def test_what_a_scripted_model_holds_comes_back():
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.passes, self.free = nn.Linear(64, 10), 0, torch.zeros(2)

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            self.free += 1.0
            return self.layer(x)

    model = torch.jit.script(Counts())
    assert check_model(model, data(), cross_entropy).findings[0].code == "nothing-seen"
    assert model.training and model.layer.training and model.passes == 0 and not model.free.any()


def test_a_model_that_was_compiled_in_part_is_checked_as_it_is_written():
    model = plain()
    torch.manual_seed(0)
    wanted = check_model(model, data(), cross_entropy)
    model[0] = torch.compile(model[0], backend="eager")
    model(data()[0])
    torch.manual_seed(0)
    assert check_model(model, data(), cross_entropy).loss == wanted.loss


class Named(nn.Module):
    """Takes a mapping in its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = plain()

    def forward(self, batch: dict[str, Any]) -> Tensor:
        return self.layers(batch["x"])


def test_tensors_of_inference_mode_are_copied():
    with torch.inference_mode():
        given, model = data(), plain()
    assert len(check_model(plain(), given, cross_entropy).layers) == 2
    assert len(check_model(plain(), {"input": given[0]}, lambda output, _: output.square().mean()).layers) == 2
    assert len(check_model(model, given, cross_entropy).layers) == 2
    named = ({"batch": {"x": given[0], "name": "a batch"}}, [*given, "a batch"])
    assert len(check_model(Named(), named, lambda output, targets: cross_entropy(output, targets[1])).layers) == 2
    assert all(weight.is_inference() and weight.grad is None for weight in model.parameters())


def test_an_exported_model_has_no_other_mode():
    given = data()
    exported = torch.export.export(plain(), (given[0],)).module()
    assert check_model(exported, given, cross_entropy).findings[0].code == "nothing-seen"


def test_a_packed_sequence_is_one_input():
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(5, 16, batch_first=True), nn.Linear(16, 10)

        def forward(self, packed: Any) -> Tensor:
            return self.head(self.rnn(packed)[1][-1])

    lengths = torch.randint(1, 8, (32,))
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(32, 7, 5), lengths, batch_first=True, enforce_sorted=False)
    assert not check_model(Reader(), (packed, torch.randint(10, (32,))), cross_entropy).findings


@dataclass
class Pack:
    x: Tensor
    y: Tensor


def test_batches_and_outputs_may_be_dataclasses():
    class Takes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = plain()

        def forward(self, pack: Pack) -> Pack:
            return Pack(self.net(pack.x), pack.y)

    pack = Pack(*data())
    report = check_model(Takes(), pack, lambda output, given: cross_entropy(output.x, given.y))
    assert not report.findings and report.layers[0].cosine is not None
    with pytest.raises(ValueError, match="got type"):
        check_model(Takes(), Pack, cross_entropy)


@pytest.mark.parametrize(
    "more",
    [
        lambda loss: (loss, {"accuracy": 1.0}),
        lambda loss: {"loss": loss, "accuracy": 1.0},
        lambda loss: (torch.zeros(32, 10), loss),
        lambda loss: (loss, torch.tensor(0.5)),
    ],
)
def test_of_a_loss_and_other_things_the_loss_counts(more):
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = plain()

        def forward(self, x: Tensor, labels: Tensor) -> Any:
            return more(cross_entropy(self.net(x), labels))

    given = data()
    assert 1 < check_model(plain(), given, lambda *pair: more(cross_entropy(*pair))).loss < 4
    assert 1 < check_model(Own(), {"x": given[0], "labels": given[1]}).loss < 4


def test_of_two_losses_neither_is_chosen():
    with pytest.raises(ValueError, match="must be a scalar, got list.*pass a loss_fn"):
        check_model(plain(), data(), lambda *pair: [cross_entropy(*pair)] * 2)


def loader(**settings):
    """Of 64 examples; what draws its order is a generator of its own."""
    x, y = torch.randn(64, 8), torch.randint(3, (64,))
    pairs = torch.utils.data.TensorDataset(x, y)
    return torch.utils.data.DataLoader(pairs, 16, shuffle=True, **settings)


@pytest.mark.parametrize("generator", [None, torch.Generator().manual_seed(3)])
def test_of_a_loader_the_first_batch_is_taken_and_it_comes_back(generator):
    model, batches = nn.Linear(8, 3), loader(generator=generator)
    states = torch.get_rng_state(), random.getstate()
    report = check_model(model, batches, nn.CrossEntropyLoss())
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert report.loss == check_model(model, next(iter(batches)), nn.CrossEntropyLoss()).loss


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (lambda: iter(loader()), r"next\(batches\) of a generator, got"),
        (lambda: loader().dataset, r"DataLoader\(dataset, batch_size=32\) of a Dataset, got TensorDataset"),
        (lambda: torch.utils.data.DataLoader([]), "got an empty DataLoader"),
    ],
)
def test_what_holds_many_batches_says_how_to_get_one(batch, words):
    with pytest.raises(ValueError, match=words):
        check_model(nn.Linear(8, 3), batch(), nn.CrossEntropyLoss())
