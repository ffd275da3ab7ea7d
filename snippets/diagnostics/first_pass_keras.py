"""How large are activations, gradients and weight gradients in every layer,
before any training?

    z_l = h_{l-1} K_l + b_l,   batch normalization of z_l if it is switched on,
    h_l = phi(z_l),
    or with skip connections h_l = h_{l-1} + branch_scale phi(z_l)

Inputs and the gradient that enters at the top are standard normal. The explorer
on this site runs the same network and fills in its settings here. Needs the
TensorFlow backend: Keras itself has no function for a gradient.

Source: the schemes are those of LeCun et al. (1998), Glorot & Bengio (2010),
equation 12, and He et al. (2015), section 2.2; "pytorch" is what PyTorch's
nn.Linear does.
"""

import math

import keras
from keras import initializers, layers

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError("this file needs TensorFlow, as the backend of Keras") from error

SETTINGS = {
    "depth": 30,
    "width": 64,
    # identity, sigmoid, tanh, relu, leaky_relu, gelu, selu
    "activation": "relu",
    "scheme": "xavier",  # lecun, xavier, he, pytorch, small, unit
    "gain": 1.0,  # multiplies the scheme's standard deviation
    "distribution": "normal",  # normal, uniform, truncated, orthogonal
    "bias": 0.0,  # standard deviation, or "pytorch"
    "batch_norm": False,
    "skip": False,
    "branch_scale": 1.0,
    "seed": 0,
}

STD = {
    "lecun": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "xavier": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "he": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "pytorch": lambda fan_in, fan_out: math.sqrt(1 / (3 * fan_in)),
    "small": lambda fan_in, fan_out: 0.01,
    "unit": lambda fan_in, fan_out: 1.0,
}
ACTIVATIONS = {
    "identity": lambda z: 1.0 * z,
    "sigmoid": keras.ops.sigmoid,
    "tanh": keras.ops.tanh,
    "relu": keras.ops.relu,
    "leaky_relu": lambda z: keras.ops.leaky_relu(z, negative_slope=0.01),
    "gelu": lambda z: keras.ops.gelu(z, approximate=False),
    "selu": keras.ops.selu,
}
TRUNCATED_STD = 0.8796256610342398
"""Standard deviation of a standard normal variable that is cut at -2 and 2."""


def weight_initializer(
    std: float, width: int, distribution: str, seed: keras.random.SeedGenerator
) -> initializers.Initializer:
    """Draws of standard deviation `std` for a kernel of shape (width, width);
    raises ValueError.
    """
    if distribution == "normal":
        return initializers.RandomNormal(stddev=std, seed=seed)
    if distribution == "uniform":
        return initializers.RandomUniform(
            -math.sqrt(3) * std, math.sqrt(3) * std, seed=seed
        )
    if distribution == "truncated":
        return initializers.TruncatedNormal(stddev=std / TRUNCATED_STD, seed=seed)
    if distribution == "orthogonal":
        return initializers.Orthogonal(gain=std * math.sqrt(width), seed=seed)
    raise ValueError(
        f"distribution must be normal, uniform, truncated or orthogonal, got {distribution!r}"
    )


def make_layer(settings: dict, seed: keras.random.SeedGenerator) -> layers.Dense:
    """One layer of the network; raises ValueError for a scheme or a
    distribution that does not exist.
    """
    width, scheme, bias = settings["width"], settings["scheme"], settings["bias"]
    if scheme not in list(STD):
        raise ValueError(f"scheme must be one of {', '.join(STD)}, got {scheme!r}")
    std = settings["gain"] * STD[scheme](width, width)
    if bias == "pytorch":
        biases = initializers.RandomUniform(
            -1 / math.sqrt(width), 1 / math.sqrt(width), seed=seed
        )
    else:
        biases = initializers.RandomNormal(stddev=bias, seed=seed)
    kernel = weight_initializer(std, width, settings["distribution"], seed)
    return layers.Dense(
        width, kernel_initializer=kernel, bias_initializer=biases, dtype="float32"
    )


def _check(settings: dict, batch: int) -> None:
    """Raise ValueError, with its name, for a setting that there is not or that
    has no such value.
    """
    if not isinstance(settings, dict) or settings.keys() != SETTINGS.keys():
        raise ValueError(f"settings must name {list(SETTINGS)}, got {settings}")
    for name, least in (("depth", 1), ("width", 1), ("batch", 1), ("seed", 0)):
        size = batch if name == "batch" else settings[name]
        if not isinstance(size, int) or size < least:
            raise ValueError(f"{name} must be an integer from {least} on, got {size!r}")
    for name, low in (("gain", 0.0), ("bias", 0.0), ("branch_scale", -math.inf)):
        value = settings[name]
        number = isinstance(value, int | float) and math.isfinite(value)
        if not (number and value >= low) and (name, value) != ("bias", "pytorch"):
            raise ValueError(f"{name} must be finite, from {low} on, got {value!r}")
    for name in ("batch_norm", "skip"):
        if not isinstance(settings[name], bool):
            raise ValueError(f"{name} must be True or False, got {settings[name]!r}")
    if settings["activation"] not in list(ACTIVATIONS):
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, got {settings['activation']!r}"
        )
    if settings["batch_norm"] and batch < 2:
        raise ValueError(f"batch must be 2 or more for batch_norm, got {batch}")


def first_pass(
    settings: dict = SETTINGS, batch: int = 32
) -> list[tuple[float, float, float]]:
    """Root mean squares of h_l, dL/dh_l and dL/dK_l, one row per layer, the
    first layer first.

    Raises ValueError for a setting that has no such choice.
    """
    _check(settings, batch)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"first_pass must run on the TensorFlow backend, got {keras.backend.backend()!r}"
        )
    phi = ACTIVATIONS[settings["activation"]]
    # A generator moves on from layer to layer; a plain number would give all
    # layers the same weights.
    seed = keras.random.SeedGenerator(settings["seed"])
    chain = [make_layer(settings, seed) for _ in range(settings["depth"])]
    h = keras.random.normal((batch, settings["width"]), seed=seed)
    activations = []
    with tf.GradientTape() as tape:
        tape.watch(h)
        for layer in chain:
            z = layer(h)
            if settings["batch_norm"]:
                z = layers.BatchNormalization(
                    epsilon=1e-5, center=False, scale=False, dtype="float32"
                )(z, training=True)
            h = h + settings["branch_scale"] * phi(z) if settings["skip"] else phi(z)
            activations.append(h)
    weights = [layer.kernel for layer in chain]
    top = keras.random.normal(h.shape, seed=seed)
    gradients = tape.gradient(h, activations + weights, output_gradients=top)
    outer, inner = gradients[: len(chain)], gradients[len(chain) :]
    return [
        (rms(value), rms(delta), rms(weight))
        for value, delta, weight in zip(activations, outer, inner, strict=True)
    ]


def rms(tensor: tf.Tensor) -> float:
    """Root mean square of all entries."""
    return float(tf.sqrt(tf.reduce_mean(tf.cast(tensor, "float64") ** 2)))


if __name__ == "__main__":
    print("layer  activations  gradients  weight gradients")
    for number, row in enumerate(first_pass(), 1):
        print(f"{number:5}", *(f"{value:11.3e}" for value in row))
