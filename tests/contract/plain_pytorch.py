"""What stands plainly in a call of a function of PyTorch: the right input beside the bad one."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from snippets.batch_normalization import batch_norm_pytorch as norm
from snippets.weight_initialization import init_weights_pytorch as whole


class Call(NamedTuple):
    """How a function is called with its argument, and what plainly stands there."""

    function: Callable[[Tensor], object]
    plain: Callable[[], Tensor]


def generator() -> torch.Generator:
    return torch.Generator("cpu").manual_seed(0)


def draws(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(), device="cpu")


def positive(*shape: int) -> Tensor:
    return draws(*shape).abs() + 0.5


@torch.inference_mode(False)
def network() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    whole.init_weights_(model, seed=0)
    return model


def clipped(clip_in_place: Callable[[Tensor], object]) -> Callable[[Tensor], object]:
    """The gradient of a parameter, clipped."""

    def call(gradient: Tensor) -> object:
        if not isinstance(gradient, Tensor) or isinstance(gradient, nn.UninitializedParameter) or gradient.is_nested:
            return clip_in_place(gradient)
        parameter = torch.full_like(gradient.to_dense() if gradient.is_sparse else gradient, 2)
        parameter.grad = gradient
        return clip_in_place(parameter), parameter.grad

    return call


def overlapping(x: Tensor, step: int) -> Tensor:
    """Rows, each of which begins so many entries behind the one before."""
    memory = torch.arange(1.0, x.numel() + 1.0).remainder(3)
    return memory.to(x.dtype).as_strided(x.shape, [step, 1][-x.dim() :])


def touching(x: Tensor) -> Tensor:
    """The last entry of each row is the first of the next."""
    return overlapping(x, x.shape[-1] - 1)


def sharded(module: nn.Module) -> nn.Module:
    """As FSDP does it; one process is enough for another type of parameter."""
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    fully_shard(module, mesh=init_device_mesh("cpu", (1,)))
    return module


NORMALIZED = {
    "x": draws(5, 3),
    "gamma": positive(3),
    "beta": draws(3),
    "running_mean": draws(3),
    "running_var": positive(3),
}
RAISED = {name: value for name, value in NORMALIZED.items() if name != "beta"} | {"grad_y": positive(5, 3)}


def normalized(**arguments: Tensor | float) -> object:
    given = {**NORMALIZED, **arguments}
    return [norm.batch_norm(**given, training=training) for training in (True, False)]


def normalized_backward(**arguments: Tensor | float) -> object:
    given = {**RAISED, **arguments}
    return [norm.batch_norm_backward(**given, training=training) for training in (True, False)]
