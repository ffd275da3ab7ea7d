"""How a cell of the page on framework differences is measured: a function from a thing to the words of the cell."""

import ast
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.laws import UNIFORM, assert_law
from tests.toolbox.tables import Difference


class Law(NamedTuple):
    """A distribution of mean 0 as the page writes it."""

    text: str
    std: float
    form: Any
    """Its form: one of the laws of variance 1 in `tests.laws`."""


def uniform(text: str, bound: float) -> Law:
    return Law(text, bound / 3**0.5, UNIFORM)


def law(values: Any, *candidates: Law) -> str:
    """The text of the one candidate that `values` follow; "0" for zeros. `assert_law` says how surely."""
    if not np.any(values):
        return "0"
    fitting = [candidate.text for candidate in candidates if _follow(values, candidate)]
    assert len(fitting) == 1, f"std {np.std(values):.4g}, largest {np.abs(values).max():.4g}: {fitting} of {candidates}"
    return fitting[0]


def _follow(values: Any, candidate: Law) -> bool:
    try:
        assert_law(np.asarray(values), candidate.std, candidate.form)
    except AssertionError:
        return False
    return True


class Measures:
    """The measures of one framework, by the name of the row."""

    labels: tuple[str, ...] = ("Keras",)
    """Before code on the page that is run in this framework."""

    def __init__(self, rows: dict[str, Difference], names: dict[str, Any]) -> None:
        """`names` are those that code on the page may use."""
        self.rows, self.names = rows, names
        self.known: dict[str, tuple[str, Callable[[Callable[[], Any]], str]]] = {}

    def row(self, name: str, default: str) -> Callable:
        """Decorate the measure of the row `name`. It gets a function that makes the thing: by the code `default`, as
        the framework makes it, or by the code of the page."""

        def register(measure: Callable) -> Callable:
            assert name not in self.known, name
            self.known[name] = default, measure
            return measure

        return register

    def cell(self, name: str) -> str:
        default, measure = self.known[name]
        return measure(lambda: eval(default, dict(self.names)))

    def agreed(self, name: str, label: str) -> str:
        """The cell, where the code of the page under `label` does its work: on the default thing if it names it."""
        default, measure = self.known[name]
        code = self.rows[name].code(label)
        free = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
        subject = next(iter(free & {"layer", "weight", "images", "optimizer"}), None)

        def make() -> Any:
            if subject is None:
                return eval(code, dict(self.names))
            made = eval(default, dict(self.names))
            result = eval(code, self.names | {subject: made})
            return made if self.worked_in_place(result) else result

        return measure(make)

    def codes(self) -> list[tuple[str, str]]:
        """Each row with code for this framework, and the label of the code."""
        return [(name, label) for name, row in self.rows.items() for label in self.labels if row.code(label)]

    def page_says(self, name: str) -> str:
        return self.rows[name].keras

    def other_does(self, name: str) -> str:
        return self.rows[name].pytorch

    def worked_in_place(self, result: Any) -> bool:
        """Whether code that gave this has changed the thing it names, and did not make another."""
        return result is None


class PyTorchMeasures(Measures):
    labels = ("PyTorch", "NumPy")

    def page_says(self, name: str) -> str:
        return self.rows[name].pytorch

    def other_does(self, name: str) -> str:
        return self.rows[name].keras

    def worked_in_place(self, result: Any) -> bool:
        import torch

        return result is None or isinstance(result, torch.Tensor)


class MeasureTests:
    """The tests of a file of measures: make them a class that names its `measures`."""

    measures: Measures

    def test_every_row_is_measured(self):
        assert list(self.measures.known) == list(self.measures.rows)

    def test_the_framework_does_what_the_page_says(self, name):
        assert self.measures.cell(name) == self.measures.page_says(name)

    def test_the_code_makes_it_do_as_the_other_framework_does(self, name, label):
        assert self.measures.agreed(name, label) == self.measures.other_does(name)


def axes(shape: tuple[int, ...], **sizes: int) -> str:
    """The names of the axes of `shape`, told by their sizes, each of which is different."""
    names = {size: name for name, size in sizes.items()} | {1: "1"}
    return ", ".join(names[size] for size in shape)


def number(value: float, form: str = "g") -> str:
    """As the page writes it: the minus sign is the typographic one."""
    return re.sub(r"^-", "−", format(float(value), form))


def nearest(value: float, *candidates: int) -> str:
    """The one of the `candidates` that `value` estimates to 5 %."""
    (found,) = [candidate for candidate in candidates if abs(float(value) / candidate - 1) < 0.05]
    return str(found)
