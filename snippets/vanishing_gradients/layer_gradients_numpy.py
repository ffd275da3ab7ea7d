"""Where does the gradient vanish? Per layer, the size of dL/d(preactivation)
and of dL/d(weight), in plain NumPy.

    forward    z_l = h_{l-1} W_l^T + b_l,   h_l = phi(z_l)
    backward   delta_l = (delta_{l+1} W_{l+1}) * phi'(z_l)
               dL/dW_l = delta_l^T h_{l-1}

Rows of z, h and delta are examples. The two sizes are two questions: delta may
fall where dL/dW does not.

    rows = layer_gradients(
        model, inputs, lambda output: cross_entropy_gradient(output, labels)
    )
    print(*rows, sep="\\n")
    # without the output layer: no activation follows it
    print(factor_per_layer(rows[:-1]))

Needs Python 3.10 and NumPy 1.26, or newer.
Source: Glorot & Bengio (2010), "Understanding the difficulty of training deep
feedforward neural networks", equations 2 and 3.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

# phi(z), and phi'(z) written with h = phi(z)
Function = Callable[[np.ndarray], np.ndarray]
ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0.0), lambda h: (h > 0.0).astype(h.dtype)),
    "sigmoid": (lambda z: 0.5 * (1.0 + np.tanh(0.5 * z)), lambda h: h * (1.0 - h)),
    "tanh": (np.tanh, lambda h: 1.0 - h**2),
}


class Perceptron(NamedTuple):
    """Layers of a plain network, first layer first; no activation follows the
    last.
    """

    weights: Sequence[np.ndarray]
    """Shapes (fan_out, fan_in)."""
    biases: Sequence[np.ndarray]
    """Shapes (fan_out,)."""
    activation: str
    """'linear', 'relu', 'sigmoid' or 'tanh'."""


class LayerGradient(NamedTuple):
    """Root mean squares over all entries, in units of the loss per unit of what
    stands below it.
    """

    name: str
    output_rms: float
    """Of delta = dL/d(preactivation)."""
    weight_rms: float
    """Of dL/dW."""


def layer_gradients(
    model: Perceptron, inputs: np.ndarray, loss: Callable[[np.ndarray], np.ndarray]
) -> list[LayerGradient]:
    """One row per layer, first layer first. `inputs` has shape (batch, fan_in);
    `model` stays as it is.

    `loss` takes the output of the model, shape (batch, fan_out), and returns
    dL/d(output), of the same shape.
    Raises ValueError for an unknown activation, for `inputs` that are no
    floating matrix and for a `loss` that returns another shape.
    """
    _plain(inputs=inputs)
    if np.ndim(inputs) != 2 or not np.issubdtype(inputs.dtype, np.floating):
        raise ValueError(
            f"inputs must be floating, of shape (batch, fan_in), got {np.asarray(inputs).dtype} {np.shape(inputs)}"
        )
    if not isinstance(model, Perceptron):
        raise ValueError(f"model must be a Perceptron, got {type(model).__name__}")
    if not callable(loss):
        raise ValueError(f"loss must be a function of the output, got {loss!r}")
    if not isinstance(model.activation, str) or model.activation not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {list(ACTIVATIONS)}, got {model.activation!r}"
        )
    if not len(model.weights) or len(model.weights) != len(model.biases):
        raise ValueError(
            "model must have a layer, and a bias for every weight, "
            f"got {len(model.weights)} weights and {len(model.biases)} biases"
        )
    width = inputs.shape[1]
    for i, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        _plain(weights=weight, biases=bias)
        if np.shape(weight)[1:] != (width,) or np.shape(bias) != (len(weight),):
            raise ValueError(
                f"model must have the weight (fan_out, {width}) and the bias (fan_out,) in layer {i}, "
                f"got {np.shape(weight)} and {np.shape(bias)}"
            )
        if weight.dtype.kind != "f" or bias.dtype.kind != "f":
            raise ValueError(
                f"model must have floating weights and biases, got {weight.dtype} and {bias.dtype} in layer {i}"
            )
        width = len(weight)
    phi, slope = ACTIVATIONS[model.activation]
    into = [inputs]  # h_0, h_1, ...: what each layer reads
    for weight, bias in zip(model.weights, model.biases, strict=True):
        output = into[-1] @ weight.T + bias
        into.append(phi(output))
    delta = loss(output)
    if np.shape(delta) != output.shape:
        raise ValueError(
            f"loss must return dL/d(output) of shape {output.shape}, got {np.shape(delta)}"
        )
    if np.asarray(delta).dtype.kind != "f":
        raise ValueError(
            f"loss must return floating numbers, got {np.asarray(delta).dtype}"
        )
    _plain(loss=delta)
    rows = []
    for layer in reversed(range(len(model.weights))):
        rows.append(LayerGradient(str(layer), _rms(delta), _rms(delta.T @ into[layer])))
        if layer:
            delta = (delta @ model.weights[layer]) * slope(into[layer])
    return rows[::-1]


def factor_per_layer(rows: Iterable[LayerGradient]) -> float:
    """Geometric mean of the factor by which one layer multiplies the size of
    dL/d(preactivation) on the way back.

    1 carries the gradient through any depth, 0.5 halves it in every layer.
    Raises ValueError for fewer than two rows and for a last row that has no
    gradient.
    """
    listed = list(rows) if isinstance(rows, Iterable) else []
    sizes = [row.output_rms for row in listed if isinstance(row, LayerGradient)]
    if len(sizes) < 2 or len(sizes) != len(listed) or sizes[-1] == 0.0:
        raise ValueError(
            f"rows must be two or more, with a gradient in the last, got {rows}"
        )
    # the ratio itself may overflow
    power = 1.0 / (len(sizes) - 1)
    return sizes[0] ** power / sizes[-1] ** power


def cross_entropy_gradient(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """dL/d(logits) of the mean cross-entropy: (p - y) / batch. `logits` (batch,
    classes), integer `labels` (batch,). ValueError for others.
    """
    _plain(logits=logits, labels=labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not logits.size:
        raise ValueError(
            f"logits and labels must have the shapes (B, K) and (B,), got {logits.shape} and {labels.shape}"
        )
    kinds = logits.dtype.kind, labels.dtype.kind
    if kinds[0] != "f" or kinds[1] not in "iu":
        raise ValueError(
            f"logits and labels must be floating and integer, got {logits.dtype} and {labels.dtype}"
        )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels must lie in 0 ... {logits.shape[1] - 1}, got {labels.min()} ... {labels.max()}"
        )
    # in float16 a sum of exponentials over 65,504 classes is Inf
    wide = logits.astype(np.result_type(logits, np.float32))
    gradient = np.exp(wide - wide.max(axis=1, keepdims=True))
    gradient /= gradient.sum(axis=1, keepdims=True)
    gradient[np.arange(len(labels)), labels] -= 1.0
    return (gradient / len(labels)).astype(logits.dtype)


def _rms(values: np.ndarray) -> float:
    values = np.asarray(values, dtype=np.float64)
    if not values.size:
        raise ValueError(
            f"inputs must hold an example, got a gradient of shape {values.shape}"
        )
    largest = float(np.abs(values).max())
    if not 0.0 < largest < math.inf:
        return largest  # 0, Inf or NaN
    # the bare square of 1e-200 would be 0
    return largest * math.sqrt(np.square(values / largest).mean())


def _plain(**arrays) -> None:
    """Refuse what is no array, and what computes another way: a matrix
    multiplies, a mask hides.
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray | np.generic) or isinstance(
            array, np.matrix | np.ma.MaskedArray
        ):
            raise ValueError(
                f"{name} must be a plain array, got a {type(array).__name__}"
            )
