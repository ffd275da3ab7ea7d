"""What each operation takes and gives."""

import math
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from snippets.diagnostics.check_model_source.kinds_keras import (
    _COMPARISONS,
    _CUTS,
    _PRODUCTS,
    _SCALINGS,
    _SHAPES,
    _SIGNS,
)
from snippets.diagnostics.check_model_source.limits import (
    FLAT,
    UNITS,
)
from snippets.diagnostics.check_model_source.measure_keras import (
    _array,
    _is_linear,
    _lengths,
    _sample,
    _units,
    _weights,
)
from snippets.diagnostics.check_model_source.seen import _Seen, _Stop


class _Operations(_Seen):
    """Sees every operation of TensorFlow as it is recorded."""

    compared_at: str

    def reaches(self, tensor: int, weights: set[int]) -> bool:
        """Is there a way back to one of some weights?"""
        todo, seen = [tensor], {tensor}
        while todo:
            kind, sources = self.ways.get(todo.pop(), ("StopGradient", []))
            if kind == "ReadVariableOp" and sources[0] in weights:
                return True
            new = [number for number in sources if number not in seen]
            if kind not in _CUTS:
                seen.update(new)
                todo += new
        return False

    def straight(
        self, layer: keras.Layer, given: list[tf.Tensor]
    ) -> tuple[int, int] | None:
        """The linear layer that leads to this one past nothing that bends it,
        if one layer could do the work of both."""
        tensor = next((part._id for part in given if part._id in self.linear), None)
        if tensor is None or not _is_linear(layer, bends=True):
            return None
        place = self.linear[tensor]
        fan_in, middle = self.rows[place]["units"]
        units = _units(layer, _array(_weights(layer)[0])).shape[1]
        return (place, tensor) if middle >= min(fan_in, units) else None

    def path(self, tensors: Iterable[int]) -> tuple[int, Any]:
        """The most layers on the way to one of some tensors, and which."""
        paths = (self.paths.get(tensor, (0, None)) for tensor in tensors)
        return max(paths, key=lambda path: path[0], default=(0, None))

    def longest(self, tensors: list[int]) -> list[int]:
        places, link = list[int](), self.path(tensors)[1]
        while link:
            places.append(link[0])
            link = link[1]
        return places[::-1]

    def operation(
        self,
        kind: str | bytes,
        inputs: Any,
        attributes: Any,
        outputs: Any,
        op_name: Any = None,
        graph: Any = None,
    ) -> None:
        """Called by TensorFlow after every operation, and for each that is put
        into a graph, where tensors have no values.
        """
        if graph is not None:
            return
        self.quietly(
            self.after,
            kind.decode() if isinstance(kind, bytes) else kind,
            inputs,
            outputs,
            attributes or (),
        )

    def after(
        self,
        kind: str,
        inputs: list[tf.Tensor],
        outputs: list[tf.Tensor],
        attributes: tuple[Any, ...] = (),
    ) -> None:
        numbers = [value._id for value in inputs]
        path = self.path(numbers)
        learned = any(
            value.dtype == tf.resource for value in inputs
        ) or not self.learned.isdisjoint(numbers)
        if (
            self.in_loss
            and len(inputs) == 2
            and (numbers[0] in self.learned) != (numbers[1] in self.learned)
        ):
            self.judge_broadcast(inputs[0].shape, inputs[1].shape, outputs[0].shape)
        self.readers.update(numbers)
        self.cuts += [self.loose.pop(one) for one in numbers if one in self.loose]
        if learned and kind in (*_CUTS, *_COMPARISONS):
            place = "the loss" if self.in_loss else self.where()
            what = f"{kind} in {place}, of shape {tuple(outputs[0].shape)}"
            cut = len(self.rows), kind != "StopGradient", what
            if kind in _CUTS:
                self.loose[outputs[0]._id] = cut
            self.compared_at = self.compared_at or what
        if kind in ("Mul", "RealDiv") and len(inputs) == 2:
            self.look_at_constant(kind, inputs, outputs[0]._id)
        if kind == "MatMul":
            turned = dict(zip(attributes[::2], attributes[1::2], strict=True))
            one, other = (part.numpy() for part in inputs)
            one = one.T if turned.get("transpose_a") else one
            other = other if turned.get("transpose_b") else other.T
            if len(other) != self.examples:
                self.look_at_product(_lengths(one), _lengths(other))
        if self.in_loss:
            self.look_at_loss(kind, inputs, outputs)
        elif kind in ("Round", "Rint"):
            self.rounded |= inputs[0].shape[:1] == (self.examples,)
        some = {
            part._id
            for part in inputs
            if part.dtype.is_floating and part._id in self.learned
        }
        if kind in (*_SHAPES, "Transpose") or (
            len(some) == 1 and kind in ("Mul", "RealDiv", "SelectV2")
        ):
            straight = next(
                (self.linear[value] for value in numbers if value in self.linear), None
            )
            if straight is not None:
                self.linear[outputs[0]._id] = straight
        of_all = kind == "Transpose" and inputs[0].shape[0] == self.examples > 1
        if of_all and _array(inputs[1])[-1] == 0:
            self.turned.add(outputs[0]._id)
        if kind == "Transpose":
            self.axes[outputs[0]._id] = int(_array(inputs[1])[-1])
        elif kind in _PRODUCTS and learned:
            named = dict(zip(attributes[::2], attributes[1::2], strict=True))
            self.look_at_weighing(inputs, named)
        for output in outputs if inputs else ():
            self.makers[output._id] = kind, numbers[0]
            if path[0]:
                self.paths[output._id] = path
            if learned:
                self.learned.add(output._id)
                self.ways[output._id] = kind, numbers
        if kind == "Softmax" and not self.in_loss:
            self.judge_axis(tuple(inputs[0].shape), -1, self.where())
            if learned and self.source(numbers[0]) in self.turned:
                self.find_once(
                    "softmax-over-batch",
                    f"axis 0, of the {self.examples} examples",
                    self.where(),
                )
        layer, frame = self.running[-1] if self.running else (None, None)
        if layer is None or isinstance(layer, layers.RNN):
            return
        if kind == "AddV2":
            shapes = [tuple(value.shape) for value in inputs]
            self.sums += len(shapes[0]) > 1 and shapes[0] == shapes[1]
        elif kind in ("Relu", "Relu6", "Sigmoid", "Tanh", "Softmax"):
            if frame["weights"]:
                frame["before"], frame["after"] = inputs[0], outputs[0]
            row = frame if frame["weights"] else self.rows[-1] if self.rows else {}
            if row:
                self.activation(kind, row, inputs[0], outputs[0])

    def look_at_constant(self, kind: str, inputs: list[tf.Tensor], result: int) -> None:
        """Of a product of one's output and what no weight had a part in, or of
        noise, which a seed had a part in."""
        own, other = inputs
        if own._id not in self.learned or self.is_drawn(own._id):
            own, other = other, own
        drawn = self.is_drawn(other._id)
        if own._id not in self.learned or (other._id in self.learned and not drawn):
            return
        size = math.prod(other.shape)
        noise = not self.in_loss and kind == "Mul" and own.shape == other.shape
        if noise or self.in_loss or size == 1:
            low, high = float(tf.reduce_min(other)), float(tf.reduce_max(other))
            self.noisy |= {result} if noise and size > 1 and low < 0 < high else set()
            self.constants[result] = (low >= 0 < high) - (high <= 0 > low)
            if size == 1 and low:
                self.numbers[result] = low if kind == "Mul" else 1 / low

    def is_drawn(self, tensor: int) -> bool:
        kinds = (*_SHAPES, "AddV2", "Mul")
        return "Random" in self.ways.get(self.back(tensor, kinds), ("", []))[0]

    def look_at_doubled(self, kind: str, tensor: int) -> None:
        """A softmax or a sigmoid in a loss, of what is one's output already."""
        while self.ways.get(tensor, ("", []))[0] in _SIGNS:
            maker, sources = self.ways[tensor]
            tensor = sources[-1 if maker.startswith("Select") else 0]
        if self.ways.get(tensor, ("", []))[0] == kind.capitalize():
            loss = {"softmax": "cross-entropy", "sigmoid": "logits-loss"}[kind]
            evidence = f"the loss takes the {kind} of the output of a {kind}"
            self.find_once(f"{kind}-before-{loss}", evidence)

    def look_at_weighing(self, inputs: list[tf.Tensor], named: dict[Any, Any]) -> None:
        """Weights of an attention, made of products, belong to what they are
        multiplied with and summed over."""
        sums = [{len(inputs[0].shape) - (2 if named.get("adj_x") else 1)}, set[int]()]
        if "equation" in named:
            equation = named["equation"]
            read, made = (
                equation.decode() if isinstance(equation, bytes) else equation
            ).split("->")
            if "." in read:
                return
            sums = [
                {letters.index(letter) for letter in set(letters) - set(made)}
                for letters in read.split(",")
            ]
        for operand, summed in zip(inputs, sums, strict=True):
            weights = self.back(operand._id, ("Identity", "Cast", "Mul", "SelectV2"))
            axis = self.axes.get(weights, len(operand.shape) - 1)
            soft = self.back(weights, ("Transpose",))
            if self.makers.get(soft, ("", 0))[0] != "Softmax" or not summed:
                continue
            scores = self.back(self.makers[soft][1], _SCALINGS)
            product = self.makers.get(scores, ("", 0))[0]
            wide = any(operand.shape[place] > 1 for place in summed)
            if product in _PRODUCTS and axis not in summed and wide:
                shape = tuple(operand.shape)
                evidence = f"softmax over axis {axis} of {shape}, of which axis {min(summed)} is summed over"
                self.find_once("attention-axis", evidence, self.where())

    def back(self, tensor: int, kinds: tuple[str, ...]) -> int:
        """The tensor before some operations, by the first input that weights
        had a part in."""
        while tensor in self.ways and self.ways[tensor][0] in kinds:
            kind, sources = self.ways[tensor]
            # The mask of a dropout comes first, and from a variable.
            sources = sources[1:] if kind == "SelectV2" else sources
            tensor = next(number for number in sources if number in self.learned)
        return tensor

    def activation(
        self, kind: str, row: dict[str, Any], source: tf.Tensor, result: tf.Tensor
    ) -> None:
        values = _array(result)
        if kind == "Softmax":
            if values.ndim > 2 and values.shape[-1] >= 8:
                # Masks are written as large negative numbers.
                scores = _array(source)
                visible = (scores > scores.max(-1, keepdims=True) - 5000).sum(-1) >= 8
                if visible.any():
                    self.note(row, "peaked", float(values[visible].max(-1).mean()))
        elif kind in ("Sigmoid", "Tanh"):
            y = _sample(values)
            slope = 1 - y * y if kind == "Tanh" else 4 * y * (1 - y)
            self.note(row, "saturated", float((slope < FLAT).mean()))
            self.squashed.append((row, result._id))
        elif values.ndim > 1:
            dead = values.max(axis=tuple(range(values.ndim - 1))) <= 0
            # Some of a few units may well be off for all examples.
            if len(dead) >= UNITS or dead.all():
                self.note(row, "dead", float(dead.mean()))
                row["narrow"] = len(dead) < UNITS

    def check_indices(
        self, layer: keras.Layer, given: Any, reverse: bool = False, **_: Any
    ) -> None:
        indices = _array(given)
        if (
            not reverse
            and indices.size
            and not 0 <= indices.min() <= indices.max() < layer.input_dim
        ):
            self.find(
                "index-out-of-range",
                f"indices {indices.min():g} to {indices.max():g}, {layer.input_dim} rows",
                layer.path,
            )
            raise _Stop

    def source(self, tensor: int) -> int:
        """The tensor that holds the same numbers, before its shape changed."""
        while self.makers.get(tensor, ("", 0))[0] in _SHAPES:
            tensor = self.makers[tensor][1]
        return tensor

    def maker(self, tensor: tf.Tensor) -> str:
        """The operation that made the numbers of a tensor."""
        return self.makers.get(self.source(tensor._id), ("", 0))[0]
