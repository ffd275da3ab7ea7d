"""While the learning rate grows, the update ratio passes 0.01 dozens of steps before the loss is lost.

Source: Karpathy, notes of the course CS231n, "Neural networks part 3", for the ratio and its usual size, 1e-3. Ours: 10
ReLU layers, 64 wide, He initialization, 8 x 8 digits, 250 steps of SGD, learning rate from 0.01 to 1. What a single
run does near its end is chaotic, so the claims are about the median of seven networks.
"""

import math
import statistics
import warnings
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.diagnostics.monitor_pytorch import TrainingMonitor, plot_rows
from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import multilayer_perceptron

WIDTHS = [64, *[64] * 9, 10]
STEPS = 250
RATES = [0.01 * 100 ** (step / STEPS) for step in range(STEPS)]
ALARM = 0.01
NETWORKS = 7


class Run(NamedTuple):
    losses: list[float]
    """Nats, one per step."""

    rows: list[dict[str, float]]
    """What the monitor recorded, one per step."""


class Watched(NamedTuple):
    """One network whole, and of each network when the ratio passed the threshold and how the run ended."""

    first: Run

    alarms: list[int]
    """The step at which the ratio passes the threshold."""

    losses_then: list[float]
    """Nats at that step."""

    steps_left: list[int]
    """Steps from there until the run is lost."""

    ends: list[float]
    """Loss of the last ten steps over that of guessing; NaN counts as 1."""


def measure(seed: int = 0) -> Watched:
    runs = [train(NETWORKS * seed + network) for network in range(NETWORKS)]
    alarms = [alarm(run) for run in runs]
    return Watched(
        runs[0],
        alarms,
        [recent(run.losses)[step] for run, step in zip(runs, alarms, strict=True)],
        [lost(run) - step for run, step in zip(runs, alarms, strict=True)],
        [end(run) for run in runs],
    )


def train(seed: int) -> Run:
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        WIDTHS,
        nn.ReLU,
        lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=generator),
    )
    digits, generator = load_digits(), torch.Generator().manual_seed(seed)
    inputs, labels = (
        torch.from_numpy(digits.train_inputs),
        torch.from_numpy(digits.train_labels),
    )
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=RATES[0]), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # some runs end in NaN
        with TrainingMonitor(model, optimizer, every=1) as monitor:
            for rate in RATES:
                optimizer.param_groups[0]["lr"] = rate
                batch = torch.randint(len(inputs), (64,), generator=generator)
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
    return Run(losses, monitor.rows)


def recent(values: list[float]) -> list[float]:
    """The median of the last ten values at each step; NaN as soon as one of them is."""
    windows = [values[max(0, step - 9) : step + 1] for step in range(len(values))]
    return [
        math.nan if any(map(math.isnan, window)) else statistics.median(window)
        for window in windows
    ]


def alarm(run: Run) -> int:
    """The step at which the ratio passes the threshold; StopIteration if it never does."""
    ratios = recent([row["update_ratio"] for row in run.rows])
    return next(step for step, ratio in enumerate(ratios) if ratio > ALARM)


def lost(run: Run) -> int:
    """The first step from which on the loss is that of guessing, ln 10, less a tenth, or worse, or NaN."""
    losses = recent(run.losses)
    return max(step for step in range(STEPS) if losses[step] < 0.9 * math.log(10)) + 1


def end(run: Run) -> float:
    last = recent(run.losses)[-1]
    return 1.0 if math.isnan(last) else last / math.log(10)


CLAIMS = (
    Claim(
        statement="Step at which the update ratio, as a median of ten steps, passes 0.01",
        value=lambda watched: statistics.median(watched.alarms),
        interval=(71, 149),
        rival=lambda w: statistics.median(w.alarms) + statistics.median(w.steps_left),
        rival_of="an alarm only when the loss is lost",
        budget="250 steps of SGD, learning rate from 0.01 to 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format="g",
    ),
    Claim(
        statement="Loss at that step (nats; guessing has 2.303)",
        value=lambda watched: statistics.median(watched.losses_then),
        interval=(0.16, 1.31),
        rival=math.log(10),
        rival_of="guessing",
        budget="250 steps of SGD, learning rate from 0.01 to 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Steps from there until the loss is back at that of guessing, or NaN, and stays there",
        value=lambda watched: statistics.median(watched.steps_left),
        interval=(34, 178),
        rival=0,
        rival_of="an alarm only when the loss is lost",
        budget="250 steps of SGD, learning rate from 0.01 to 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format="g",
    ),
    Claim(
        statement="Loss of the last ten steps over that of guessing; NaN counts as 1",
        value=lambda watched: statistics.median(watched.ends),
        interval=(0.93, 1.05),
        rival=lambda w: statistics.median(w.losses_then) / math.log(10),
        rival_of="the loss at the alarm",
        budget="250 steps of SGD, learning rate from 0.01 to 1, batches of 64",
        reason="Most runs end in NaN or with all units dead.",
    ),
)


def plot(watched: Watched) -> Figure:
    run = watched.first
    figure: Any = plot_rows(run.rows)
    above, below = figure.axes
    above.semilogy(run.losses, color="C4", linewidth=1.2, label="loss (nats)")
    above.set(ylabel="gradient norm, loss", xlim=(0, STEPS), ylim=(0.1, 100))
    above.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    below.axhline(ALARM, color="C5", linestyle=(0, (4, 3)), linewidth=1.2)
    below.set(ylim=(3e-4, 10))
    for axes in (above, below):
        axes.axvline(watched.alarms[0], color="C3", linewidth=1.2)
    below.text(
        watched.alarms[0] - 4, 3, "passes 0.01", color="C3", weight=600, ha="right"
    )
    return figure
