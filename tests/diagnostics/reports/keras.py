"""Programs of people whose network failed, in Keras, written anew after their public reports, and their cures."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


class Report(NamedTuple):
    """`make(False)` is the program as reported, `make(True)` the cured one: a compiled model, x, y, batch size and
    epochs, as `diagnose` takes them."""

    source: str
    what: str
    codes: tuple[str, ...]
    """Findings that name the cause; none where the tools cannot know it."""
    make: Callable[[bool], tuple[Any, ...]]


def network(width: int, *units: int, last: Any = None, hidden: str | None = "relu") -> keras.Sequential:
    *inner, outer = units
    return keras.Sequential(
        [keras.Input((width,)), *(layers.Dense(count, hidden) for count in inner), layers.Dense(outer, last)]
    )


def compiled(model: keras.Model, loss: Any, optimizer: Any = "adam") -> keras.Model:
    model.compile(optimizer, loss)
    return model


def above_a_threshold(cured: bool) -> tuple[Any, ...]:
    """One raw column up to 100,000, and a ReLU before binary cross-entropy."""
    draw = np.random.default_rng(0)
    x = draw.uniform(0, 1e5, size=(2000, 1)).astype("float32")
    y = (x > 5e4).astype("float32")
    x = (x - 5e4) / 3e4 if cured else x
    return compiled(network(1, 3, 5, 1, last="sigmoid" if cured else "relu"), "binary_crossentropy"), x, y, 5, 10


def a_line(cured: bool) -> tuple[Any, ...]:
    """y = 2x - 1 from seven points, with a ReLU after the last layer."""
    x = np.arange(-1.0, 6.0, dtype="float32")[:, None]
    x = np.tile(x, (4, 1))
    model = network(1, 16, 1) if cured else network(1, 4, 2, 1, last="relu")
    return compiled(model, "mse", keras.optimizers.Adam(0.01 if cured else 1e-3)), x, 2 * x - 1, 7, 500


def a_distance(cured: bool) -> tuple[Any, ...]:
    """The root of a squared distance, which is exactly zero where padding meets padding."""

    def distance(y: Any, output: Any) -> Any:
        square = ops.sum(ops.square(output - y), axis=-1)
        return ops.mean(ops.sqrt(square + 1e-9) if cured else ops.sqrt(square))

    draw = np.random.default_rng(0)
    x = draw.normal(size=(64, 12)).astype("float32")
    x[::4], y = 0.0, np.maximum(x[:, :6], 0.0)
    y[::4] = 0.0
    return compiled(network(12, 32, 6, last="relu"), distance, keras.optimizers.Adam(0.01)), x, y, 16, 100


def no_positives(cured: bool) -> tuple[Any, ...]:
    """The labels were read wrongly: all are zero."""
    x = np.random.default_rng(0).random((100, 5)).astype("float32") * 4 - 2
    y = (x[:, :1] > 0).astype("float32") if cured else np.zeros((100, 1), "float32")
    return compiled(network(5, 10, 1, last="sigmoid"), "binary_crossentropy", keras.optimizers.Adam(0.01)), x, y, 10, 50


def a_single_neuron(cured: bool) -> tuple[Any, ...]:
    """One output under categorical cross-entropy: loss and accuracy are zero."""
    x = np.random.default_rng(0).normal(size=(200, 8)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    loss = "binary_crossentropy" if cured else "categorical_crossentropy"
    return compiled(network(8, 16, 1, last="sigmoid"), loss, keras.optimizers.Adam(0.01)), x, y, 20, 30


def random_labels(cured: bool) -> tuple[Any, ...]:
    """Inputs and labels that were drawn without each other."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 10)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] > 0) if cured else draw.integers(2, size=(400, 1))
    rate = keras.optimizers.SGD(0.3, momentum=0.9)
    return compiled(network(10, 32, 1, last="sigmoid"), "binary_crossentropy", rate), x, y.astype("float32"), 10, 20


def divided_twice(cured: bool) -> tuple[Any, ...]:
    """Pictures are divided by 255, and once more in the generator."""
    draw = np.random.default_rng(0)
    y = draw.integers(2, size=256)
    x = (draw.random((256, 12, 12, 1)) * (0.5 + y[:, None, None, None] / 2)).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(model, loss, keras.optimizers.SGD(0.05)), x if cured else x / 255, y, 32, 10


def two_softmaxes(cured: bool) -> tuple[Any, ...]:
    """A softmax of TensorFlow before a loss that takes logits."""
    draw = np.random.default_rng(0)
    y = draw.integers(10, size=400)
    x = (np.eye(10)[y] + 0.3 * draw.normal(size=(400, 10))).astype("float32")
    model = network(10, 32, 10, last=None if cured else tf.nn.softmax)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(model, loss, keras.optimizers.Adam(0.01)), x, y, 20, 20


REPORTS = {
    "above a threshold": Report(
        "geeksmental.com, Why does accuracy remain the same",
        "a raw column, and a ReLU before binary cross-entropy",
        ("relu-before-loss", "input-scale"),
        above_a_threshold,
    ),
    "a line": Report(
        "community.deeplearning.ai 324182", "ReLU after the last layer of a regression", ("output-range",), a_line
    ),
    "a distance": Report(
        "matterport/Mask_RCNN #458", "a root of zero in the loss", ("non-finite-gradient",), a_distance
    ),
    "no positives": Report("taourl.com 2035529", "all labels are zero", ("one-target",), no_positives),
    "a single neuron": Report(
        "errorhandle.ai, loss and accuracy are 0",
        "categorical cross-entropy of one output",
        ("one-class-cross-entropy",),
        a_single_neuron,
    ),
    "labels by chance": Report("taourl.com 1854484", "labels are random", ("labels-unrelated",), random_labels),
    "divided twice": Report(
        "anishmadan23/deep3d-pytorch #1",
        "pixels divided by 255 twice",
        ("input-scale", "steps-too-short"),
        divided_twice,
    ),
    "two softmaxes": Report(
        "NaJaeMin92/pytorch-DANN #7", "softmax before cross-entropy", ("softmax-before-cross-entropy",), two_softmaxes
    ),
}
