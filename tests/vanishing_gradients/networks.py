"""What the tests of all frameworks share: one small network with its batch, and the example of a docstring."""

import inspect
import textwrap
from types import ModuleType

import numpy as np

WIDTHS = (5, 6, 4, 6, 3)


def arrays() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights (fan_out, fan_in) and biases of four layers, no two of them alike."""
    generator = np.random.default_rng(0)
    shapes = list(zip(WIDTHS[1:], WIDTHS[:-1], strict=True))
    return [generator.normal(0, 0.8, shape) for shape in shapes], [generator.normal(0, 0.3, n) for n in WIDTHS[1:]]


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Seven rows and their labels."""
    generator = np.random.default_rng(1)
    return generator.normal(size=(7, WIDTHS[0])), generator.integers(0, WIDTHS[-1], 7)


def example(module: ModuleType) -> str:
    """The indented paragraph of the module's docstring that calls `layer_gradients`."""
    paragraphs = inspect.getdoc(module).split("\n\n")
    (code,) = [text for text in paragraphs if text.startswith("    ") and "layer_gradients(" in text]
    return textwrap.dedent(code)
