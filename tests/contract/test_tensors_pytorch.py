"""Bad tensors, function by function, and functions that are compiled or called in inference mode."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snippets.activation_functions import softmax_cross_entropy_pytorch as softmax
from snippets.activation_functions import unit_health_pytorch as health
from snippets.batch_normalization import batch_norm_like_keras_pytorch as like_keras
from snippets.exploding_gradients import adaptive_clipping_pytorch as adaptive
from snippets.exploding_gradients import clip_gradients_pytorch as clip
from snippets.he_initialization import he_init_pytorch as he
from snippets.vanishing_gradients import layer_gradients_pytorch as gradients
from snippets.weight_initialization import delta_orthogonal_pytorch as delta
from snippets.weight_initialization import looks_linear_pytorch as linear
from snippets.weight_initialization import lsuv_pytorch as lsuv
from snippets.weight_initialization import output_bias_pytorch as output
from snippets.xavier_initialization import xavier_init_pytorch as xavier
from tests.contract.plain_pytorch import (
    Call,
    clipped,
    draws,
    generator,
    network,
    normalized,
    normalized_backward,
    overlapping,
    positive,
    touching,
)
from tests.contract.table import COLLECTIONS, Cell, every, hold

CALLS = {
    "he_init.kaiming_normal_ tensor": Call(lambda x: he.kaiming_normal_(x, generator=generator()), lambda: draws(4, 3)),
    "he_init.kaiming_uniform_ tensor": Call(
        lambda x: he.kaiming_uniform_(x, generator=generator()), lambda: draws(4, 3)
    ),
    "xavier_init.xavier_normal_ tensor": Call(
        lambda x: xavier.xavier_normal_(x, generator=generator()), lambda: draws(4, 3)
    ),
    "xavier_init.xavier_uniform_ tensor": Call(
        lambda x: xavier.xavier_uniform_(x, generator=generator()), lambda: draws(4, 3)
    ),
    "delta_orthogonal.delta_orthogonal_ weight": Call(
        lambda x: delta.delta_orthogonal_(x, generator=generator()), lambda: draws(4, 3)
    ),
    "looks_linear.mirrored block": Call(lambda x: linear.mirrored(x, True, True), lambda: draws(4, 3).round()),
    "softmax_cross_entropy.softmax_cross_entropy logits": Call(
        lambda x: softmax.softmax_cross_entropy(x, torch.tensor([0, 2, 1, 1])), lambda: draws(4, 3)
    ),
    "softmax_cross_entropy.softmax_cross_entropy labels": Call(
        lambda x: softmax.softmax_cross_entropy(draws(4, 3), x), lambda: torch.tensor([0, 2, 1, 1])
    ),
    "batch_norm.batch_norm x": Call(lambda x: normalized(x=x), lambda: draws(5, 3)),
    "batch_norm.batch_norm gamma": Call(lambda x: normalized(gamma=x), lambda: positive(3)),
    "batch_norm.batch_norm beta": Call(lambda x: normalized(beta=x), lambda: draws(3)),
    "batch_norm.batch_norm running_mean": Call(lambda x: normalized(running_mean=x), lambda: draws(3)),
    "batch_norm.batch_norm running_var": Call(lambda x: normalized(running_var=x), lambda: positive(3)),
    "batch_norm.batch_norm_backward grad_y": Call(lambda x: normalized_backward(grad_y=x), lambda: positive(5, 3)),
    "batch_norm.batch_norm_backward x": Call(lambda x: normalized_backward(x=x), lambda: draws(5, 3)),
    "batch_norm.batch_norm_backward gamma": Call(lambda x: normalized_backward(gamma=x), lambda: positive(3)),
    "batch_norm.batch_norm_backward running_mean": Call(
        lambda x: normalized_backward(running_mean=x), lambda: draws(3)
    ),
    "batch_norm.batch_norm_backward running_var": Call(
        lambda x: normalized_backward(running_var=x), lambda: positive(3)
    ),
    "batch_norm_like_keras.BatchNorm1dLikeKeras x": Call(
        lambda x: like_keras.BatchNorm1dLikeKeras(3)(x), lambda: draws(5, 3)
    ),
    "output_bias.softmax_bias counts": Call(output.softmax_bias, lambda: torch.tensor([1.0, 2.0, 5.0])),
    "adaptive_clipping.unit_norm tensor": Call(adaptive.unit_norm, lambda: draws(4, 3)),
    "adaptive_clipping.clip_adaptively_ parameters": Call(clipped(adaptive.clip_adaptively_), lambda: draws(4, 3)),
    "clip_gradients.global_norm tensors": Call(clip.global_norm, lambda: draws(4, 3)),
    "clip_gradients.clip_by_global_norm_ parameters": Call(
        clipped(lambda parameter: clip.clip_by_global_norm_(parameter, 0.5)), lambda: draws(4, 3)
    ),
    "clip_gradients.clip_by_value_ parameters": Call(
        clipped(lambda parameter: clip.clip_by_value_(parameter, 0.5)), lambda: draws(4, 3)
    ),
    "unit_health.unit_health batch": Call(lambda x: health.unit_health(network(), x), lambda: draws(5, 6)),
    "layer_gradients.layer_gradients inputs": Call(
        lambda x: gradients.layer_gradients(network(), x, lambda z: z.square().mean()), lambda: draws(5, 6)
    ),
    "lsuv.lsuv_ inputs": Call(lambda x: lsuv.lsuv_(network(), x, seed=0), lambda: draws(5, 6)),
}


def holding(value: float) -> Callable[[Tensor], Tensor]:
    def put(x: Tensor) -> Tensor:
        x.view(-1)[0] = value
        return x

    return put


def inference(x: Tensor) -> Tensor:
    with torch.inference_mode():
        return x.clone()


def quantized(x: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(x.float(), 0.1, 10, torch.quint8)


def nested(x: Tensor, layout: torch.layout) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([x.flatten()[:2], x.flatten()[:3]], layout=layout)


COLUMNS: dict[str, Callable[[Tensor], Tensor]] = {
    "rank0": lambda x: x.flatten()[0].clone(),
    "rank1": lambda x: x.flatten(),
    "empty": lambda x: x[:0].clone(),
    "int": lambda x: x.round().to(torch.int32),
    "bool": lambda x: x > 0,
    "complex": lambda x: x.to(torch.complex64),
    "sparse": lambda x: x.to_sparse(),
    "quant": quantized,
    "float8": lambda x: x.to(torch.float8_e4m3fn),
    "meta": lambda x: x.to("meta"),
    "nan": holding(math.nan),
    "inf": holding(math.inf),
    # the same values, every second one of a memory twice as large
    "view": lambda x: torch.stack([x, x], dim=-1)[..., 0],
    "leaf": lambda x: x.clone().requires_grad_(),
    "infer": inference,
    "half": lambda x: x.to(torch.bfloat16),
    "expand": lambda x: x[:1].clone().expand(x.shape),
    "overlap": lambda x: overlapping(x, 1),
    "touch": touching,
    "nested": lambda x: nested(x, torch.strided),
    "jagged": lambda x: nested(x, torch.jagged),
    "lazy": lambda _: nn.UninitializedParameter(),
}
OWN_VALUES = ("rank0", "rank1", "empty", "half", "int", "expand", "overlap", "touch")
"""What is compared with a copy of the same values, not with the plain call."""


@every("pytorch", "tensors")
def test_tensors(cell: Cell):
    call = CALLS[cell.row]
    given = COLUMNS[cell.column](call.plain())
    if cell.column == "meta" and cell.sign == "=":
        result = call.function(given)
        assert _stay_meta(result)
        return
    # what a change of shape or dtype alone changes
    same = call.plain() if cell.column not in OWN_VALUES else given.clone()
    wanted = same.to(torch.get_default_dtype()) if same.dtype == torch.bfloat16 else same
    before = entries(given)
    hold(cell, lambda: call.function(wanted), lambda: call.function(given), 2e-2 if cell.column == "half" else 1e-5)
    if cell.sign in ("x", "t"):
        torch.testing.assert_close(entries(given), before, rtol=0, atol=0, equal_nan=True)


def entries(x: Tensor) -> list[Tensor]:
    """Copies of what it holds, in its places."""
    if isinstance(x, nn.UninitializedParameter) or x.is_meta:
        return []
    if x.is_nested:
        return [part.clone() for part in x.unbind()]
    x = x.detach().dequantize() if x.is_quantized else x.detach().to_dense() if x.is_sparse else x.detach()
    return [x.to(torch.complex128) if x.element_size() > 1 else x.to(torch.float64)]


def _stay_meta(result: object) -> bool:
    if isinstance(result, Tensor):
        return result.is_meta
    return any(_stay_meta(part) for part in result if part is not None)


COLLECTED: dict[str, Callable[[Any], object]] = {
    "adaptive_clipping.clip_adaptively_ parameters": adaptive.clip_adaptively_,
    "clip_gradients.global_norm tensors": clip.global_norm,
    "clip_gradients.clip_by_global_norm_ parameters": lambda several: clip.clip_by_global_norm_(several, 0.5),
    "clip_gradients.clip_by_value_ parameters": lambda several: clip.clip_by_value_(several, 0.5),
}


@every("pytorch", "collections")
def test_collections(cell: Cell):
    def call(collect: Callable[[list], Any]) -> object:
        several = [nn.Parameter(draws(4, 3)), nn.Parameter(draws(4))]
        for parameter in several:
            parameter.grad = 2 * parameter.detach()
        return COLLECTED[cell.row](collect(several)), [parameter.grad for parameter in several]

    hold(cell, lambda: call(list), lambda: call(COLLECTIONS[cell.column]))


# Of a generator torch.compile makes no graph; the global one draws another way in a graph than outside.
DRAWN = {
    "he_init.kaiming_normal_ tensor": lambda x: he.kaiming_normal_(x).shape,
    "he_init.kaiming_uniform_ tensor": lambda x: he.kaiming_uniform_(x).shape,
    "xavier_init.xavier_normal_ tensor": lambda x: xavier.xavier_normal_(x).shape,
    "xavier_init.xavier_uniform_ tensor": lambda x: xavier.xavier_uniform_(x).shape,
    "delta_orthogonal.delta_orthogonal_ weight": lambda x: delta.delta_orthogonal_(x).shape,
}


# Older versions of torch.compile do not see a gradient that is assigned inside of the graph.
CLIPPED: dict[str, Callable[[Tensor], object]] = {
    "adaptive_clipping.clip_adaptively_ parameters": adaptive.clip_adaptively_,
    "clip_gradients.clip_by_global_norm_ parameters": lambda parameter: clip.clip_by_global_norm_(parameter, 0.5),
    "clip_gradients.clip_by_value_ parameters": lambda parameter: clip.clip_by_value_(parameter, 0.5),
}


@every("pytorch", "called")
def test_called(cell: Cell):
    function, plain = CALLS[cell.row]
    if cell.column == "compiled":
        function = DRAWN.get(cell.row, function)
        torch._dynamo.reset()
    given, same = plain(), plain()
    if cell.row == "batch_norm_like_keras.BatchNorm1dLikeKeras x":
        layer = like_keras.BatchNorm1dLikeKeras(3)

        def function(x: Tensor) -> Tensor:
            return layer(x)

    def call() -> object:
        if cell.column == "inference":
            with torch.inference_mode():
                return function(given)
        if cell.column == "device":
            with torch.device("meta"):
                return function(given)
        if cell.row in CLIPPED:
            return clipped(torch.compile(CLIPPED[cell.row], fullgraph=True, backend="aot_eager"))(given)
        return torch.compile(function, fullgraph=True, backend="aot_eager")(given)

    hold(cell, lambda: function(same), call)
