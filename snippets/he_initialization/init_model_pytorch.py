"""He initialization for a whole PyTorch model, with a report of what was done to every parameter.

    std = sqrt(2 / ((1 + a^2) fan_in)) for layers that an activation follows, sqrt(1 / fan_in) for the output layer

`fan_in` is the true number of summands in an output value, which for transposed convolutions is not what torch.nn.init
reads off the weight. An embedding looks one weight up, so its std is 1. Biases become 0, the weights of norms 1.
The first layer gets the factor 2 as well: no ReLU stands before it, but a single factor does not grow with depth.
Made for plain chains: attention, recurrence and residual branches need rules of their own. The report tells what was
left as it was.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section 2.2.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
NORM = BATCH_NORM + (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


class Rule(NamedTuple):
    """How a parameter is set."""

    name: str
    """'he', 'output', 'embedding', 'one', 'zero'; 'frozen' and 'left' (no rule covers it) change nothing."""
    fan_in: float | None = None
    std: float | None = None


class Row(NamedTuple):
    """What became of one parameter."""

    name: str
    shape: tuple[int, ...]
    rule: str
    fan_in: float | None
    std_wanted: float | None
    std_measured: float
    """Over all entries, without Bessel's correction."""


def true_fan_in(layer: nn.Module) -> float:
    """Summands in one output value of a linear or convolutional layer, a mean over positions away from the borders."""
    if isinstance(layer, TRANSPOSED):  # weight (in, out / groups, *kernel); each stride-th tap meets an input
        return layer.in_channels // layer.groups * math.prod(layer.kernel_size) / math.prod(layer.stride)
    return float(math.prod(layer.weight.shape[1:]))  # weight (out, in / groups, *kernel)


@torch.no_grad()
def he_initialize_(model: nn.Module, *, seed: int, a: float = 0.0, output: str | None = None) -> list[Row]:
    """Initialize `model` in place and report each parameter once, in the order of `named_parameters`.

    `a` is the slope of the activations for negative inputs. `output` names the layer that no activation follows, as in
    `named_modules`; by default it is the linear or convolutional layer registered last. Parameters that do not require
    gradients and all buffers stay as they are; the padding row of an embedding becomes 0. A tied parameter is drawn
    once, with the smallest std that its users want.
    Draws come from a generator of its own on the CPU: a `seed` gives the same weights on every device and, up to
    rounding, in every floating dtype below float64. No global state changes.
    Raises ValueError for an unknown `output`, for parameters on the meta device and for lazy ones without a shape.
    """
    for name, parameter in model.named_parameters():
        if parameter.is_meta or isinstance(parameter, nn.UninitializedParameter):
            raise ValueError(f"model must hold values: give {name!r} memory first (to_empty, or a batch if it is lazy)")
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, LINEAR + TRANSPOSED)}
    if output is not None and output not in layers:
        raise ValueError(f"output must be one of {list(layers)}, got {output!r}")
    last = layers[output] if output is not None else next(reversed(layers.values()), None)

    rules: dict[nn.Parameter, Rule] = {}
    for layer in model.modules():
        for parameter, rule in _rules(layer, a, is_output=layer is last):
            known = rules.get(parameter, rule)
            rules[parameter] = min(known, rule, key=lambda candidate: candidate.std)

    padding = {layer.weight: layer.padding_idx for layer in model.modules() if isinstance(layer, nn.Embedding)}
    generator = torch.Generator().manual_seed(seed)
    report = []
    for name, parameter in model.named_parameters():
        rule = rules.get(parameter, Rule("left")) if parameter.requires_grad else Rule("frozen")
        if rule.name == "one":
            parameter.fill_(1.0)
        elif rule.std is not None:
            precise = torch.promote_types(parameter.dtype, torch.float32)
            parameter.copy_(rule.std * torch.randn(parameter.shape, generator=generator, dtype=precise))
            if padding.get(parameter) is not None:
                parameter[padding[parameter]] = 0.0
        measured = parameter.to("cpu", torch.float64).std(correction=0).item() if parameter.numel() else 0.0
        report.append(Row(name, tuple(parameter.shape), *rule, measured))
    return report


def _rules(layer: nn.Module, a: float, is_output: bool) -> Iterator[tuple[nn.Parameter, Rule]]:
    # A weight that is computed from other parameters (weight_norm) is not among the layer's own.
    own = dict(layer.named_parameters(recurse=False))
    if isinstance(layer, LINEAR + TRANSPOSED + NORM) and "bias" in own:
        yield own["bias"], Rule("zero", None, 0.0)
    if "weight" not in own or not own["weight"].numel():
        return
    if isinstance(layer, NORM):
        yield own["weight"], Rule("one", None, 0.0)
    elif isinstance(layer, nn.Embedding):
        yield own["weight"], Rule("embedding", 1.0, 1.0)
    elif isinstance(layer, LINEAR + TRANSPOSED):
        gain = 1.0 if is_output else math.sqrt(2.0 / (1.0 + a**2))
        fan_in = true_fan_in(layer)
        yield own["weight"], Rule("output" if is_output else "he", fan_in, gain / math.sqrt(fan_in))
