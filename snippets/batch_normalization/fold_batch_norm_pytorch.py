"""Fold every trained batch normalization of a PyTorch model into the linear
layer or convolution before it.

    scale = gamma / sqrt(var + eps)
    weight' = scale weight
    bias' = beta + scale (bias - mean)

At test time mean and variance are constants, so both layers together are one
linear map: the same function, one layer less, and no statistics that could be
wrong. Only for test time: training would have to unfold it.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3.1 and algorithm
2, last step.
"""

import copy
from collections import OrderedDict
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import nn

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
Norm = nn.modules.batchnorm._BatchNorm
NORM_OF: dict[type[nn.Module], type[Norm]] = {
    nn.Linear: nn.BatchNorm1d,
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


@torch.no_grad()
def fold_batch_norm(layer: Any, norm: Any) -> Layer:
    """A copy of `layer` (Linear or Conv) that computes what `norm(layer(x))`
    does in evaluation mode.

    A folded Linear takes rows (B, in) alone: on more axes the two would not
    normalize what it puts out, and it raises ValueError. ValueError also if
    `layer` is another one (transposed, with a `forward` of its own or a weight
    computed from other parameters), if `norm` is not of its kind, keeps no
    running statistics, has another number of features than `layer` has outputs
    or does more, as one with an activation inside, and if one of the two has a
    forward hook.
    """
    if misfit := _misfit(layer, norm):
        raise ValueError(misfit)
    # in float16 an eps of 1e-8 is 0
    wide = norm.running_var.to(torch.promote_types(norm.running_var.dtype, torch.float))
    scale, shift = torch.rsqrt(wide + norm.eps), -norm.running_mean
    if layer.bias is not None:
        shift = shift + layer.bias
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = scale * shift + (0.0 if norm.bias is None else norm.bias)
    folded = copy.deepcopy(layer)
    folded.weight.mul_(scale.reshape(-1, *[1] * (layer.weight.ndim - 1)))
    trained = layer.weight if layer.bias is None else layer.bias
    folded.bias = nn.Parameter(shift.to(layer.weight.dtype), trained.requires_grad)
    if isinstance(layer, nn.Linear):
        folded.register_forward_pre_hook(_rows_only)
    return folded


def _rows_only(layer: nn.Module, inputs: tuple) -> None:
    if inputs[0].dim() != 2:
        raise ValueError(
            f"x must have shape (B, in) for a Linear with a folded norm, got {tuple(inputs[0].shape)}"
        )


def _misfit(layer: Any, norm: Any) -> str | None:
    """Why the two are not one linear map, or None."""
    kind = next(
        (
            kind
            for kind in NORM_OF
            if getattr(type(layer), "forward", None) is kind.forward
        ),
        None,
    )
    if kind is None:
        return (
            f"layer must be one of {[kind.__name__ for kind in NORM_OF]}, got {layer}"
        )
    if layer._forward_hooks:
        return f"layer must have no forward hook, which would see another output, got {layer}"
    # weight_norm and others put a tensor computed anew at every call there
    weight = layer._parameters.get("weight")
    if weight is None or isinstance(weight, nn.UninitializedParameter):
        return f"layer must have a weight of its own that holds values, got {layer}"
    if not weight.is_floating_point() or weight.element_size() < 2:
        return (
            f"layer must have a floating weight of 16 bits or more, got {weight.dtype}"
        )
    if not isinstance(norm, (NORM_OF[kind], nn.SyncBatchNorm)):
        return (
            f"norm must be a {NORM_OF[kind].__name__} after {kind.__name__}, got {norm}"
        )
    if norm.running_var is None:
        return f"norm must keep running statistics to be folded, got {norm}"
    if any(hasattr(own, "device_mesh") for own in (weight, norm.weight)):
        return f"layer and norm must not be sharded, got {weight} and {norm.weight}"
    if weight.is_meta or weight.device != norm.running_var.device:
        return f"layer and norm must hold values on one device, got {weight.device} and {norm.running_var.device}"
    if norm.num_features != len(layer.weight):
        return f"norm must have {len(layer.weight)} features, as layer has outputs, got {norm.num_features}"
    if norm._forward_hooks or norm._forward_pre_hooks:
        return f"norm must have no forward hook, which nothing would call, got {norm}"
    if not _norm_alone(norm, weight.dim()):
        return (
            f"norm must do no more than normalize, got {norm} with a forward of its own"
        )
    return None


@torch.no_grad()
def _norm_alone(norm: Norm, rank: int) -> bool:
    """Whether no activation follows inside its `forward`: what comes out far
    to both sides of the mean says so.
    """
    if type(norm).forward in (Norm.forward, nn.SyncBatchNorm.forward):
        return True
    copied: Any = copy.deepcopy(norm).to("cpu", torch.float64).eval()
    mean, var = copied.running_mean, copied.running_var
    far = 30.0 * (var + norm.eps).sqrt()
    x = torch.stack([mean - far, mean + far]).reshape(2, -1, *[1] * (rank - 2))
    wanted = nn.functional.batch_norm(
        x, mean, var, copied.weight, copied.bias, eps=norm.eps
    )
    return torch.allclose(copied(x), wanted, rtol=1e-3, atol=1e-3, equal_nan=True)


class Report(NamedTuple):
    """What became of the batch normalizations of a model, by their names as in
    `named_modules`.
    """

    reached: dict[str, str]
    """The name of the layer into which it was folded."""
    left: dict[str, str]
    """Why it stays as it is."""


def fold_model(model: nn.Sequential) -> tuple[nn.Sequential, Report]:
    """A copy of `model`, in evaluation mode, in which each pair of Linear or
    Conv and batch normalization is one layer, and what became of each norm.

    Goes into nested Sequentials, and takes their order for the order of
    computation. Names stay, where they are no numbers. What `fold_batch_norm`
    refuses stays as it is, and so does a nested Sequential with a `forward` or
    a hook of its own. ValueError if `model` is not a Sequential or has one, for
    a lazy or sharded parameter, and for a layer that cannot be copied, as one
    with a weight that a hook computes.
    """
    if not _in_order(model):
        raise ValueError(
            f"model must be a Sequential without a forward or a hook of its own, got {type(model).__name__}"
        )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise ValueError(f"model must have seen a batch: {name!r} is lazy")
        if hasattr(parameter, "device_mesh"):
            raise ValueError(f"model must not be sharded, got {name!r}")
    report = Report({}, {})
    return _folded(model, "", report), report


def _folded(model: nn.Sequential, place: str, report: Report) -> nn.Sequential:
    layers: OrderedDict[str, Any] = OrderedDict()
    before = ""
    for key, layer in model._modules.items():
        name = place + key
        why = _misfit(layers[before], layer) if layers else "model starts with it"
        if why is None:
            layers[before] = fold_batch_norm(layers[before], layer)
            report.reached[name] = place + before
            continue
        if _in_order(layer):
            layers[key] = _folded(layer, f"{name}.", report)
        else:
            try:
                layers[key] = copy.deepcopy(layer)
            except RuntimeError as error:  # a tensor that is no leaf
                raise ValueError(
                    f"model must hold layers that can be copied, got {name!r}: {error}"
                ) from error
            for inner, norm in layer.named_modules(prefix=name):
                if isinstance(norm, Norm):
                    inside = f"{name!r} has a forward or a hook of its own around it"
                    report.left[inner] = why if norm is layer else inside
        before = key
    # numbers count on without a gap, since `append` goes by the length
    if all(key.isdigit() for key in layers):
        return nn.Sequential(*layers.values()).eval()
    return nn.Sequential(layers).eval()


def _in_order(model: nn.Module) -> TypeGuard[nn.Sequential]:
    return (
        isinstance(model, nn.Sequential)
        and type(model).forward is nn.Sequential.forward
        and not (model._forward_hooks or model._forward_pre_hooks)
    )
