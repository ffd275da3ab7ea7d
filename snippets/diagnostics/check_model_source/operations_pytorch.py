"""What each operation takes and gives."""

import math
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from snippets.diagnostics.check_model_source.graph_pytorch import (
    _kind,
    _maker,
)
from snippets.diagnostics.check_model_source.history_pytorch import _SCALINGS
from snippets.diagnostics.check_model_source.limits import (
    FLAT,
    UNITS,
)
from snippets.diagnostics.check_model_source.measure_pytorch import (
    _SHAPES,
    _lengths,
    _places,
    _plain,
    _sample,
    _shape,
    _sign_of_log,
)
from snippets.diagnostics.check_model_source.seen import _Seen, _Stop


class _Operations(_Seen):
    """Sees every activation, product and choice by the function of torch."""

    def look_at_cut(self, name: str, result: Any, given: list[Any]) -> None:
        """Does the way back end here, of what is read later on?"""
        flat = [
            one for part in given for one in (part if type(part) is list else [part])
        ]
        tensors = [part for part in flat if isinstance(part, Tensor)]
        for part in tensors:
            known, cut = self.loose.pop(id(part), (None, None))
            if known and known() is part:
                self.cuts.append(cut)
        made = isinstance(result, Tensor) and not result.requires_grad
        if made and any(part.requires_grad for part in tensors):
            name = "data" if name == "get" else name
            place = "the loss" if self.in_loss else self.where()
            off = "" if torch.is_grad_enabled() else " under torch.no_grad()"
            what = f"{name} in {place}{off}, of shape {_shape(result)}"
            cut = len(self.rows), not result.is_floating_point(), what
            self.loose[id(result)] = weakref.ref(result), cut

    def after_any(self, result: Any, args: Any) -> None:
        tensors = [part for part in (result, *args[:2]) if isinstance(part, Tensor)]
        if len(tensors) == 3 and tensors[1].dim() != tensors[2].dim():
            # What was cut off from the output shares its numbers with it.
            own = [self.is_output(part) for part in tensors[1:]]
            if own[0] != own[1]:
                self.judge_broadcast(tensors[1].shape, tensors[2].shape, result.shape)

    def look_at_error(
        self, result: Tensor, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if result.requires_grad and not (result.dim() or target.requires_grad):
            term = self.look_at_term(_plain(target).cpu().double(), 0.0)
            result.register_hook(
                lambda slope: term.__setitem__(1, term[1] + slope.item())
            )

    def is_output(self, tensor: Tensor) -> bool:
        return tensor.requires_grad or (
            tensor.layout is torch.strided and tensor.data_ptr() in self.places
        )

    def look_at_sign(self, name: str, result: Any, args: Any) -> None:
        """Does the loss grow with a log-probability times a weight?"""
        if name == "neg" and not result.requires_grad:
            self.negated.append(result)
        if name not in ("mul", "rmul") or not all(
            isinstance(part, Tensor) for part in args
        ):
            return
        learned = [part for part in args if part.requires_grad]
        given = [part for part in args if not part.requires_grad]
        if len(learned) != 1 or given[0].shape != learned[0].shape:
            return
        # In -advantage * log_probability the minus is there.
        sign = -1 if any(given[0] is part for part in self.negated) else 1
        sign *= _sign_of_log(learned[0].grad_fn)
        if sign and given[0].is_floating_point():
            result.register_hook(lambda slope: self.note_slope(slope * sign))

    def note_slope(self, slope: Tensor) -> None:
        with torch._C.DisableTorchFunction():
            self.rising += bool((slope >= 0).all() and (slope > 0).any())

    def before_getitem(self, input: Tensor, index: Any) -> None:
        if isinstance(index, tuple) and len(index) == 2:
            rows, columns = index
            if rows is Ellipsis or (isinstance(rows, slice) and rows == slice(None)):
                self.look_at_index(input, columns)

    def before_index_select(self, input: Tensor, dim: int, index: Tensor) -> None:
        if dim in (1, -1):
            self.look_at_index(input, index)

    def look_at_index(self, input: Tensor, index: Any) -> None:
        """One index an example, taken from all examples. Columns that are
        chosen or ordered stand once each."""
        if (
            self.in_loss
            and isinstance(index, Tensor)
            and input.requires_grad
            and input.dim() == 2
            and not index.is_floating_point()
            and index.dtype is not torch.bool
            and index.numel() == len(input) == self.examples
            and index.numel() > len(index.unique())
        ):
            shape = (len(input), *index.shape)
            evidence = f"output {tuple(input.shape)}, index {tuple(index.shape)}, together {shape}"
            self.find_once("index-for-all", evidence)

    def after_add(self, _: Tensor, one: Any, other: Any, **__: Any) -> None:
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            self.sums += (
                one.dim() > 1
                and one.shape == other.shape
                and one.requires_grad
                and other.requires_grad
            )
            for tensor, name in self.overwritten:
                if tensor is one or tensor is other:
                    evidence = (
                        f"shape {tuple(tensor.shape)}, overwritten and then added"
                    )
                    self.find_once("overwritten-input", evidence, name)

    after_iadd = after_radd = after_add

    def after_sigmoid(self, result: Tensor, *_: Any, **__: Any) -> None:
        y = _sample(result)
        self.after_squashing(result, 4 * y * (1 - y) < FLAT)

    def after_tanh(self, result: Tensor, *_: Any, **__: Any) -> None:
        self.after_squashing(result, 1 - _sample(result).square() < FLAT)

    def after_hardtanh(
        self,
        result: Tensor,
        _: Tensor,
        min_val: float = -1.0,
        max_val: float = 1.0,
        **__: Any,
    ) -> None:
        if min_val < 0:
            y = _sample(result)
            self.after_squashing(result, (y <= min_val) | (y >= max_val))
        else:
            self.after_relu(result)

    def after_relu(self, result: Tensor, *_: Any, **__: Any) -> None:
        values = result.detach()
        if values.dim() > 1 and values.numel():
            unit = (
                1
                if isinstance(self.rows[-1]["module"], nn.modules.conv._ConvNd)
                else values.dim() - 1
            )
            dead = values.amax([dim for dim in range(values.dim()) if dim != unit]) <= 0
            # Some of a few units may well be off for all examples.
            if len(dead) >= UNITS or dead.all():
                self.note(self.rows[-1], "dead", dead.double().mean().item())
                self.rows[-1]["narrow"] = len(dead) < UNITS

    after_relu6 = after_relu

    def after_squashing(self, result: Tensor, flat: Tensor) -> None:
        self.note(self.rows[-1], "saturated", flat.double().mean().item())
        self.squashed.append((self.rows[-1], result.data_ptr()))

    def before_normalize(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.bounded |= isinstance(input, nn.Parameter) and input.dim() > 1

    def before_linear(self, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> None:
        if weight.dim() == 2 and len(weight) != self.examples:
            rows = input.reshape(-1, input.shape[-1])
            self.look_at_product(_lengths(rows), _lengths(weight))

    def after_cosine_similarity(self, result: Tensor, *_: Any, **__: Any) -> None:
        self.bounded |= result.dim() > 1 and result.shape[-1] != self.examples

    def before_round(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.rounded |= not self.in_loss and input.shape[:1] == (self.examples,)

    def before_softmax(
        self, input: Tensor, dim: int | None = None, *_: Any, **__: Any
    ) -> None:
        if dim is not None and input.requires_grad and not self.in_loss:
            self.judge_axis(input.shape, dim, self.where())
            examples = {
                len(input),
                self.examples,
                *(len(target) for target in self.targets),
            }
            if (
                dim in (0, -input.dim())
                and input.dim() > 1
                and len(examples) == 1
                and examples != {1}
            ):
                self.find_once(
                    "softmax-over-batch",
                    f"axis 0 of a tensor of shape {tuple(input.shape)}",
                    self.where(),
                )
        if (
            self.rows
            and dim is not None
            and input.dim() > 2
            and input.requires_grad
            and input.shape[dim] >= 8
        ):
            rows = input.detach().movedim(dim, -1).flatten(0, -2)
            self.look_at_scores(rows[_places(len(rows), 256, rows.device)])
        self.look_at_doubled("softmax", input)

    def before_log_softmax(
        self, input: Tensor, dim: int | None = None, *_: Any, **__: Any
    ) -> None:
        self.before_softmax(input, dim)
        self.look_at_activation(input)
        if _maker(input) == "Sigmoid" and dim is not None and input.shape[dim] > 1:
            self.find_once("sigmoid-before-categorical", f"{input.shape[dim]} sigmoids")

    def look_at_doubled(self, kind: str, input: Tensor, *_: Any, **__: Any) -> None:
        """A softmax or a sigmoid in a loss, of what is one's output already."""
        node = input.grad_fn
        while _kind(node).startswith((*_SHAPES, "Neg")):
            node = node.next_functions[0][0]
        if self.in_loss and _kind(node) == kind.capitalize():
            loss = {"softmax": "cross-entropy", "sigmoid": "logits-loss"}[kind]
            evidence = f"the loss takes the {kind} of the output of a {kind}"
            self.find_once(f"{kind}-before-{loss}", evidence)

    def before_logsumexp(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.look_at_doubled("softmax", input)

    def before_sigmoid(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.look_at_doubled("sigmoid", input)

    before_logsigmoid = before_softplus = before_sigmoid

    def before_matmul(self, input: Any, other: Any, *_: Any, **__: Any) -> None:
        if input.dim() > 2 and other.dim() > 2:
            self.judge_weighing(input, {input.dim() - 1})
        elif other.dim() == 2:
            self.before_linear(input, other.t())

    before_bmm = before_mm = before_matmul

    def before_einsum(self, equation: str, *operands: Any) -> None:
        read, _, made = equation.replace(" ", "").partition("->")
        if len(operands) == 2 and made and "." not in read:
            for letters, operand in zip(read.split(","), operands, strict=True):
                summed = {letters.index(letter) for letter in set(letters) - set(made)}
                self.judge_weighing(operand, summed)

    def judge_weighing(self, input: Tensor, summed: set[int]) -> None:
        """Weights of an attention, made of products, belong to what they are
        multiplied with and summed over."""
        node, dims = input.grad_fn, input.dim()
        while _kind(node).startswith(("Mul", "NativeDropout", "Clone")):
            node = node.next_functions[0][0]
        if _kind(node) != "Softmax" or not summed:
            return
        axis = node._saved_dim
        axis = (axis - 2**64 if axis >= 2**63 else axis) % dims
        scores = node.next_functions[0][0]
        while _kind(scores).startswith((*_SHAPES, *_SCALINGS)):
            ends = (source for source, _ in scores.next_functions)
            scores = next(source for source in ends if source is not None)
        wide = any(input.shape[place] > 1 for place in summed)
        if _kind(scores) in ("Bmm", "Mm") and axis not in summed and wide:
            evidence = f"softmax over axis {axis} of {tuple(input.shape)}, of which axis {min(summed)} is summed over"
            self.find_once("attention-axis", evidence, self.where())

    def before_layer_norm(
        self, input: Tensor, normalized_shape: Any, *_: Any, **__: Any
    ) -> None:
        if math.prod(normalized_shape) == 1 and input.numel() > 1:
            self.find_once(
                "length-one-axis",
                f"normalization of each number of {tuple(input.shape)}",
                self.where(),
            )

    def before_scaled_dot_product_attention(
        self, query: Tensor, key: Tensor, *_: Any, scale: float | None = None, **__: Any
    ) -> None:
        if self.rows and key.shape[-2] >= 8:
            # The last queries see all keys, causal or not.
            one, all_keys = (
                part.detach().reshape(-1, *part.shape[-2:])[0] for part in (query, key)
            )
            one = one[-16:]
            self.look_at_scores(
                one @ all_keys.T * (query.shape[-1] ** -0.5 if scale is None else scale)
            )

    def look_at_scores(self, scores: Tensor) -> None:
        scores = scores.cpu().double()
        # Masks are written as -inf, as the lowest number, or as -10000.
        visible = (scores > scores.amax(-1, keepdim=True) - 5000).sum(-1) >= 8
        if visible.any():
            self.note(
                self.rows[-1],
                "peaked",
                scores[visible].softmax(-1).amax(-1).mean().item(),
            )

    def before_embedding(
        self, input: Tensor, weight: Tensor, *_: Any, **__: Any
    ) -> None:
        low, high = (int(input.min()), int(input.max())) if input.numel() else (0, 0)
        if low < 0 or high >= len(weight):
            self.find(
                "index-out-of-range",
                f"indices {low} to {high}, {len(weight)} rows",
                self.where(),
            )
            raise _Stop

    def look_at_activation(self, input: Tensor) -> None:
        """One that stands between the last layer and a cross-entropy."""
        if _maker(input) == "Tanh":
            span = f"the loss's inputs go from {input.min():.2g} to {input.max():.2g}"
            self.find_once("tanh-before-loss", span)
        elif _maker(input) == "Relu" and input.numel():
            share = (input == 0).double().mean()
            evidence = f"{share:.0%} of the loss's inputs are exactly 0"
            self.find_once("relu-before-loss", evidence)
