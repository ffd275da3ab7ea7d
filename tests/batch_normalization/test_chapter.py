"""What the chapter states: its constants, the column of PyTorch in its table, the solution of its exercise."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from snippets.batch_normalization import batch_norm_numpy
from snippets.batch_normalization.fold_batch_norm_numpy import fold_batch_norm
from snippets.laboratory.mean_field import RELU, batch_norm_chi_relu, gaussian_mean
from tests.batch_normalization.chapter import TEXT, code_of, differences

CHI = math.pi / (math.pi - 1)


def batch(rows: int = 8) -> torch.Tensor:
    return 3.0 + 2.0 * torch.randn(rows, 4, generator=torch.Generator().manual_seed(0))


def moved(layer: nn.BatchNorm1d) -> bool:
    return bool((layer.running_mean != 0).any())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (CHI, r"\frac{\pi}{\pi-1}\approx{:.3f}"),
        (CHI, "$\\pi/(\\pi-1)$ is {:.3f} and"),
        (math.sqrt(CHI), "square root, {:.3f}."),
        (math.sqrt(CHI), r"$\pi/(\pi-1)\approx$ {:.2f}"),
        (gaussian_mean(RELU.value), "has mean {:.3f} and"),
        (math.sqrt(gaussian_mean(lambda x: RELU.value(x) ** 2) - gaussian_mean(RELU.value) ** 2), "deviation {:.3f}."),
        (CHI**50 / 1e8, r"$\chi^{50}={:.1f}\times10^8$,"),
        (batch_norm_chi_relu(16), "for $B=16$ is {:.3f},"),
        (batch_norm_chi_relu(16) ** 30 / 1e6, r"{30}\approx{:.1f}\times10^6$."),
        (CHI**30 / 1e4, r"{30}\approx{:.1f}\times10^4$."),
        (math.ceil(math.log(0.01) / math.log(0.99)), "$t=$ {:d} on"),
        (math.ceil(math.log(0.01) / math.log(0.9)), "it takes {:d}."),
    ],
)
def test_constants_of_theory(value, written):
    before, _, rest = written.rpartition("{:")
    form, _, after = rest.partition("}")
    assert before + format(value, form).replace("e+0", "e") + after in TEXT


def test_the_variance_that_batch_normalization_divides_by():
    variance = gaussian_mean(lambda x: RELU.value(x) ** 2) - gaussian_mean(RELU.value) ** 2
    assert variance == pytest.approx(1 / 2 - 1 / (2 * math.pi))
    assert gaussian_mean(lambda x: RELU.slope(x) ** 2) / variance == pytest.approx(CHI)


def test_the_folded_layer_of_the_question():
    weight, bias = fold_batch_norm(np.ones((1, 1)), *np.array([[5.0], [2.0], [1.0], [3.0], [4.0]]), 0.0)
    assert (weight.item(), bias.item()) == (1.0, 3.0)
    assert r"multiplied by $2/\sqrt4=$ 1 and the bias becomes $1+1\cdot(5-3)=$ 3." in TEXT


def test_a_batch_of_two_gives_signs():
    one, zero = np.ones(3), np.zeros(3)
    y, _, _ = batch_norm_numpy.batch_norm(np.array([[1.0, 5, 7], [2, -5, 6.9]]), one, zero, zero, one, True, eps=0.0)
    assert y == pytest.approx(np.array([[-1, 1, 1], [1, -1, -1]]))


def test_the_solution_of_the_exercise():
    namespace: dict = {}
    exec(code_of("Exercise: a network was trained under a shift"), namespace)
    model = nn.Sequential(nn.BatchNorm1d(4, momentum=0.3), nn.Dropout(0.5))
    model(100 * batch())
    batches = [batch() + shift for shift in range(3)]
    namespace["measure_statistics"](model.eval(), batches)
    norm = model[0]
    torch.testing.assert_close(norm.running_mean, torch.stack([rows.mean(0) for rows in batches]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([rows.var(0) for rows in batches]).mean(0))
    assert norm.momentum == 0.3 and not norm.training


def test_the_table_has_all_rows():
    assert len(differences()) == 10


def column() -> dict[str, str]:
    return {name: pytorch for name, (pytorch, _) in differences().items()}


def test_pytorch_momentum():
    layer = nn.BatchNorm1d(4, momentum=0.25)
    layer(batch())
    new = torch.allclose(layer.running_mean, 0.25 * batch().mean(0))
    assert column()["`momentum` is the weight of"] == ("the new value" if new else "the old value")
    assert column()["`momentum` by default"] == str(nn.BatchNorm1d(4).momentum)


def test_pytorch_eps():
    assert column()["ε by default"] == str(nn.BatchNorm1d(4).eps)


def test_pytorch_divisors():
    layer = nn.BatchNorm1d(4, momentum=1.0, eps=1e-12)
    y = layer(batch())
    names = {0: "N", 1: "N − 1"}
    used = [c for c in names if torch.allclose(y, (batch() - batch().mean(0)) / batch().std(0, correction=c))]
    stored = [c for c in names if torch.allclose(layer.running_var, batch().var(0, correction=c))]
    assert [column()["variance in training, divisor"]] == [names[c] for c in used]
    assert [column()["variance stored for test time, divisor"]] == [names[c] for c in stored]


def test_pytorch_axis():
    image = torch.randn(5, 4, 6, 7, generator=torch.Generator().manual_seed(0))
    means = nn.BatchNorm2d(4)(image).mean(dim=(0, 2, 3))
    assert torch.allclose(means, torch.zeros(4), atol=1e-6)
    assert column()["axis of the channels"] == "1"


def test_pytorch_plain_call():
    of_the_batch = torch.allclose(nn.BatchNorm1d(4)(batch()).mean(0), torch.zeros(4), atol=1e-6)
    assert column()["statistics in a plain call `layer(x)`"] == ("of the batch" if of_the_batch else "running")


def test_pytorch_without_gradients():
    layer = nn.BatchNorm1d(4).requires_grad_(False).train()
    layer(batch())
    name = "parameters switched off, in training"
    assert column()[name] == ("statistics still move" if moved(layer) else "statistics frozen and used")


def test_pytorch_one_value_per_channel():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm1d(4)(batch(1))
    assert column()["one value per channel in training"] == "error"


def test_pytorch_momentum_none():
    layer = nn.BatchNorm1d(4, momentum=None)
    for shift in range(3):
        layer(batch() + shift)
    torch.testing.assert_close(layer.running_mean, (batch() + 1).mean(0))
    assert column()["`momentum=None`"] == "plain average of all batches"


def test_pytorch_names():
    names = [name for name, _ in nn.BatchNorm1d(4).state_dict().items()][:4]
    assert f"PyTorch says {', '.join(f'`{name}`' for name in names)}\n" in TEXT
