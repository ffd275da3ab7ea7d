"""A classifier with He initialization, complete.

    std = sqrt(2 / fan_in) where a ReLU follows, sqrt(1 / fan_in) at the output
    biases 0, which is the default

Keras draws both from a normal law cut off at 2.27 of these deviations.
Needs Python 3.10 and Keras 3.9, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers",
section 2.2, equation 10.
"""

import keras
from keras import layers


def he_initialized_model() -> keras.Sequential:
    """Maps rows of 64 features, (B, 64), to logits of 10 classes, (B, 10).

    Draws hang on Keras's global seed. A text makes a new initializer for each
    layer; one `HeNormal()` for both hidden layers would give equal kernels.
    """
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(64, "relu", kernel_initializer="he_normal"),
            layers.Dense(64, "relu", kernel_initializer="he_normal"),
            layers.Dense(10, kernel_initializer="lecun_normal"),
        ]
    )


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model, rows = he_initialized_model(), keras.random.normal((256, 64))
    for name, values in (("inputs", rows), ("logits", model(rows))):
        square = float(keras.ops.mean(keras.ops.square(values)))
        print(f"mean square of the {name} {square:.2f}")
