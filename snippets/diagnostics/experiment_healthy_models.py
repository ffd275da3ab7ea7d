"""No fault is found in healthy architectures as their libraries initialize them.

Source: the configurations of `transformers` 5.23 and the initializers of `torch.nn` 2.13 and torchvision. Scaled down:
the widths, and the depth of some.
"""

from typing import NamedTuple

from matplotlib.figure import Figure

from snippets.diagnostics.check_model_pytorch import DECADES
from snippets.laboratory.checked_model import Checked, checked
from snippets.laboratory.claim import Claim
from snippets.laboratory.healthy_models import HEALTHY, build


class Healthy(NamedTuple):
    models: dict[str, Checked]
    """By name, in training mode, each on one batch of random data."""


def measure(seed: int = 0) -> Healthy:
    return Healthy({name: checked(build(make, seed)) for name, make in HEALTHY.items()})


CLAIMS = (
    Claim(
        statement=f"Faults found in {len(HEALTHY)} architectures together",
        value=lambda m: sum(len(model.faults) for model in m.models.values()),
        interval=(0, 0),
        rival=1,
        rival_of="a single false alarm",
        reason="A fault in a model that is known to train is a false alarm.",
        format=".0f",
    ),
    Claim(
        statement="Notes, all on `nn.TransformerEncoder`, whose layers are copies of one",
        value=lambda m: sum(
            100 if name != "nn.TransformerEncoder" else len(model.notes)
            for name, model in m.models.items()
            if model.notes
        ),
        interval=(1, 1),
        rival=0,
        rival_of="a check that does not see copies",
        reason="Its documentation says that all layers start with the same parameters.",
        format=".0f",
        source="The documentation of `torch.nn.TransformerEncoder`.",
    ),
    Claim(
        statement="Largest change of a signal from end to end, in powers of ten; the limit is 3",
        value=lambda m: max(
            max(abs(model.forward), abs(model.backward)) for model in m.models.values()
        ),
        interval=(1.5, 2.7),
        rival=3.0,
        rival_of="the limit of the finding",
        reason="The gradients of MobileNetV2 and of the ResNet with bottlenecks.",
        format=".1f",
    ),
)


def table(measured: Healthy) -> list[tuple[str, ...]]:
    head = (
        "model",
        "layers",
        "parameters",
        "signal",
        "gradient",
        "loss − ln C",
        "note",
    )
    rows = [
        (
            name,
            f"{m.layers}",
            f"{m.parameters}",
            *(_written(value) for value in m[2:5]),
            ", ".join(f"`{note}`" for note in m.notes),
        )
        for name, m in measured.models.items()
    ]
    return [head, *rows]


def _written(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def plot(measured: Healthy) -> Figure:
    figure = Figure(figsize=(4.6, 6.2))
    axes = figure.subplots()
    names = list(measured.models)
    heights = range(len(names), 0, -1)
    for limit in (-DECADES, DECADES):
        axes.axvline(limit, color="C5", linestyle="--")
    axes.plot(
        [model.backward for model in measured.models.values()], heights, "s", color="C1"
    )
    axes.plot(
        [model.forward for model in measured.models.values()], heights, "o", color="C0"
    )
    axes.set_yticks(list(heights), names)
    axes.set(
        xlim=(-3.6, 3.6),
        ylim=(0.3, len(names) + 0.7),
        xlabel="from end to end, powers of ten",
    )
    for x, label, colour in (
        (-1.6, "signal", "C0"),
        (0.2, "gradient", "C1"),
        (2.3, "limit", "C5"),
    ):
        axes.text(x, 1.01, label, color=colour, transform=axes.get_xaxis_transform())
    return figure
