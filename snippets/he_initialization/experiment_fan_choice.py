"""With `fan_in` or `fan_out` the other way is off by a constant. Where widths alternate, their average loses both.

Source: He, Zhang, Ren & Sun (2015), section 2.2, the remark after equation 14: one of the two suffices, since the
product of the ratios of the fans telescopes. The average is that of Glorot & Bengio (2010), section 4.2.1, equation 12,
here with He's factor of 2.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.he_initialization.he_init_numpy import kaiming_std
from snippets.laboratory.claim import Claim

WIDTHS = [128, 512] * 10
"""Of the layers, the input included: the width changes with each."""

SHAPES = list(zip(WIDTHS[1:], WIDTHS[:-1], strict=True))
"""Of the weights, (fan_out, fan_in)."""

NETWORKS = 16


class Signals(NamedTuple):
    """Mean squares layer by layer, shape (len(WIDTHS),), geometric means over the networks."""

    activations: np.ndarray
    """E[h^2], 1 at the input."""

    gradients: np.ndarray
    """E[(dL/dh)^2], 1 at the last layer."""


def std(shape: tuple[int, int], mode: str) -> float:
    """He's standard deviation; with the mode "average" for the mean of both fans."""
    return (
        np.sqrt(2.0 / np.mean(shape))
        if mode == "average"
        else kaiming_std(shape, mode=mode)
    )


def measure(seed: int = 0) -> dict[str, Signals]:
    generator = np.random.default_rng(seed)
    logs = {
        mode: np.zeros((2, len(WIDTHS))) for mode in ("fan_in", "fan_out", "average")
    }
    for _ in range(NETWORKS):
        draws = [generator.standard_normal(shape) for shape in SHAPES]
        inputs, output_gradients = (
            generator.standard_normal((16, width)) for width in (WIDTHS[0], WIDTHS[-1])
        )
        for mode, sums in logs.items():
            weights = [std(draw.shape, mode) * draw for draw in draws]
            sums += _log_mean_squares(weights, inputs, output_gradients)
    return {mode: Signals(*np.exp(sums / NETWORKS)) for mode, sums in logs.items()}


def _log_mean_squares(
    weights: Sequence[np.ndarray], inputs: np.ndarray, output_gradients: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    activations, gradients = [inputs], [output_gradients]
    for weight in weights:
        activations.append(np.maximum(activations[-1] @ weight.T, 0.0))
    for weight, activation in zip(
        reversed(weights), reversed(activations[1:]), strict=True
    ):
        gradients.append((gradients[-1] * (activation > 0.0)) @ weight)
    forward, backward = (
        np.log([np.mean(h**2) for h in signal])
        for signal in (activations, reversed(gradients))
    )
    return forward - forward[0], backward - backward[-1]


def theory(mode: str) -> Signals:
    """Products of the factors per layer: fan_in Var[W] / 2 forward, fan_out Var[W] / 2 backward."""
    forward = [
        fan_in * std((fan_out, fan_in), mode) ** 2 / 2.0 for fan_out, fan_in in SHAPES
    ]
    backward = [
        fan_out * std((fan_out, fan_in), mode) ** 2 / 2.0
        for fan_out, fan_in in reversed(SHAPES)
    ]
    return Signals(np.cumprod([1.0, *forward]), np.cumprod([1.0, *backward])[::-1])


_SPREAD = "Sixteen networks scatter by 20 %, and their typical norm is 20 % low; a factor of about 2 is allowed."

CLAIMS = (
    Claim(
        statement="`fan_in`: mean square of the gradient after 19 layers, at the input",
        paper="a constant",
        value=lambda measured: measured["fan_in"].gradients[0],
        interval=(2.0, 7.0),
        rival=lambda measured: measured["average"].gradients[0],
        rival_of="the average of both fans",
        reason="The ratio of the outer widths, 512/128 = 4. " + _SPREAD,
        format=".2f",
    ),
    Claim(
        statement="`fan_out`: mean square of the signal after 19 layers",
        paper="a constant",
        value=lambda measured: measured["fan_out"].activations[-1],
        interval=(0.12, 0.45),
        rival=lambda measured: measured["average"].activations[-1],
        rival_of="the average of both fans",
        reason="The ratio of the outer widths, 128/512 = 0.25.",
        format=".2f",
    ),
    Claim(
        statement="Average of both fans: mean square of the signal after 19 layers",
        value=lambda measured: measured["average"].activations[-1],
        interval=(0.0035, 0.013),
        rival=lambda measured: measured["fan_out"].activations[-1],
        rival_of="`fan_out`",
        reason="A layer multiplies by $2n_\\text{in}/(n_\\text{in}+n_\\text{out})$, by 0.4 and 1.6 in turn: "
        "$0.64^9\\cdot0.4=0.0072$.",
        format=".2g",
    ),
    Claim(
        statement="Average of both fans: mean square of the gradient after 19 layers, at the input",
        value=lambda measured: measured["average"].gradients[0],
        interval=(0.014, 0.052),
        rival=lambda measured: measured["fan_in"].gradients[0],
        rival_of="`fan_in`",
        reason="By 1.6 and 0.4 in turn, the other way round: $0.64^9\\cdot1.6=0.029$.",
        format=".2g",
    ),
)


def plot(measured: dict[str, Signals]) -> Figure:
    figure = Figure(figsize=(4.6, 5.4))
    panels = figure.subplots(2, sharex=True)
    layers = np.arange(len(WIDTHS))
    for number, (axes, title) in enumerate(
        zip(panels, ("forward: E[h²]", "backward: E[(∂L/∂h)²]"), strict=True)
    ):
        for color, (mode, signals) in zip(
            ("C0", "C1", "C3"), measured.items(), strict=True
        ):
            axes.plot(
                layers,
                theory(mode)[number],
                color="C5",
                linewidth=1.0,
                linestyle=(0, (4, 3)),
            )
            axes.plot(
                layers,
                signals[number],
                "o-",
                color=color,
                linewidth=0.8,
                markersize=4.5,
            )
        axes.set(yscale="log", title=title, ylabel="mean square", ylim=(2e-3, 3e1))
    forward, backward = panels
    for axes, places in (
        (forward, ((15.8, 2.0), (15.8, 0.07), (2.2, 0.02))),
        (backward, ((15.8, 7.0), (1.2, 0.3), (5.2, 0.02))),
    ):
        for color, (x, y), mode in zip(
            ("C0", "C1", "C3"), places, measured, strict=True
        ):
            axes.text(x, y, mode, color=color)
    backward.set_xlabel("layer")
    backward.set_xticks(range(0, len(WIDTHS), 5))
    return figure
