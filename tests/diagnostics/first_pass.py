"""What both variants of `first_pass` are tried on, and how two samples of networks are compared."""

import ast
import runpy
from typing import Any

import numpy as np

from docs.hooks.store import ROOT

SMALL = {"depth": 6, "width": 64}
CASES = [
    SMALL | {"activation": "relu", "scheme": "he"},
    SMALL | {"activation": "identity", "scheme": "unit", "distribution": "orthogonal", "gain": 0.1},
    SMALL | {"activation": "sigmoid", "distribution": "uniform", "bias": 0.5},
    SMALL | {"activation": "tanh", "scheme": "pytorch", "distribution": "uniform", "bias": "pytorch"},
    SMALL | {"activation": "leaky_relu", "distribution": "truncated", "batch_norm": True},
    SMALL | {"activation": "gelu", "scheme": "lecun", "gain": 1.5, "skip": True, "branch_scale": 0.5},
    SMALL | {"activation": "selu", "scheme": "lecun", "distribution": "truncated", "skip": True, "batch_norm": True},
    SMALL | {"activation": "relu", "scheme": "small", "bias": 0.1},
]


def assert_same_law(rows: list, expected: list) -> None:
    """Logarithms of two samples of networks, shape (seeds, layers, 3), have equal means.

    Per layer and quantity the means may differ by 6 standard errors: with some twenty degrees of freedom one of the 144
    comparisons of all cases fails by chance less than once in a thousand runs, and the seeds are fixed.
    """
    samples = [np.log(np.array(sample)) for sample in (rows, expected)]
    difference = samples[0].mean(axis=0) - samples[1].mean(axis=0)
    error = np.sqrt(sum(sample.var(axis=0, ddof=1) / len(sample) for sample in samples))
    assert np.abs(difference / error).max() < 6.0
    assert error.max() < 0.2, "too few seeds to tell a wrong factor"


def settings_of(framework: str) -> dict[str, Any]:
    """Those that a file begins with, without its framework, which may not be imported beside the other."""
    source = (ROOT / "snippets" / "diagnostics" / f"first_pass_{framework}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SETTINGS":
            return ast.literal_eval(node.value)
    raise AssertionError(source)


def assert_prints_its_rows(module, capsys) -> None:
    """Run as a file, it prints a line of heads and the rows of its settings."""
    runpy.run_path(module.__file__, run_name="__main__")
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["layer", "activations", "gradients", "weight", "gradients"]
    rows = [(number, *row) for number, row in enumerate(module.first_pass(), 1)]
    np.testing.assert_allclose([list(map(float, line.split())) for line in lines], rows, rtol=1e-3)
