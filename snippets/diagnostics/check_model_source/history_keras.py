"""What the operations behind the loss say."""

import math
from functools import partial

import numpy as np
import tensorflow as tf

from snippets.diagnostics.check_model_source.kinds_keras import (
    _CHOICES,
    _GROWN,
    _LOGITS,
    _OF_POLICY,
    _SHAPES,
    _SUMMING,
)
from snippets.diagnostics.check_model_source.measure_keras import (
    _array,
)
from snippets.diagnostics.check_model_source.seen import _Seen


class _History(_Seen):
    """Judges what the loss was made of."""

    def look_at_loss(
        self, kind: str, inputs: list[tf.Tensor], outputs: list[tf.Tensor]
    ) -> None:
        """Arguments that were exchanged, one index for all examples, and the
        sign of log-probabilities."""
        numbers = [value._id for value in inputs]
        learned = [number in self.learned for number in numbers]
        shapes = [tuple(value.shape) for value in inputs]
        result = outputs[0]._id
        if kind == "SoftmaxCrossEntropyWithLogits" and learned[:2] == [False, True]:
            self.find_exchange()
        elif kind == "RealDiv" and learned == [False, True]:
            self.inverse.add(result)
        elif kind in ("Log", "Log1p", "LogSoftmax"):
            if learned[0]:
                self.signs[result] = -1 if numbers[0] in self.inverse else 1
            else:
                self.logged.add(result)
            # ln(1 + exp(-|x|)) stands in the binary cross-entropy of logits x.
            exp = kind == "Log1p" and self.makers.get(numbers[0], ("", 0))[0] == "Exp"
            self.softplus |= {learned[0]} if exp else set()
        elif kind == "Neg":
            self.signs[result] = -self.signs.get(numbers[0], 0)
            self.negated |= set() if learned[0] else {result}
        elif kind in ("Sum", *_SHAPES, "GatherNd", "GatherV2"):
            self.signs[result] = self.signs.get(numbers[0], 0)
        if kind == "Mul" and sorted(learned) == [False, True]:
            values = _array(inputs[learned.index(False)])
            # 1 - done is 0 or 1, and 0 alone says nothing.
            largest = float(values.max()) or 1.0
            self.factors[result] = largest if values.min() >= 0 else -1.0
        if kind in ("Square", "Abs", "Pow", "SquaredDifference", "Mul"):
            self.look_at_bootstrap(
                result if kind == "SquaredDifference" else numbers[0]
            )
        if kind == "GatherV2" and learned[0] and int(inputs[2]) == 1:
            index = _array(inputs[1])
            if (
                math.prod(outputs[0].shape) > index.size
                and len(shapes[0]) == 2
                and index.size == shapes[0][0] == self.examples
                and index.size > len(np.unique(index))
            ):
                evidence = f"output {shapes[0]}, index {shapes[1]}, together {tuple(outputs[0].shape)}"
                self.find_once("index-for-all", evidence)
        if kind in _LOGITS and learned[0] and not self.inside_keras:
            look = partial(self.judge_crossentropy, of_keras=False)
            look(_LOGITS[kind], inputs[0], _array(inputs[1]), True)
        elif kind in ("LogSoftmax", "Softmax"):
            self.look_at_doubled("softmax", numbers[0])
        elif kind in ("Sigmoid", "Softplus"):
            self.look_at_doubled("sigmoid", numbers[0])
        elif kind == "Log1p" and learned[0]:
            # ln(1 + exp(-|x|)) of logits x
            exp = self.ways[numbers[0]]
            if exp[0] == "Exp":
                self.look_at_doubled("sigmoid", exp[1][0])
        if kind == "Mul" and learned == [True, True]:
            self.look_at_advantage(numbers)
        if kind in ("RealDiv", "DivNoNan") and learned == [True, True]:
            (above, kinds), (below, others) = map(self.summed, numbers)
            span = self.signed.get(*above) if above == below and len(above) == 1 else ()
            if span and {"Sum", "Mul"} <= kinds and "Sum" in others:
                evidence = "outputs of {}, here {:.3g} to {:.3g}".format(*span)
                self.find_once("overlap-of-logits", evidence)
        if kind == "Mul" and sorted(learned) == [False, True]:
            own, given = numbers if learned[0] else numbers[::-1]
            direct = self.source(own) in self.results
            if direct and self.source(given) in self.logged:
                self.find_exchange()
            self.products_of_output |= direct
            values = _array(inputs[learned.index(False)])
            turned = given in self.negated or any(
                np.array_equal(values, -target) for target in self.targets
            )
            sign = self.signs.get(own, 0) * (-1 if turned else 1)
            if sign and shapes[0] == shapes[1] and shapes[0]:
                self.products.append((outputs[0], sign))

    def summed(self, tensor: int) -> tuple[set[int], set[str]]:
        """What is added up, and the operations on the way: sums, and products
        with data."""
        found, kinds, todo = set[int](), set[str](), [tensor]
        while todo:
            tensor = todo.pop()
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            alone = len(own) == 1 or kind in ("AddV2", "Sub")
            if tensor not in self.results and alone and kind in _SUMMING:
                kinds.add(kind)
                todo += own
            else:
                found.add(self.source(tensor))
        return found, kinds

    def added_up(self, tensors: list[int]) -> dict[int, int]:
        """What a loss is a sum of, each with its sign; 0 if it has both."""
        found, todo = dict[int, int](), [(tensor, 1) for tensor in tensors]
        while todo:
            tensor, sign = todo.pop()
            kind, sources = self.ways.get(tensor, ("", []))
            own = [number for number in sources if number in self.learned]
            if kind in ("AddV2", "AddN", "Pack", "Sub") and sign:
                todo += [
                    (number, -sign if kind == "Sub" and number == sources[1] else sign)
                    for number in own
                ]
            elif tensor in self.constants and sign:
                todo.append((own[0], sign * self.constants[tensor]))
            elif kind == "Neg" and sign:
                todo.append((own[0], -sign))
            elif kind in ("Sum", "Mean", *_SHAPES) and sign and own:
                todo.append((own[0], sign))
            elif found.setdefault(tensor, sign) != sign:
                found[tensor] = 0
        return found

    def is_square(self, tensor: int) -> bool:
        kind, sources = self.ways.get(tensor, ("", []))
        return kind in ("Square", "Pow") or (kind == "Mul" and sources[0] == sources[1])

    def root(self, tensor: int) -> tuple[int, float | None]:
        """What powers, logarithms and exponentials are of, and of exp(p * root)
        the p: 0 without an exponential, None where it cannot be told."""
        power, known, exponential = 1.0, True, False
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            constant, square = tensor in self.constants, self.is_square(tensor)
            passes = kind in (*_SHAPES, *_GROWN, "Log", "Sqrt")
            if not own or not (passes or square or constant):
                break
            if constant:
                known &= exponential and tensor in self.numbers
                power *= self.numbers.get(tensor, 1.0)
            elif square:
                # Keras writes x ** 2 as a product with itself, or as a square.
                known &= not exponential and kind != "Pow"
                power *= 2
            elif kind == "Sqrt":
                known &= not exponential
                power /= 2
            elif kind not in _SHAPES:
                known &= kind == "Exp" and not exponential
            exponential |= kind == "Exp"
            tensor = own[0]
        return tensor, (power if known else None) if exponential else 0.0

    def judge_divergence(self, losses: list[int]) -> None:
        """A KL divergence between Gaussians, variance - log(variance) + mean^2,
        that the training makes larger, or that knows another spread than the
        sample has."""
        terms, powers = self.added_up(losses), dict[int, float | None]()
        roots = {tensor: self.root(tensor)[0] for tensor in terms}
        kinds, turned = {tensor: self.kind(tensor) for tensor in terms}, list[bool]()
        for grown, sign in terms.items():
            if not sign or not (kinds[grown] in _GROWN or self.is_square(grown)):
                continue
            root, power = self.root(grown)
            logged = any(
                other == -sign
                and roots[tensor] == root
                and (kinds[tensor] == "Log" or tensor == root)
                for tensor, other in terms.items()
            )
            squared = any(
                other == sign and self.is_square(tensor) and roots[tensor] != root
                for tensor, other in terms.items()
            )
            if logged and squared:
                turned.append(sign < 0)
                powers[root] = power
        self.judge_signs(turned)
        for product in self.noisy if powers else ():
            own = [part for part in self.ways[product][1] if not self.is_drawn(part)]
            root, power = self.root(own[0])
            if root in powers:
                rows = (row["name"] for row in self.rows if row["tensor"]._id == root)
                self.judge_spread(power, powers[root], *rows)

    def kind(self, tensor: int) -> str:
        return self.ways.get(tensor, ("", []))[0]

    def look_at_advantage(self, ends: list[int]) -> None:
        """A log-probability times data less an output, of which both have a
        gradient."""
        for log, advantage in (ends, ends[::-1]):
            if self.is_of_policy(log):
                weight = self.last_weight(self.baseline(advantage))
                if weight:
                    evidence = f"log-probability * (data - an output), whose last weight is {self.handles[weight]}"
                    self.find_once("advantage-with-gradient", evidence)

    def is_of_policy(self, tensor: int) -> bool:
        """A log-probability, or the ratio of a new and an old probability."""
        kinds = ("Neg", "Sum", *_SHAPES, "GatherNd", "GatherV2", "Mul", "Exp", "Sub")
        while tensor in self.ways and self.ways[tensor][0] in kinds:
            kind, sources = self.ways[tensor]
            # The second one is the shape.
            sources = sources[:1] if kind in _SHAPES else sources
            own = [number for number in sources if number in self.learned]
            if len(own) != 1:
                return False
            tensor = own[0]
        return self.ways.get(tensor, ("", []))[0] in _OF_POLICY

    def baseline(self, tensor: int | None) -> int | None:
        """Of data less an output, perhaps standardized, the output, if it is
        one of a layer and no probability; None of all else."""
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            if kind == "Sub" and sources[1] in own:
                maker = self.ways.get(self.source(sources[1]), ("", []))[0]
                if sources[0] not in own or self.is_data_plus(sources[0]):
                    cut = maker in ("Exp", "Sigmoid", "Softmax", "StopGradient")
                    return None if cut else sources[1]
                if maker != "Mean":
                    break
            elif kind not in (*_SHAPES, *_CHOICES, "Neg", "RealDiv") and not (
                kind == "Mul" and len(own) == 1
            ):
                break
            tensor = own[0]
        return None

    def is_data_plus(self, tensor: int) -> bool:
        """Data plus a part of an output, as the return from the value of the
        next state."""
        kind, sources = self.ways.get(self.source(tensor), ("", []))
        return kind == "AddV2" and len(self.learned.intersection(sources)) == 1

    def look_at_bootstrap(self, difference: int) -> None:
        """A difference between an output and data plus a part of another output
        of the same layer, whose square is the loss."""
        kind, ends = self.ways.get(self.source(difference), ("", []))
        if kind not in ("Sub", "SquaredDifference"):
            return
        for target, value in (ends, ends[::-1]):
            after, factor = self.discounted(target)
            last = self.last_weight(value)
            if (
                after not in (None, value)
                and self.discounted(value)[0] is None
                and self.last_weight(after) == last != 0
            ):
                evidence = f"data + {factor:.3g} * an output, against another output of the same layer"
                self.find_once("target-with-gradient", evidence)

    def discounted(self, tensor: int) -> tuple[int | None, float]:
        """Of data + factor * output, the output and the factor, if it is that
        of a discount: at least 0.5, and less than 1. Else None."""
        added, factor = False, 1.0
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            if kind == "AddV2" and len(own) == 1:
                added = True
            elif kind == "Mul" and added and len(own) == 1:
                factor = min(factor, self.factors.get(tensor, -1.0))
            elif kind not in (*_SHAPES, *_CHOICES):
                break
            tensor = own[0]
        # A mean over examples is that of a centre which moves slowly.
        mean = self.ways.get(tensor, ("", []))[0] == "Mean"
        found = added and 0.5 <= factor < 1 and not mean
        return (tensor, factor) if found else (None, 1.0)

    def last_weight(self, tensor: int | None) -> int:
        """The weight that the fewest operations lie between, 0 without one."""
        todo, seen = [tensor], {tensor}
        while todo:
            kind, sources = self.ways.get(todo.pop(0), ("StopGradient", []))
            if kind == "ReadVariableOp":
                return sources[0]
            new = [number for number in sources if number not in seen]
            if kind != "StopGradient":
                seen.update(new)
                todo += new
        return 0

    def find_exchange(self) -> None:
        evidence = "the logarithm of the targets is taken, and not that of the output"
        self.find_once("swapped-arguments", evidence)
