"""Each planted fault is named by its finding.

Source: the faults are those of the chapters and of the documentation of `torch.nn` 2.13: one each, in networks that are
healthy without it.
"""

from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from snippets.diagnostics.check_model_pytorch import ADVICE, DECADES
from snippets.laboratory.checked_model import Checked, checked
from snippets.laboratory.claim import Claim
from snippets.laboratory.healthy_models import HEALTHY, build
from snippets.laboratory.planted_faults import FAULTS

DRAWN = {
    "weights N(0, 0.01²), 10 ReLU layers": ("weights too small", "left", 0),
    "weights 4 times He's, 10 ReLU layers": ("weights too large", "right", 6),
    "10 sigmoid layers, default": ("10 sigmoid layers", "left", -6),
    "20 ReLU layers, default": ("20 ReLU layers, default", "left", 6),
    "50 layers with batch norm, no skips": ("50 × batch norm", "right", 0),
    "20 residual blocks, nothing normalized": ("residuals", "left", -7),
}
"""Those of the figure, where a signal grows or fades: the label, its alignment, and its height in points."""


class Planted(NamedTuple):
    faulty: dict[str, Checked]
    """By the fault's name."""
    healthy: dict[str, Checked]
    """The architectures without a fault, for the figure."""


def measure(seed: int = 0) -> Planted:
    return Planted(
        {name: checked(build(fault.make, seed)) for name, fault in FAULTS.items()},
        {name: checked(build(make, seed)) for name, make in HEALTHY.items()},
    )


def named(measured: Planted) -> list[str]:
    """The faults whose finding is among those of their model."""
    return [
        name
        for name, model in measured.faulty.items()
        if FAULTS[name].code in model.faults + model.notes
    ]


CLAIMS = (
    Claim(
        statement=f"Of {len(FAULTS)} planted faults, not named by their finding",
        value=lambda m: len(m.faulty) - len(named(m)),
        interval=(0, 1),
        rival=2,
        rival_of="a second miss",
        reason="A fault that is planted and not named is a miss. With some seeds one of them lies at its threshold.",
        format=".0f",
    ),
    Claim(
        statement="Findings that no planted fault calls forth",
        value=lambda m: len(set(ADVICE) - {FAULTS[name].code for name in m.faulty}),
        interval=(0, 0),
        kind="identity",
        reason="Each finding must be shown to be possible.",
        format=".0f",
    ),
    Claim(
        statement="Smallest distance of the faults in the figure from the center, over the largest of a healthy model",
        value=lambda m: (
            min(map(_reach, (m.faulty[name] for name in DRAWN)))
            / max(map(_reach, m.healthy.values()))
        ),
        interval=(1.4, 4.0),
        rival=1.0,
        rival_of="a fault that looks like a healthy model",
        reason="Below 1 no threshold could tell them apart.",
        format=".2f",
    ),
)


def _reach(model: Checked) -> float:
    return max(abs(model.forward), abs(model.backward))


def table(measured: Planted) -> list[tuple[str, ...]]:
    head = ("planted fault", "named by", "findings beside it")
    rows = []
    for name, model in measured.faulty.items():
        code = FAULTS[name].code
        beside = [other for other in model.faults + model.notes if other != code]
        rows.append((name, f"`{code}`", ", ".join(f"`{other}`" for other in beside)))
    return [head, *rows]


def plot(measured: Planted) -> Figure:
    figure = Figure(figsize=(4.6, 4.2))
    axes = figure.subplots()
    side = 2 * DECADES
    axes.add_patch(
        Rectangle(
            (-DECADES, -DECADES),
            side,
            side,
            fill=False,
            edgecolor="C5",
            linestyle="--",
            linewidth=2,
        )
    )
    axes.plot(*_places(measured.healthy.values()), "o", color="C0", markersize=4)
    faulty = [measured.faulty[name] for name in DRAWN]
    axes.plot(*_places(faulty), "X", color="C1", markersize=9)
    for model, (label, side, height) in zip(faulty, DRAWN.values(), strict=True):
        place = (9 if side == "left" else -9, height)
        at = (model.forward, model.backward)
        axes.annotate(
            label,
            at,
            xytext=place,
            textcoords="offset points",
            ha=side,
            va="center",
            color="C1",
        )
    axes.text(DECADES + 0.3, -DECADES, "limits", color="C5")
    label = f"{len(measured.healthy)} healthy models"
    axes.text(-DECADES - 0.3, 0, label, color="C0", ha="right", va="center")
    axes.set(
        xlabel="signal, first to last layer (powers of ten)",
        ylabel="gradient, last to first (powers of ten)",
    )
    axes.set(xlim=(-12.5, 11), ylim=(-12.5, 8))
    return figure


def _places(models) -> tuple[list[float], list[float]]:
    pairs = [(model.forward, model.backward) for model in models]
    return [x for x, _ in pairs], [y for _, y in pairs]
