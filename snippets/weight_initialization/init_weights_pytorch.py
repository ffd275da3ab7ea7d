"""Initialize a whole PyTorch model: one rule per kind of layer, one gain per
activation, a report of every parameter.

    std = gain / sqrt(fan_in)   weights of linear and convolutional layers;
                                sqrt(2) is He, for ReLU
    std = 1 / sqrt(fan_in)      the output layer, projections of attention,
                                inputs of recurrent layers
    orthogonal, gate by gate    recurrent weights
    std = 1                     embeddings, which look one weight up
    1                           scales of norms, bias of an LSTM's forget gate
    0                           all other biases

`fan_in` is the true number of summands in an output value, which for transposed
convolutions is not what torch.nn.init reads off the weight. The first layer
gets the gain as well, though no activation stands before it: for ReLU a single
factor does not grow with depth. For GELU and SiLU it does: name the layer in
`first`. Residual branches want a smaller last layer: scale it afterwards.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: He et al. (2015), "Delving Deep into Rectifiers", section 2.2 (gain and
fan); Saxe et al. (2014), arXiv:1312.6120 (orthogonal); Jozefowicz et al.
(2015), "An Empirical Exploration of Recurrent Network Architectures" (forget
gate).
"""

import math
import operator
from collections.abc import Iterator
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)

# 1 / sqrt(E[phi(xi)^2]), xi standard normal: keeps a preactivation of variance
# 1. For tanh, gain 1 keeps the gradient.
GAINS = {
    "linear": 1.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / 1.0001),
    "tanh": 1.0,
    "selu": 1.0,
    "elu": 1.245198,
    "gelu": 1.533530,
    "silu": 1.676532,
}

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
NORM = (
    *BATCH_NORM,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


class Rule(NamedTuple):
    """How a parameter is set."""

    name: str
    """'gain', 'linear', 'output', 'orthogonal', 'embedding', 'one', 'forget' or
    'zero'.
    """
    fan_in: float | None
    std: float


class Row(NamedTuple):
    """What became of one parameter."""

    name: str
    shape: tuple[int, ...]
    rule: str
    fan_in: float | None
    std_wanted: float
    std_measured: float
    """Over all entries, without Bessel's correction."""


class Report(NamedTuple):
    """What became of the parameters, in the order of `named_parameters`."""

    reached: list[Row]
    left: dict[str, str]
    """By its name, why a parameter stays as it is."""


def true_fan_in(layer: nn.Module) -> float:
    """Summands in one output value of a linear or convolutional layer, a mean
    over positions away from the borders. ValueError for another layer, and for
    a lazy one that has seen no batch.
    """
    if not isinstance(layer, LINEAR) or isinstance(
        layer.weight, nn.UninitializedParameter
    ):
        raise ValueError(
            f"layer must be linear or convolutional and not lazy, got {layer}"
        )
    # weight (in, out / groups, *kernel); each stride-th tap meets an input
    if isinstance(layer, TRANSPOSED):
        return (
            layer.in_channels
            // layer.groups
            * math.prod(layer.kernel_size)
            / math.prod(layer.stride)
        )
    # weight (out, in / groups, *kernel)
    return float(math.prod(layer.weight.shape[1:]))


@torch.no_grad()
def init_weights_(
    model: nn.Module,
    *,
    seed: int,
    gain: float = GAINS["relu"],
    output: str | None = None,
    first: str | None = None,
) -> Report:
    """Initialize `model` in place and report each parameter once.

    `gain` belongs to the activation between the layers. `output` names the
    layer that no activation follows, as in `named_modules`; by default it is
    the linear or convolutional layer registered last. `first` names the layer
    that reads the inputs: it gets gain 1 as no activation stands before it; by
    default it gets `gain`. Parameters that do not require gradients and all
    buffers stay as they are; the padding row of an embedding becomes 0. A tied
    parameter is drawn once, with the smallest std that its users want. What no
    rule covers is left, and the report says so. Draws come from a generator of
    its own on the CPU: a `seed` gives the same weights on every device and, up
    to rounding, in every floating dtype below float64. No global state changes.
    Raises ValueError, before anything is changed, for a `gain` that is not
    positive and finite, for an unknown `output` or `first`, and for parameters
    that are lazy, on the meta device, sharded, no floating ones or tied by
    their memory (`a.data = b.data`).
    """
    gain = float(gain + 0.0)  # text is no number
    if not 0.0 < gain < math.inf:
        raise ValueError(f"gain must be positive and finite, got {gain}")
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a Module, got {type(model).__name__}")
    for name, parameter in model.named_parameters():
        if isinstance(parameter, LAZY) or parameter.is_meta:
            raise ValueError(
                f"model must hold values: give {name!r} memory first (to_empty, or a batch if it is lazy)"
            )
    projections = {
        id(layer.out_proj)
        for layer in model.modules()
        if isinstance(layer, nn.MultiheadAttention)
    }
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, LINEAR) and id(layer) not in projections
    }
    for argument, wanted in (("output", output), ("first", first)):
        if wanted is not None and wanted not in list(layers):
            raise ValueError(
                f"{argument} must be one of {list(layers)}, got {wanted!r}"
            )
    last = (
        layers[output] if output is not None else next(reversed(layers.values()), None)
    )

    rules: dict[nn.Parameter, Rule] = {}
    for layer in model.modules():
        plain = id(layer) in projections or layer is layers.get(first)
        role = (
            ("output", 1.0)
            if layer is last
            else ("linear", 1.0)
            if plain
            else ("gain", gain)
        )
        for parameter, rule in _rules(layer, *role):
            known = rules.get(parameter, rule)
            rules[parameter] = min(known, rule, key=lambda candidate: candidate.std)

    places: dict[int, tuple[str, bool]] = {}
    for name, parameter in model.named_parameters():
        ruled = parameter in rules and parameter.requires_grad
        if ruled and (why := _unwritable(parameter)):
            raise ValueError(f"model must hold plain parameters, {name!r} {why}")
        twin, drawn = places.setdefault(_place(parameter), (name, ruled))
        if twin != name and (ruled or drawn):
            raise ValueError(
                f"model must tie two layers by one Parameter, {name!r} has the memory of {twin!r}"
            )
    padding = {
        layer.weight: layer.padding_idx
        for layer in model.modules()
        if isinstance(layer, nn.Embedding)
    }
    generator = _seeded(seed)
    report = Report([], {})
    for name, parameter in model.named_parameters():
        chosen = rules.get(parameter)
        if chosen is None or not parameter.requires_grad:
            frozen = "frozen: requires no gradient"
            report.left[name] = (
                "no rule covers it" if parameter.requires_grad else frozen
            )
            continue
        parameter.copy_(_values(chosen, parameter, generator))
        if padding.get(parameter) is not None:
            parameter[padding[parameter]] = 0.0
        measured = parameter.to("cpu", torch.float64).std(correction=0).item()
        report.reached.append(Row(name, tuple(parameter.shape), *chosen, measured))
    for name, layer in model.named_modules():
        if isinstance(getattr(layer, "weight", None), MethodType):
            report.left[name] = "quantized: its weight is no parameter"
    return report


