"""The way back, in PyTorch: where it ends, and where its first NaN or Inf comes from."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snippets.diagnostics import check_model_pytorch
from snippets.diagnostics.check_model_pytorch import check_model

NOISE, ONES = torch.linspace(-2, 2, 256).reshape(32, 8).sin(), torch.ones(32, 1)
REAL = nn.BCEWithLogitsLoss()


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def generator() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16))


def critic() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))


class Adversaries(nn.Module):
    """A generator that trains through its critic, with `cut` between them."""

    def __init__(self, cut=lambda made: made) -> None:
        super().__init__()
        self.generator, self.critic, self.cut = generator(), critic(), cut

    def forward(self, noise: Tensor) -> Tensor:
        made = self.generator(noise)
        # Beside the way, this does no harm.
        self.seen = made.new_zeros(1), torch.zeros_like(made), made.argmax(1)
        return self.critic(self.cut(made))


class Unseen(Adversaries):
    def forward(self, noise: Tensor) -> Tensor:
        with torch.no_grad():
            made = self.generator(noise)
        return self.critic(made)


def found(*checked: object) -> dict[str, str]:
    return {finding.code: finding.evidence for finding in check_model(*checked).findings}


@pytest.mark.parametrize(
    ("model", "place"),
    [
        (lambda: Adversaries(Tensor.detach), "detach in Adversaries, of shape (32, 16)"),
        (lambda: Adversaries(lambda made: made.data), "data in Adversaries, of shape (32, 16)"),
        (lambda: Adversaries(lambda made: (made > 0).float()), "gt in Adversaries, of shape (32, 16)"),
        (Unseen, "linear in generator.2 under torch.no_grad(), of shape (32, 16)"),
    ],
)
def test_the_operation_that_ends_the_way_back_is_named(model, place):
    evidence = found(model(), (NOISE, ONES), REAL)["no-gradient"]
    assert evidence == f"no path from the loss to their weights; it ends at {place}"


def test_a_way_that_ends_outside_of_torch_is_named_without_a_place():
    def outside(made: Tensor) -> Tensor:
        return torch.tensor(made.tolist())

    evidence = found(Adversaries(outside), (NOISE, ONES), REAL)["no-gradient"]
    assert evidence == "no path from the loss to their weights"


def test_a_generator_that_its_critic_trains_is_healthy():
    assert not found(Adversaries(), (NOISE, ONES), REAL)


judge = critic()
frozen = nn.Linear(16, 16).requires_grad_(False)


def judged(made: Tensor, wanted: Tensor) -> Tensor:
    return REAL(judge(made), wanted)


def test_a_network_that_the_loss_names_is_the_loss_s_own():
    """A program keeps its critic beside its generator, as a global."""
    before = [weight.clone() for weight in judge.parameters()]
    assert not found(generator(), (NOISE, ONES), lambda made, wanted: REAL(judge(made), wanted))
    assert not found(generator(), (NOISE, ONES), lambda made, wanted: judged(made, wanted))
    assert all(weight.grad is None for weight in judge.parameters())
    assert all(map(torch.equal, before, judge.parameters()))


def test_a_generator_without_any_gradient_is_no_healthy_one():
    """The loss has one all the same: that of the critic's weights."""
    codes = found(generator(), (NOISE, ONES), lambda made, wanted: REAL(judge(made.detach()), wanted))
    assert codes == {
        "no-gradient": "no path from the loss to their weights; it ends at detach in the loss, of shape (32, 16)"
    }


class Rooted(nn.Module):
    """Lengths of vectors, of which some are 0."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.before, self.after, self.epsilon = nn.Linear(8, 32), nn.Linear(32, 4), epsilon

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.before(x) * (torch.arange(len(x)) > 3)[:, None]
        return self.after(hidden + (hidden.square().sum(1, keepdim=True) + self.epsilon).sqrt())


def test_the_first_operation_whose_slope_is_no_number_is_named_with_its_line():
    labels = torch.arange(32) % 4
    evidence = found(Rooted(0.0), (NOISE, labels), nn.CrossEntropyLoss())["non-finite-gradient"]
    assert "; born on the way back through sqrt, torch.float32, numbers 0 to " in evidence
    assert evidence.endswith(" of test_way_back_pytorch.py")
    assert not found(Rooted(1e-6), (NOISE, labels), nn.CrossEntropyLoss())


def test_what_where_leaves_out_is_no_number_either():
    def roots(output: Tensor, _: Tensor) -> Tensor:
        return torch.where(output > 0, output.sqrt(), 0 * output).mean()

    evidence = found(nn.Linear(8, 4), (NOISE, ONES), roots)["non-finite-gradient"]
    assert "through sqrt" in evidence and "and NaN or Inf, in line" in evidence


def test_an_operation_that_keeps_no_numbers_is_named_alone():
    class Lost(torch.autograd.Function):
        @staticmethod
        def forward(context, value):
            return value.clone()

        @staticmethod
        def backward(context, slope):
            return slope * torch.nan

    evidence = found(nn.Linear(8, 4), (NOISE, ONES), lambda o, _: Lost.apply(o).mean())["non-finite-gradient"]
    assert "; born on the way back through lost, in line" in evidence


def test_an_operation_within_pytorch_has_no_line_of_the_program():
    """What called the check is no part of the model."""
    ours, theirs = (f'  File "{module.__file__}", line 7, in run\n' for module in (check_model_pytorch, torch))
    own = '  File "/home/me/train.py", line 3, in loss\n'
    assert check_model_pytorch._place_of([own, ours, theirs]) == check_model_pytorch._place_of([]) == ""
    assert check_model_pytorch._place_of([ours, own, theirs]) == ", in line 3 of train.py"


def test_a_model_that_returns_its_loss_is_hunted_too():
    class Own(Rooted):
        def forward(self, x: Tensor) -> Tensor:
            return F.mse_loss(super().forward(x), torch.zeros(32, 4))

    assert "through sqrt" in found(Own(0.0), (NOISE, ONES), lambda loss, _: loss)["non-finite-gradient"]
    assert "through sqrt" in found(Own(0.0), {"x": NOISE})["non-finite-gradient"]
