"""What each layer takes and gives."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers, tree

from snippets.diagnostics.check_model_source.kinds_keras import _DROPOUTS
from snippets.diagnostics.check_model_source.limits import (
    FEW,
)
from snippets.diagnostics.check_model_source.measure_keras import (
    _array,
    _columns,
    _cosine,
    _gain,
    _is_linear,
    _is_mask,
    _moments,
    _norm,
    _rms,
    _units,
    _weights,
)
from snippets.diagnostics.check_model_source.seen import _Seen


class _Layers(_Seen):
    """Sees every layer through its call."""

    def where(self) -> str:
        layer = self.running[-1][0] if self.running else self.model
        return layer.path or layer.name

    def watched(
        self, layer: keras.Layer, call: Callable[..., Any]
    ) -> Callable[..., Any]:
        weights = _weights(layer)

        def run(*arguments: Any, **keywords: Any) -> Any:
            if not tf.executing_eagerly():
                # within a tf.function, tensors have no values yet
                return call(*arguments, **keywords)
            if self.done:
                on = self.evaluating and keywords.get("training")
                if on and isinstance(layer, _DROPOUTS) and layer.rate:
                    self.dropping.append(f"{layer.path}, rate {layer.rate:g}")
                self.running.append((layer, {}))
                try:
                    return call(*arguments, **keywords)
                finally:
                    self.running.pop()
            given = [
                part
                for part in tree.flatten((arguments, keywords))
                if isinstance(part, tf.Tensor)
            ]
            if isinstance(layer, layers.Embedding):
                self.quietly(self.check_indices, layer, *arguments, **keywords)
            elif weights and (
                # Its cell is not looked into.
                isinstance(layer, layers.RNN)
                or not any(
                    _weights(part) for part in layer._flatten_layers(include_self=False)
                )
            ):
                self.quietly(self.look_at_inputs, given)
            frame = dict[str, Any].fromkeys(
                ("before", "after", "dead", "saturated", "peaked")
            ) | {"weights": weights}
            self.running.append((layer, frame))
            output = call(*arguments, **keywords)
            self.running.pop()
            self.normalized |= "Norm" in type(layer).__name__
            if isinstance(layer, layers.RNN) and given:
                self.recurrent.append((layer, call, given[0]))
            self.quietly(self.look, layer, weights, given, output, frame)
            return output

        return run

    def look_at_inputs(self, given: list[tf.Tensor]) -> None:
        """What the first weights read, if it comes from the data alone."""
        for tensor in given:
            if (
                tensor.dtype.is_floating
                and tensor._id not in self.learned
                and not _is_mask(_array(tensor))
            ):
                values = _array(tensor)
                self.look_at_scale(_rms(values), _columns(values))

    def look(
        self,
        layer: keras.Layer,
        weights: list[Any],
        given: list[tf.Tensor],
        output: Any,
        frame: dict[str, Any],
    ) -> None:
        tensors = [part for part in tree.flatten(output) if isinstance(part, tf.Tensor)]
        tensor = next((part for part in tensors if part.dtype.is_floating), None)
        if not weights or tensor is None:
            return
        if frame["before"] is not None and frame["after"] is tensor:
            tensor = frame["before"]
        values = _array(tensor)
        if not values.size:
            # an expert to which this batch sends nothing
            self.idle |= {self.names[id(weight)] for weight in weights}
            return
        path = self.path(part._id for part in (*given, *tensors))
        straight = self.straight(layer, given)
        for part in (tensor, *tensors):
            self.paths[part._id] = path[0] + 1, (len(self.rows), path[1])
            if _is_linear(layer):
                self.linear[part._id] = len(self.rows)
        self.learned |= {part._id for part in tensors}
        numbers = {
            "kind": type(layer).__name__,
            "shape": values.shape,
            "cosine": _cosine(values, self.examples),
            "gain": _gain(layer, weights),
            "weights": [self.names[id(weight)] for weight in weights],
            "tensor": tensor,
            "straight": straight,
            "units": _units(layer, _array(weights[0])).shape,
        }
        numbers |= {
            what: frame.get(what) for what in ("dead", "saturated", "peaked", "narrow")
        }
        numbers |= {"before": path[1] and path[1][0], "node": layer}
        frame["row"] = self.add(layer.path, _moments(values) | numbers)

    def look_through_time(self, layer: layers.RNN, call: Any, given: tf.Tensor) -> None:
        """What of the last output depends on the first step, and on the
        last."""
        given = tf.identity(given[:FEW])
        with tf.GradientTape() as tape:
            tape.watch(given)
            output = call(given)
            output = output[0] if isinstance(output, tuple | list) else output
            last = output[:, -1] if layer.return_sequences else output
            signs = tf.cos(tf.range(last.shape[-1], dtype="float32"))
            total = tf.reduce_sum(last * tf.cast(signs, last.dtype))
        slope = _array(tape.gradient(total, given))
        ends = (-1, 0) if layer.go_backwards else (0, -1)
        first, end = (_norm(slope[:, place]) for place in ends)
        self.through_time.append((layer.path, slope.shape[1], first, end))
