"""What the graph behind the loss tells of where its parts come from."""

from typing import Any

import torch
from torch import Tensor

from snippets.diagnostics.check_model_source.measure_pytorch import (
    _SHAPES,
    _sign_of_log,
)


def _graph(loss: Tensor) -> list[Any]:
    """The operations behind the loss, each after those that it reads."""
    order, seen, todo = [], set(), [(loss.grad_fn, False)]
    while todo:
        node, done = todo.pop()
        if done:
            order.append(node)
        elif node is not None and node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo += ((source, False) for source, _ in node.next_functions)
    return order


def _maker(tensor: Tensor) -> str:
    """The operation that made the numbers of a tensor, whatever its shape."""
    node = tensor.grad_fn
    while type(node).__name__.startswith(_SHAPES):
        node = node.next_functions[0][0]
    return type(node).__name__.partition("Backward")[0]


_CHOICES = ("Gather", "Index", "Max", "Min", "Amax", "Cat", "Stack", "Expand")
"""Operations that take some of the numbers."""


def _kind(node: Any) -> str:
    return type(node).__name__.partition("Backward")[0]


def _discounted(node: Any) -> tuple[Any, float]:
    """Of data + factor * output, the output and the factor, if it is that of a
    discount: at least 0.5, and less than 1. Else None.
    """
    added, factor = False, 1.0
    while node is not None:
        sources = [source for source, _ in node.next_functions]
        constant = len(sources) == 2 and None in sources
        if _kind(node) == "Add" and constant:
            added = True
            scale = 1.0 if sources[1] is None else node._saved_alpha
            factor = min(factor, _discount(scale))
        elif _kind(node) == "Mul" and added and constant:
            other = node._saved_self if sources[0] is None else node._saved_other
            factor = min(factor, _discount(other))
        elif not _kind(node).startswith((*_SHAPES, *_CHOICES)):
            break
        node = next(source for source in sources if source is not None)
    # A mean over examples is that of a centre which moves slowly.
    found = added and 0.5 <= factor < 1 and _kind(node) != "Mean"
    return (node, factor) if found else (None, 1.0)


def _is_of_policy(node: Any) -> bool:
    """A log-probability, or the ratio of a new and an old probability."""
    if _kind(node) == "Exp":
        first, *rest = (
            source for source, _ in node.next_functions[0][0].next_functions
        )
        return rest == [None] and _sign_of_log(first) != 0
    return _sign_of_log(node) != 0


def _baseline(node: Any) -> Any:
    """Of data less an output, perhaps standardized, the output, if it is one of
    a layer and no probability; None of all else."""
    while True:
        sources = [source for source, _ in node.next_functions]
        if _kind(node) == "Sub" and len(sources) == 2:
            first, value = sources
            if first is None or (value is not None and _is_data_plus(first)):
                return None if _kind(value) in _PROBABILITIES else value
            if _kind(value) != "Mean":
                return None
        elif not _kind(node).startswith((*_SHAPES, *_CHOICES, "Neg", "Div")) and not (
            _kind(node) == "Mul" and None in sources
        ):
            return None
        node = next(source for source in sources if source is not None)


def _is_data_plus(node: Any) -> bool:
    """Data plus a part of an output, as the return from the value of the next
    state."""
    while _kind(node).startswith((*_SHAPES, *_CHOICES)):
        node = node.next_functions[0][0]
    sources = [source for source, _ in node.next_functions]
    return _kind(node) == "Add" and len(sources) == 2 and None in sources


def _summed(ends: Any, node: Any) -> tuple[set[Any], set[str]]:
    """What is added up, back to some ends, and the operations on the way: sums,
    and products with data."""
    found, kinds, todo = set(), set[str](), [node]
    while todo:
        node = todo.pop()
        sources = [source for source, _ in node.next_functions if source is not None]
        alone = len(sources) == 1 or _kind(node) in ("Add", "Sub")
        passes = _kind(node).startswith((*_SHAPES, *_SUMMING))
        if sources and alone and passes and node not in ends:
            kinds.add(_kind(node) + str(len(node.next_functions)))
            todo += sources
        else:
            found.add(node)
    return found, kinds


_SUMMING = ("Add", "Sub", "Rsub", "Sum", "Mean", "Mul", "Select", "Slice", "Index")
"""What an overlap is made of."""


_PROBABILITIES = {"Exp", "Sigmoid", "Softmax"}


def _discount(constant: Any) -> float:
    """The largest entry: 1 - done is 0 or 1, and 0 alone says nothing. What is
    below 0 is none."""
    values = torch.as_tensor(constant).double()
    return (values.max().item() or 1.0) if values.min() >= 0 else -1.0


def _last_weight(node: Any) -> Tensor:
    """The weight that the fewest operations lie between."""
    todo, seen = [], {node}
    while not hasattr(node, "variable"):
        new = [source for source, _ in node.next_functions]
        todo += [one for one in new if one is not None and one not in seen]
        seen.update(new)
        node = todo.pop(0)
    return node.variable
