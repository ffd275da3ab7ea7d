"""What the rules of `diagnose` must say of facts, in both frameworks: each fault beside a healthy one."""

import math

import numpy as np
import pytest

DRAW = np.random.default_rng(0)


def softmax(values):
    values = np.exp(values - values.max(-1, keepdims=True))
    return values / values.sum(-1, keepdims=True)


SCORES = DRAW.normal(size=(64, 4))
LABELS = DRAW.integers(4, size=64)
ONE_HOT = np.eye(4)[LABELS]
MANY = np.where(DRAW.uniform(size=(64, 4)) < 0.5, 1.0, 0.0)
ONE = DRAW.normal(size=(64, 1))
HALF = DRAW.integers(2, size=(64, 1)).astype(float)


def facts(snippet, kind, output, targets, maker="Addmm", **more):
    more = {"logits": True, "value": None} | more
    return snippet._Facts(kind=kind, output=output, targets=targets, maker=maker, **more)


FAULTS = {
    "labels-not-whole": ("labels", SCORES, LABELS / 4, "Addmm"),
    "labels-out-of-range": ("labels", SCORES, LABELS + 1, "Addmm"),
    "one-target": ("binary", ONE, 0 * HALF, "Sigmoid"),
    "targets-outside": ("binary", ONE, 2 * HALF - 1, "Sigmoid"),
    "softmax-over-one-unit": ("binary", np.ones((64, 1)), HALF, "Softmax"),
    "softmax-axis": ("classes", softmax(SCORES.T).T, ONE_HOT, "Softmax"),
    "one-class-cross-entropy": ("labels", ONE, 0 * LABELS, "Addmm"),
    "sigmoid-before-categorical": ("labels", abs(SCORES) / 9, LABELS, "Sigmoid"),
    "relu-before-loss": ("labels", np.maximum(SCORES, 0), LABELS, "Relu"),
    "binary-loss-for-classes": ("binary", softmax(SCORES), ONE_HOT, "Softmax"),
    "softmax-for-many-labels": ("binary", softmax(SCORES), MANY, "Softmax"),
    "absolute-error-of-labels": ("absolute", abs(ONE) / 9, HALF, "Sigmoid"),
    "squared-error-of-classes": ("squared", softmax(SCORES), ONE_HOT, "Softmax"),
    "hinge-on-probabilities": ("hinge", abs(ONE) / 9, 2 * HALF - 1, "Sigmoid"),
}
HEALTHY = {
    "class numbers under logits": ("labels", SCORES, LABELS, "Addmm"),
    "class numbers as floats": ("labels", SCORES, LABELS.astype(float), "Addmm"),
    "one-hot rows under logits": ("classes", SCORES, ONE_HOT, "Addmm"),
    "soft rows": ("classes", softmax(SCORES), softmax(SCORES + 1), "Softmax"),
    "a sigmoid for each of many labels": ("binary", abs(SCORES) / 9, MANY, "Sigmoid"),
    "a softmax over two of three axes": ("other", np.ones((4, 5, 6)) / 5, np.ones((4, 5, 6)), "Softmax"),
    "Brier's score": ("squared", abs(ONE) / 9, HALF, "Sigmoid"),
    "hinge of scores": ("hinge", ONE, 2 * HALF - 1, "Addmm"),
    "absolute error of prices": ("absolute", ONE, 3 * ONE, "Addmm"),
    "fifteen labels that are alike": ("labels", SCORES[:15], 0 * LABELS[:15], "Addmm"),
    "one-hot rows under a squared error": ("squared", SCORES, ONE_HOT, "Addmm"),
    "one column that is not 0": ("squared", SCORES, ONE_HOT[:1] * ONE, "Addmm"),
    "a row with two numbers": ("squared", SCORES, np.r_[ONE_HOT * ONE, SCORES[:1]], "Addmm"),
    "a row of zeros": ("squared", SCORES, np.r_[ONE_HOT * ONE, 0 * SCORES[:1]], "Addmm"),
    "a vector of scores": ("binary", ONE[:, 0], HALF[:, 0], "Addmm"),
}


