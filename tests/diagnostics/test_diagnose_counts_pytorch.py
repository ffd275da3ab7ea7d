"""What counts in the loss counts in the best constant and in the accuracy, and what was learned must hold for new
examples, in PyTorch."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from snippets.diagnostics.diagnose_pytorch import diagnose


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Tagger(nn.Module):
    """An answer for each token, of which the model sees no other."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(40, 32), nn.Linear(32, units)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.embedding(tokens))


LENGTHS = torch.arange(128) % 5 + 4
KEPT = (torch.arange(16) < LENGTHS[:, None]).float()
TOKENS = (torch.arange(128 * 16).reshape(128, 16) * 7 % 39 + 1) * KEPT.long()
CLASSES = (TOKENS % 4) * KEPT.long()
SHARES = np.bincount(CLASSES[KEPT > 0], minlength=4) / KEPT.sum().item()


def summed(parts: Tensor, kept: Tensor) -> Tensor:
    return (parts * kept).sum() / kept.sum()


def crossed(output: Tensor, y: Tensor) -> Tensor:
    return summed(F.cross_entropy(output.transpose(1, 2), y[..., 0].long(), reduction="none"), y[..., 1])


def squared(output: Tensor, y: Tensor) -> Tensor:
    return summed(F.mse_loss(output[..., 0], y[..., 0], reduction="none"), y[..., 1])


def soft(output: Tensor, y: Tensor) -> Tensor:
    wanted = F.one_hot(y[..., 0].long(), 4).float().transpose(1, 2)
    return summed(F.cross_entropy(output.transpose(1, 2), wanted, reduction="none"), y[..., 1])


def each_row(output: Tensor, y: Tensor) -> Tensor:
    """A weight for each step, of two numbers."""
    wanted = torch.stack([y[..., 0], -y[..., 0]], 2)
    return (F.mse_loss(output, wanted, reduction="none") * y[..., 1:]).sum() / (2 * y[..., 1].sum())


def look(units: int, loss, **more):
    model = Tagger(units)
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    targets = torch.stack([CLASSES.float(), KEPT], 2)
    return diagnose(model, (TOKENS, targets), loss, optimizer, batch_size=16, epochs=20, progress=False, **more)


ENTROPY = -(SHARES * np.log(SHARES)).sum()
VARIANCE = SHARES @ np.arange(4) ** 2 - (SHARES @ np.arange(4)) ** 2


@pytest.mark.parametrize(
    ("units", "loss", "constant"),
    [(4, crossed, ENTROPY), (1, squared, VARIANCE), (4, soft, ENTROPY), (2, each_row, VARIANCE)],
)
def test_what_a_mask_leaves_out_is_no_data(units, loss, constant):
    report = look(units, loss)
    assert report.findings == () and report.best_constant == pytest.approx(constant, rel=0.02)


def test_a_weight_of_two_counts_twice():
    x = torch.randn(256, 8)
    y = (x[:, 0] > 0.5).float()
    model = nn.Linear(8, 1)

    def weighted(output: Tensor, y: Tensor) -> Tensor:
        return (F.binary_cross_entropy_with_logits(output[:, 0], y, reduction="none") * (1 + y)).mean()

    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    report = diagnose(model, (x, y), weighted, optimizer, batch_size=256, epochs=100, progress=False)
    ones = y.mean().item()
    share = 2 * ones / (1 + ones)
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert report.best_constant == pytest.approx((1 + ones) * entropy, rel=0.02)


@pytest.mark.parametrize(
    "loss",
    [
        lambda o, y: (F.cross_entropy(o, y, reduction="none") * torch.linspace(-1, 1, len(y))).mean(),
        lambda o, y: ((1 - (-(c := F.cross_entropy(o, y, reduction="none"))).exp()) ** 2 * c).mean(),
        lambda o, y: F.cross_entropy(o, y, reduction="none").detach().mean() + o.square().mean(),
        lambda o, y: 0 * F.cross_entropy(o, y, reduction="none").mean() + o.square().mean(),
    ],
    ids=["negative", "focal", "cut off", "zero"],
)
def test_of_a_loss_that_is_no_weighted_mean_no_constant_is_known(loss):
    x = torch.randn(64, 8)
    model = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    data = x, torch.arange(64) % 4
    assert diagnose(model, data, loss, optimizer, batch_size=16, progress=False).best_constant is None


X = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + X[:, 1] > 0).long()
SHUFFLED = Y[torch.randperm(300, generator=torch.Generator().manual_seed(1))]


def learned(x, y, loader=False, units=2, loss=None, batch_size=32):
    model = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, units))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    data = DataLoader(TensorDataset(x, y), batch_size, shuffle=True) if loader else (x, y)
    more = {} if loader else {"batch_size": batch_size}
    before = [weight.clone() for weight in model.parameters()]
    report = diagnose(model, data, loss or nn.CrossEntropyLoss(), optimizer, epochs=40, progress=False, **more)
    assert all(map(torch.equal, before, model.parameters())) and not optimizer.state and report.cost <= 400
    return {finding.code: finding.evidence for finding in report.findings}


@pytest.mark.parametrize("loader", [False, True])
def test_labels_that_are_learned_by_heart_are_unrelated(loader):
    evidence = learned(X, SHUFFLED, loader)["labels-unrelated"]
    assert "steps on two thirds of the examples their loss is" in evidence and "held out" in evidence
    assert learned(X, Y, loader) == {}


def test_labels_that_are_moved_are_named_as_such():
    assert "; with the targets moved by -1: " in learned(X, Y.roll(1))["labels-unrelated"]


def test_what_holds_for_new_examples_is_related_however_far_the_nearest_ones_are():
    """Of two hundred columns one decides: neighbors know nothing of it, and the network does."""
    signs = torch.randn(300, 6, generator=torch.Generator().manual_seed(2)).sign()
    x = torch.cat([signs, torch.zeros(300, 14)], 1)
    assert learned(x, (signs.prod(1) > 0).long()) == {}


def test_too_few_batches_to_hold_some_out_say_nothing():
    few = learned(X[:40], SHUFFLED[:40], loader=True, batch_size=40)
    assert "labels-unrelated" not in few


def test_batches_of_several_lengths_are_not_compared():
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.mean(1))

    class Texts(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
            return X[:16, : 4 * (place % 3 + 1)].unflatten(1, (-1, 4)), SHUFFLED[16 * place : 16 * place + 16]

    model = Mean()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    data = DataLoader(Texts(), batch_size=None)
    report = diagnose(model, data, nn.CrossEntropyLoss(), optimizer, progress=False)
    assert "labels-unrelated" not in [finding.code for finding in report.findings]


def test_data_that_are_no_pairs_are_not_compared():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(20, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return F.cross_entropy(self.layer(x), y)

    class Named(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 300

        def __getitem__(self, place: int) -> dict[str, Tensor]:
            return {"x": X[place], "y": SHUFFLED[place]}

    model = Own()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    report = diagnose(model, Named(), None, optimizer, batch_size=32, progress=False)
    assert "labels-unrelated" not in [finding.code for finding in report.findings]
