"""What counts in the loss counts in the best constant and in the accuracy, and what was learned must hold for new
examples, in Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, optimizers

from snippets.diagnostics.diagnose_keras import diagnose

pytestmark = pytest.mark.keras


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


LENGTHS = np.arange(128) % 5 + 4
KEPT = np.arange(16) < LENGTHS[:, None]
TOKENS = (np.arange(128 * 16).reshape(128, 16) * 7 % 39 + 1) * KEPT
CLASSES = (TOKENS % 4) * KEPT
SHARES = np.bincount(CLASSES[KEPT], minlength=4) / KEPT.sum()
ENTROPY = -(SHARES * np.log(SHARES)).sum()
VARIANCE = SHARES @ np.arange(4) ** 2 - (SHARES @ np.arange(4)) ** 2
SPARSE = losses.SparseCategoricalCrossentropy(from_logits=True)


def tagger(units, loss, masked=True):
    stack = [layers.Embedding(40, 32, mask_zero=masked), layers.Dense(units)]
    model = keras.Sequential([keras.Input((16,), dtype="int32"), *stack])
    model.compile(optimizers.Adam(0.03), loss)
    return model


def look(model, *data, **more):
    return diagnose(model, *data, progress=False, **more)


@pytest.mark.parametrize(
    ("units", "loss", "targets", "constant"),
    [
        (4, SPARSE, CLASSES, ENTROPY),
        (4, losses.CategoricalCrossentropy(from_logits=True), np.eye(4, dtype="float32")[CLASSES], ENTROPY),
        (1, "mse", CLASSES[..., None].astype("float32"), VARIANCE),
    ],
)
def test_what_a_mask_leaves_out_is_no_data(units, loss, targets, constant):
    report = look(tagger(units, loss), TOKENS, targets, batch_size=16, epochs=20)
    assert report.findings == () and report.best_constant == pytest.approx(constant, rel=0.02)


def weighted(weights, batch=16):
    return tf.data.Dataset.from_tensor_slices((TOKENS, CLASSES, weights.astype("float32"))).batch(batch)


@pytest.mark.parametrize("weights", [KEPT, KEPT[..., None]], ids=["a number a step", "a column"])
def test_what_has_no_weight_is_no_data(weights):
    """Keras divides by all places, so the loss is that part of the entropy."""
    report = look(tagger(4, SPARSE, masked=False), weighted(weights), epochs=20)
    assert report.findings == ()
    assert report.best_constant == pytest.approx(ENTROPY * KEPT.mean(), rel=0.05)


def test_a_weight_of_two_counts_twice_and_one_of_an_example_in_all_its_steps():
    weights = 1.0 + (np.arange(128) % 2 == 0)[:, None]
    report = look(tagger(4, SPARSE), weighted(weights), epochs=20)
    counts = np.bincount(CLASSES[KEPT], (KEPT * weights)[KEPT], 4)
    shares = counts / counts.sum()
    entropy = -(shares * np.log(shares)).sum()
    assert report.best_constant == pytest.approx(entropy * counts.sum() / KEPT.sum(), rel=0.05)
    even = look(tagger(4, SPARSE, masked=False), weighted(2 * np.ones(KEPT.shape)), epochs=20)
    shares = np.bincount(CLASSES.reshape(-1), minlength=4) / CLASSES.size
    assert even.best_constant == pytest.approx(-2 * (shares * np.log(shares)).sum(), rel=0.02)


def test_weights_below_zero_leave_the_targets_as_they_are():
    """They are no counts: what is known of the classes is that of all places."""
    signs = np.where(np.arange(128) % 2, 1.0, -0.5)[:, None]
    assert look(tagger(4, SPARSE, masked=False), weighted(signs), epochs=20).trials


def test_weights_that_go_along_the_steps_leave_the_targets_as_they_are():
    """Keras stretches a row of 16 over batches of 16 texts of 16 steps."""
    assert look(tagger(4, SPARSE, masked=False), weighted(1.0 + np.arange(128) % 2), epochs=20).trials


X = np.random.default_rng(0).normal(size=(300, 20)).astype("float32")
Y = (X[:, 0] + X[:, 1] > 0).astype("int32")
SHUFFLED = np.random.default_rng(1).permutation(Y)


def learned(x, y, loader=False, batch_size=32):
    model = keras.Sequential([keras.Input((20,)), layers.Dense(128, "relu"), layers.Dense(2)])
    model.compile(optimizers.Adam(0.01), SPARSE)
    before = model.get_weights()
    if loader:
        report = look(model, tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size), epochs=40)
    else:
        report = look(model, x, y, batch_size=batch_size, epochs=40)
    assert all(map(np.array_equal, before, model.get_weights())) and report.cost <= 400
    return {finding.code: finding.evidence for finding in report.findings}


@pytest.mark.parametrize("loader", [False, True])
def test_labels_that_are_learned_by_heart_are_unrelated(loader):
    evidence = learned(X, SHUFFLED, loader)["labels-unrelated"]
    assert "steps on two thirds of the examples their loss is" in evidence and "held out" in evidence
    assert learned(X, Y, loader) == {}


def test_labels_that_are_moved_are_named_as_such():
    assert "; with the targets moved by -1: " in learned(X, np.roll(Y, 1))["labels-unrelated"]


def test_what_holds_for_new_examples_is_related_however_far_the_nearest_ones_are():
    signs = np.sign(np.random.default_rng(2).normal(size=(300, 6))).astype("float32")
    x = np.concatenate([signs, np.zeros((300, 14), "float32")], 1)
    assert learned(x, (signs.prod(1) > 0).astype("int32")) == {}


def test_too_few_batches_to_hold_some_out_say_nothing():
    assert "labels-unrelated" not in learned(X[:40], SHUFFLED[:40], loader=True, batch_size=40)


def test_batches_of_several_lengths_are_not_compared():
    stack = [layers.GlobalAveragePooling1D(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((None, 4)), *stack])
    model.compile(optimizers.Adam(0.01), SPARSE)
    parts = [(X[:16, : 4 * (place % 3 + 1)].reshape(16, -1, 4), SHUFFLED[16 * place :][:16]) for place in range(8)]

    class Texts(keras.utils.PyDataset):
        def __len__(self):
            return len(parts)

        def __getitem__(self, place):
            return parts[place]

    assert "labels-unrelated" not in [finding.code for finding in look(model, Texts()).findings]


def test_a_model_that_returns_one_number_for_each_example_is_looked_at_as_it_is():
    model = keras.Sequential([keras.Input((20,)), layers.Dense(1), layers.Reshape(())])
    model.compile(optimizers.Adam(0.05), "mse")
    report = look(model, X, X[:, 0] + X[:, 1], epochs=20)
    assert report.findings == () and report.best_constant == pytest.approx((X[:, 0] + X[:, 1]).var(), rel=0.01)