def check_facts(snippet):
    for code, given in FAULTS.items():
        assert [finding.code for finding in snippet._judge_facts(facts(snippet, *given))] == [code]
    for name, given in HEALTHY.items():
        assert not list(snippet._judge_facts(facts(snippet, *given))), name
    (zeros,) = snippet._judge_facts(facts(snippet, "squared", SCORES, ONE_HOT * ONE))
    assert (zeros.code, zeros.level) == ("zero-targets", "note")
    summed = facts(snippet, "squared", ONE, ONE, sums=True, unit=64.0)
    assert [finding.level for finding in snippet._judge_facts(summed)] == ["note"]


LOOKS = {"inputs": [], "normalized": False, "stacks": [], "drops": [], "penalty": 0.0}
SEEN = {
    "non-finite-input": {"inputs": [np.where(SCORES > 2, np.nan, SCORES)]},
    "input-scale": {"inputs": [SCORES / 255]},
    "linear-stack": {"stacks": ["0 and 1"]},
    "dropout-too-strong": {"drops": [("1", 0.8), ("2", 0.5)]},
    "penalty-outweighs-loss": {"penalty": 1.5},
}
PASSED = (
    {"inputs": [SCORES / 255], "normalized": True},
    {"inputs": [np.eye(64)]},
    {"inputs": [LABELS]},
    {"inputs": [0 * SCORES]},
    {"drops": [("1", 0.75)]},
    {"penalty": 0.9},
)


def check_looks(snippet):
    for code, looks in SEEN.items():
        found = list(snippet._judge_looks(snippet._Looks(**LOOKS | looks), LABELS))
        assert [finding.code for finding in found] == [code]
        assert any(letter.isdigit() for letter in found[0].evidence)
    for looks in PASSED:
        assert not list(snippet._judge_looks(snippet._Looks(**LOOKS | looks), LABELS))
    many = snippet._Looks(**LOOKS | {"inputs": [np.repeat(SCORES, 40, 0) / 255]})
    assert [finding.code for finding in snippet._judge_looks(many, ONE * np.inf)] == ["non-finite-input", "input-scale"]


def check_reversed_weights(snippet):
    labels, rare = np.repeat(np.arange(4), [40, 16, 6, 2]), np.arange(64) % 4 == 0
    counts = np.bincount(labels).astype(float)
    balanced, binary = counts.sum() / counts / counts.size, rare[:, None].astype(float)
    # The ends go the wrong way, what lies between them does not.
    aside = np.empty(4)
    aside[counts.argsort()] = 1.0, 100.0, 0.01, 4.0
    for given, weights, fires in (
        (("labels", SCORES, labels, "Addmm"), counts / counts.sum(), True),
        (("labels", SCORES, labels, "Addmm"), balanced, False),
        (("labels", SCORES, labels, "Addmm"), np.array([1.0, 2.0, 2.0, 1.0]), False),
        (("labels", SCORES, labels, "Addmm"), np.array([5.0, 0.0, 0.0, 0.0]), False),
        (("labels", SCORES, labels, "Addmm"), aside, False),
        (("labels", SCORES, labels, "Addmm"), np.array([1.5, 1.3, 1.1, 1.0]), False),
        (("labels", SCORES, LABELS, "Addmm"), np.array([4.0, 1.0, 1.0, 1.0]), False),
        (("classes", SCORES, np.eye(4)[labels], "Addmm"), counts, True),
        (("classes", SCORES, softmax(SCORES), "Addmm"), counts, False),
        (("binary", ONE, binary, "Addmm"), np.array([1 / 3]), True),
        (("binary", ONE, binary, "Addmm"), np.array([3.0]), False),
        (("binary", SCORES, MANY, "Addmm"), np.array([0.1, 0.1, 0.1, 0.1]), False),
        (("squared", ONE, ONE, "Addmm"), None, False),
    ):
        found = list(snippet._judge_facts(facts(snippet, *given, weights=weights)))
        assert [(one.code, one.level) for one in found] == [("reversed-weights", "note")] * fires, (given[0], weights)
    counted = facts(snippet, "binary", ONE, binary, classes=(np.array([48, 16]), np.array([3.0, 1.0])))
    (found,) = snippet._judge_facts(counted)
    assert found.evidence.startswith("class 0: 75% of the labels, weight 3; class 1: 25% of the labels, weight 1;")


