"""Fold every trained batch normalization of a Keras model into the dense layer
or convolution before it.

    scale = gamma / sqrt(var + eps)
    kernel' = scale kernel
    bias' = beta + scale (bias - mean)

At test time mean and variance are constants, so both layers together are one
linear map: the same function, one layer less, and no statistics that could be
wrong. Only for test time: training would have to unfold it.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3.1 and algorithm
2, last step.
"""

import keras
from keras import layers, ops

LINEAR = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)


def fold_batch_norm(layer: keras.Layer, norm: layers.BatchNormalization) -> keras.Layer:
    """A copy of `layer` (Dense or Conv) that computes what `norm(layer(x),
    training=False)` does; both are built.

    ValueError if `layer` has an activation, which would stand between the two,
    or if `norm` normalizes another axis than the last or has another number of
    features than `layer` has outputs.
    """
    outputs = layer.kernel.shape[-1]
    if layer.activation is not keras.activations.linear:
        raise ValueError(f"layer must have no activation before norm, got {layer.activation.__name__!r}")
    if norm.axis not in (-1, len(norm.get_build_config()["input_shape"]) - 1):
        raise ValueError(f"norm must normalize the last axis, got axis {norm.axis}")
    if norm.moving_mean.shape != (outputs,):
        raise ValueError(f"norm must have {outputs} features, as layer has outputs, got {norm.moving_mean.shape[0]}")
    scale, shift = ops.rsqrt(norm.moving_variance + norm.epsilon), -norm.moving_mean
    if layer.use_bias:
        shift = shift + layer.bias
    if norm.scale:
        scale = scale * norm.gamma
    shift = scale * shift
    if norm.center:
        shift = shift + norm.beta
    return _copy(layer, [layer.kernel * scale, shift], use_bias=True)


def fold_model(model: keras.Sequential) -> keras.Sequential:
    """A copy of `model` in which each pair of Dense or Conv and batch
    normalization is one layer.

    Goes into nested Sequentials. A batch normalization that follows no such
    layer, or one with an activation, stays as it is.
    """
    folded: list[keras.Layer] = []
    for layer in model.layers:
        before = folded[-1] if folded else None
        foldable = isinstance(before, LINEAR) and before.activation is keras.activations.linear
        if isinstance(layer, keras.Sequential):
            folded.append(fold_model(layer))
        elif isinstance(layer, layers.BatchNormalization) and foldable:
            folded[-1] = fold_batch_norm(before, layer)
        else:
            folded.append(_copy(layer, layer.get_weights()))
    return keras.Sequential([keras.Input(batch_shape=model.input_shape), *folded])


def _copy(layer: keras.Layer, weights: list, **changes) -> keras.Layer:
    copied = type(layer).from_config(layer.get_config() | changes)
    if weights:
        copied.build(layer.get_build_config()["input_shape"])
        copied.set_weights(weights)
    return copied
