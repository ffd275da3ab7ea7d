"""The trials, and what they say."""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from snippets.diagnostics.check_model_source.report import Finding
from snippets.diagnostics.diagnose_source.limits import (
    ADAM,
    ALONE,
    BETTER,
    COMMON,
    FINISHED,
    GUESS,
    MOST,
    MOVED,
    NO_BETTER,
    NOT_DONE,
    NOTHING,
    STEPS,
    WAVERS,
)
from snippets.diagnostics.diagnose_source.report import Trial, _end, _found


class _Stopped(Exception):
    """By Ctrl-C."""


class _Clock:
    """Counts steps, shows how far it is, and takes the first Ctrl-C: what runs
    comes to its end, and everything is put back. The second one acts as always.
    """

    def __init__(self, progress: bool) -> None:
        self.progress, self.spent, self.stopped = progress, 0.0, False
        self.shown, self.last = "", 0.0

    def __enter__(self) -> "_Clock":
        try:
            self.previous = signal.signal(signal.SIGINT, self.stop)
        except ValueError:  # only the main thread gets signals
            self.previous = None
        return self

    def __exit__(self, *_: Any) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
        self.show("")

    def stop(self, *_: Any) -> None:
        self.stopped = True
        signal.signal(signal.SIGINT, self.previous)

    def tick(self, cost: float, doing: str) -> None:
        self.spent += cost
        if time.monotonic() > self.last + 0.2:
            self.last = time.monotonic()
            self.show(f"diagnose: {self.spent:.0f} of at most {MOST} steps, {doing}")

    def show(self, line: str) -> None:
        if self.progress and line != self.shown:
            sys.stderr.write(
                "\r" + line.ljust(len(self.shown)) + ("" if line else "\r")
            )
            sys.stderr.flush()
            self.shown = line

    def check(self) -> None:
        if self.stopped:
            raise _Stopped


