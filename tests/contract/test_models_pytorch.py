"""Bad models, function by function."""

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from snippets.activation_functions import unit_health_pytorch as health
from snippets.batch_normalization import fold_batch_norm_pytorch as fold
from snippets.batch_normalization import freeze_batch_norm_pytorch as freeze
from snippets.exploding_gradients import finite_guard_pytorch as guard
from snippets.vanishing_gradients import layer_gradients_pytorch as gradients
from snippets.weight_initialization import init_weights_pytorch as whole
from snippets.weight_initialization import looks_linear_pytorch as linear
from snippets.weight_initialization import lsuv_pytorch as lsuv
from snippets.weight_initialization import residual_scaling_pytorch as residual
from tests.contract.plain_pytorch import (
    draws,
    generator,
    overlapping,
    sharded,
    touching,
)
from tests.contract.table import Cell, every, hold


class Wrapper(nn.Module):
    """A layer of somebody's own around a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = model

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def chain() -> list[nn.Module]:
    layers = [nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)]
    state = generator()
    for layer in layers:
        for parameter in layer.parameters():
            parameter.data.uniform_(0.5, 1.0, generator=state)
    return layers


def shared() -> nn.Module:
    layers = chain()
    layers.insert(4, layers[3])
    return nn.Sequential(*layers)


def alias() -> nn.Module:
    """Two layers with one memory, each with a Parameter of its own."""
    layers = chain()
    layers[4:4] = [nn.Linear(4, 4), nn.ReLU()]
    layers[4].load_state_dict(layers[3].state_dict())
    layers[4].weight.data = layers[3].weight.data
    return nn.Sequential(*layers)


def parametrized() -> nn.Module:
    layers = chain()
    nn.utils.parametrizations.weight_norm(layers[3])
    return nn.Sequential(*layers)


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), *chain()[2:])


def nested() -> nn.Module:
    first, second, *others = chain()
    return nn.Sequential(nn.Sequential(first, second), nn.Sequential(*others))


def compiled() -> nn.Module:
    model = torch.compile(nn.Sequential(*chain()), backend="eager")
    with torch.no_grad():
        model.eval()(draws(5, 6))
    return model.train()


def frozen() -> nn.Module:
    return nn.Sequential(*chain()).requires_grad_(False)


def inference() -> nn.Module:
    with torch.inference_mode():
        return nn.Sequential(*chain())


def replaced(change: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    """With another memory under the weight of a layer in the middle."""

    def make() -> nn.Module:
        layers = chain()
        layers[3].weight = nn.Parameter(change(layers[3].weight.detach()))
        return nn.Sequential(*layers)

    return make


def hooked() -> nn.Module:
    """With a weight that a hook computes, as `weight_norm` did it before there were parametrizations."""
    layers = chain()
    prune.identity(layers[3], "weight")
    return nn.Sequential(*layers)


def quantized() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(*chain()), {nn.Linear})


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(nn.Sequential(*chain()))


def holding_nan() -> nn.Module:
    layers = chain()
    layers[3].weight.data[0, 0] = math.nan
    return nn.Sequential(*layers)


MODEL_COLUMNS: dict[str, Callable[[], nn.Module]] = {
    "empty": nn.Sequential,
    "no-layer": lambda: nn.Sequential(nn.Flatten(), nn.ReLU()),
    "frozen": frozen,
    "shared": shared,
    "alias": alias,
    "normed": parametrized,
    "nested": nested,
    "lazy": lazy,
    "wrapped": lambda: Wrapper(nn.Sequential(*chain())),
    "compiled": compiled,
    "meta": lambda: nn.Sequential(*chain()).to("meta"),
    "nan": holding_nan,
    "half": lambda: nn.Sequential(*chain()).bfloat16(),
    "expand": replaced(lambda weight: weight[:1].clone().expand(weight.shape)),
    "overlap": replaced(lambda weight: overlapping(weight, 1)),
    "touch": replaced(touching),
    "infer": inference,
    "sharded": lambda: sharded(nn.Sequential(*chain())),
    "quant": quantized,
    "scripted": scripted,
    "hooked": hooked,
    "float8": replaced(lambda weight: weight.to(torch.float8_e4m3fn)),
    "within": lambda: nn.Sequential(*chain()),
    "device": lambda: nn.Sequential(*chain()),
}


def inputs_of(model: nn.Module) -> Tensor:
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    return draws(5, 6).to(next((p.dtype for p in parameters if p.is_floating_point()), torch.float32))


def evaluated(model: nn.Module) -> nn.Module:
    return model.eval() if isinstance(model, nn.Module) else model


def guarded(model: nn.Module) -> Tensor:
    with guard.finite_guard(model):
        return model(inputs_of(model))


def in_place(change: Callable[[nn.Module], object]) -> Callable[[nn.Module], object]:
    """What is left of the model: all its numbers, in order."""

    def call(model: nn.Module) -> object:
        result = change(model)
        numbers = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
        return [value for value in numbers.values() if isinstance(value, Tensor)], result

    return call


MODEL_CALLS: dict[str, Callable[[nn.Module], object]] = {
    "init_weights.init_weights_ model": in_place(lambda model: whole.init_weights_(model, seed=0)),
    "lsuv.lsuv_ model": in_place(lambda model: lsuv.lsuv_(model, inputs_of(model), seed=0)),
    "looks_linear.looks_linear_ model": in_place(lambda model: linear.looks_linear_(model, seed=0)),
    "freeze_batch_norm.freeze_batch_norm_ model": in_place(
        lambda model: (len(freeze.freeze_batch_norm_(model).reached), model(inputs_of(model)))
    ),
    "fold_batch_norm.fold_model model": lambda model: fold.fold_model(model)[0](inputs_of(model)),
    "unit_health.unit_health model": lambda model: health.unit_health(evaluated(model), inputs_of(model)),
    "layer_gradients.layer_gradients model": lambda model: gradients.layer_gradients(
        model, inputs_of(model), lambda z: z.float().square().mean()
    ),
    "finite_guard.finite_guard model": guarded,
    "residual_scaling.gpt2_scale_ branches": in_place(lambda model: residual.gpt2_scale_([model, model])),
    "residual_scaling.fixup_ branches": in_place(lambda model: residual.fixup_([model, model])),
    "residual_scaling.zero_gamma_ branches": in_place(lambda model: residual.zero_gamma_([model, model])),
}


@pytest.mark.filterwarnings("ignore:Lazy modules")
@every("pytorch", "models")
def test_models(cell: Cell):
    model = MODEL_COLUMNS[cell.column]()
    before = entries(model)
    call = MODEL_CALLS[cell.row]
    same = cell.column in ("nested", "wrapped", "compiled", "half")

    def seeded(model: nn.Module) -> object:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return call(model)

    def given() -> object:
        # what is made in between must not follow the default
        with torch.inference_mode(cell.column == "within"), torch.device("meta" if cell.column == "device" else "cpu"):
            return seeded(model)

    hold(
        cell,
        lambda: seeded(nn.Sequential(*chain()) if same else MODEL_COLUMNS[cell.column]()),
        given,
        5e-2 if cell.column == "half" else 1e-5,
    )
    if cell.sign == "x":
        torch.testing.assert_close(entries(model), before, rtol=0, atol=0, equal_nan=True)


def entries(model: nn.Module) -> dict[str, Tensor]:
    """Copies of what it holds, as far as there are values."""
    held = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    held = {name: value for name, value in held.items() if not nn.parameter.is_lazy(value) and not value.is_meta}
    whole = {name: value.full_tensor() if hasattr(value, "full_tensor") else value for name, value in held.items()}
    return {name: value.detach().to(torch.float64, copy=True) for name, value in whole.items()}
