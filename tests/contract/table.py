"""The contract of the copyable files for bad input: `pytorch.txt`, `keras.txt` and `numpy.txt` are its tables.

A row is a function and the argument that is given another value; a column says which. A cell is one sign:

    =   what the plain call gives, up to the precision of the dtype
    +   finite numbers; which ones, the file's own test says
    x   ValueError that names the argument and the value; nothing was changed
    t   Python's own TypeError for what is no number at all, as None or a string; nothing was changed
    ~   Inf or NaN goes in, Inf or NaN comes out: it is passed on and seen
    !   another error that the docstring names, or with which the framework refuses it to its own layers
    .   there is no such input
"""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

SIGNS = "=+xt~!."
TYPES: dict[str, Callable[[Any], Any]] = {
    "dict": lambda plain: {"x": plain},
    "list": lambda plain: [plain],
    "None": lambda _: None,
    "text": lambda _: "text",
}
"""What stands there instead of a tensor, an array, a model or a layer."""
NO_NUMBERS = {"None": None, "text": "1.0", "1j": 1j}
SCALARS: dict[str, Any] = {
    "half": np.float16(0.3),
    "double": np.float64(0.3),
    "fraction": Fraction(3, 10),
    "array": np.array(0.3),
    "true": True,
    "-0": -0.0,
    "huge": 1e200,
    "several": np.array([0.3, 0.4]),
}
"""What stands there instead of a float. `=`: what the float of the same value gives, to the bit."""
SEEDS: dict[str, Any] = {"None": None, "fraction": 1.5, "text": "1", "huge": 2**70, "numpy": np.int64(1)}
"""What stands there instead of the seed 1."""
FLAGS: dict[str, Any] = {"None": None, "text": "no", "fraction": 0.1, "one": 1}
"""What stands there instead of True."""
MAGNITUDES = {
    "float32": {"factor": (1e30, 1e-31), "over": (3e38, 1.0), "under": (1e-36, 2e-38)},
    "float64": {"factor": (1e200, 1e-200), "over": (1e308, 1.0), "under": (1e-306, 3e-308)},
}
"""The entries of four equal ones, and what they are to be: their ratio or their norm leaves the range of the dtype."""


COLLECTIONS: dict[str, Callable[[list], Any]] = {
    "tuple": tuple,
    "generator": iter,
    "spent": lambda several: iter(several[:0]),
    "pairs": lambda several: [(str(number), one) for number, one in enumerate(several)],
    "lists": lambda several: [several],
    "dict": lambda several: {str(number): one for number, one in enumerate(several)},
    "None": lambda several: [several[0], None, *several[1:]],
}
"""What stands there instead of a list."""


class Cell(NamedTuple):
    function: str
    """`file.function`, the file without its framework."""
    argument: str
    """Its name, and in brackets what more there is to say."""
    column: str
    sign: str

    @property
    def row(self) -> str:
        return f"{self.function} {self.argument}"

    def __str__(self) -> str:
        return f"{self.function}-{self.argument}-{self.column}"


def cells(framework: str) -> Iterator[tuple[str, Cell]]:
    """The kinds of input and the cells that there are. A block of lines is a kind: its first line names the columns."""
    for block in (Path(__file__).parent / f"{framework}.txt").read_text(encoding="utf-8").split("\n\n"):
        (kind, *columns), *rows = (line.split() for line in block.strip().splitlines())
        for function, argument, *signs in rows:
            assert len(signs) == len(columns), f"{function} {argument} has {len(signs)} signs"
            for column, sign in zip(columns, signs, strict=True):
                assert sign in SIGNS, sign
                yield kind, Cell(function, argument, column, sign)


def every(framework: str, kind: str) -> pytest.MarkDecorator:
    """A test for each cell of a kind that there is."""
    found = [cell for name, cell in cells(framework) if name == kind and cell.sign != "."]
    assert found and len(set(found)) == len(found)
    return pytest.mark.parametrize("cell", found, ids=str)


def hold(cell: Cell, plain: Callable[[], object], call: Callable[[], object], rtol: float = 1e-5) -> None:
    """Raise AssertionError unless `call` does what the sign of `cell` says."""
    if cell.sign == "x":
        with pytest.raises(ValueError, match=r" must ") as refused:
            call()
        assert_named(cell.argument, str(refused.value))
        return
    if cell.sign == "t":
        with pytest.raises(TypeError):
            call()
        return
    if cell.sign == "!":
        with pytest.raises((RuntimeError, FloatingPointError, ValueError)) as passed_on:
            call()
        # PyTorch's own words may say so as well, in an error of another kind.
        ours = isinstance(passed_on.value, ValueError) and " must " in str(passed_on.value)
        assert not ours
        return
    values = list(flat(call()))
    if cell.sign == "+":
        assert values and all(np.isfinite(value).all() for value in values)
        return
    if cell.sign == "~":
        assert any(not np.isfinite(value).all() for value in values)
        return
    expected = list(flat(plain()))
    assert (expected or cell.column in ("empty", "no-layer")) and len(values) == len(expected)
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=rtol, atol=rtol)


def holds(cell: Cell, call: Callable[[], object]) -> None:
    """As `hold`, for an argument that stands in no plain call."""
    assert cell.sign != "="
    hold(cell, call, call)


def scalar(cell: Cell, call: Callable[[Any], object]) -> None:
    """As `hold`, for another kind of number than a float."""
    value = SCALARS[cell.column]
    hold(cell, lambda: call(float(value) + 0.0), lambda: call(value), rtol=0.0)


def number(column: str) -> Any:
    """What the head of a column of numbers stands for."""
    return NO_NUMBERS[column] if column in NO_NUMBERS else float(column)


def magnitude(cell: Cell, dtype: str, clip: Callable[[float, float], object], rtol: float = 1e-5) -> None:
    """As `hold`, for four entries that `clip` takes from one value to another."""
    before, after = MAGNITUDES[dtype][cell.column]
    hold(cell, lambda: np.ones(4), lambda: [value / after for value in flat(clip(before, after))], rtol)


def integer(value: Any) -> Any:
    """A float as an integer, anything else as it is."""
    return int(value) if isinstance(value, float) else value


def assert_named(argument: str, message: str) -> None:
    """`a` of "a must be finite, got nan"; a value is shown behind "got", or the place in a model in quotation marks."""
    message = re.sub(r"\x1b\[\d+m", "", message)  # Keras shows the error of a layer in bold
    name = argument.partition("[")[0]
    assert re.search(rf"\b{name}\b", message), f"{message!r} does not name {name!r}"
    assert "got" in message or re.search(r"'[^']*'", message), f"{message!r} shows no value"


def flat(result: object) -> Iterator[np.ndarray]:
    """All numbers of nested results, in float64."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list | tuple):
        for part in result:
            yield from flat(part)
    elif result is not None and not isinstance(result, str):
        if hasattr(result, "detach"):
            result = (result.to_dense() if result.is_sparse else result).detach().cpu()
            if result.is_complex():
                assert not result.imag.any()
                result = result.real
            result = result.double()
        yield np.asarray(result, np.float64)
