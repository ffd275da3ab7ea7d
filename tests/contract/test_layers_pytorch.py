"""Bad layers and bad rows, function by function."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from snippets.batch_normalization import fold_batch_norm_pytorch as fold
from snippets.vanishing_gradients import forget_bias_pytorch as forget
from snippets.vanishing_gradients.layer_gradients_pytorch import LayerGradient, Report, factor_per_layer
from snippets.weight_initialization import init_weights_pytorch as whole
from snippets.xavier_initialization import packed_attention_pytorch as attention
from tests.contract.plain_pytorch import draws, generator, overlapping, positive, sharded, touching
from tests.contract.table import Cell, every, hold, holds


def norm() -> nn.BatchNorm1d:
    layer = nn.BatchNorm1d(4)
    for own in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
        own.copy_(positive(4))
    return layer.eval()


def linear() -> nn.Linear:
    layer = nn.Linear(3, 4)
    nn.init.uniform_(layer.weight, 0.5, 1.0, generator=generator())
    nn.init.uniform_(layer.bias, 0.5, 1.0, generator=generator())
    return layer


def folded(layer: nn.Module, after: nn.Module) -> Tensor:
    return fold.fold_batch_norm(layer, after)(draws(5, 3).to(next(layer.parameters()).dtype))


def attended(layer: nn.MultiheadAttention) -> list[Tensor]:
    attention.xavier_attention_(layer, generator=generator())
    return [weight for _, weight in attention.projections(layer)]


LAYERS: dict[str, tuple[Callable[[nn.Module], object], Callable[[], nn.Module]]] = {
    "fold_batch_norm.fold_batch_norm layer": (lambda layer: folded(layer, norm()), linear),
    "fold_batch_norm.fold_batch_norm norm": (lambda layer: folded(linear(), layer), norm),
    "init_weights.true_fan_in layer": (whole.true_fan_in, linear),
    "forget_bias.set_forget_bias_ lstm": (
        lambda layer: forget.set_forget_bias_(layer, 3.0).bias_ih_l0[2:4],
        lambda: nn.LSTM(3, 2),
    ),
    "packed_attention.xavier_attention_ attention": (attended, lambda: nn.MultiheadAttention(4, 2)),
    "packed_attention.projections attention": (
        lambda layer: [weight.shape for _, weight in attention.projections(layer)],
        lambda: nn.MultiheadAttention(4, 2),
    ),
}


def normed(layer: nn.Module) -> nn.Module:
    """With a weight that is computed from other parameters."""
    names = {"bias_ih_l0", "in_proj_weight", "weight"} & dict(layer.named_parameters()).keys()
    with torch.random.fork_rng():
        return nn.utils.parametrizations.weight_norm(layer, names.pop())


def hooked(layer: nn.Module) -> nn.Module:
    """With a parameter that a hook computes, as pruning does."""
    names = {"bias_ih_l0", "in_proj_weight", "weight"} & dict(layer.named_parameters()).keys()
    return prune.identity(layer, names.pop())


def first_parameters(layer: nn.Module) -> list[str]:
    """Of `layer` itself, not of those inside of it."""
    return list(dict(layer.named_parameters(recurse=False)))


def replaced(change: Callable[[Tensor], Tensor]) -> Callable[[nn.Module], nn.Module]:
    """With another memory under its parameters."""

    def replace(layer: nn.Module) -> nn.Module:
        for name in first_parameters(layer):
            setattr(layer, name, nn.Parameter(change(getattr(layer, name).detach())))
        return layer

    return replace


COLUMNS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "other": lambda _: nn.PReLU(),
    "normed": normed,
    "hooked": hooked,
    "frozen": lambda layer: layer.requires_grad_(False),
    "meta": lambda layer: layer.to("meta"),
    "half": lambda layer: layer.bfloat16(),
    "nan": lambda layer: nan(layer),
    "expand": replaced(lambda values: values[:1].clone().expand(values.shape)),
    "overlap": replaced(lambda values: overlapping(values, 1)),
    "touch": replaced(touching),
    "infer": lambda layer: inferred(layer),
    "sharded": sharded,
    "float8": replaced(lambda values: values.to(torch.float8_e4m3fn)),
    "active": lambda layer: active(layer),
}


def active(layer: nn.Module) -> nn.Module:
    """With an activation in a hook, which what is read off its parameters does not show."""
    layer.register_forward_hook(lambda _layer, _inputs, output: output.relu())
    return layer


def inferred(layer: nn.Module) -> nn.Module:
    with torch.inference_mode():
        for name in first_parameters(layer):
            setattr(layer, name, nn.Parameter(getattr(layer, name).clone()))
    return layer


def nan(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        parameter.data.fill_(math.nan)
    return layer


@every("pytorch", "layers")
def test_layers(cell: Cell):
    function, plain = LAYERS[cell.row]
    rtol = 5e-2 if cell.column == "half" else 1e-5
    given = COLUMNS[cell.column](plain())
    same = plain()
    if cell.column in ("expand", "overlap", "touch"):  # the same values, each in a place of its own
        same.load_state_dict(given.state_dict())
    hold(cell, lambda: function(same), lambda: function(given), rtol)


ROWS = {"none": [], "one": [1.0], "zero": [1.0, 0.0], "nan": [1.0, math.nan], "inf": [math.inf, 1.0]}


@every("pytorch", "rows")
def test_rows(cell: Cell):
    rows: Any = [LayerGradient(str(i), size, None) for i, size in enumerate(ROWS.get(cell.column, [1.0, 1.0]))]
    rows = Report(rows, {}) if cell.column == "report" else rows
    if cell.sign == "~":
        assert not math.isfinite(factor_per_layer(rows))
    else:
        holds(cell, lambda: factor_per_layer(rows))


def test_a_lazy_layer_is_refused_by_name():
    with pytest.raises(ValueError, match=r"layer must have a weight of its own that holds values"):
        fold.fold_batch_norm(nn.LazyLinear(4), norm())
    with pytest.raises(ValueError, match=r"layer must .*lazy"):
        whole.true_fan_in(nn.LazyLinear(4))