def check_uneven_classes(snippet):
    rare = np.arange(64) % 16 == 0
    labels, hot = rare.astype(int), np.eye(4)[rare.astype(int)]
    for given in (
        ("labels", SCORES, labels, "Addmm"),
        ("binary", ONE, rare[:, None].astype(float), "Addmm"),
        ("classes", SCORES, hot, "Addmm"),
    ):
        (found,) = snippet._judge_facts(facts(snippet, *given))
        assert (found.code, found.level) == ("uneven-classes", "note")
        assert found.evidence == "93.8% of the labels are one, limit 90%"
    often = np.arange(64) % 8 == 0
    for given in (
        ("labels", SCORES, often.astype(int), "Addmm"),
        ("labels", SCORES[:15], labels[:15], "Addmm"),
        ("binary", SCORES, hot[:, ::-1] * rare[:, None], "Addmm"),
        ("squared", ONE, rare[:, None].astype(float), "Addmm"),
    ):
        assert not list(snippet._judge_facts(facts(snippet, *given)))


def check_leaks(snippet):
    """The target stands among the inputs, not something that is near it."""
    table = np.concatenate([SCORES, HALF], 1)
    (found,) = snippet._judge_looks(snippet._Looks(**LOOKS | {"inputs": [LABELS, table]}), HALF[:, 0])
    assert (found.code, found.level) == ("target-among-inputs", "note")
    assert found.evidence == "column 4 of 5, in all 64 examples"
    for inputs, targets in (
        (table[:15], HALF[:15]),
        (ONE, ONE),
        (table, SCORES),
        (np.ones((64, 2)), np.ones((64, 1))),
        (table + 1e-3, HALF),
        (table[:, :, None], HALF),
    ):
        assert not list(snippet._judge_looks(snippet._Looks(**LOOKS | {"inputs": [inputs]}), targets))


def check_constants(snippet):
    """The best constant against a search."""
    draw = np.random.default_rng(0)
    entropy = -sum(share * math.log(share) for share in np.bincount(LABELS) / 64)
    known = {"value": lambda answer, targets: float(np.square(answer - targets).mean())}
    best = snippet._best_constant
    assert best(facts(snippet, "labels", SCORES, LABELS, **known)) == pytest.approx((entropy, 0.0))
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    shares = softmax(draw.normal(size=(20000, 4)) * 0.5)
    weighted = facts(snippet, "labels", SCORES, LABELS, weights=weights, **known)
    costs = (-np.log(shares)[:, LABELS] * weights[LABELS]).sum(1) / weights[LABELS].sum()
    assert best(weighted)[0] == pytest.approx(costs.min(), rel=1e-2) and best(weighted)[0] <= costs.min()
    smooth = facts(snippet, "labels", SCORES, LABELS, smoothing=0.1, **known)
    rows = 0.9 * ONE_HOT + 0.025
    least = -(rows[0] * np.log(rows[0])).sum()
    assert best(smooth) == pytest.approx((-(rows.mean(0) * np.log(rows.mean(0))).sum(), least))
    squared = facts(snippet, "squared", SCORES, SCORES, **known)
    assert best(squared) == pytest.approx((SCORES.var(0).mean(), 0.0))
    cross = {"value": lambda answer, targets: float(-(targets * np.log(answer)).sum(-1).mean())}
    soft = softmax(SCORES)
    guess, least = best(facts(snippet, "classes", SCORES, soft, **cross))
    assert (guess, least) == pytest.approx(
        (-(soft.mean(0) * np.log(soft.mean(0))).sum(), -(soft * np.log(soft)).sum(-1).mean())
    )
    many = {
        "value": lambda answer, targets: float(
            -(3 * targets * np.log(answer) + (1 - targets) * np.log(1 - answer)).mean()
        )
    }
    positive = facts(snippet, "binary", ONE, np.clip(HALF, 0.01, 0.99), weights=np.array([3.0]), **many)
    tried = min(many["value"](np.full((64, 1), answer), positive.targets) for answer in np.linspace(0.01, 0.99, 99))
    assert best(positive)[0] == pytest.approx(tried, rel=1e-3)
    assert best(facts(snippet, "squared", ONE, ONE)) is None
    assert best(facts(snippet, "squared", ONE, 0 * ONE, **known)) is None