def _rules(
    layer: nn.Module, role: str, gain: float
) -> Iterator[tuple[nn.Parameter, Rule]]:
    zero = Rule("zero", None, 0.0)
    # A weight that is computed from other parameters (weight_norm) is not among
    # the layer's own.
    own = {
        name: parameter
        for name, parameter in layer.named_parameters(recurse=False)
        if parameter.numel()
    }
    weight, bias = own.get("weight"), own.get("bias")
    if bias is not None and isinstance(layer, LINEAR + NORM):
        yield bias, zero
    if weight is not None and isinstance(layer, NORM):
        yield weight, Rule("one", None, 0.0)
    elif weight is not None and isinstance(layer, nn.Embedding):
        yield weight, Rule("embedding", 1.0, 1.0)
    elif weight is not None and isinstance(layer, LINEAR):
        fan_in = true_fan_in(layer)
        yield weight, Rule(role, fan_in, gain / math.sqrt(fan_in))
    elif isinstance(layer, nn.MultiheadAttention | nn.RNNBase | nn.RNNCellBase):
        for name, parameter in own.items():
            # (gates * hidden, hidden or projected), each gate with orthonormal
            # columns
            if "weight_hh" in name:
                hidden: Any = layer.hidden_size
                yield (
                    parameter,
                    Rule(
                        "orthogonal",
                        parameter.shape[1],
                        1.0 / math.sqrt(hidden),
                    ),
                )
            # (..., fan_in), gates or the projections of queries, keys, values
            # stacked
            elif "weight" in name:
                yield (
                    parameter,
                    Rule(
                        "linear",
                        parameter.shape[1],
                        1.0 / math.sqrt(parameter.shape[1]),
                    ),
                )
            elif "bias_ih" in name and isinstance(layer, nn.LSTM | nn.LSTMCell):
                # bias_hh is added to it, so one of the two is enough. The std
                # of a quarter of ones is sqrt(3) / 4.
                yield parameter, Rule("forget", None, math.sqrt(3.0) / 4.0)
            elif name.startswith(("in_proj_bias", "bias_ih", "bias_hh")):
                yield parameter, zero


def _values(rule: Rule, parameter: Tensor, generator: torch.Generator) -> Tensor:
    if rule.name == "one":
        return torch.ones(parameter.shape, device="cpu")
    # the gates of an LSTM come in the order input, forget, cell, output
    if rule.name == "forget":
        gates = torch.tensor([0.0, 1.0, 0.0, 0.0], device="cpu")
        return gates.repeat_interleave(len(parameter) // 4)
    values = torch.empty(
        parameter.shape,
        dtype=torch.promote_types(parameter.dtype, torch.float32),
        device="cpu",
    )
    if rule.name == "orthogonal":
        hidden = round(rule.std**-2)
        return torch.cat(
            [
                nn.init.orthogonal_(gate, generator=generator)
                for gate in values.split(hidden)
            ]
        )
    return values.normal_(0.0, rule.std, generator=generator)


def _seeded(seed: int) -> torch.Generator:
    try:
        return torch.Generator("cpu").manual_seed(operator.index(seed))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"seed must be an integer of 64 bits, got {seed!r}") from error


def _unwritable(parameter: Tensor | None) -> str | None:
    """Why no values can be written into it, or None."""
    if parameter is None:
        return "is computed from other parameters"
    if isinstance(parameter, LAZY) or parameter.is_meta:
        return "holds no values yet"
    # what is written into a part of it would be lost
    if hasattr(parameter, "device_mesh"):
        return "is sharded"
    if not parameter.is_floating_point() or parameter.element_size() < 2:
        return f"holds {parameter.dtype}"
    if parameter.is_inference() and not torch.is_inference_mode_enabled():
        return "was made in inference mode"
    return None if _apart(parameter) else "shares memory between its entries"


def _place(tensor: Tensor) -> int:
    """Where its entries begin: one place for weights tied by `.data`."""
    held = not isinstance(tensor, LAZY) and tensor.layout == torch.strided
    return (tensor.data_ptr() if held else 0) or id(tensor)


def _apart(tensor: Tensor) -> bool:
    """Whether no two entries share memory, as those of `expand` do."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= reach:
                return False
            reach += step * (size - 1)
    return True
