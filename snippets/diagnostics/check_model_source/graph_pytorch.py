"""What the graph behind the loss tells of where its parts come from."""

from typing import Any

import torch
from torch import Tensor

from snippets.diagnostics.check_model_source.measure_pytorch import (
    _SHAPES,
    _WHOLE,
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


_GROWN = ("Exp", "Softplus")
"""Operations that make a variance."""

_End = tuple[Any, int]
"""An operation, and which of its results."""


def _reads(node: Any) -> list[_End]:
    """What an operation reads of what has a gradient."""
    return [end for end in node.next_functions if end[0] is not None]


def _constant(node: Any) -> Tensor | None:
    """What a product or a quotient has beside one's output."""
    if _kind(node) not in ("Mul", "Div") or len(_reads(node)) != 1:
        return None
    other = node._saved_self if node.next_functions[0][0] is None else node._saved_other
    return torch.as_tensor(1.0 if other is None else other)


def _sign(values: Tensor) -> int:
    """0 of what has several."""
    above, below = bool((values >= 0).all()), bool((values <= 0).all())
    return above - below if values.any() else 0


def _added_up(loss: Any) -> dict[_End, int]:
    """What a loss is a sum of, each with its sign; 0 if it has both."""
    found, todo = dict[_End, int](), [((loss, 0), 1)]
    while todo:
        end, sign = todo.pop()
        given, kind = _reads(end[0]), _kind(end[0])
        constant = _constant(end[0])
        if constant is not None and sign:
            todo.append((given[0], sign * _sign(constant)))
        elif kind in ("Add", "Stack", "Sub", "Rsub") and sign:
            minus = {"Sub": 1, "Rsub": 0}.get(kind)
            todo += [
                (source, -sign if place == minus else sign)
                for place, source in enumerate(end[0].next_functions)
                if source[0] is not None
            ]
        elif kind.startswith((*_WHOLE, "Neg", "Sum", "Mean")) and given and sign:
            todo.append((given[0], -sign if kind == "Neg" else sign))
        elif found.setdefault(end, sign) != sign:
            found[end] = 0
    return found


def _is_square(node: Any) -> bool:
    ends = node.next_functions
    same = _kind(node) == "Mul" and len(ends) == 2 and ends[0] == ends[1]
    return same or _kind(node) == "Pow"


def _root(end: _End) -> tuple[_End, float | None]:
    """What powers, logarithms and exponentials are of, and of exp(p * root) the
    p: 0 without an exponential, None where it cannot be told."""
    power, known, exponential = 1.0, True, False
    while True:
        node, given = end[0], _reads(end[0])
        kind, constant, square = _kind(node), _constant(node), _is_square(node)
        passes = kind.startswith((*_WHOLE, *_GROWN, "Log", "Sqrt"))
        if not given or not (passes or square or constant is not None):
            return end, (power if known else None) if exponential else 0.0
        if constant is not None:
            known &= exponential and constant.numel() == 1
            factor = constant.item() if constant.numel() == 1 else 1.0
            power *= factor if kind == "Mul" else 1 / (factor or 1.0)
        elif square:
            known &= not exponential
            power *= getattr(node, "_saved_exponent", 2.0)
        elif kind == "Sqrt":
            known &= not exponential
            power /= 2
        elif not kind.startswith(_WHOLE):
            known &= kind == "Exp" and not exponential
        exponential |= kind == "Exp"
        end = given[0]


def _divergences(loss: Any) -> list[tuple[_End, float | None, bool]]:
    """Of variance - log(variance) + mean^2 within the loss: what the variance
    is of, and as which exponential, as `_root` has them, and whether all of it
    has a minus.
    """
    terms, found = _added_up(loss), list[tuple[_End, float | None, bool]]()
    roots = {end: _root(end)[0] for end in terms}
    for grown, sign in terms.items():
        if not sign or not (_kind(grown[0]) in _GROWN or _is_square(grown[0])):
            continue
        root, power = _root(grown)
        logs = [
            end
            for end, other in terms.items()
            if other == -sign and roots[end] == root
            if _kind(end[0]).startswith("Log") or end == root
        ]
        squares = [
            end
            for end, other in terms.items()
            if other == sign and _is_square(end[0]) and roots[end] != root
        ]
        if logs and squares:
            found.append((root, power, sign < 0))
    return found


def _spreads(node: Any) -> _End | None:
    """What is multiplied by noise, numbers above and below 0; None of all
    else."""
    noise = _constant(node) if _kind(node) == "Mul" else None
    if noise is None or noise.numel() < 2 or not noise.min() < 0 < noise.max():
        return None
    return _reads(node)[0]


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