def check_scores(snippet):
    score, given = snippet._score, facts(snippet, "labels", SCORES, LABELS)
    common = np.bincount(LABELS).max() / 64
    assert score(given, ONE_HOT, LABELS) == pytest.approx((1 - common, common))
    assert score(given, SCORES, LABELS[:9]) is None
    # Of labels that do not count, neither a right one nor the commonest class is known.
    padded = np.r_[LABELS, np.full(200, 3)]
    most = given._replace(ignored=3)
    counted = LABELS[LABELS != 3]
    share = np.bincount(counted).max() / len(counted)
    assert score(most, np.eye(4)[np.where(padded == 3, 0, padded)], padded) == pytest.approx((1 - share, share))
    assert score(most, SCORES[:9], np.full(9, 3)) is None
    classes = facts(snippet, "classes", SCORES, ONE_HOT)
    assert score(classes, ONE_HOT, ONE_HOT) == pytest.approx((1 - common, common))
    assert score(classes, SCORES, softmax(SCORES)) is None
    often = max(HALF.mean(), 1 - HALF.mean())
    logits = facts(snippet, "binary", ONE, HALF)
    assert score(logits, HALF - 0.1, HALF) == pytest.approx((1 - often, often))
    assert score(logits._replace(logits=False), HALF * 0.4 + 0.2, HALF) == pytest.approx((1 - often, often))


def check_neighbours(snippet):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 3))
    y = (x[:, :1] > 0).astype(float)
    assert not snippet._unrelated(y, x)
    assert "standard errors), limit 3" in snippet._unrelated(y[::-1], x)
    one_hot = np.eye(2)[y[:, 0].astype(int)]
    assert not snippet._unrelated(one_hot, x)
    assert snippet._neighbours(one_hot, x) == snippet._neighbours(y[:, 0], x)
    wide = np.concatenate([x, np.zeros((600, snippet.WIDE))], 1)
    assert not snippet._unrelated(y, wide[:, : snippet.WIDE])
    for labels, other in ((y, x[:9]), (y[:9], x[:9]), (y, (9 * x).astype(int)), (np.full((600, 1), "a"), x)):
        assert snippet._neighbours(labels, other) is None
    # Targets that are pictures are not compared.
    assert snippet._neighbours(np.zeros((600, 8, 9)), x) is None
    for numbers in (x[:, :1], x @ draw.normal(size=(3, 2)), np.arange(600) * (x[:, 0] > 0)):
        assert not snippet._unrelated(numbers, x)
        assert "the mean correlates by" in snippet._unrelated(numbers[::-1], x)
    assert snippet._neighbours(0.5 + np.zeros(600), x) is None


def check_moved_labels(snippet):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 3))
    labels, numbers = (x[:, 0] > 0).astype(int), x[:, :1] + x[:, 1:2]
    for moved in (1, -1, 2, -3):
        for y in (labels, numbers):
            assert f"with the targets moved by {-moved:+d}: " in snippet._unrelated(np.roll(y, moved, 0), x)
    for y in (labels, numbers):
        assert "moved" not in snippet._unrelated(np.roll(y, 9, 0), x)


