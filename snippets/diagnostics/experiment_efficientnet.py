"""A fault found in the wild: one line of a library kept EfficientNet from learning.

Source: `transformers` 5.23, `EfficientNetPreTrainedModel._init_weights`, which draws the scale of every batch
normalization from N(0, 0.02²) where the other models of the library set it to 1. Scaled down: a quarter of the width,
digits of 32 x 32 pixels.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.checked_model import Checked, checked
from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.healthy_models import Case, build

STEPS, BATCH = 30, 32


class Wild(NamedTuple):
    as_built: Checked
    mended: Checked
    """After `nn.init.ones_` on the scale of every batch normalization."""
    losses_as_built: list[float]
    """Cross-entropy in nats, one per step of Adam with a rate of 1e-3."""
    losses_mended: list[float]


def measure(seed: int = 0) -> Wild:
    as_built, losses_as_built = run(seed, mend=False)
    mended, losses_mended = run(seed, mend=True)
    return Wild(as_built, mended, losses_as_built, losses_mended)


def efficientnet() -> Case:
    from transformers import EfficientNetConfig, EfficientNetForImageClassification

    config = EfficientNetConfig(
        image_size=32,
        width_coefficient=0.25,
        depth_coefficient=0.5,
        hidden_dim=320,
        num_labels=10,
        dropout_rate=0.0,
        drop_connect_rate=0.0,
    )
    digits = load_digits()
    images = (
        torch.from_numpy(digits.train_inputs)
        .view(-1, 1, 8, 8)
        .repeat_interleave(4, 2)
        .repeat_interleave(4, 3)
    )
    batch = (images.expand(-1, 3, -1, -1), torch.from_numpy(digits.train_labels))
    return Case(EfficientNetForImageClassification(config), batch, loss)


def loss(output, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(output.logits, labels)


def run(seed: int, mend: bool) -> tuple[Checked, list[float]]:
    case = build(efficientnet, seed)
    if mend:
        for module in case.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
    images, labels = case.batch
    result = checked(case._replace(batch=(images[:BATCH], labels[:BATCH])))
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(case.model.parameters(), lr=1e-3)
    losses = []
    for _ in range(STEPS):
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        value = loss(case.model(images[rows]), labels[rows])
        adam.zero_grad()
        value.backward()
        adam.step()
        losses.append(value.item())
    return result, losses


CLAIMS = (
    Claim(
        statement="As built: powers of ten that the gradient loses on its way back; the limit is 3",
        value=lambda m: (
            -m.as_built.backward if "norm-scale" in m.as_built.faults else math.nan
        ),
        interval=(8, 40),
        rival=3.0,
        rival_of="the limit of the finding",
        reason="Each of about 60 layers keeps half.",
        format=".0f",
    ),
    Claim(
        statement="As built: mean loss of the last ten steps, minus $\\ln 10$",
        value=lambda m: mean_of_last(m.losses_as_built) - math.log(10),
        interval=(-0.03, 0.03),
        rival=lambda m: mean_of_last(m.losses_mended) - math.log(10),
        rival_of="the scales set to 1",
        budget="30 steps of Adam, learning rate 0.001",
        reason="A network that knows nothing stays at $\\ln 10$; batches of 32 move its mean by less than 0.01.",
        format=".3f",
    ),
    Claim(
        statement="Scales set to 1: findings",
        value=lambda m: len(m.mended.faults + m.mended.notes),
        interval=(0, 0),
        rival=lambda m: len(m.as_built.faults + m.as_built.notes),
        rival_of="as built",
        reason="The cure must end the alarm.",
        format=".0f",
    ),
    Claim(
        statement="Scales set to 1: mean loss of the last ten steps",
        value=lambda m: mean_of_last(m.losses_mended),
        interval=(0.1, 1.6),
        rival=lambda m: mean_of_last(m.losses_as_built),
        rival_of="as built",
        budget="30 steps of Adam, learning rate 0.001",
        reason="At most two thirds of $\\ln 10$.",
        format=".2f",
    ),
)


def mean_of_last(losses: list[float]) -> float:
    return sum(losses[-10:]) / 10


def plot(measured: Wild) -> Figure:
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    steps = range(1, STEPS + 1)
    axes.plot(steps, measured.losses_as_built, color="C1")
    axes.plot(steps, measured.losses_mended, color="C0")
    axes.text(
        STEPS,
        math.log(10) + 0.12,
        "as built: scales N(0, 0.02²)",
        color="C1",
        ha="right",
    )
    axes.text(STEPS, 1.4, "scales set to 1", color="C0", ha="right")
    axes.set(xlabel="step of Adam", ylabel="loss (nats)", ylim=(0, 3))
    return figure
