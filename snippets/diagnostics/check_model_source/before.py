"""Everything is put back as it was."""

import random
import sys
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import (
    CellType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

_CONSTANTS = (type(None), bool, int, float, complex, str, bytes, type, ModuleType)
_CONTAINERS = (
    (OrderedDict, OrderedDict.update),
    (dict, dict.update),
    (list, list.extend),
    (set, set.update),
    (deque, deque.extend),
    (bytearray, bytearray.extend),
)
_CLOSED = (sys.stdlib_module_names | {"tensorflow"}) - {"builtins"}
"""Where locks, threads, loggers and graphs come from, whose insides are not for
us. A class that `exec` makes in a bare namespace says that it is of builtins.
"""


class _Before:
    """All that can be reached from a model through attributes, containers,
    closures and bound methods, as it is at first. A copy of the model would not
    do: hooks and losses that hold the model would still run on the original.
    """

    kinds: tuple[type, ...] = ()
    """What holds weights, in a framework."""

    def __init__(self, room: int) -> None:
        self.undo: list[tuple[str, Callable[[], Any]]] = []
        # Most containers are the empty dictionaries of modules.
        self.empty: list[Any] = []
        self.seen: dict[int, tuple[str, Any]] = {}
        self.lost: list[str] = []
        self.room = room

    def look(self, todo: list[tuple[str, Any]]) -> None:
        """The last ones are looked at first, and give the names."""
        while todo:
            name, value = todo.pop()
            if id(value) not in self.seen and not issubclass(type(value), _CONSTANTS):
                self.seen[id(value)] = name, value
                todo += self.keep(name, value)

    def restore(self) -> None:
        for container in self.empty:
            if container:
                container.clear()
        for name, undo in self.undo:
            try:
                undo()
            except (RuntimeError, TypeError, ValueError, AttributeError):
                self.lost.append(name)

    def keep(self, name: str, value: Any) -> list[tuple[str, Any]]:
        """Remember one object, and return what it holds."""
        kind = type(value)
        base, fill = next(
            (pair for pair in _CONTAINERS if issubclass(kind, pair[0])), (None, None)
        )
        if base:
            if not value and kind is base:
                self.empty.append(value)
                return []
            held = base(value)
            self.undo.append((name, partial(_refill, value, base, fill, held)))
            pairs = held.items() if isinstance(held, dict) else enumerate(held)
            parts = [
                (f"{name}.{key}" if isinstance(key, str | int) else name, part)
                for key, part in pairs
            ]
            return parts if kind is base else parts + self.keep_attributes(name, value)
        if issubclass(kind, tuple | frozenset):
            return [(name, part) for part in tuple(value)]
        if kind is MethodType:
            return [(name, value.__self__), (name, value.__func__)]
        if kind is partial:
            return [(name, value.func), (name, value.args), (name, value.keywords)]
        if kind is CellType:
            with suppress(ValueError):  # it may be empty
                self.undo.append(
                    (
                        name,
                        partial(setattr, value, "cell_contents", value.cell_contents),
                    )
                )
                return [(name, value.cell_contents)]
            return []
        if kind is FunctionType:
            parts = [
                (name, part)
                for part in (*(value.__closure__ or ()), *(value.__defaults__ or ()))
            ]
            parts += self.globals_of(value)
            return parts + self.keep_attributes(name, value)
        undo = self.keep_numbers(name, value)
        if undo:
            self.undo.append((name, undo))
        if _is_closed(kind) and kind is not SimpleNamespace:
            return []
        return self.keep_attributes(name, value)

    def globals_of(self, function: FunctionType) -> list[tuple[str, Any]]:
        """The networks that it names among the globals of its module, also by
        way of functions beside it. A whole program would lead too far."""
        held = function.__globals__
        return [
            (key, held[key])
            for key in function.__code__.co_names
            if isinstance(held.get(key), self.kinds)
            or (
                isinstance(held.get(key), FunctionType)
                and held[key].__globals__ is held
                and "site-packages" not in function.__code__.co_filename
            )
        ]

    def keep_numbers(self, name: str, value: Any) -> Callable[[], Any] | None:
        """How random generators and arrays become again what they are."""
        numpy = sys.modules.get("numpy")
        if isinstance(value, random.Random):
            return partial(value.setstate, value.getstate())
        if numpy and isinstance(value, numpy.random.Generator):
            return partial(
                setattr, value.bit_generator, "state", value.bit_generator.state
            )
        if (
            not numpy
            or not isinstance(value, numpy.ndarray)
            or not value.flags.writeable
            or value.dtype == object
        ):
            return None
        if value.nbytes > self.room:
            return partial(_same_sum, value, _sum(value))
        self.room -= value.nbytes
        return partial(numpy.copyto, value, value.copy())

    def keep_attributes(self, name: str, value: Any) -> list[tuple[str, Any]]:
        held = dict[str, Any]()
        with suppress(AttributeError):
            attributes = object.__getattribute__(value, "__dict__")
            held |= attributes
            self.undo.append(
                (name, partial(_refill, attributes, dict, dict.update, dict(held)))
            )
        for base in type(value).__mro__:
            slots = vars(base).items() if "__slots__" in vars(base) else ()
            for slot in (
                slot for slot, place in slots if isinstance(place, MemberDescriptorType)
            ):
                if hasattr(value, slot):
                    held[slot] = getattr(value, slot)
                    self.undo.append(
                        (name, partial(object.__setattr__, value, slot, held[slot]))
                    )
        # PyTorch keeps what a module holds in dictionaries of these names.
        inside = {"_parameters", "_modules", "_buffers"}
        return [
            (
                name if key in inside else key if name == "model" else f"{name}.{key}",
                part,
            )
            for key, part in held.items()
        ]


def _is_closed(kind: type) -> bool:
    """A package of one's own may have the name of one in the standard library,
    but what it derives from PyTorch or Keras is derived from there.
    """
    bases = [base.__module__.partition(".")[0] for base in kind.__mro__]
    return bases[0] in _CLOSED and not {"torch", "keras"} & set(bases)


def _sum(array: Any) -> int:
    return zlib.crc32(array.tobytes())


def _same_sum(array: Any, wanted: int) -> None:
    if _sum(array) != wanted:
        raise ValueError("it was too large for a copy")


def _refill(
    container: Any, kind: Any, fill: Callable[[Any, Any], None], held: Any
) -> None:
    # The methods of the base class: those of a subclass may count or refuse.
    kind.clear(container)
    fill(container, held)
