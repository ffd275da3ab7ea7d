"""A classifier with He initialization, complete: input, layers with their activation, output.

    std = sqrt(2 / fan_in) where a ReLU follows,   sqrt(1 / fan_in) at the output,   biases 0

Keras draws both from a normal law cut off at 2.27 of these standard deviations. Biases are 0 by default.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section 2.2, equation 10.
"""

import keras
from keras import layers


def he_initialized_model() -> keras.Sequential:
    """A model that maps rows of 64 features, shape (B, 64), to logits of 10 classes, shape (B, 10).

    Draws hang on Keras's global seed. Each layer names its initializer by a text and so gets one of its own: a single
    `HeNormal()` given to both hidden layers would give them equal kernels.
    """
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(64, activation="relu", kernel_initializer="he_normal"),
            layers.Dense(64, activation="relu", kernel_initializer="he_normal"),
            layers.Dense(10, kernel_initializer="lecun_normal"),
        ]
    )


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = he_initialized_model()
    rows = keras.random.normal((256, 64))
    for name, values in (("inputs", rows), ("logits", model(rows))):
        print(f"mean square of the {name} {float(keras.ops.mean(keras.ops.square(values))):.2f}")
