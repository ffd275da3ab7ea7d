"""Which units of a model have stopped passing gradients: per activation, the
fraction dead and the fraction saturated.

    dead: the slope phi'(z) is zero for every example of the batch and every
          position, so the unit's weights get no gradient at all
    saturated: |phi'(z)| < threshold, counted over all entries

A unit is an output with weights of its own: in a convolution a channel, in a
layer on tokens a feature, at all positions together. At its start about half of
all entries of a healthy ReLU layer are saturated (off), and hardly a unit is
dead. Take a batch of a few hundred examples.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Lu, Shin, Su & Karniadakis (2020), "Dying ReLU and Initialization",
section 1, for dead units; Glorot & Bengio (2010), "Understanding the difficulty
of training deep feedforward neural networks", section 3, for saturation.
"""

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

ACTIVATIONS = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Softplus,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softsign,
    nn.Hardtanh,
    nn.Hardsigmoid,
    nn.Hardswish,
)

# What their output counts on axis 1, and what it counts on the last axis.
CHANNELS_SECOND = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
)
FEATURES_LAST = (
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.RNNBase,
    nn.MultiheadAttention,
)
# An activation that is called as a function, and what has some inside.
FUNCTIONS = (
    *("relu", "relu6", "leaky_relu", "rrelu", "prelu", "elu", "celu", "selu"),
    *("gelu", "silu", "mish", "softplus", "sigmoid", "tanh", "softsign", "glu"),
    *("hardtanh", "hardsigmoid", "hardswish", "log_sigmoid", "tanhshrink"),
    *("hardshrink", "softshrink", "threshold", "lstm", "gru", "rnn_tanh"),
    *("rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    "transformer_encoder_layer_fwd",
)


class Row(NamedTuple):
    """What became of the units of one activation module."""

    name: str
    """As in `model.named_modules()`; a module that is called twice has two
    rows.
    """

    dead: float
    """Fraction of the units."""

    saturated: float
    """Fraction of all entries."""


class Report(NamedTuple):
    """What was seen of the activations of a model."""

    reached: list[Row]
    left: dict[str, str]
    """Why there is no row: for a module by its name, for a function by its name
    and that of the module that called it.
    """


def unit_health(
    model: nn.Module,
    batch: Tensor,
    threshold: float = 0.05,
    kinds: tuple[type[nn.Module], ...] = ACTIVATIONS,
) -> Report:
    """One row per call of an activation module of `kinds`, in the order of the
    forward pass of `batch`, and what was left out.

    The first dimension counts the examples. Which one counts the units says the
    layer or norm that ran last: the second after a convolution, batch or group
    norm, else the last, as long as it has the size that this layer put out
    there; a `permute` in between makes it the other one. If no such layer ran,
    the second of four or five, else the last. The model runs in the mode
    it is in (call `model.eval()` first to spare the statistics of BatchNorm),
    not compiled, and keeps its gradients. Functional activations, as F.relu,
    and recurrent layers have no row: they are among what is left. The random
    state stays. Raises ValueError if no module is seen and, with the module's
    name, for an input that is empty, not finite or has no dimension of examples
    and for one of `kinds` that does not act on every entry by itself.
    """
    threshold = float(threshold + 0.0)  # text is no number
    if not threshold > 0.0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a Module, got {type(model).__name__}")
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not all(
        isinstance(kind, type) and issubclass(kind, nn.Module) for kind in kinds
    ):
        raise ValueError(f"kinds must be classes of modules, got {kinds}")
    rows: list[Row] = []
    left: dict[str, str] = {}
    running: list[tuple[str, nn.Module]] = []
    last: list[tuple[bool, int]] = []

    def enter(name: str, module: nn.Module, arguments: tuple, keywords: dict) -> None:
        running.append((name, module))
        if isinstance(module, kinds):
            (z, *_) = (*arguments, *keywords.values())
            rows.append(_row(name, module, z, threshold, last))
            left.pop(name, None)

    def leave(module: nn.Module, _: tuple, output: Any) -> None:
        running.pop()
        second = isinstance(module, CHANNELS_SECOND)
        if second or isinstance(module, FEATURES_LAST):
            while isinstance(output, tuple):  # (outputs, state), or packed
                output = output[0]
            last.append((second, output.shape[1 if second else -1]))

    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            left[name] = "scripted: it takes no hooks"
            continue
        if isinstance(module, kinds):
            left[name] = "did not run"
        enter_it = partial(enter, name)
        hooks.append(module.register_forward_pre_hook(enter_it, with_kwargs=True))
        hooks.append(module.register_forward_hook(leave))
    devices = {one.device for one in model.parameters() if one.is_cuda}
    try:
        # a compiled model would run without these hooks
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            torch.random.fork_rng(devices),
            torch.compiler.set_stance("force_eager"),
            _Functions(running, kinds, left),
        ):
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if not rows:
        raise ValueError(
            f"model must call a module of kinds {[kind.__name__ for kind in kinds]}, got {model}"
        )
    return Report(rows, left)


class _Functions(TorchFunctionMode):
    """Notes the activations that are no modules of `kinds`."""

    def __init__(self, running: list, kinds: tuple, left: dict[str, str]) -> None:
        super().__init__()
        self.running, self.kinds, self.left = running, kinds, left

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "").strip("_")
        place, module = self.running[-1] if self.running else ("", None)
        if name in FUNCTIONS and not isinstance(module, self.kinds):
            self.left[f"{name} in {place!r}"] = "called as a function"
        return function(*arguments, **(keywords or {}))


def _row(
    name: str,
    module: nn.Module,
    preactivations: Tensor,
    threshold: float,
    last: list[tuple[bool, int]],
) -> Row:
    shape = tuple(preactivations.shape)
    if len(shape) < 2 or 0 in shape or not preactivations.isfinite().all():
        raise ValueError(
            f"model and batch must give {name!r} finite values of shape (examples, units, ...), got {shape}"
        )
    second, size = last[-1] if last else (len(shape) in (4, 5), 0)
    here, there = shape[1 if second else -1], shape[-1 if second else 1]
    if last and size != here and size == there:
        second = not second  # it was transposed since
    units = 1 if second else len(shape) - 1
    z = preactivations.detach().clone().requires_grad_()
    with torch.enable_grad():
        # not the hooks; a copy, since the module may work in place
        values = module.forward(z.clone())
    if not isinstance(module, ACTIVATIONS):
        _check_elementwise(name, module, z.detach(), values.detach())
    slopes = torch.autograd.grad(values, z, torch.ones_like(values))[0].abs()
    dead = slopes.amax(dim=[axis for axis in range(len(shape)) if axis != units]) == 0.0
    return Row(
        name, dead.double().mean().item(), (slopes < threshold).double().mean().item()
    )


@torch.no_grad()
def _check_elementwise(name: str, module: nn.Module, z: Tensor, values: Tensor) -> None:
    """Move about half of the entries: the others must not notice."""
    generator = torch.Generator("cpu").manual_seed(0)
    moved = torch.rand(z.shape, generator=generator, device="cpu").to(z.device) < 0.5
    others = module.forward(torch.where(moved, -1.0 - z, z))
    if others.shape != z.shape or not torch.allclose(
        others[~moved], values[~moved], rtol=1e-2, atol=1e-2
    ):
        raise ValueError(
            f"kinds must act on every entry by itself and draw nothing, {name!r} is {module}"
        )