def check_held_out(snippet):
    """What predictions of new examples say, by classes and by numbers."""
    draw = np.random.default_rng(0)
    given, wrong = facts(snippet, "labels", SCORES, LABELS), np.roll(LABELS, 7)
    assert not snippet._not_held(given, ONE_HOT, LABELS)
    evidence = snippet._not_held(given, np.eye(4)[wrong], LABELS)
    assert "of 64 examples held out" in evidence and "by chance" in evidence and "limit 1)" in evidence
    # One answer for all is right as often as by chance.
    assert "+0.0 standard errors" in snippet._not_held(given, 0 * ONE_HOT + [1, 0, 0, 0], LABELS)
    assert not snippet._not_held(given, np.eye(4)[wrong][:40], LABELS[:40])
    squared = facts(snippet, "squared", ONE, ONE)
    assert not snippet._not_held(squared, ONE + draw.normal(size=ONE.shape), ONE)
    assert "the correlation with the targets is -1.00" in snippet._not_held(squared, -ONE, ONE)
    assert not snippet._not_held(squared, ONE[:, 0], ONE)
    assert not snippet._not_held(squared, 0 * ONE, ONE)


def check_counts(snippet):
    assert list(snippet._as_often(np.array([0, 1, 1, 0, 1]))) == [1, 2, 4]
    assert list(snippet._as_often(np.array([0.0, 2.0, 1.0, 0.5, 0.5]))) == [1, 1, 2, 3]


def check_learned_by_heart(snippet):
    """Nothing is said where near examples are alike, where a fault is known, or where new ones are predicted."""

    def said(near="near", held="held", end=0.1, known=frozenset()):
        def run(factor, steps, alone):
            clock.spent += steps
            probe.moved.append(1.0)
            return [0.1] * steps

        clock = snippet._Clock(False)
        probe = snippet._Probe(run, clock, None, (1.0, 0.0))
        probe.by_heart = lambda steps, low: ([end] * steps, held)
        return [finding.evidence for finding in probe.findings(lambda: near, set(known))]

    assert said() == ["after 280 steps on two thirds of the examples their loss is 0.1, held; near"]
    assert said(near="") == said(held="") == said(end=0.6) == said(known={"linear-stack"}) == []


def check_wavers(snippet):
    assert snippet._wavers((1.0, 0.1, 0.1)) and snippet._wavers((1.0,) * 20)
    assert not snippet._wavers(tuple(0.9**step for step in range(20)))


def check_left_steps(snippet):
    """What lost trials leave goes to the best of the higher rates."""

    def run(factor, steps, alone):
        count = steps if factor <= 10 else 2
        clock.spent += count
        return [1.0 / factor] * count if factor <= 10 else [1.0, math.inf]

    clock = snippet._Clock(False)
    probe = snippet._Probe(run, clock, None, None)
    probe.trial(1.0, snippet.STEPS)
    assert [trial.factor for trial in probe.longer()] == [10.0, 100.0, 1000.0, 10.0]
    assert len(probe.trials[1].losses) < len(probe.trials[-1].losses) == snippet.STEPS
    assert clock.spent < snippet.MOST


def check_log_of_zero(snippet):
    """Only a logarithm is finite near 0 and not at 0; and the outputs must have been there."""
    y = HALF

    def entropy(p):
        with np.errstate(all="ignore"):
            return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())

    def quotient(p):
        with np.errstate(all="ignore"):
            return float((1 / p).mean())

    inside, ends = np.full((64, 1), 0.3), np.r_[np.full((63, 1), 0.3), [[1.0]]]
    evidence = snippet._log_of_zero(ends, entropy, 9)
    assert "in step 9 1 of 64 outputs are exactly 0 or 1; the loss of outputs 0.5 is 0.693" in evidence
    assert not snippet._log_of_zero(inside, entropy, 9)
    assert not snippet._log_of_zero(2 * ends, entropy, 9)
    assert not snippet._log_of_zero(ends * np.nan, entropy, 9)
    assert not snippet._log_of_zero(ends, quotient, 9)
    assert not snippet._log_of_zero(ends, lambda p: entropy(np.clip(p, 1e-7, 1 - 1e-7)), 9)
    assert not snippet._log_of_zero(ends, lambda p: math.nan, 9)


