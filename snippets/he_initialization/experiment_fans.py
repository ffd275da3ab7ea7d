"""Transposed, depthwise, grouped and strided layers have other fans than either framework reads off their weights.

Source: He, Zhang, Ren & Sun (2015), section 2.2, for what a fan counts: the connections of one response, forward, and
of one input, backward. PyTorch's fans are read off the draws of `torch.nn.init.kaiming_normal_`; Keras's follow its
rule for the shape of a kernel, which a test of this project compares with Keras itself.
"""

from functools import partial
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.he_initialization.fans_numpy import Fans, keras_fans
from snippets.laboratory.claim import Claim


class Counts(NamedTuple):
    """The fans of one layer."""

    true: Fans
    """Counted: summands of one output value, output values that one input value feeds; means away from the borders."""

    pytorch: Fans
    """The fan that kaiming_normal_ uses, from the standard deviation of its draws."""

    keras: Fans


def measure() -> dict[str, Counts]:
    conv, transposed = partial(_layer, nn.Conv2d), partial(_layer, nn.ConvTranspose2d)
    # The layer in PyTorch, its input channels, and the kernel that Keras gives the same layer.
    cases = {
        "linear": (_layer(nn.Linear, 16, 32), (16, 32)),
        "conv 3×3": (conv(16, 32, 3), (3, 3, 16, 32)),
        "conv 4×4, stride 2": (conv(16, 32, 4, stride=2), (4, 4, 16, 32)),
        "conv 3×3, 4 groups": (conv(16, 32, 3, groups=4), (3, 3, 4, 32)),
        "depthwise 3×3": (conv(16, 16, 3, groups=16), (3, 3, 16, 1)),
        "transposed 3×3": (transposed(16, 32, 3), (3, 3, 32, 16)),
        "transposed 4×4, stride 2": (transposed(16, 32, 4, stride=2), (4, 4, 32, 16)),
    }
    return {
        name: Counts(_counted(layer), _by_pytorch(layer.weight), keras_fans(kernel))
        for name, (layer, kernel) in cases.items()
    }


def _layer(kind: type[nn.Module], *sizes: int, **options: int) -> nn.Module:
    return nn.utils.skip_init(kind, *sizes, bias=False, dtype=torch.float64, **options)


def _counted(layer: nn.Module) -> Fans:
    """Ones times ones: a sum counts its summands, a gradient the sums it comes from."""
    nn.init.ones_(layer.weight)
    inputs = torch.ones(
        1, 16, *([] if isinstance(layer, nn.Linear) else [48, 48]), dtype=torch.float64
    )
    outputs = layer(inputs.requires_grad_())
    outputs.sum().backward()
    return Fans(_inner_mean(outputs), _inner_mean(inputs.grad))


def _inner_mean(values: Tensor) -> float:
    for axis in range(
        2, values.dim()
    ):  # away from the borders, whole periods of every stride here
        values = values.narrow(axis, 8, 8)
    return values.mean().item()


def _by_pytorch(weight: Tensor) -> Fans:
    def fan(mode: str) -> float:
        draws, standard = (torch.Generator().manual_seed(0) for _ in range(2))
        nn.init.kaiming_normal_(
            weight, mode=mode, nonlinearity="linear", generator=draws
        )
        return (
            (torch.empty_like(weight).normal_(generator=standard) / weight)
            .square()
            .median()
            .item()
        )

    return Fans(fan("fan_in"), fan("fan_out"))


def _times_too_large(counts: Counts, framework: str, fan: str) -> float:
    return getattr(getattr(counts, framework), fan) / getattr(counts.true, fan)


CLAIMS = (
    Claim(
        statement="Linear layer and plain convolution: largest deviation from the count, both fans, both frameworks",
        value=lambda measured: max(
            abs(_times_too_large(measured[name], framework, fan) - 1.0)
            for name in ("linear", "conv 3×3")
            for framework in ("pytorch", "keras")
            for fan in Fans._fields
        ),
        interval=(0.0, 1e-6),
        rival=7.0,
        rival_of="a fan eight times too large, as of the transposed convolution",
        reason="Their fans are products of the sizes of the weight; rounding aside.",
        format=".0g",
    ),
    Claim(
        statement="Transposed 4 × 4 convolution of stride 2, from 16 to 32 channels: `fan_in` of PyTorch over the "
        "counted one",
        value=lambda measured: _times_too_large(
            measured["transposed 4×4, stride 2"], "pytorch", "fan_in"
        ),
        interval=(7.999, 8.001),
        rival=1.0,
        rival_of="the count",
        reason="It takes the 32 outputs for inputs, and the stride lets only one tap in four meet an input. "
        "So does Keras.",
        format=".3g",
    ),
    Claim(
        statement="Depthwise convolution of 16 channels: `fan_in` of Keras over the counted one",
        value=lambda measured: _times_too_large(
            measured["depthwise 3×3"], "keras", "fan_in"
        ),
        interval=(15.999, 16.001),
        rival=1.0,
        rival_of="the count",
        reason="Each output reads one channel; the kernel's shape names all 16.",
        format=".3g",
    ),
    Claim(
        statement="Depthwise convolution of 16 channels: `fan_out` of PyTorch over the counted one",
        value=lambda measured: _times_too_large(
            measured["depthwise 3×3"], "pytorch", "fan_out"
        ),
        interval=(15.999, 16.001),
        rival=1.0,
        rival_of="the count",
        reason="Each input feeds one channel; the weight's shape names all 16.",
        format=".3g",
    ),
)


def plot(measured: dict[str, Counts]) -> Figure:
    figure = Figure(figsize=(4.6, 5.6))
    upper, lower = figure.subplots(2, sharex=True)
    rows = range(len(measured))
    for axes, fan in ((upper, "fan_in"), (lower, "fan_out")):
        axes.axvline(1.0, color="C5", linewidth=1.2, linestyle=(0, (4, 3)))
        for framework, marker, size, color in (
            ("pytorch", "o", 8, "C0"),
            ("keras", "s", 13, "C1"),
        ):
            ratios = [
                _times_too_large(counts, framework, fan) for counts in measured.values()
            ]
            hollow = (
                {"markerfacecolor": "none", "markeredgewidth": 1.8}
                if framework == "keras"
                else {}
            )
            axes.plot(ratios, rows, marker, color=color, markersize=size, **hollow)
        axes.set(xscale="log", title=fan)
        axes.set_yticks(rows, list(measured))
        axes.set_ylim(len(measured) - 0.5, -0.5)
    upper.text(1.35, 0, "PyTorch", color="C0", va="center")
    upper.text(1.35, 1, "Keras", color="C1", va="center")
    lower.set_xlabel("fan of the framework / counted fan")
    lower.set_xticks([0.5, 1, 2, 4, 8, 16], ["1/2", "1", "2", "4", "8", "16"])
    lower.minorticks_off()
    return figure
