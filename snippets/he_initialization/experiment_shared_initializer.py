"""One Keras initializer for several layers gives all the same kernel; on one input training keeps the twins alike.

Source: Keras documentation of `keras.initializers.HeNormal`, argument `seed`: an initializer seeded with an integer or
None returns the same values at every call; one seeded with a `keras.random.SeedGenerator` does not.
"""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure

from snippets.he_initialization.he_init_keras import HeNormal
from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits

HEADS, UNITS, STEPS = 4, 16, 30


class Heads(NamedTuple):
    """Four heads on the same digits, their logits averaged."""

    before: list[float]
    """Distance between the kernels of each pair of heads, over the norm of one; sqrt(2) for independent draws."""

    after: list[float]
    """The same after 30 steps of SGD."""

    first_units: np.ndarray
    """Weights of the first unit of each head after training, shape (HEADS, 8, 8): one per pixel."""


class Ways(NamedTuple):
    """Ways to give an initializer to the layers of the heads."""

    shared: Heads
    """One HeNormal() for all."""

    same_seed: Heads
    """HeNormal(seed=0) written in each."""

    by_name: Heads
    """The text "he_normal" in each."""

    seed_generator: Heads
    """One HeNormal for all whose seed is a SeedGenerator."""

    he_init_keras: Heads
    """One HeNormal for all, from he_init_keras.py."""


def measure(seed: int = 0) -> Ways:
    keras.utils.set_random_seed(seed)  # "he_normal" has no other seed
    shared = keras.initializers.HeNormal()
    seed_generator = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(seed))
    ours = HeNormal(seed=seed)
    return Ways(
        shared=_train(lambda: shared, seed),
        same_seed=_train(lambda: keras.initializers.HeNormal(seed=0), seed),
        by_name=_train(lambda: "he_normal", seed),
        seed_generator=_train(lambda: seed_generator, seed),
        he_init_keras=_train(lambda: ours, seed),
    )


def _train(initializer: Callable[[], str | keras.Initializer], seed: int) -> Heads:
    digits, generator = load_digits(), np.random.default_rng(seed)
    pixels = keras.Input((64,))
    hidden = [
        layers.Dense(UNITS, activation="relu", kernel_initializer=initializer())
        for _ in range(HEADS)
    ]
    logits = [
        layers.Dense(10, kernel_initializer=initializer())(layer(pixels))
        for layer in hidden
    ]
    model = keras.Model(pixels, layers.Average()(logits))
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.optimizer.learning_rate = 0.5
    before = _kernels(hidden)
    for _ in range(STEPS):
        rows = generator.integers(len(digits.train_labels), size=64)
        model.train_on_batch(digits.train_inputs[rows], digits.train_labels[rows])
    after = _kernels(hidden)
    return Heads(
        _distances(before), _distances(after), after[:, :, 0].reshape(HEADS, 8, 8)
    )


def _kernels(dense: list[layers.Dense]) -> np.ndarray:
    return np.stack([layer.kernel.numpy() for layer in dense])


def _distances(kernels: np.ndarray) -> list[float]:
    return [
        float(np.linalg.norm(a - b) / np.linalg.norm(a))
        for a, b in combinations(kernels, 2)
    ]


CLAIMS = (
    Claim(
        statement="One `HeNormal()` in four layers: largest distance between two kernels, over their norm",
        value=lambda measured: max(measured.shared.before),
        interval=(0.0, 0.0),
        rival=lambda measured: min(measured.by_name.before),
        rival_of="independent draws",
        reason="The same object draws the same values for the same shape, and says nothing.",
        format=".0f",
    ),
    Claim(
        statement="The same after 30 steps of training",
        value=lambda measured: max(measured.shared.after),
        interval=(0.0, 1e-4),
        rival=lambda measured: min(measured.by_name.after),
        rival_of="independent draws",
        budget="SGD, learning rate 0.5, batches of 64",
        reason="Equal kernels get equal gradients; rounding aside.",
        format=".0g",
    ),
    Claim(
        statement="`HeNormal(seed=0)` written in every layer: largest distance after training",
        value=lambda measured: max(measured.same_seed.after),
        interval=(0.0, 1e-4),
        rival=lambda measured: min(measured.by_name.after),
        rival_of="independent draws",
        budget="30 steps of SGD, learning rate 0.5, batches of 64",
        reason="Another object with the same seed is no other draw.",
        format=".0g",
    ),
    Claim(
        statement='The text `"he_normal"` in every layer: smallest distance',
        value=lambda measured: min(measured.by_name.before),
        interval=(1.3, 1.53),
        rival=lambda measured: max(measured.shared.before),
        rival_of="one shared object",
        reason="$\\sqrt2$ for independent draws; 1024 weights scatter by 0.03.",
        format=".2f",
    ),
    Claim(
        statement="One `HeNormal` with a `SeedGenerator`, or one of `he_init_keras.py`: smallest distance",
        value=lambda measured: min(
            measured.seed_generator.before + measured.he_init_keras.before
        ),
        interval=(1.3, 1.53),
        rival=lambda measured: max(measured.shared.before),
        rival_of="one shared `HeNormal()`",
        reason="Both draw anew at every call.",
        format=".2f",
    ),
)


LABELS = (
    "one HeNormal()",
    "HeNormal(seed=0)\nin each",
    '"he_normal"\nin each',
    "one HeNormal with\na SeedGenerator",
    "one HeNormal of\nhe_init_keras.py",
)


def plot(measured: Ways) -> Figure:
    figure = Figure(figsize=(4.6, 4.2))
    axes = figure.subplots()
    # One picture of all units, with empty pixels between them.
    picture = np.full((10 * len(measured), 10 * HEADS), np.nan)
    for row, heads in enumerate(measured):
        for column, weights in enumerate(heads.first_units):
            picture[10 * row + 1 : 10 * row + 9, 10 * column + 1 : 10 * column + 9] = (
                weights / np.abs(weights).max()
            )
    axes.imshow(picture, cmap="coolwarm", vmin=-1.0, vmax=1.0, interpolation="nearest")
    axes.set_xticks(10 * np.arange(HEADS) + 4.5, range(1, HEADS + 1))
    axes.set_yticks(10 * np.arange(len(measured)) + 4.5, LABELS)
    axes.set_anchor("E")
    axes.set_xlabel("head")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
