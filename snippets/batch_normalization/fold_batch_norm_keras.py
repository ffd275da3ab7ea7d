"""Fold every trained batch normalization of a Keras model into the dense layer
or convolution before it.

    scale = gamma / sqrt(var + eps)
    kernel' = scale kernel
    bias' = beta + scale (bias - mean)

At test time mean and variance are constants, so both layers together are one
linear map: the same function, one layer less, and no statistics that could be
wrong. Only for test time: training would have to unfold it.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3.1 and algorithm
2, last step.
"""

from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

LINEAR = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)


def fold_batch_norm(layer: keras.Layer, norm: layers.BatchNormalization) -> keras.Layer:
    """A copy of `layer` (Dense or Conv) that computes what `norm(layer(x),
    training=False)` does; both are built.

    ValueError if `layer` is another one (with a `call` of its own or a kernel
    computed from others) or has an activation, which would stand between the
    two, if one of the two is not built, and if `norm` normalizes another axis
    than that of the outputs, has another number of features than `layer` has
    outputs or does more, as one with an activation inside.
    """
    if misfit := _misfit(layer, norm):
        raise ValueError(misfit)
    # in float16 an epsilon of 1e-8 is 0
    wide = keras.backend.result_type(norm.moving_variance.dtype, "float32")
    scale = ops.rsqrt(ops.cast(norm.moving_variance, wide) + norm.epsilon)
    shift = -ops.cast(norm.moving_mean, wide)
    if layer.use_bias:
        shift = shift + ops.cast(layer.bias, wide)
    if norm.scale:
        scale = scale * ops.cast(norm.gamma, wide)
    shift = scale * shift
    if norm.center:
        shift = shift + ops.cast(norm.beta, wide)
    kernel = scale * ops.cast(layer.kernel, wide)
    return _copy(layer, [kernel, shift], use_bias=True)


class Report(NamedTuple):
    """What became of the batch normalizations of a model, by their paths."""

    reached: dict[str, str]
    """The path of the layer into which it was folded."""
    left: dict[str, str]
    """Why it stays as it is."""


def fold_model(model: keras.Sequential) -> tuple[keras.Sequential, Report]:
    """A copy of `model` in which each pair of Dense or Conv and batch
    normalization is one layer, and what became of each norm.

    Goes into nested Sequentials. What `fold_batch_norm` refuses stays as it is,
    and so does a nested Sequential with a `call` of its own. ValueError if
    `model` is not a Sequential, has such a `call` or is not built, and for a
    layer of your own that cannot be rebuilt from its config.
    """
    if not _in_order(model) or not model.built:
        raise ValueError(
            f"model must be a built Sequential without a call of its own, got {model!r}"
        )
    report = Report({}, {})
    return _folded(model, report), report


def _folded(model: keras.Sequential, report: Report) -> keras.Sequential:
    folded: list[keras.Layer] = []
    before = ""
    for layer in model.layers:
        why = _misfit(folded[-1], layer) if folded else "model starts with it"
        if why is None:
            folded[-1] = fold_batch_norm(folded[-1], layer)
            report.reached[layer.path] = before
            continue
        if _in_order(layer):
            folded.append(_folded(layer, report))
        else:
            folded.append(_copy(layer, layer.get_weights()))
            for norm in layer._flatten_layers():
                if isinstance(norm, layers.BatchNormalization):
                    inside = f"{layer.path!r} has a call of its own around it"
                    report.left[norm.path] = why if norm is layer else inside
        before = layer.path
    return keras.Sequential([keras.Input(batch_shape=model.input_shape), *folded])


def _in_order(model: keras.Layer) -> bool:
    return (
        isinstance(model, keras.Sequential)
        and type(model).call is keras.Sequential.call
    )


def _misfit(layer: keras.Layer, norm: keras.Layer) -> str | None:
    """Why the two are not one linear map, or None."""
    if not any(getattr(type(layer), "call", None) is kind.call for kind in LINEAR):
        return (
            f"layer must be one of {[kind.__name__ for kind in LINEAR]}, got {layer!r}"
        )
    if not isinstance(norm, layers.BatchNormalization):
        return f"norm must be a BatchNormalization, got {norm!r}"
    if not (layer.built and norm.built):
        return f"layer and norm must be built: call both on a batch first, got {layer!r} and {norm!r}"
    # of LoRA: a tensor computed anew at every call; of quantization: int8
    if not _holds_floats(layer.kernel):
        return f"layer must have a kernel of its own, got {layer!r}"
    if layer.activation is not keras.activations.linear:
        return f"layer must have no activation before norm, got {layer.activation.__name__!r}"
    rank, outputs = len(norm.get_build_config()["input_shape"]), layer.kernel.shape[-1]
    first = getattr(layer, "data_format", None) == "channels_first"
    if norm.axis % rank != (1 if first else rank - 1):
        return f"norm must normalize {'axis 1' if first else 'the last axis'}, got axis {norm.axis}"
    if norm.moving_mean.shape != (outputs,):
        return f"norm must have {outputs} features, as layer has outputs, got {norm.moving_mean.shape[0]}"
    if not _norm_alone(norm):
        return (
            f"norm must do no more than normalize, got {norm!r} with a call of its own"
        )
    return None


def _norm_alone(norm: layers.BatchNormalization) -> bool:
    """Whether no activation follows inside, by its `call`: what comes out far
    to both sides of the mean says so.
    """
    if type(norm).call is layers.BatchNormalization.call:
        return True
    copied = _copy(norm, norm.get_weights(), dtype="float32")
    mean, var = copied.moving_mean, copied.moving_variance
    far = 30.0 * ops.sqrt(var + norm.epsilon)
    shape = [1 for _ in norm.get_build_config()["input_shape"]]
    shape[norm.axis] = -1
    x = ops.concatenate(
        [ops.reshape(mean - far, shape), ops.reshape(mean + far, shape)], axis=0
    )
    beta, gamma = (getattr(copied, name, None) for name in ("beta", "gamma"))
    wanted = ops.batch_normalization(x, mean, var, norm.axis, beta, gamma, norm.epsilon)
    given = copied(x, training=False)
    given, wanted = map(ops.convert_to_numpy, (given, wanted))
    return np.allclose(given, wanted, rtol=1e-3, atol=1e-3, equal_nan=True)


def _holds_floats(kernel: keras.Variable) -> bool:
    return isinstance(kernel, keras.Variable) and keras.backend.is_float_dtype(
        kernel.dtype
    )


def _copy(layer: keras.Layer, weights: list, **changes) -> keras.Layer:
    try:
        copied = type(layer).from_config(layer.get_config() | changes)
        if weights:
            copied.build(layer.get_build_config()["input_shape"])
            copied.set_weights(weights)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"model must hold layers that their config and build rebuild, got {layer.path!r}: {error}"
        ) from error
    return copied
