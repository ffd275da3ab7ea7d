"""What is cut off from the graph, and read beside it."""

import weakref
from typing import Any

from torch import Tensor


class _Cuts:
    """The last linear layers behind what is cut off, and compared with what is
    not: they end a part of their own. In SimSiam that is a projector, in BYOL
    that of the teacher, and a predictor reads it with nothing between.
    """

    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.behind: dict[int, tuple[Any, list[Tensor]]] = {}
        """By the identity of a tensor: the tensor, and the weights of the last
        linear layers that it comes from.
        """

    def look(self, name: str, result: Any, args: list[Any]) -> None:
        given, made = _inside(args), _inside([result])
        behind = {id(part): self.last(part) for part in given}
        if name == "linear":
            behind = {0: given[1:2]}
        elif any(part.requires_grad for part in made):
            joined = any(part.requires_grad and not part.is_leaf for part in given)
            for part in given if joined else ():
                if not part.requires_grad:
                    self.weights += behind[id(part)]
        every = {id(one): one for some in behind.values() for one in some}
        for part in made if every else ():
            self.behind[id(part)] = weakref.ref(part), [*every.values()]

    def last(self, tensor: Tensor) -> list[Tensor]:
        known, weights = self.behind.get(id(tensor), (None, []))
        return weights if known and known() is tensor else []

    def end_at(self, weight: Tensor) -> bool:
        """Does a part end at this layer, or at one like it in a teacher?"""
        return any(weight.shape == one.shape for one in self.weights)


def _inside(values: list[Any]) -> list[Tensor]:
    """The tensors among some values, and in lists and tuples of them."""
    parts = [value if isinstance(value, list | tuple) else [value] for value in values]
    return [one for part in parts for one in part if isinstance(one, Tensor)]
