"""Activation functions in NumPy, written independently of any framework, and what the tests of all variants share."""

import numpy as np
from scipy import special

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

FUNCTIONS = {
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0.0))),
    "silu": lambda x: x * special.expit(x),
    "mish": lambda x: x * np.tanh(np.logaddexp(0.0, x)),
    "softplus": lambda x: np.logaddexp(0.0, x),
}
"""By the name that both frameworks give them."""


def batch_of_logits(dtype=np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Logits (6, 5) of ordinary and of extreme size, and their labels."""
    logits = np.random.default_rng(0).standard_normal((6, 5)) * np.array([[0.1], [1], [3], [10], [30], [100]])
    return logits.astype(dtype), np.array([0, 4, 2, 2, 1, 3])
