"""Bad numbers, names, shapes and activations, function by function."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snippets.activation_functions import gain_pytorch as gain
from snippets.activation_functions import unit_health_pytorch as health
from snippets.batch_normalization import batch_norm_like_keras_pytorch as like_keras
from snippets.batch_normalization import batch_norm_pytorch as norm
from snippets.exploding_gradients import adaptive_clipping_pytorch as adaptive
from snippets.exploding_gradients import clip_gradients_pytorch as clip
from snippets.he_initialization import he_init_pytorch as he
from snippets.vanishing_gradients import forget_bias_pytorch as forget
from snippets.vanishing_gradients import layer_gradients_pytorch as gradients
from snippets.weight_initialization import delta_orthogonal_pytorch as delta
from snippets.weight_initialization import init_weights_pytorch as whole
from snippets.weight_initialization import looks_linear_pytorch as linear
from snippets.weight_initialization import lsuv_pytorch as lsuv
from snippets.weight_initialization import output_bias_pytorch as output
from snippets.xavier_initialization import packed_attention_pytorch as attention
from snippets.xavier_initialization import xavier_init_pytorch as xavier
from tests.contract.plain_pytorch import (
    NORMALIZED,
    RAISED,
    clipped,
    draws,
    generator,
    network,
    normalized,
    normalized_backward,
)
from tests.contract.table import FLAGS, SEEDS, Cell, every, hold, holds, integer, magnitude, number, scalar


def he_filled(**arguments: float) -> Tensor:
    return he.kaiming_normal_(draws(4, 3), generator=generator(), **arguments)


def clipped_adaptively(**arguments: float) -> object:
    return clipped(lambda parameter: adaptive.clip_adaptively_(parameter, **arguments))(draws(4, 3))


def layered(**arguments: float) -> Tensor:
    return like_keras.BatchNorm1dLikeKeras(3, **arguments)(draws(5, 3))


NUMBER_CALLS: dict[str, Callable[[float], object]] = {
    "he_init.kaiming_std a": lambda a: he.kaiming_std((4, 3), a),
    "he_init.kaiming_normal_ a": lambda a: he_filled(a=a),
    "he_init.kaiming_uniform_ a": lambda a: he.kaiming_uniform_(draws(4, 3), a, generator=generator()),
    "xavier_init.calculate_gain param": lambda param: xavier.calculate_gain("leaky_relu", param),
    "xavier_init.xavier_std gain": lambda gain: xavier.xavier_std((4, 3), gain),
    "xavier_init.xavier_normal_ gain": lambda gain: xavier.xavier_normal_(draws(4, 3), gain, generator()),
    "xavier_init.xavier_uniform_ gain": lambda gain: xavier.xavier_uniform_(draws(4, 3), gain, generator()),
    "packed_attention.xavier_attention_ gain": lambda gain: [
        weight
        for _, weight in attention.projections(
            attention.xavier_attention_(nn.MultiheadAttention(4, 2), gain, generator())
        )
    ],
    "delta_orthogonal.delta_orthogonal_ gain": lambda gain: delta.delta_orthogonal_(draws(4, 3), gain, generator()),
    "init_weights.init_weights_ gain": lambda gain: whole.init_weights_(network(), seed=0, gain=gain),
    "batch_norm.batch_norm momentum": lambda momentum: normalized(momentum=momentum),
    "batch_norm.batch_norm eps": lambda eps: normalized(eps=eps),
    "batch_norm.batch_norm_backward eps": lambda eps: normalized_backward(eps=eps),
    "batch_norm_like_keras.BatchNorm1dLikeKeras momentum": lambda momentum: layered(momentum=momentum),
    "batch_norm_like_keras.BatchNorm1dLikeKeras epsilon": lambda epsilon: layered(epsilon=epsilon),
    "output_bias.sigmoid_bias frequency": output.sigmoid_bias,
    "adaptive_clipping.unit_norm unit_axis": lambda axis: adaptive.unit_norm(draws(4, 3), integer(axis)),
    "adaptive_clipping.clip_adaptively_ clipping": lambda clipping: clipped_adaptively(clipping=clipping),
    "adaptive_clipping.clip_adaptively_ eps": lambda eps: clipped_adaptively(eps=eps),
    "adaptive_clipping.clip_adaptively_ unit_axis": lambda axis: clipped_adaptively(unit_axis=integer(axis)),
    "clip_gradients.clip_by_global_norm_ max_norm": lambda max_norm: clipped(
        lambda parameter: clip.clip_by_global_norm_(parameter, max_norm)
    )(draws(4, 3)),
    "clip_gradients.clip_by_value_ limit": lambda limit: clipped(
        lambda parameter: clip.clip_by_value_(parameter, limit)
    )(draws(4, 3)),
    "forget_bias.set_forget_bias_ value": lambda value: forget.set_forget_bias_(nn.LSTM(3, 2), value).bias_ih_l0[2:4],
    "unit_health.unit_health threshold": lambda threshold: health.unit_health(network(), draws(5, 6), threshold),
}


@every("pytorch", "numbers")
def test_numbers(cell: Cell):
    holds(cell, lambda: NUMBER_CALLS[cell.row](number(cell.column)))


@every("pytorch", "scalars")
def test_scalars(cell: Cell):
    scalar(cell, NUMBER_CALLS[cell.row])


NAMED = {
    "he_init.kaiming_std": lambda **name: he.kaiming_std((4, 3), **name),
    "he_init.kaiming_normal_": lambda **name: he.kaiming_normal_(draws(4, 3), **name),
    "he_init.kaiming_uniform_": lambda **name: he.kaiming_uniform_(draws(4, 3), **name),
    "xavier_init.calculate_gain": xavier.calculate_gain,
    "init_weights.init_weights_": lambda **name: whole.init_weights_(network(), seed=0, **name),
}


@every("pytorch", "names")
def test_names(cell: Cell):
    holds(cell, lambda: NAMED[cell.function](**{cell.argument: ["relu"] if cell.column == "list" else "swish-7"}))


SHAPE_CALLS: dict[str, Callable[[Any], object]] = {
    "he_init.kaiming_std": he.kaiming_std,
    "xavier_init.xavier_std": xavier.xavier_std,
}
SHAPE_COLUMNS: dict[str, Any] = {
    "rank0": (),
    "rank1": (3,),
    "zero-sized": (0, 3),
    "negative": (-4, 3),
    "fraction": (2.5, 3),
    "int": 3,
    "whole": (4.0, 3.0),
    "array": torch.ones(4, 3),
    "None": (None, 3),
}


@every("pytorch", "shapes")
def test_shapes(cell: Cell):
    holds(cell, lambda: SHAPE_CALLS[cell.function](SHAPE_COLUMNS[cell.column]))


ACTIVATIONS: dict[str, Any] = {
    "constant": torch.ones_like,
    "nan": lambda z: z * math.nan,
    "reduces": lambda z: z.softmax(0),
    "complex": lambda z: z * 1j,
    "detached": lambda z: z.detach().relu(),
    "renamed": nn.ReLU(inplace=True),
    "class": nn.ReLU,
    "one": lambda z: 1.0,
    "text": "relu",
}


@every("pytorch", "activations")
def test_activations(cell: Cell):
    function = {"gain.forward_gain": gain.forward_gain, "gain.backward_gain": gain.backward_gain}[cell.function]
    holds(cell, lambda: function(ACTIVATIONS[cell.column]))


def shrunk(before: float, clip_in_place: Callable[[Tensor], object]) -> Tensor | None:
    """The gradient of a parameter of ones, clipped."""
    parameter = nn.Parameter(torch.ones(4))
    parameter.grad = torch.full((4,), before)
    clip_in_place(parameter)
    return parameter.grad


MAGNITUDE_CALLS: dict[str, Callable[[float, float], object]] = {
    "adaptive_clipping.clip_adaptively_ parameters": lambda before, after: shrunk(
        before, lambda parameter: adaptive.clip_adaptively_(parameter, after)
    ),
    "clip_gradients.clip_by_global_norm_ parameters": lambda before, after: shrunk(
        before, lambda parameter: clip.clip_by_global_norm_(parameter, 2.0 * after)
    ),
    "clip_gradients.clip_by_value_ parameters": lambda before, after: shrunk(
        before, lambda parameter: clip.clip_by_value_(parameter, after)
    ),
}


@every("pytorch", "magnitudes")
def test_magnitudes(cell: Cell):
    magnitude(cell, "float32", MAGNITUDE_CALLS[cell.row])


def weights(initialize: Callable[[nn.Module], object]) -> list[Tensor]:
    model = network()
    initialize(model)
    return [parameter.detach() for parameter in model.parameters()]


SEED_CALLS: dict[str, Callable[[Any], object]] = {
    "init_weights.init_weights_ seed": lambda seed: weights(lambda model: whole.init_weights_(model, seed=seed)),
    "looks_linear.looks_linear_ seed": lambda seed: weights(lambda model: linear.looks_linear_(model, seed=seed)),
    "lsuv.lsuv_ seed": lambda seed: weights(lambda model: lsuv.lsuv_(model, draws(5, 6), seed=seed)),
}


@every("pytorch", "seeds")
def test_seeds(cell: Cell):
    hold(cell, lambda: SEED_CALLS[cell.row](1), lambda: SEED_CALLS[cell.row](SEEDS[cell.column]))


@every("pytorch", "flags")
def test_flags(cell: Cell):
    function = {"batch_norm.batch_norm": norm.batch_norm, "batch_norm.batch_norm_backward": norm.batch_norm_backward}
    given = NORMALIZED if cell.function == "batch_norm.batch_norm" else RAISED

    def call(training: Any) -> object:
        return function[cell.function](**given, training=training)

    hold(cell, lambda: call(True), lambda: call(FLAGS[cell.column]))


LOSSES: dict[str, Any] = {
    "value": torch.ones(()),
    "None": None,
    "number": lambda z: z.sum().item(),
    "vector": lambda z: z.mean(1),
    "detached": lambda z: z.detach().sum(),
    "complex": lambda z: z.sum() * 1j,
}


@every("pytorch", "losses")
def test_losses(cell: Cell):
    holds(cell, lambda: gradients.layer_gradients(network(), draws(5, 6), LOSSES[cell.column]))
