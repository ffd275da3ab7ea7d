"""What the graph behind the loss says."""

import math
from collections import Counter
from functools import partial
from typing import Any

from torch import Tensor, nn

from snippets.diagnostics.check_model_source.graph_pytorch import (
    _baseline,
    _discounted,
    _divergences,
    _is_of_policy,
    _kind,
    _last_weight,
    _root,
    _spreads,
    _summed,
)
from snippets.diagnostics.check_model_source.measure_pytorch import (
    _SHAPES,
    _linear,
    _shape,
)
from snippets.diagnostics.check_model_source.seen import _Seen, _Stop
from snippets.diagnostics.check_model_source.state_pytorch import (
    _Tensors,
)


class _History(_Seen):
    """Judges what the loss was made of."""

    def judge_leaves(self, leaves: list[Tensor], before: _Tensors) -> None:
        """Weights at the ends of the graph that are neither the model's nor the
        loss's. One that nothing leads to is made in the pass.
        """
        found = {}
        for leaf in leaves:
            known = id(leaf) in before.inside or (
                id(leaf) not in before.seen and isinstance(leaf, nn.Parameter)
            )
            if known and id(leaf) not in before.owned:
                name, _ = before.seen.get(
                    id(leaf), (f"made in the pass, of shape {_shape(leaf)}", None)
                )
                found[name] = leaf
        if found:
            self.find(
                "unregistered-weights",
                f"{len(found)} tensors that parameters() does not name",
                *sorted(found),
            )

    def judge_bootstrap(self, graph: list[Any]) -> None:
        """Differences between an output and data plus a part of another output
        of the same layer, whose square is the loss."""
        readers: dict[Any, set[str]] = {}
        for node in graph:
            for source, _ in node.next_functions:
                readers.setdefault(source, set()).add(_kind(node))
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            compares = _kind(node) in _COMPARE or (
                _kind(node) == "Sub" and readers.get(node, set()) & _SQUARE
            )
            if not compares or len(ends) != 2 or None in ends:
                continue
            for target, value in (ends, ends[::-1]):
                after, factor = _discounted(target)
                if (
                    after not in (None, value)
                    and _discounted(value)[0] is None
                    and _last_weight(after) is _last_weight(value)
                ):
                    evidence = f"data + {factor:.3g} * an output, against another output of the same layer"
                    self.find_once("target-with-gradient", evidence)

    def judge_overlap(self, graph: list[Any]) -> None:
        """Sums of products of an output and data, over sums of the output."""
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            if _kind(node) != "Div" or len(ends) != 2 or None in ends:
                continue
            look = partial(_summed, self.signed)
            (above, kinds), (below, others) = map(look, ends)
            span = self.signed.get(*above) if above == below and len(above) == 1 else ()
            if span and {"Sum1", "Mul2"} <= kinds and "Sum1" in others:
                evidence = "outputs of {}, here {:.3g} to {:.3g}".format(*span)
                self.find_once("overlap-of-logits", evidence)

    def judge_divergence(self, graph: list[Any]) -> None:
        """A KL divergence between Gaussians that the training makes larger, or
        that knows another spread than the sample has."""
        known = _divergences(graph[-1])
        powers = {root: power for root, power, _ in known}
        self.judge_signs([turned for *_, turned in known])
        for spread in map(_spreads, graph if known else ()):
            root, power = (None, None) if spread is None else _root(spread)
            if root in powers:
                names = (row["name"] for row in self.rows if row["node"] is root[0])
                self.judge_spread(power, powers[root], *names)

    def judge_advantage(self, graph: list[Any]) -> None:
        """Products of log-probabilities and data less an output, of which both
        have a gradient."""
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            if _kind(node) != "Mul" or len(ends) != 2 or None in ends:
                continue
            for log, advantage in (ends, ends[::-1]):
                value = _baseline(advantage) if _is_of_policy(log) else None
                if value is not None:
                    last = _last_weight(value)
                    found = (
                        name for weight, name in self.names.items() if weight is last
                    )
                    name = next(found, f"one of shape {_shape(last)}")
                    evidence = f"log-probability * (data - an output), whose last weight is {name}"
                    self.find_once("advantage-with-gradient", evidence)

    def judge_still(self, packed: list[str]) -> None:
        """There is no way back."""
        count = len(self.parameters)
        evidence = f"{len(packed)} quantized layers" if packed else f"{count} weights"
        self.find("nothing-trains", f"{evidence}, none to be trained", *packed)
        raise _Stop

    def longest(self, graph: list[Any]) -> list[int]:
        """The rows on the path through the graph that passes the most."""
        at: dict[Any, list[int]] = {}
        for place, row in enumerate(self.rows):
            at.setdefault(row["node"], []).append(place)
        readers = Counter(source for node in graph for source, _ in node.next_functions)
        paths: dict[Any, tuple[int, Any]] = {None: (0, None)}
        path = paths[None]
        for node in graph:
            sources = (paths[source] for source, _ in node.next_functions)
            path = max(sources, key=lambda path: path[0], default=(0, None))
            for place in at.get(node, ()):
                self.rows[place]["before"] = path[1] and path[1][0]
                self.rows[place]["straight"] = self.straight(place, at, readers)
                path = path[0] + 1, (place, path[1])
            paths[node] = path
        # What frozen layers return has no graph: they come first, in order.
        places, link = list[int](), path[1]
        while link:
            places.append(link[0])
            link = link[1]
        return [*at.get(None, ()), *reversed(places)]

    def straight(
        self, place: int, at: dict[Any, list[int]], readers: Counter[Any]
    ) -> int | None:
        """The linear layer that leads to this one alone, past nothing that
        bends it, if one layer could do the work of both."""
        row = self.rows[place]
        units = _linear(row["module"])
        todo = [row["node"]] if units and row["node"] is not None else []
        while todo:
            node = todo.pop()
            if node is not row["node"] and readers[node] > 1:
                return None
            if node is not row["node"] and node in at:
                module = self.rows[at[node][0]]["module"]
                before = _linear(module)
                wide = before and before[0] >= min(math.prod(before[1:]), units[0])
                ends = wide and self.cut_off.end_at(module.weight)
                return at[node][0] if wide and not ends else None
            sources = [
                source for source, _ in node.next_functions if source is not None
            ]
            if type(node).__name__.startswith(_LINEAR) or (
                type(node).__name__.startswith(("Mul", "Div")) and len(sources) == 1
            ):
                todo += sources
        return None


_COMPARE = {"MseLoss", "SmoothL1Loss", "HuberLoss"}

_PRODUCTS = ("Addmm", "Mm", "Bmm", "Convolution")

_SQUARE = _COMPARE | {"Pow", "Abs", "Mul"}

_SCALINGS = ("Add", "Div", "MaskedFill", "Mul", "Permute", "Sub", "Transpose", "Where")
"""What stands between the products of an attention and its softmax."""

_LINEAR = (
    *_SHAPES,
    *("TBackward", "Transpose", "Permute", "Addmm", "Mm", "Convolution"),
    *("NativeDropout", "Expand"),
)
"""Operations that two linear layers are still one linear layer with."""

_SAVED = ("result", "self", "other", "input")
"""What a node keeps of its operation."""
