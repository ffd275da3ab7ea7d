"""What `make test` asks of one of a kind, and `make test-all` of the others too."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import pytest

thorough = pytest.mark.thorough


def one_of_each(values: Iterable[Any], kind: Callable[[Any], Hashable]) -> Iterator[Any]:
    """The values as parameters; all but the first of each kind are marked as thorough."""
    seen = set()
    for value in values:
        yield pytest.param(value, marks=[thorough] if kind(value) in seen else [])
        seen.add(kind(value))
