"""How large are activations, gradients and weight gradients in every layer,
before any training?

    z_l = W_l h_{l-1} + b_l,   batch normalization of z_l if it is switched on,
    h_l = phi(z_l),
    or with skip connections h_l = h_{l-1} + branch_scale phi(z_l)

Inputs and the gradient that enters at the top are standard normal. The explorer
on this site runs the same network and fills in its settings here.

Source: the schemes are those of LeCun et al. (1998), Glorot & Bengio (2010),
equation 12, and He et al. (2015), section 2.2; "pytorch" is what nn.Linear
does.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": lambda z: functional.leaky_relu(z, 0.01),
    "gelu": functional.gelu,
    "selu": torch.selu,
}
TRUNCATED_STD = 0.8796256610342398
"""Standard deviation of a standard normal variable that is cut at -2 and 2."""


def draw_(
    weight: Tensor, std: float, distribution: str, generator: torch.Generator
) -> None:
    """Fill `weight`, shape (fan_out, fan_in), with draws of standard deviation
    `std`; raises ValueError.
    """
    if distribution == "normal":
        nn.init.normal_(weight, std=std, generator=generator)
    elif distribution == "uniform":
        nn.init.uniform_(
            weight, -math.sqrt(3) * std, math.sqrt(3) * std, generator=generator
        )
    elif distribution == "truncated":
        std /= TRUNCATED_STD
        nn.init.trunc_normal_(
            weight, std=std, a=-2 * std, b=2 * std, generator=generator
        )
    elif distribution == "orthogonal":
        nn.init.orthogonal_(
            weight, gain=std * math.sqrt(max(weight.shape)), generator=generator
        )
    else:
        raise ValueError(
            f"distribution must be normal, uniform, truncated or orthogonal, got {distribution!r}"
        )


def make_layer(settings: dict, generator: torch.Generator) -> nn.Linear:
    """One layer of the network; raises ValueError for a scheme or a
    distribution that does not exist.
    """
    width, scheme, bias = settings["width"], settings["scheme"], settings["bias"]
    if scheme not in list(STD):
        raise ValueError(f"scheme must be one of {', '.join(STD)}, got {scheme!r}")
    layer = nn.utils.skip_init(nn.Linear, width, width, device="cpu")
    draw_(
        layer.weight,
        settings["gain"] * STD[scheme](width, width),
        settings["distribution"],
        generator,
    )
    if bias == "pytorch":
        nn.init.uniform_(
            layer.bias, -1 / math.sqrt(width), 1 / math.sqrt(width), generator=generator
        )
    else:
        nn.init.normal_(layer.bias, std=bias, generator=generator)
    return layer


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
    """Root mean squares of h_l, dL/dh_l and dL/dW_l, one row per layer, the
    first layer first.

    Raises ValueError for a setting that has no such choice.
    """
    _check(settings, batch)
    phi = ACTIVATIONS[settings["activation"]]
    generator = torch.Generator("cpu").manual_seed(settings["seed"])
    layers = [make_layer(settings, generator) for _ in range(settings["depth"])]
    h = torch.randn(batch, settings["width"], generator=generator, device="cpu")
    activations = []
    for layer in layers:
        z = layer(h)
        if settings["batch_norm"]:
            z = functional.batch_norm(z, None, None, training=True)
        h = h + settings["branch_scale"] * phi(z) if settings["skip"] else phi(z)
        activations.append(h)
    weights = [layer.weight for layer in layers]
    top = torch.randn(h.shape, generator=generator, device="cpu")
    gradients = torch.autograd.grad(h, activations + weights, top)
    outer, inner = gradients[: len(layers)], gradients[len(layers) :]
    return [
        (rms(value), rms(delta), rms(weight))
        for value, delta, weight in zip(activations, outer, inner, strict=True)
    ]


def rms(tensor: Tensor) -> float:
    """Root mean square of all entries."""
    return tensor.double().square().mean().sqrt().item()


if __name__ == "__main__":
    print("layer  activations  gradients  weight gradients")
    for number, row in enumerate(first_pass(), 1):
        print(f"{number:5}", *(f"{value:11.3e}" for value in row))
