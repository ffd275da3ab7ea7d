"""What each loss compares."""

import math
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from snippets.diagnostics.check_model_source.graph_pytorch import (
    _last_weight,
    _maker,
)
from snippets.diagnostics.check_model_source.limits import (
    FEW,
    INPUT,
    NUMBERS,
)
from snippets.diagnostics.check_model_source.measure_pytorch import (
    _by_place,
    _called,
    _exchanged,
    _norm,
    _own_loss,
    _places,
    _rms,
    _taken,
    _tensors,
)
from snippets.diagnostics.check_model_source.seen import _Seen, _Stop
from snippets.diagnostics.check_model_source.state_pytorch import (
    _same_draws,
)


class _Losses(_Seen):
    """Sees every loss through the functions of torch."""

    def look_at_constants(self, targets: Any, loss_fn: Any) -> None:
        """Is a loss least where all examples, and all outputs of a shape, are
        answered alike?"""
        outputs, count = list(_tensors(self.output)), self.examples
        small = sum(part.numel() for part in outputs) <= NUMBERS
        if (
            not small
            or count < FEW
            or not all(
                part.requires_grad and part.dim() > 1 and len(part) == count
                for part in outputs
            )
        ):
            return
        own = [part.detach() for part in outputs]

        def loss(parts: list[Tensor], wanted: Any = targets) -> Tensor:
            given = self.output
            for old, new in zip(outputs, parts, strict=True):
                given = _exchanged(given, old, new)
            with _same_draws():
                torch.default_generator.manual_seed(0)
                return _own_loss(loss_fn(given, wanted))

        def steep(parts: list[Tensor]) -> tuple[float, list[Tensor]]:
            """A loss and its slopes."""
            parts = [part.clone().requires_grad_() for part in parts]
            value = loss(parts)
            return value.item(), list(torch.autograd.grad(value, parts))

        order = torch.arange(count, device=own[0].device)
        moved = _taken(targets, 0, count, order.roll(1).tolist())
        # Of targets that all are alike nothing is read, either.
        if loss(own, moved).item() != loss(own).item():
            return
        value, slopes = steep(own)
        # What is cut off in the loss may be a part of an output.
        if not all(
            (slope != 0).any(0).all() and (slope != 0).flatten(1).any(1).all()
            for slope in slopes
        ):
            return
        # By shape, the output whose rows answer for all.
        firsts = {part.shape: part for part in reversed(own)}
        constants = [
            [firsts[part.shape][torch.full_like(order, row)] for part in own]
            for row in range(0, count, count // 4)
        ]
        draw, near = torch.Generator(order.device).manual_seed(0), list[float]()
        for constant in constants * 4:
            others = []
            for part in constant:
                pick = torch.randperm(count, generator=draw, device=order.device)
                others.append(0.95 * part + 0.05 * firsts[part.shape][pick])
            near.append(loss(others).item())
        apart = loss([firsts[part.shape] for part in own]).item()
        answered = [
            (low, math.hypot(*map(_norm, flat))) for low, flat in map(steep, constants)
        ]
        size = math.hypot(*map(_norm, slopes))
        self.judge_constants(value, size, answered, near, apart)

    def before_cross_entropy(
        self,
        input: Tensor,
        target: Tensor,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        *_: Any,
        **__: Any,
    ) -> None:
        if self.swapped(input, target):
            return
        rows = (
            input.detach().movedim(1, -1).flatten(0, -2)
            if input.dim() > 1
            else input.detach()[None]
        )
        classes = rows.shape[-1]
        self.check_labels(classes, target, ignore_index)
        self.look_at_shift(target, ignore_index)
        places = _places(len(rows), 256, rows.device)
        some = rows[places].cpu().double()
        apart = (some - some[:1]).abs().max().item() if some.numel() else 0.0
        self.look_at_logits(some.norm(dim=-1).tolist(), apart)
        if (
            classes > 1
            and (some >= 0).all()
            and ((some.sum(-1) - 1).abs() < 1e-2).all()
        ):
            self.find(
                "softmax-before-cross-entropy",
                "every row of the loss's input is >= 0 and has the sum 1",
            )
        elif _maker(input) == "Sigmoid" and classes > 1:
            self.find("sigmoid-before-categorical", f"{classes} sigmoids")
        else:
            self.look_at_activation(input)
        if target.is_floating_point():
            self.judge_targets(target.detach(), 0, 1)
            if target.requires_grad and input.requires_grad:
                ends = map(_last_weight, (target.grad_fn, input.grad_fn))
                self.judge_own_target(next(ends) is next(ends))
            labels = (
                target.movedim(1, -1).flatten(0, -2)[places]
                if target.dim() > 1
                else target[None]
            )
            losses = -(some.log_softmax(-1) * labels.cpu().double()).sum(-1)
        else:
            if target.dim() == 1 and len(target) == classes:
                # Each example against each: the logits have the size that a
                # temperature gives them, at the start as later.
                order = torch.arange(classes, device=target.device)
                self.bounded |= torch.equal(target.long(), order)
            labels = target.reshape(-1)[places].cpu().long()
            kept = labels != ignore_index
            losses = -some.log_softmax(-1)[kept].gather(1, labels[kept, None])
        if self.chance_loss is None and losses.numel():
            self.compare(losses, classes)

    def compare(self, losses: Tensor, classes: int) -> None:
        """The loss of each example with that of guessing."""
        self.chance_loss = math.log(classes)
        if losses.numel() >= FEW and not self.bounded:
            self.excess = losses.mean().item() - self.chance_loss
            self.doubt = losses.std().item() / math.sqrt(losses.numel())

    def before_nll_loss(
        self,
        input: Tensor,
        target: Tensor,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        *_: Any,
        **__: Any,
    ) -> None:
        dim = 1 if input.dim() > 1 else 0
        self.check_labels(input.shape[dim], target, ignore_index)
        self.look_at_shift(target, ignore_index)
        total = input.detach().double().logsumexp(dim)
        if (total.abs() > 1e-2).any():
            self.find(
                "nll-without-log-softmax",
                f"the probabilities of a row have the sum {total.exp().mean():.3g}",
            )

    def before_ctc_loss(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Any,
        target_lengths: Any,
        blank: int = 0,
        *_: Any,
        **__: Any,
    ) -> None:
        # Steps after the first may be padded with anything.
        total = log_probs[0].detach().double().logsumexp(-1)
        if (total.abs() > 1e-2).any():
            evidence = (
                f"the probabilities of a step have the sum {total.exp().mean():.3g}"
            )
            self.find_once("nll-without-log-softmax", evidence)
        lengths = torch.as_tensor(target_lengths).cpu()
        known = targets.detach().cpu()
        if known.dim() == 2:
            known = known[torch.arange(known.shape[1]) < lengths[:, None]]
        self.judge_blank(int((known == blank).sum()), known.numel(), blank)

    def check_labels(self, classes: int, target: Tensor, ignore_index: int) -> None:
        labels = target[target != ignore_index]
        if (
            not target.is_floating_point()
            and labels.numel()
            and not 0 <= labels.min() <= labels.max() < classes
        ):
            self.find(
                "labels-out-of-range",
                f"labels {labels.min()} to {labels.max()}, {classes} classes",
            )
            raise _Stop

    def swapped(self, input: Tensor, target: Tensor) -> bool:
        found = target.requires_grad and not input.requires_grad
        if found:
            shapes = f"{tuple(input.shape)} without a gradient, {tuple(target.shape)} with one"
            self.find_once("swapped-arguments", shapes)
        return found

    def look_at_shift(self, target: Tensor, ignore_index: int) -> None:
        """Are the targets the tokens themselves, those next to them, or those
        after? A decoder reads its tokens beside those of another text."""
        if target.is_floating_point():
            return
        for number, tokens in enumerate(self.texts):
            for shift in (1, 0, 2) if number else range(3):
                if self.stands_at(shift, tokens, target, ignore_index):
                    self.shifts.add(shift)
                    self.tokens = tokens
                    return

    def stands_at(
        self, shift: int, tokens: Tensor, target: Tensor, ignore_index: int
    ) -> bool:
        # The loss may have left out the last ones.
        width, length = target.numel() // max(len(tokens), 1), tokens.shape[1]
        if not length - 2 <= width <= length or target.numel() % len(tokens):
            return False
        target = target.reshape(len(tokens), width)
        some = target[:, : length - shift]
        given = tokens[:, shift : shift + width]
        kept = some != ignore_index
        same = kept.sum() >= FEW and torch.equal(some[kept], given[kept])
        if same:
            # Padding is one token; what a mask leaves out is many.
            left = given[~kept].unique().numel() > 2
            self.copies |= shift == 0 and left
        return bool(same)

    def look_at_order(self, model: nn.Module, inputs: Any) -> None:
        """A causal model says of the first half of a text the same whatever
        follows."""
        half, pick = self.tokens.shape[1] // 2, [*range(len(self.tokens))][:2]
        other = self.tokens.clone()
        other[:, half:] = self.tokens[:, half:].flip(1).roll(1, 0)
        if self.copies:
            self.judge_shift(False)
            return

        def said(tokens: Tensor) -> Tensor:
            given = _exchanged(inputs, self.tokens, tokens)
            # Two texts will do, where inputs can be told apart by example.
            with suppress(ValueError):
                given = _taken(given, 0, len(tokens), pick)
            output = _called(model, given)
            parts = (_by_place(part, tokens.shape[1]) for part in _tensors(output))
            return next(part for part in parts if part is not None)

        first, last = said(self.tokens), said(other)
        apart = (first - last).abs()
        same = apart[:, :half].max() <= 1e-4 * first.abs().max()
        self.judge_shift(bool(same and apart[:, half:].max() > 0))
        if not same and 1 in self.shifts:
            self.find("future-visible", "an output changes with what comes after it")

    def before_binary_cross_entropy(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if self.swapped(input, target):
            return
        self.judge_targets(target.detach(), 0, 1)
        self.look_at_activation(input)
        low, high = input.min().item(), input.max().item()
        if not 0 <= low <= high <= 1 and math.isfinite(high - low):
            if _maker(input) != "Tanh":
                span = f"the loss's inputs go from {low:.3g} to {high:.3g}"
                self.find_once("bce-without-sigmoid", span)
            raise _Stop  # PyTorch would end here
        if not 0 <= target.min() <= target.max() <= 1:
            raise _Stop

    def before_kl_div(
        self,
        input: Tensor,
        target: Tensor,
        *_: Any,
        log_target: bool = False,
        **__: Any,
    ) -> None:
        if input.max() > 1e-3:
            evidence = (
                f"log-probabilities end at 0, the inputs go up to {input.max():.3g}"
            )
            self.find_once("nll-without-log-softmax", evidence)
        if not log_target:
            self.judge_targets(target.detach(), 0, 1)

    def before_poisson_nll_loss(
        self,
        input: Tensor,
        target: Tensor,
        log_input: bool = True,
        *_: Any,
        **__: Any,
    ) -> None:
        self.judge_targets(target.detach(), 0, math.inf)
        self.judge_rate(_maker(input), log_input, input.min().item())

    def before_soft_margin_loss(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if not (target.detach().abs() == 1).all():
            span = f"from {target.min():.3g} to {target.max():.3g}"
            evidence = f"the loss wants labels -1 and 1, the labels go {span}"
            self.find_once("targets-outside", evidence)

    before_hinge_embedding_loss = before_soft_margin_loss

    def before_cosine_embedding_loss(
        self, input1: Tensor, input2: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        self.before_soft_margin_loss(input1, target)

    before_margin_ranking_loss = before_cosine_embedding_loss

    def before_binary_cross_entropy_with_logits(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if self.swapped(input, target):
            return
        self.judge_targets(target.detach(), 0, 1)
        self.look_at_activation(input)
        if _maker(input) == "Sigmoid":
            self.find_once(
                "sigmoid-before-logits-loss",
                "the loss's input is the output of a sigmoid",
            )
        loss = nn.functional.binary_cross_entropy_with_logits
        self.compare(loss(input.detach().float(), target.float(), reduction="none"), 2)

    before_multilabel_soft_margin_loss = before_binary_cross_entropy_with_logits

    def before_mse_loss(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if input.shape != target.shape:
            self.find(
                "broadcast-loss",
                f"output {tuple(input.shape)}, targets {tuple(target.shape)}",
            )
        self.judge_range(_maker(input), target, target.numel())
        size = _rms(target)
        if INPUT < size < math.inf:
            self.find(
                "target-scale", f"root mean square {size:.3g}, more than {INPUT:g}"
            )

    before_l1_loss = before_smooth_l1_loss = before_huber_loss = before_mse_loss


_REGRESSIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
