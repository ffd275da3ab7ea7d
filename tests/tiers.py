"""What `make test` asks of one of a kind, and `make test-all` of the others too."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pytest

thorough = pytest.mark.thorough


def one_of_each(values: Iterable[Any], kind: Callable[[Any], Hashable]) -> list[Any]:
    """The values as parameters; all but the first of each kind are marked as thorough."""
    seen, parameters = set(), []
    for value in values:
        parameters.append(pytest.param(value, marks=[thorough] if kind(value) in seen else []))
        seen.add(kind(value))
    return parameters
