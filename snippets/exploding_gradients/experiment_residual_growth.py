"""At He's scale, not normalized, each residual block doubles the mean square; three changes let 100 blocks train.

Source: Zhang, Dauphin & Ma (2019), "Fixup Initialization"; De & Smith (2020), "Batch Normalization Biases
Residual Blocks Towards the Identity Function in Deep Networks" (SkipInit); Bachlechner et al. (2021), "ReZero is All
You
Need". Scaled down: 100 fully connected blocks $h+F(h)$, $F$ = linear, ReLU, linear, which keeps the mean square of its
input; 64 wide, 8 x 8 digits, 60 steps of SGD, learning rate 0.1, norm clipped to 1. Fixup without its scalar biases.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.signals import rms
from snippets.laboratory.training import accuracy_on_test_digits, train

BLOCKS, WIDTH = 100, 64


class Residual(nn.Module):
    """h + scale * F(h)."""

    def __init__(
        self,
        scale: float,
        learn_scale: bool,
        first: float,
        last: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.first, self.last = (
            nn.utils.skip_init(nn.Linear, WIDTH, WIDTH, bias=False) for _ in range(2)
        )
        for layer, factor in ((self.first, first), (self.last, last)):
            nn.init.kaiming_normal_(
                layer.weight, nonlinearity="relu", generator=generator
            )
            layer.weight.data.mul_(factor)
        self.scale = nn.Parameter(torch.tensor(scale), requires_grad=learn_scale)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.scale * self.last(torch.relu(self.first(hidden)))


class Kind(NamedTuple):
    """How the branches start."""

    scale: float = 1.0
    learn_scale: bool = False
    first: float = 1.0
    """Factor on the first weight of the branch, beyond He."""
    last: float = 0.5**0.5
    """Factor on the last: without one it has the gain 1, since no ReLU follows it."""


KINDS = {
    "plain": Kind(),
    "1/√L": Kind(scale=BLOCKS**-0.5),
    "SkipInit": Kind(scale=0.0, learn_scale=True),
    "Fixup": Kind(first=BLOCKS**-0.5, last=0.0),
}


class Run(NamedTuple):
    mean_squares: list[float]
    """Of the input of block 1 and the outputs of all blocks, before training."""

    first_loss: float
    """Nats."""

    accuracy: float
    """On the test digits, after training."""


def measure(seed: int = 0) -> dict[str, Run]:
    return {name: _run(kind, seed) for name, kind in KINDS.items()}


def _run(kind: Kind, seed: int) -> Run:
    generator = torch.Generator().manual_seed(seed)
    blocks = [Residual(*kind, generator) for _ in range(BLOCKS)]
    output = nn.utils.skip_init(nn.Linear, WIDTH, 10)
    nn.init.normal_(output.weight, std=WIDTH**-0.5, generator=generator)
    nn.init.zeros_(output.bias)
    digits = load_digits()
    mean_squares, hidden = [], torch.from_numpy(digits.train_inputs[:256])
    with torch.no_grad():
        for block in (nn.Identity(), *blocks):
            hidden = block(hidden)
            mean_squares.append(rms(hidden) ** 2)
    model = nn.Sequential(*blocks, output)
    losses = train(model, digits, steps=60, learning_rate=0.1, seed=seed, clip_norm=1.0)
    return Run(mean_squares, losses[0], accuracy_on_test_digits(model, digits))


def _growth_per_block(run: Run) -> float:
    return (run.mean_squares[-1] / run.mean_squares[0]) ** (1 / BLOCKS)


CLAIMS = (
    Claim(
        statement="Plain: factor of the mean square per block",
        value=lambda runs: _growth_per_block(runs["plain"]),
        interval=(1.75, 2.25),
        paper="2",
        source="De & Smith (2020); Zhang et al. (2019).",
        rival=1.0,
        rival_of="branches that change nothing",
        reason="The branch has the mean square of its input, and the two add: 2 in wide networks. A sum of "
        "64 random terms wanders about it.",
    ),
    Claim(
        statement="Branches times $1/\\sqrt L$: factor of the mean square over all blocks",
        value=lambda runs: runs["1/√L"].mean_squares[-1] / runs["1/√L"].mean_squares[0],
        interval=(1.4, 5.0),
        rival=lambda runs: (
            runs["plain"].mean_squares[-1] / runs["plain"].mean_squares[0]
        ),
        rival_of="plain",
        reason="$(1+1/100)^{100}=2.705$ in wide networks.",
    ),
    *(
        Claim(
            statement=f"{name}: factor of the mean square over all blocks",
            value=lambda runs, name=name: (
                runs[name].mean_squares[-1] / runs[name].mean_squares[0]
            ),
            interval=(1.0, 1.0),
            kind="identity",
            reason="Exact: the branches give 0 at the start.",
        )
        for name in ("SkipInit", "Fixup")
    ),
    Claim(
        statement="Plain: $\\log_{10}$ of the first loss, in nats",
        value=lambda runs: math.log10(runs["plain"].first_loss),
        interval=(11.0, 19.0),
        rival=0.36,
        rival_of="a network that guesses",
        reason="The logits grow by about $\\sqrt2$ per block, $10^{15}$ in 100. A network that guesses has "
        "$\\ln10=2.303$, which is $10^{0.36}$.",
        format=".1f",
    ),
    Claim(
        statement="Plain: accuracy after 60 steps",
        value=lambda runs: runs["plain"].accuracy,
        interval=(0.0, 0.24),
        rival=lambda runs: runs["1/√L"].accuracy,
        rival_of="branches times $1/\\sqrt L$",
        budget="SGD, learning rate 0.1, norm clipped to 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    *(
        Claim(
            statement=f"{name}: accuracy after 60 steps",
            paper="" if name == "1/√L" else "trains",
            value=lambda runs, name=name: runs[name].accuracy,
            interval=(0.85, 1.0),
            rival=lambda runs: runs["plain"].accuracy,
            rival_of="plain",
            budget="SGD, learning rate 0.1, norm clipped to 1, batches of 64",
            reason="The spread over ten seeds, and its range again beyond either end.",
        )
        for name in ("1/√L", "SkipInit", "Fixup")
    ),
)


def plot(runs: dict[str, Run]) -> Figure:
    figure = Figure(figsize=(4.6, 3.6))
    axes = figure.subplots()
    blocks = range(BLOCKS + 1)
    axes.plot(
        blocks,
        [2.0**block for block in blocks],
        color="C5",
        linestyle=(0, (4, 3)),
        linewidth=1.4,
    )
    axes.text(52, 10.0**20, "2 per block", color="C5", ha="right", va="bottom")
    for color, name in (("C1", "plain"), ("C0", "1/√L"), ("C2", "SkipInit")):
        axes.semilogy(blocks, runs[name].mean_squares, color=color)
    axes.text(
        98,
        1e20,
        f"plain: {runs['plain'].accuracy:.0%} right",
        color="C1",
        weight=600,
        ha="right",
        va="top",
    )
    for y, color, name in (
        (1e8, "C0", "1/√L"),
        (3e5, "C2", "SkipInit"),
        (1e3, "C2", "Fixup"),
    ):
        words = f"{name}: {runs[name].accuracy:.0%} right"
        axes.text(98, y, words, color=color, weight=600, ha="right", va="bottom")
    axes.set(
        xlabel="block",
        ylabel="mean square at the start",
        xlim=(0, BLOCKS),
        ylim=(0.1, 1e31),
    )
    return figure