def probed(snippet, losses, moves, planned, constant, known=frozenset()):
    """The findings of trials whose loss and whose move of the weights depend on the rate as given."""

    def run(factor, steps, alone):
        clock.spent += steps
        probe.moved.append(moves(factor))
        return [losses(0.01 if alone else factor, step) for step in range(steps)]

    clock = snippet._Clock(False)
    probe = snippet._Probe(run, clock, planned, constant)
    found = list(probe.findings(str, set(known)))
    assert clock.spent <= snippet.MOST
    return {finding.code: finding.evidence for finding in found}


def check_flat_trials(snippet):
    """Where nothing moves, or what moves does not help, the steps are not too short."""

    def flat(factor, step):
        return 1.0

    def rate(factor):
        return 1e-4 * factor

    def still(factor):
        return 1e-9 * factor

    assert list(probed(snippet, flat, rate, 200, (1.0, 0.0), {"vanishing-activation"})) == []
    assert list(probed(snippet, flat, rate, 200, (1.0, 0.0))) == ["cannot-overfit-one-batch"]
    assert list(probed(snippet, flat, lambda factor: 0.0, 200, (1.0, 0.0), {"dead-relu"})) == []
    held = probed(snippet, flat, lambda factor: 0.0, 200, (1.0, 0.0))
    assert list(held) == ["cannot-overfit-one-batch"]
    for known in (set(), {"input-scale"}):
        found = probed(snippet, flat, still, 200, (1.0, 0.0), known)
        assert "best constant 1" in found["steps-too-short"]
    assert "first loss 1" in probed(snippet, flat, still, 200, None)["steps-too-short"]


def check_noisy_trials(snippet):
    """A strong dropout makes a loss fall slowly: a longer step would help, and is not the cause."""

    def slow(factor, step):
        return max(0.1, 1 - 0.002 * factor * step)

    assert list(probed(snippet, slow, lambda factor: 1.0, 150, (1.0, 0.0))) == ["steps-too-short"]
    assert list(probed(snippet, slow, lambda factor: 1.0, 150, (1.0, 0.0), {"dropout-too-strong"})) == []


def check_falling_trials(snippet):
    """What falls to the constant may stop there or not: the higher rates are tried before a word is said."""

    def reached(factor, step):
        return max(0.5, 3 - 0.02 * factor * step)

    def stopped(factor, step):
        return max(1.0, 3 - 0.02 * factor * step)

    assert list(probed(snippet, reached, lambda factor: 1.0, 5000, (1.0, 0.0))) == []
    (evidence,) = probed(snippet, stopped, lambda factor: 1.0, 5000, (1.0, 0.0)).values()
    assert "at 0.1, 1, 10, 100, 1000 times the rate is 1, best constant 1, limit 0.97" in evidence


def check_high_rates(snippet):
    def high(factor, step):
        return 5.0 if factor >= 1 else 0.3

    assert "best constant 1" in probed(snippet, high, lambda factor: 1.0, None, (1.0, 0.0))["rate-too-high"]
    assert "first loss 5" in probed(snippet, high, lambda factor: 1.0, None, None)["rate-too-high"]


def check_added_terms(snippet):
    (found,) = snippet._judge_looks(snippet._Looks(**LOOKS | SEEN["penalty-outweighs-loss"]), LABELS)
    assert "KL divergence, that is a sum where the loss is a mean" in found.cause
    assert "weights" not in found.symptom


RULES = (
    *(check_facts, check_looks, check_constants, check_scores, check_neighbours, check_wavers, check_left_steps),
    *(check_log_of_zero, check_flat_trials, check_noisy_trials, check_falling_trials, check_high_rates),
    *(
        check_reversed_weights,
        check_uneven_classes,
        check_leaks,
        check_added_terms,
        check_moved_labels,
        check_held_out,
        check_counts,
        check_learned_by_heart,
    ),
)
