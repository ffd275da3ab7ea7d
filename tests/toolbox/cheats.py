"""The rows of the cheat sheet, as their tests read and evaluate them."""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.toolbox.tables import rows, sections


class Cheat(NamedTuple):
    """One row."""

    network: str
    """Without marks of emphasis."""
    kind: str
    """What the number says: "std", "all", "values", "output std", "norm at most"."""
    start: str
    """The number, as a formula in Python with √ for the root."""
    pytorch: str
    keras: str

    def wanted(self, **names: float) -> Any:
        """The number for a network with these sizes."""
        return eval(self.start.replace("√", "sqrt"), {"sqrt": math.sqrt, "log": np.log, **names})

    def holds(self, found: Any, **names: float) -> bool:
        """Whether `found`, weights or a number, is what the row says.

        A standard deviation counts as met within 3 %: six standard errors of 20,000 normal draws.
        """
        found, wanted = np.asarray(found, np.float64), self.wanted(**names)
        if self.kind == "std":
            assert found.size >= 20_000 and abs(found.mean()) < 0.05 * wanted
            return abs(found.std() / wanted - 1) < 0.03
        if self.kind == "norm at most":
            return bool(np.isclose(found, wanted, rtol=1e-4))
        return bool(np.allclose(found, wanted, rtol=1e-4, atol=1e-6))


class Trials:
    """How each row is tried in one framework: from its line to weights or a number, and the sizes that count."""

    def __init__(self) -> None:
        self.known: dict[str, Callable[[str], tuple[Any, dict[str, Any]]]] = {}

    def case(self, *networks: str) -> Callable:
        """Decorate the trial of these rows."""

        def register(trial: Callable) -> Callable:
            for network in networks:
                assert network not in self.known, network
                self.known[network] = trial
            return trial

        return register

    def check(self, cheat: Cheat, code: str) -> None:
        found, sizes = self.known[cheat.network](code)
        assert cheat.holds(found, **sizes), f"{np.std(found):.4g} for {cheat.start} with {sizes}"


def cheats() -> dict[str, Cheat]:
    """By the words of the first column."""
    found = {}
    for part in sections("cheat-sheet.md").values():
        for network, start, _, code in rows(part):
            name = network.replace("*", "")
            kind, formula = re.fullmatch(r"([\w ]+?)(?: γ)? `(.+)`", start).groups()
            pytorch, keras = code.split("<br>")
            found[name] = Cheat(name, kind, formula, _code(pytorch, "PyTorch"), _code(keras, "Keras"))
    return found


def _code(cell: str, framework: str) -> str:
    """What is to be run: the last code of the cell. A link before it names the file to get."""
    return re.fullmatch(rf"{framework} (?:\[`\w+`\]\([\w.#-]+\) )?`([^`]+)`", cell)[1]
