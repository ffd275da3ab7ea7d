"""All kinds of things that a model may hold and change in a pass, whatever its framework."""

import collections
import copy
import functools
import random
import types

import numpy as np


class Slotted:
    __slots__ = ("count", "empty")

    def __init__(self) -> None:
        self.count = 0


class Named(dict):
    """A dictionary with an attribute, and with methods that must not be called."""

    clear = update = None


def counter():
    count = 0

    def count_up():
        nonlocal count
        count += 1
        return count

    return count_up


class Things:
    def __init__(self) -> None:
        self.lists, self.sets, self.queue = [[1], (set(),)], {1, 2}, collections.deque([1, 2], maxlen=2)
        self.counts, self.order = collections.Counter("a"), collections.OrderedDict(one=1, two=2)
        self.nested = {"plain": types.SimpleNamespace(passes=0), 3: Slotted(), "named": Named(a=1), "empty": {}}
        self.bytes, self.array, self.fixed = bytearray(b"ab"), np.zeros(3), np.zeros(3)
        self.objects = np.array([None, "a"], dtype=object)
        self.fixed.flags.writeable = False
        self.python, self.numpy = random.Random(0), np.random.default_rng(0)
        self.count_up, self.draw = counter(), functools.partial(self.python.choice, [1, 2])

    def change(self) -> None:
        self.new = 1
        self.lists[0].append(self), self.lists[1][0].add(2), self.sets.clear(), self.queue.append(3)
        self.counts.update("ab"), self.order.move_to_end("one")
        self.nested["plain"].passes += 1
        self.nested[3].count += 1
        self.nested["named"].new = 1
        self.nested["named"]["a"] += 1
        self.nested["empty"]["a"] = 1
        self.bytes += b"c"
        self.array += 1
        self.count_up(), self.draw(), self.numpy.random(), random.random(), np.random.rand()

    def state(self) -> list:
        """What compares as it is."""
        nested = {key: part for key, part in self.nested.items() if key == "empty"}
        named, plain, slotted = self.nested["named"], self.nested["plain"].passes, self.nested[3].count
        held = [self.lists, self.sets, list(self.queue), self.counts, list(self.order), nested, plain, slotted]
        held += [dict(named), vars(named), bytes(self.bytes), self.array.tolist(), sorted(vars(self))]
        generators = self.python.getstate(), self.numpy.bit_generator.state["state"]
        globals_ = random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]
        return copy.deepcopy([held, generators, globals_, self.count_up.__closure__[0].cell_contents])