class _Probe:
    """`run(factor, steps, alone)` gives the losses of a trial and adds to
    `moved`; the first one also fills `settled`, `scores` and `zeros`.
    """

    def __init__(
        self,
        run: Callable[[float, int, bool], list[float]],
        clock: _Clock,
        planned: int | None,
        constant: tuple[float, float] | None,
    ) -> None:
        self.run, self.clock, self.planned = run, clock, planned
        self.constant = constant
        self.own = min(STEPS, planned or STEPS)
        """A training shorter than the trial ends where it ends."""
        self.trials: list[Trial] = []
        self.settled = math.inf
        """Loss in inference mode: dropout and noise are off."""
        self.scores: list[Any] = []
        """Accuracies in inference and in training mode."""
        self.moved: list[float] = []
        """Of each trial, the displacement of the weights over their norm."""
        self.learned = False
        """The first trial gets so low that no more is asked."""
        self.zeros = ""
        """Evidence that a loss was lost in the logarithm of 0."""
        self.by_heart: Callable[[int, float], tuple[list[float], str]] | None = None
        """The losses of a training on a part of the examples, of so many steps
        or until it is as low, and evidence that nothing of it holds for the
        others."""

    def trial(self, factor: float, steps: int, alone: bool = False) -> Trial:
        trial = Trial(factor, alone, tuple(self.run(factor, steps, alone)))
        self.clock.check()
        self.trials.append(trial)
        return trial

    def findings(
        self, unrelated: Callable[[], str], known: set[str]
    ) -> Iterator[Finding]:
        """`known` are the codes of faults, of which it would be no news that
        nothing is learned.
        """
        found = list(self.judged(unrelated, known))
        yield from found
        near = "" if found or known else unrelated()
        steps = int(MOST - self.clock.spent - 20)
        if near and self.by_heart and self.constant and steps >= STEPS // 2:
            guess, least = self.constant
            low = least + FINISHED * (guess - least)
            losses, held = self.by_heart(steps, low)
            end = _end(tuple(losses), len(losses))
            if held and end - least < NOT_DONE * (guess - least):
                yield _found(
                    "labels-unrelated",
                    f"after {len(losses)} steps on two thirds of the examples their loss is {end:.3g}, {held}; {near}",
                )

    def judged(
        self, unrelated: Callable[[], str], known: set[str]
    ) -> Iterator[Finding]:
        first = self.trial(1.0, STEPS)
        losses, planned, explained = first.losses, self.planned, bool(known)
        if self.zeros:
            yield _found("log-of-zero", self.zeros)
            return
        if math.isfinite(losses[-1]):
            # Steps that need the loss several times are fewer.
            self.own = min(self.own, len(losses))
        own = self.own
        if self.constant is None and (min(losses) < 0 or not losses[0]):
            # Of such a loss no ratio says anything.
            self.learned = math.isfinite(losses[-1])
            if not math.isfinite(losses[-1]):
                yield from list(self.too_high(math.inf, math.inf, 0.0)) or self.lost()
            return
        guess, least = self.constant or (losses[0], 0.0)
        scale, start = guess - least, _end(losses, min(len(losses), own)) - least
        given = _end(losses, own) - least
        start = sum(losses[:5]) / len(losses[:5]) - least
        whole = planned is not None and planned <= STEPS
        score = self.score()
        if given < NOT_DONE * scale and score and score[0] < NO_BETTER:
            yield _found(
                "loss-against-score",
                f"loss {start + least:.3g} to {given + least:.3g}, accuracy {score[0]:+.1%} from that of the commonest "
                f"class ({score[1]:.0%}), limit {NO_BETTER:+.0%}",
            )
            return
        enough = FINISHED if whole else NOT_DONE
        self.learned = min(given, self.settled - least) < enough * scale
        if self.learned:
            return
        lost = given > GUESS * scale
        if planned and self.stands_still(given, start, scale):
            found = list(self.too_short(given, start, scale, least, known))
            if not found and not self.stays_flat(explained):
                most = self.moved[0] * planned / len(losses)
                found = [
                    _found(
                        "steps-too-short",
                        f"in {planned} steps the weights move by at most {most:.2g} of their size, limit {MOVED:g}; "
                        f"loss after {own} steps {given + least:.3g}, {self.mark(guess)}",
                    )
                ]
            yield from found
            if not found and lost:
                yield from self.nothing(given, scale, least, unrelated, explained)
            return
        if lost or _wavers(losses[:own]):
            high = list(self.too_high(given, scale, least))
            yield from high
            if high:
                return
            if all(trial.loss == math.inf for trial in self.trials):
                yield from self.lost()
                return
        falls = self.heads_low(given, scale, least)
        if lost or not falls:
            # What falls to the constant may stop there: a higher rate shows.
            found = list(self.too_short(given, start, scale, least, known))
            if found and not falls:
                yield from found
            elif not found and lost:
                yield from self.nothing(given, scale, least, unrelated, explained)

    def mark(self, guess: float) -> str:
        """What losses are measured by."""
        name = "first loss" if self.constant is None else "best constant"
        return f"{name} {guess:.3g}"

    def score(self) -> Any:
        """The better one of both modes: the averages of batch normalization lag
        behind.
        """
        known = [score for score in self.scores if score]
        score = max(known, default=None)
        return score if score and score[1] < COMMON else None

    def stands_still(self, given: float, start: float, scale: float) -> bool:
        """Even in a straight line the weights hardly move, and the loss neither
        ends nor is on its way to end low.
        """
        steps = self.planned / len(self.trials[0].losses)
        heading = start - (start - given) * max(steps, 1.0)
        return (
            math.isfinite(given)
            and given > FINISHED * scale
            and heading > NOT_DONE * scale
            and self.moved[0] * steps < MOVED
        )

    def stays_flat(self, explained: bool) -> bool:
        """A higher rate moves the weights and leaves the loss where it is, or
        no rate moves them, or a known fault holds them: this says nothing of
        the steps.
        """
        given = self.trials[0].loss
        moved = any(
            move > MOVED and BETTER * given < trial.loss < given / BETTER
            for move, trial in zip(self.moved[1:], self.trials[1:], strict=True)
        )
        held = self.moved[0] == 0 and (explained or not any(self.moved))
        return moved or held

    def left(self, trials: int) -> int:
        """Steps for each of so many more trials."""
        free = MOST - self.clock.spent - ALONE - 10
        return max(10, min(STEPS, int(free / trials)))

    def too_high(self, given: float, scale: float, least: float) -> Iterator[Finding]:
        less = math.inf
        for factor, trials in ((0.1, 5), (0.01, 4)):
            if given < less < math.inf:
                return  # even shorter steps are worse still
            steps = min(self.own, self.left(trials))
            less = self.trial(factor, steps).loss - least
            falls = less < GUESS * scale or given > 3 * scale
            if less < BETTER * given and (falls or not math.isfinite(given)):
                yield _found(
                    "rate-too-high",
                    f"loss after {self.own} steps {given + least:.3g}, after {steps} at {factor:g} times the rate "
                    f"{less + least:.3g}; limit {BETTER:g} of it"
                    + (f"; {self.mark(scale + least)}" if scale < math.inf else ""),
                )
                return

    def lost(self) -> Iterator[Finding]:
        ends = [
            f"step {len(trial.losses)} at {trial.factor:g} times the rate"
            for trial in self.trials
        ]
        yield _found("non-finite-training", ", ".join(ends))

    def too_short(
        self, given: float, start: float, scale: float, least: float, known: set[str]
    ) -> Iterator[Finding]:
        """Does a longer step help, or a longer training? Beside what makes all
        steps noisy, this is no news.
        """
        if known & _NOISY:
            return
        for trial in self.longer():
            more = trial.loss - least
            if more < BETTER * given and more < GUESS * scale:
                slope = (start - given) / self.own
                needed = (start - more) / slope if slope > 0 else math.inf
                if (self.planned or 100 * STEPS) < needed:
                    plan = (
                        "" if self.planned is None else f", {self.planned} are planned"
                    )
                    yield _found(
                        "steps-too-short",
                        f"loss after {self.own} steps {given + least:.3g}, after {len(trial.losses)} at "
                        f"{trial.factor:g} times the rate {trial.loss:.3g}; the given rate needs {needed:.3g} steps "
                        f"for that{plan}",
                    )
                    return

    def heads_low(self, given: float, scale: float, least: float) -> bool:
        """As it falls in its second half, the loss ends low in the planned
        steps.
        """
        half, low = self.own // 2, False
        if self.planned is not None and self.planned > self.own and half > 1:
            fall = _end(self.trials[0].losses, half) - least - given
            fall /= self.own - half
            low = given - fall * (self.planned - self.own) < NOT_DONE * scale
        return low

    def longer(self) -> Iterator[Trial]:
        """More of the given rate, higher ones, and more of the best of
        these."""
        if self.own < len(self.trials[0].losses):
            yield self.trials[0]
        tried = list[Trial]()
        for factor, trials in ((10.0, 3), (100.0, 2), (1000.0, 1)):
            tried.append(self.trial(factor, self.left(trials)))
            yield tried[-1]
        best, steps = min(tried, key=lambda trial: trial.loss), self.left(1)
        if len(best.losses) < steps and best.loss < math.inf:
            yield self.trial(best.factor, steps)

    def nothing(
        self,
        given: float,
        scale: float,
        least: float,
        unrelated: Callable[[], str],
        explained: bool,
    ) -> Iterator[Finding]:
        best = min([given, *(trial.loss - least for trial in self.trials)])
        if best <= NOTHING * scale or explained:
            return
        rates = sorted({trial.factor for trial in self.trials})
        evidence = (
            f"the lowest loss at {', '.join(f'{rate:g}' for rate in rates)} times the rate is {best + least:.3g}, "
            f"{self.mark(scale + least)}, limit {NOTHING:g} of it"
        )
        near = unrelated()
        if near:
            yield _found("labels-unrelated", f"{near}; {evidence}")
            return
        steps = ALONE // len(ADAM)
        batch = [self.trial(rate, steps, alone=True) for rate in ADAM]
        alone = [trial.loss - least for trial in batch]
        # What still falls, far above the constant, is on its way.
        arrived = min(alone) < scale / NOTHING or all(
            _wavers(trial.losses, NOTHING) for trial in batch
        )
        if min(alone) > NOTHING * scale and arrived:
            yield _found(
                "cannot-overfit-one-batch",
                f"loss {min(alone) + least:.3g} after {steps} steps on one batch; {evidence}",
            )
            return
        yield _found(
            "learns-nothing",
            f"{evidence}; on one batch alone {min(alone) + least:.3g}",
        )


_NOISY = {"dropout-too-strong"}
"""Faults that make a loss fall slowly at any rate."""


def _wavers(losses: tuple[float, ...], limit: float = WAVERS) -> bool:
    """The second half is no better than what came before it."""
    half, opening = len(losses) // 2, len(losses) // 5
    before, after = losses[opening:half], losses[half:]
    if len(losses) < 4:
        return True
    return sum(after) / len(after) > limit * sum(before) / len(before)
