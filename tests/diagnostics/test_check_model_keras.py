import functools
import json
import math
import random
import runpy

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import initializers, layers, losses, ops

from snippets.diagnostics import check_model_keras
from snippets.diagnostics.check_model_keras import ADVICE, check_model
from tests.diagnostics import test_losses_keras
from tests.diagnostics.keras_models import (
    FAULTS,
    HEALTHY,
    LOGITS,
    Case,
    chain,
    dense,
    labels,
    masked,
    normal,
    reshaped,
    shared_and_nested,
    vectors,
)
from tests.diagnostics.things import Things

pytestmark = pytest.mark.keras


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_model_has_no_finding(name):
    report = check_model(*HEALTHY[name]())
    assert not report.findings, str(report)
    assert report.layers and all(layer.gradient is not None for layer in report.layers)
    assert max(map(len, str(report).splitlines())) <= 100


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name):
    code, make = FAULTS[name]
    report = check_model(*make())
    assert code in [finding.code for finding in report.findings], str(report)
    assert max(map(len, str(report).splitlines())) <= 100


def test_every_finding_is_planted():
    of_losses = {code for code, *_ in test_losses_keras.cases().values() if code}
    assert {code for code, _ in FAULTS.values()} | of_losses | {"nothing-trains"} == set(ADVICE)


def test_a_frozen_model_is_seen_and_said_to_be_frozen():
    model = keras.Sequential([keras.Input((64,)), layers.Dense(32, "relu"), layers.Dense(10)])
    model.trainable = False
    report = check_model(model, (np.ones((4, 64)), np.arange(4)), LOGITS)
    (finding,) = report.findings
    assert finding.code == "nothing-trains" and "4 weights" in finding.evidence and len(report.layers) == 2


def test_lists_of_numbers_are_no_arrays():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"batch must hold arrays, np.array\(values\).*got a list with 1.0"):
        check_model(model, ([[1.0, 2.0]], [1]), LOGITS)


def state(model: keras.Model) -> list:
    seeds = [layer.seed_generator.state for layer in model._flatten_layers() if hasattr(layer, "seed_generator")]
    return [*model.get_weights(), *(seed.numpy() for seed in seeds)]


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_afterwards_what_it_was(fails):
    model, batch, _ = shared_and_nested()
    model.compile("adam", LOGITS)
    model.optimizer.build(model.trainable_variables)
    optimizer = [variable.numpy() for variable in model.optimizer.variables]
    before, attributes = state(model), [dict(vars(layer)) for layer in model._flatten_layers()]
    other = {"left": normal(16, 3), "right": normal(16, 64)}, labels()
    random.seed(1), np.random.seed(1)
    wanted = random.random(), np.random.rand()
    random.seed(1), np.random.seed(1)
    if fails:
        with pytest.raises(ValueError, match="does not take what it is given"):
            check_model(model, other)
    else:
        assert check_model(model, batch).loss > 0
    assert all(np.array_equal(*pair) for pair in zip(before, state(model), strict=True))
    assert all(
        np.array_equal(*pair)
        for pair in zip(optimizer, (variable.numpy() for variable in model.optimizer.variables), strict=True)
    )
    for layer, old in zip(model._flatten_layers(), attributes, strict=True):
        assert vars(layer).keys() == old.keys() and "call" not in vars(layer)
    assert (random.random(), np.random.rand()) == wanted


class Restless(keras.Model):
    """Changes itself in every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.passes, self.list, self.things = layers.Dense(10), 0, [1], Things()
        self.nested = {"a": {"n": 0}}
        self.plain, self.weight = tf.Variable(0.0), keras.Variable(0.0, trainable=False)
        self.head.build((None, 64))
        self.built = True

    def call(self, inputs):
        self.passes += 1
        self.list.append(inputs)
        self.nested["a"]["n"] += 1
        self.nested["b"] = 1
        self.things.change()
        self.plain.assign_add(1.0)
        self.weight.assign(self.weight + 1.0)
        self.head.bias.assign_sub([1.0] * 10)
        self.add_loss(ops.mean(inputs))
        return self.head(inputs + 0.1 * keras.random.normal((64,)))


@pytest.mark.parametrize("module", [__name__, "builtins", "code"])
def test_all_that_a_pass_changes_comes_back(module):
    """`exec` makes classes of builtins, a package called code such of code."""
    model, batch = type("Net", (Restless,), {"__module__": module})(), (normal(16, 64), labels())
    bias, wanted = model.head.bias.numpy(), model.things.state()
    check_model(model, batch, LOGITS)
    assert (model.passes, list(model.list), model.nested) == (0, [1], {"a": {"n": 0}})
    assert float(model.plain) == float(model.weight) == 0.0 and not model.losses
    assert np.array_equal(model.head.bias.numpy(), bias) and model.things.state() == wanted
    keras.utils.set_random_seed(1)
    drawn = keras.random.normal((3,)).numpy()
    keras.utils.set_random_seed(1)
    check_model(model, batch, LOGITS)
    assert np.array_equal(keras.random.normal((3,)).numpy(), drawn)


class Quantized(layers.Layer):
    """Activations of few levels, whose scale is the largest one of the batch."""

    def __init__(self, levels):
        super().__init__()
        self.levels = levels

    def call(self, inputs):
        scale = ops.max(ops.abs(inputs))
        if not self.levels:
            return inputs / scale
        return inputs + ops.stop_gradient(ops.round(inputs / scale * self.levels) * scale / self.levels - inputs)


@pytest.mark.parametrize("levels", [0, 3])
@pytest.mark.parametrize("largest", [0, 1, 2, 3, 40, 63])
def test_a_scale_of_the_whole_batch_mixes_examples_unless_it_quantizes(levels, largest):
    """Whichever example the largest number stands in."""
    model = keras.Sequential([keras.Input((64,)), Quantized(levels), layers.Dense(16, "relu"), layers.Dense(10)])
    x = normal(64, 64)
    x[largest, 5] = 8.0
    found = [finding.code for finding in check_model(model, (x, labels(64)), LOGITS).findings]
    assert found == ([] if levels else ["mixed-examples"])


def test_a_loss_whose_closure_is_not_filled_yet():
    def loss(targets, output):
        return ops.mean(output) + (later if output is None else 0)

    assert not math.isnan(check_model(*vectors([], loss=loss)).loss)
    later = 1
    assert later


class Jitter(layers.Layer):
    """Draws from the global generators of Python and NumPy, as no seed of the model tells."""

    def call(self, inputs):
        return inputs * (1.0 + 0.1 * random.random() + 0.1 * np.random.rand())


def test_a_model_that_draws_from_global_generators_leaves_them_as_they_were():
    case = vectors([*dense(1, "relu"), Jitter()])
    random.seed(3), np.random.seed(3)
    check_model(*case)
    assert random.random() == random.Random(3).random()
    assert np.random.rand() == np.random.RandomState(3).rand()


def test_the_numbers_of_a_layer_are_those_of_the_formulas():
    model, (inputs, targets), loss = vectors(dense(1, "relu"))
    first, last = model.layers
    with tf.GradientTape() as tape:
        before = tf.matmul(inputs, first.kernel.value) + first.bias.value
        value = loss(targets, last(ops.relu(before)))
    slope, kernel_slope = tape.gradient(value, [before, first.kernel.value])
    report = check_model(model, (inputs, targets), loss)
    row = report.layers[0]
    values, kernel = before.numpy().astype(float), first.kernel.numpy().astype(float)
    assert (row.kind, row.shape, row.name) == ("Dense", (16, 64), first.path)
    assert (row.mean, row.std) == pytest.approx((values.mean(), values.std()), rel=1e-5)
    assert row.dead == pytest.approx((values.max(axis=0) <= 0).mean())
    assert row.gradient == pytest.approx(np.linalg.norm(slope), rel=1e-4)
    assert row.weight_gradient == pytest.approx(np.linalg.norm(kernel_slope), rel=1e-4)
    assert row.ratio == pytest.approx(np.linalg.norm(kernel_slope) / np.linalg.norm(kernel), rel=1e-4)
    assert row.gain == pytest.approx(math.sqrt(np.square(kernel).mean() * 64), rel=1e-5)
    units = values[:8] / np.linalg.norm(values[:8], axis=1, keepdims=True)
    assert row.cosine == pytest.approx(((units @ units.T).sum() - 8) / 56, rel=1e-4)
    assert report.loss == pytest.approx(float(value), rel=1e-5) and report.chance_loss == math.log(10)
    assert (report.parameters, report.trainable) == (model.count_params(), model.count_params())


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (layers.Conv2D(512, 3), (8, 8, 32), 9 * 32),
        (layers.Conv2DTranspose(512, 3), (4, 4, 32), 9 * 32),
        (layers.DepthwiseConv2D(3, depth_multiplier=4), (8, 8, 256), 9),
        (layers.EinsumDense("abc,cde->abde", (4, 8, 64)), (4, 128), 128),
        (layers.EinsumDense("abde,dec->abc", (4, 512)), (4, 8, 16), 128),
    ],
    ids=lambda part: getattr(part, "name", None),
)
def test_the_gain_counts_the_fan_in_of_the_layer(layer, shape, fan_in):
    model = keras.Sequential([keras.Input(shape), layer, layers.Flatten(), layers.Dense(2)])
    kernel = layer.kernel
    kernel.assign(normal(*kernel.shape))
    row = check_model(model, (normal(2, *shape), labels(2, 2)), LOGITS).layers[0]
    assert row.gain == pytest.approx(math.sqrt(fan_in), rel=0.02)


def test_a_layer_that_runs_twice_has_two_rows_and_factors_follow_the_depth():
    report = check_model(*shared_and_nested())
    assert sum(layer.name.endswith(" (2)") for layer in report.layers) == 2
    doubling = chain(
        [layers.Dense(64, use_bias=False, kernel_initializer=keras.initializers.Orthogonal(2.0)) for _ in range(6)],
        layers.Dense(64),
    )
    report = check_model(doubling, (normal(16, 64), normal(16, 64)), losses.MeanSquaredError())
    assert report.forward == pytest.approx(2.0, rel=0.1) and report.backward == pytest.approx(2.0, rel=0.1)


def test_the_compiled_loss_and_functions_of_keras_losses_serve_too():
    model, batch, _ = HEALTHY["MLP, softmax and probabilities"]()
    model.compile("sgd", "sparse_categorical_crossentropy")
    wanted = check_model(model, batch, losses.SparseCategoricalCrossentropy())
    for report in (check_model(model, batch), check_model(model, batch, losses.sparse_categorical_crossentropy)):
        assert report.loss == pytest.approx(wanted.loss) and report.chance_loss == wanted.chance_loss


def test_labels_that_are_ignored_do_not_count():
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    model, (inputs, targets), _ = vectors(dense(1, "relu"))
    report = check_model(model, (inputs, np.where(np.arange(16) < 4, 255, targets)), loss)
    assert not report.findings and report.chance_loss == math.log(10)


def binary(last, loss=None, shape=()) -> Case:
    """Inputs and weights are positive: so are the logits, and small."""
    model = keras.Sequential([keras.Input((64,)), last, *([layers.Reshape(shape)] if shape else [])])
    model.layers[0].kernel.assign(np.full((64, 1), 0.01))
    targets = labels(16, 2).reshape(16, *(shape or (1,)))
    return Case(model, (abs(normal(16, 64)), targets), loss or losses.BinaryCrossentropy(from_logits=True))


@pytest.mark.filterwarnings("ignore:.*received `from_logits=True`")
def test_logits_between_0_and_1_are_no_probabilities():
    for case in (
        binary(layers.Dense(1)),
        binary(layers.Dense(1, "sigmoid")),
        binary(layers.Dense(1, "sigmoid"), losses.BinaryCrossentropy()),
    ):
        report = check_model(*case)
        assert not report.findings, str(report)
    for last in (
        layers.Dense(1, tf.nn.sigmoid),
        layers.Dense(1, lambda x: tf.cast(tf.sigmoid(tf.cast(x, "float64")), "float32")),
    ):
        for shape in ((), (1, 1)):
            (finding,) = check_model(*binary(last, shape=shape)).findings
            assert finding.code == "sigmoid-before-logits-loss"


class Graph(layers.Layer):
    """Its layers run within a `tf.function`."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.dense = layers.Embedding(3, 16), layers.Dense(16)

    def build(self, shape):
        self.table.build(None), self.dense.build(shape)

    @functools.partial(tf.function, autograph=False)
    def call(self, x):
        return tf.nn.relu(self.dense(x)) + self.table(tf.constant(0))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Conv2D(16, 3, groups=4),
        lambda: layers.Conv2D(16, 3, groups=16),
        lambda: layers.Conv1D(16, 1, groups=2),
        Graph,
    ],
)
def test_layers_that_run_as_a_graph(layer):
    layer = layer()
    shape = (8, 16) if isinstance(layer, layers.Conv1D) else (8, 8, 16)
    model = keras.Sequential(
        [
            keras.Input(shape),
            layer,
            layers.GlobalAveragePooling1D() if len(shape) < 3 else layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )
    model(normal(1, *shape))
    report = check_model(model, (normal(8, *shape), labels(8)), LOGITS)
    assert not report.findings, str(report)
    assert report.layers[-1].weight_gradient > 0


def test_a_graph_that_is_made_during_the_check():
    class Outer(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.head = Graph(), layers.Dense(10)
            self.inside.build((None, 64)), self.head.build((None, 16))
            self.built = True

        def call(self, x):
            return self.head(self.inside(x))

    report = check_model(Outer(), (normal(16, 64), labels()), LOGITS)
    assert [row.kind for row in report.layers] == ["Dense"] and not report.findings


def test_an_activation_before_the_first_weights():
    report = check_model(*vectors([layers.ReLU()]))
    assert not report.findings and report.layers[0].dead is None


def test_a_loss_that_runs_as_a_graph():
    model, batch, _ = vectors(dense(1, "relu"))
    assert check_model(model, batch, tf.function(lambda y, x: tf.reduce_mean(LOGITS(y, x)))).loss > 0


def test_the_report_is_plain_and_draws_itself():
    report = check_model(*FAULTS["sigmoid stack"][1]())
    assert json.loads(json.dumps(report.to_dict()))["findings"][0]["code"] == "vanishing-gradient"
    assert [axes.get_yscale() for axes in report.plot().axes] == ["log", "log"]
    assert "FAULT vanishing-gradient" in str(report) and "No finding." in str(check_model(*HEALTHY["one layer"]()))


def test_a_long_model_is_printed_in_part():
    report = check_model(*vectors(dense(70, "relu", "he_normal")))
    lines = str(report).splitlines()
    hidden = [int(line.split()[1]) for line in lines if line.endswith("more in report.layers")]
    assert sum(hidden) + sum(line.startswith("sequential") for line in lines) - 1 == len(report.layers) == 71


def test_of_a_long_model_the_layer_that_a_finding_names_is_printed():
    case = vectors(dense(70, "relu", "he_normal"))
    unlike = case.model.layers[35]
    unlike.bias.assign(unlike.bias - 1e3)
    report = check_model(*case)
    row = next(place for place, layer in enumerate(report.layers) if layer.name == unlike.path)
    assert unlike.path in report.findings[0].layers and 20 < row < 51
    assert snippet_row(report, row) in str(report).splitlines()


def snippet_row(report, place: int) -> str:
    names = check_model_keras._short_names([layer.name for layer in report.layers])
    return check_model_keras._row(names[place], report.layers[place])


def test_a_notebook_shows_the_report():
    assert "<p>No finding.</p>" in check_model(*HEALTHY["one layer"]())._repr_html_()
    report = check_model(*FAULTS["sigmoid stack"][1]())._replace(model="<model>")
    shown = report._repr_html_()
    assert "&lt;model&gt;" in shown and "<model>" not in shown
    assert "<b>fault vanishing-gradient</b>" in shown and "also seen: " in shown
    assert shown.count("<tr") == 1 + len(report.layers)
    assert shown.count("<td>") == len(report.layers) * (1 + len(check_model_keras._COLUMNS))


# Healthy neighbours of the faults, and odd kinds of models and batches ---------------------------------------------


def test_raw_inputs_may_be_made_ready_by_the_model():
    raw = 128 + 50 * normal(16, 64)
    for first in (layers.Rescaling(1 / 128, -1.0), layers.BatchNormalization(), layers.Lambda(lambda x: x / 128 - 1)):
        report = check_model(*vectors([first, *dense(2, "relu")])._replace(batch=(raw, labels())))
        assert not report.findings, str(report)


def test_a_mask_of_large_negative_numbers_is_no_raw_input():
    inputs, mask = keras.Input((8, 64)), keras.Input((1, 8))
    scores = ops.softmax(layers.Dense(8)(inputs) + mask)
    model = keras.Model([inputs, mask], layers.Dense(10)(ops.mean(ops.matmul(scores, inputs), 1)))
    for low in (-1e4, -np.inf):
        masks = np.where(np.arange(8) > 5, low, 0.0) * np.ones((16, 1, 1))
        assert not check_model(model, ([normal(16, 8, 64), masks], labels()), LOGITS).findings


def test_a_table_that_is_read_in_reverse():
    words, table = keras.Input((12,), dtype="int32"), layers.ReversibleEmbedding(50, 16)
    model = keras.Model(words, table(table(words), reverse=True))
    tokens, targets = (labels(16 * 12, 50).reshape(16, 12) for _ in range(2))
    report = check_model(model, (tokens, targets), LOGITS)
    assert not report.findings and len(report.layers) == 2


def test_a_prediction_may_be_near_its_ends():
    last = layers.Dense(1, "sigmoid", bias_initializer=initializers.Constant(-4.6))
    rare = np.zeros((16, 1))
    assert not check_model(
        *Case(chain(dense(2, "relu"), last), (normal(16, 64), rare), losses.BinaryFocalCrossentropy())
    ).findings


def test_a_few_examples_prove_no_confidence():
    model = chain([], layers.Dense(10, kernel_initializer=initializers.RandomNormal(stddev=0.4)))
    assert "confident-at-start" in [f.code for f in check_model(model, (normal(256, 64), labels(256)), LOGITS).findings]
    assert check_model(model, (normal(3, 64), labels(3)), LOGITS).findings == ()
    assert check_model(model, (normal(1, 64), labels(1)), LOGITS).findings == ()


def test_narrow_layers_that_are_dead():
    hidden = layers.Dense(4, "relu", bias_initializer=initializers.Constant(-50.0))
    (finding,) = check_model(*vectors([hidden])).findings
    assert finding.code == "dead-relu"
    inputs = keras.Input((64,))
    body = layers.Dense(64)(inputs)
    gate = layers.Dense(64, "sigmoid")(layers.Dense(4, "relu", bias_initializer=initializers.Constant(-50.0))(body))
    model = keras.Model(inputs, layers.Dense(10)(body * gate))
    assert "dead-relu" not in [
        finding.code for finding in check_model(model, (normal(16, 64), labels()), LOGITS).findings
    ]


def test_branches_that_start_at_zero():
    inputs = x = keras.Input((64,))
    for _ in range(3):
        x = x + layers.Dense(64, kernel_initializer="zeros")(layers.Dense(64, "gelu")(layers.LayerNormalization()(x)))
    assert not check_model(keras.Model(inputs, layers.Dense(10)(x)), (normal(16, 64), labels()), LOGITS).findings


def test_the_factors_follow_the_longest_path():
    inputs = x = keras.Input((64,))
    for _ in range(4):
        x = layers.Dense(64, "tanh")(x)
    heads = [
        layers.Dense(64, kernel_initializer=initializers.RandomNormal(stddev=10.0**-power))(x) for power in range(2, 8)
    ]
    model = keras.Model(inputs, layers.Concatenate()(heads))
    report = check_model(model, (normal(16, 64), normal(16, 384)), losses.MeanSquaredError())
    assert report.depth == 5 and len(report.layers) == 10
    assert "vanishing-activation" not in [finding.code for finding in report.findings]


class Odd(layers.Layer):
    """Strings and ragged rows become vectors."""

    def call(self, inputs):
        words, rows = inputs
        return tf.reduce_mean(rows, 1) + 0.1 * tf.cast(tf.strings.length(words), "float32")[:, None]


def test_strings_and_ragged_inputs():
    class Words(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.odd, self.head = Odd(), layers.Dense(10)
            self.head.build((None, 4))
            self.built = True

        def call(self, inputs):
            return self.head(self.odd(inputs))

    rows = tf.RaggedTensor.from_row_lengths(normal(24, 4), [1, 2, 3, 2] * 3)
    report = check_model(Words(), ((tf.constant(["a", "bc"] * 6), rows), labels(12)), LOGITS)
    assert not report.findings and report.loss > 0
    assert check_model_keras._arrays(tf.sparse.from_dense(np.eye(3)))[0].tolist() == [1.0] * 3


def test_layers_without_an_example_and_looks_that_fail():
    class Sparse(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.idle, self.busy = layers.Dense(64), layers.Dense(64)
            self.idle.build((None, 64)), self.busy.build((None, 64))

        def call(self, inputs):
            return self.busy(inputs) + ops.sum(self.idle(inputs[:0]))

    report = check_model(*vectors([Sparse()]))
    assert not report.findings and len(report.layers) == 2


def test_losses_by_hand_that_broadcast():
    model, inputs = chain([], layers.Dense(1)), normal(16, 64)
    for loss in (
        lambda y, o: ops.mean(ops.square(y - o)),
        lambda y, o: tf.reduce_mean(tf.math.squared_difference(o, y)),
    ):
        for shape, found in (((16,), ["broadcast-loss"]), ((16, 1), [])):
            assert [finding.code for finding in check_model(model, (inputs, normal(*shape)), loss).findings] == found


def test_variables_of_the_loss_are_its_own():
    scale = keras.Variable(1.0)
    report = check_model(*vectors([], loss=lambda y, o: LOGITS(y, o * scale)))
    assert not report.findings, str(report)


def test_a_loss_for_each_output():
    inputs = keras.Input((64,))
    model = keras.Model(inputs, {"a": layers.Dense(10, name="a")(inputs), "b": layers.Dense(1, name="b")(inputs)})
    model.compile("sgd", {"a": LOGITS, "b": "mse"})
    assert check_model(model, (normal(16, 64), {"a": labels(), "b": normal(16, 1)})).loss > 0


def test_of_a_dataset_the_first_batch_is_taken():
    model, (x, y), loss = vectors(dense(1, "relu"))

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, place: int) -> tuple:
            return x[8 * place :][:8], y[8 * place :][:8]

    wanted = check_model(model, (x[:8], y[:8]), loss).loss
    for batches in (tf.data.Dataset.from_tensor_slices((x, y)).batch(8), Batches()):
        assert check_model(model, batches, loss).loss == pytest.approx(wanted)


def test_bad_input_is_named(monkeypatch):
    model, batch, loss = vectors(dense(1, "relu"))
    for bad, words in (
        ((keras.Sequential([layers.Dense(1)]), batch, loss), "model must have weights"),
        ((keras.Sequential([keras.Input((3,)), layers.ReLU()]), batch, loss), "model must have weights"),
        ((model, batch[0], loss), "batch must be a pair.*loader., got ndarray"),
        ((model, {"x": batch[0], "labels": batch[1]}, loss), "batch must be a pair.*holds both, got dict"),
        ((model, tf.data.Dataset.from_tensors(batch).take(0), loss), "batch must be a pair.*got 0 items"),
        ((model, (*batch, 1.0), loss), "batch must be a pair.*got 3 items"),
        ((model, (batch[0][:0], batch[1][:0]), loss), r"an example at least, got inputs of shape \(0, 64\)"),
        ((model, batch, losses.MeanSquaredError), "got the class MeanSquaredError"),
        ((model, batch), "loss_fn must be given"),
        ((model, (normal(16, 3), batch[1]), loss), r"batch of shape \(16, 3\): .* does not take"),
        (
            (model, (batch[0], normal(5, 3)), losses.CategoricalCrossentropy(from_logits=True)),
            r"loss_fn\(targets, output\), of shapes",
        ),
        ((model, batch, lambda y, x: ops.ones((2, 3))), "must be a scalar"),
        ((model, batch, lambda y, x: ops.ones(())), "loss has no gradient"),
    ):
        with pytest.raises(ValueError, match=words):
            check_model(*bad)
    monkeypatch.setattr(check_model_keras.keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="backend must be tensorflow"):
        check_model(*Case(model, batch, loss))


def test_targets_of_another_shape_are_left_to_the_loss():
    model = chain(dense(1, "relu"), layers.Dense(1))
    report = check_model(model, (normal(16, 64), labels(16, 2)), losses.BinaryCrossentropy(from_logits=True))
    assert report.loss > 0 and report.chance_loss is None


def test_the_file_runs_by_itself(capsys):
    runpy.run_path(check_model_keras.__file__, run_name="__main__")
    assert "FAULT vanishing-gradient" in capsys.readouterr().out


# What one pass does not show ---------------------------------------------------------------------------------------


def test_examples_that_are_not_mixed():
    assert not check_model(*reshaped(proper=True)).findings
    inputs = keras.Input((64,))
    features = layers.Dense(32)(inputs)
    similar = keras.Model(inputs, ops.matmul(features, ops.transpose(features)))
    assert not check_model(similar, (normal(8, 64), np.arange(8)), LOGITS).findings
    per_word = Case(keras.Sequential([keras.Input((12, 6)), layers.LSTM(16), layers.Dense(10)]), (normal(4, 12, 6), 0))
    assert not check_model(per_word.model, (normal(4, 12, 6), labels(4)), LOGITS).findings
    assert not check_model(per_word.model, (normal(4, 12, 6), labels(2)), lambda y, x: ops.mean(x)).findings


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.SimpleRNN(32, return_sequences=True, go_backwards=True),
        lambda: layers.LSTM(32, return_sequences=True, return_state=True),
    ],
)
def test_memory_through_time(layer):
    inputs = keras.Input((60, 8))
    layer = layer()
    output = layer(inputs)
    states = output[0] if isinstance(output, tuple | list) else output
    layer.cell.recurrent_kernel.assign(0.3 * layer.cell.recurrent_kernel)
    layer.cell.bias.assign(0 * layer.cell.bias)
    model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(states)))
    (finding,) = check_model(model, (normal(16, 60, 8), labels()), LOGITS).findings
    assert (finding.code, finding.layers) == ("vanishing-through-time", (layer.path,))


def test_a_recurrent_layer_that_reads_nothing_has_no_finding_through_time():
    inputs = keras.Input((60, 8))
    layer = layers.SimpleRNN(16, kernel_initializer="zeros")
    model = keras.Model(inputs, layers.Dense(10)(layer(inputs)))
    report = check_model(model, (normal(16, 60, 8), labels()), LOGITS)
    assert not [finding.code for finding in report.findings if "through-time" in finding.code]


def test_a_number_that_is_none_is_traced_in_a_model_without_modes():
    class Root(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(10)

        def call(self, inputs):
            return ops.sqrt(self.dense(inputs))

    model = Root()
    model(normal(16, 64))
    (finding,) = check_model(model, (normal(16, 64), labels()), LOGITS).findings
    assert "; born in Sqrt" in finding.evidence


def test_where_a_number_that_is_none_was_born():
    by_hand = vectors(dense(1, "relu"), loss=lambda y, x: -ops.mean(ops.log(x)))
    assert "; born in Log, float32, inputs -" in check_model(*by_hand).findings[0].evidence
    hidden = chain([layers.Dense(64), layers.Lambda(lambda x: ops.sqrt(x), name="root")])
    (finding,) = check_model(hidden, (normal(16, 64), labels()), LOGITS).findings
    assert finding.code == "non-finite-activation" and "/root, float32, inputs -" in finding.evidence
    masked = chain([layers.Dense(64), layers.Lambda(lambda x: ops.softmax(ops.where(x > 9, x, -np.inf)))])
    assert "; born in Softmax" in check_model(masked, (normal(16, 64), labels()), LOGITS).findings[0].evidence


def test_a_loss_that_takes_its_arguments_the_other_way_round():
    model, batch, _ = vectors(dense(1, "relu"))
    with pytest.raises(ValueError, match="the other way round it works: pass lambda"):
        check_model(model, batch, lambda output, targets: LOGITS(targets, output))


def test_a_loss_and_a_penalty_by_name():
    model, (inputs, _), _ = vectors(dense(1, "relu"), layers.Dense(1))
    assert check_model(model, (inputs, normal(16, 1)), "mse").loss > 0


@pytest.mark.parametrize(
    ("hidden", "level"),
    [
        (lambda: dense(2, None), "fault"),
        (lambda: [*dense(2, "relu"), *dense(1, None)], "note"),
        (lambda: [layers.Dense(64), layers.Dropout(0.1), layers.Dense(64), layers.Reshape((64,))], "fault"),
        (lambda: [layers.Dense(64, "relu"), layers.Dense(4)], None),
        (lambda: [part for _ in range(3) for part in (layers.Dense(64), layers.LayerNormalization())], None),
    ],
)
def test_layers_without_an_activation_between_them(hidden, level):
    found = check_model(*vectors(hidden())).findings
    assert [(finding.code, finding.level) for finding in found] == ([("linear-stack", level)] if level else [])


def test_a_layer_that_others_read_too_is_more_than_a_step_on_the_way():
    inputs = keras.Input((64,))
    x = layers.Dense(64)(inputs)
    x = x + layers.Dense(64)(x)
    assert not check_model(
        keras.Model(inputs, layers.Dense(10)(ops.relu(x))), (normal(16, 64), labels()), LOGITS
    ).findings


def test_a_model_with_statistics_was_trained():
    model, batch, _ = vectors([*dense(1, "relu"), layers.BatchNormalization()])
    for _ in range(20):
        model(batch[0], training=True)
    (finding,) = (one for one in check_model(model, batch, LOGITS).findings if one.code == "trained-already")
    assert "moving mean" in finding.evidence


def test_one_raw_column_is_named():
    model, (inputs, targets), loss = vectors(dense(1, "relu"))
    inputs[:, 3] = 50.0
    finding = check_model(model, (inputs, targets), loss).findings[0]
    assert finding.code == "input-scale" and finding.evidence.startswith("column 3, root mean square 50,")


class Noise(keras.layers.Layer):
    """Draws from a generator of its own, as a variational autoencoder does."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)


def test_noise_of_a_layer_of_its_own_mixes_no_examples():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), Noise(), keras.layers.Dense(3)])
    x = np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
    report = check_model(model, (x, x[:, :3]), keras.losses.MeanSquaredError())
    assert "mixed-examples" not in [finding.code for finding in report.findings], report


class Mixture(keras.layers.Layer):
    """Means, and weights of a mixture that add up to 1 over the axis `axis`."""

    def __init__(self, axis: int):
        super().__init__()
        self.axis = axis

    def call(self, x):
        means, weights = keras.ops.split(x, 2, -1)
        weights = keras.ops.transpose(weights)
        return means, keras.ops.transpose(weights - keras.ops.logsumexp(weights, self.axis, keepdims=True))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_second_output_may_be_mixed_alone(axis):
    inputs = keras.Input((64,))
    model = keras.Model(inputs, Mixture(axis)(layers.Dense(10)(inputs)))

    def loss(targets, output):
        square = keras.ops.square(output[0] - targets)
        return -keras.ops.mean(keras.ops.logsumexp(output[1] - square, -1))

    found = [finding.code for finding in check_model(model, (normal(16, 64), normal(16, 1)), loss).findings]
    assert ("mixed-examples" in found) == (axis == 1), "over the examples, which are the second axis here"


@pytest.mark.parametrize("shift", [0, 1])
def test_a_temperature_within_the_batch_is_no_confidence(shift):
    """Of each example against each, the targets are the places; else the logits are too large."""
    one, other, layer = keras.Input((64,)), keras.Input((64,)), layers.Dense(32)
    unit = layers.UnitNormalization()
    model = keras.Model([one, other], Against()(unit(layer(one)), unit(layer(other))))
    targets = (np.arange(32) + shift) % 32
    found = [f.code for f in check_model(model, ([normal(32, 64), normal(32, 64)[::-1]], targets), LOGITS).findings]
    assert ("confident-at-start" in found) == bool(shift)


def unit(x):
    return x / keras.ops.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("logits", "found"),
    [
        (lambda x, w: 64 * keras.ops.matmul(unit(x), keras.ops.transpose(unit(w))), []),
        (lambda x, w: keras.ops.matmul(64 * unit(x), keras.ops.transpose(unit(w))), []),
        (lambda x, w: 64 * tf.matmul(tf.transpose(unit(x)), unit(w), transpose_a=True, transpose_b=True), []),
        (lambda x, w: 64 * keras.ops.normalize(keras.ops.matmul(x, keras.ops.transpose(w))), []),
        (lambda x, w: 64 * keras.ops.matmul(unit(x), keras.ops.transpose(w)), ["confident-at-start"]),
    ],
    ids=["cosines", "scaled rows", "turned", "rows", "one side"],
)
def test_logits_that_are_scaled_cosines_have_their_size_by_design(logits, found):
    class Cosine(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(64, shape[-1]), initializer="glorot_normal")

        def call(self, x):
            return logits(x, self.kernel)

    model = keras.Sequential([keras.Input((64,)), layers.Dense(8), Cosine()])
    report = check_model(model, (normal(32, 64), np.random.randint(64, size=32)), LOGITS)
    assert report.loss > 8 and [finding.code for finding in report.findings] == found


class Against(keras.layers.Layer):
    """Each example of one input against each of the other."""

    def call(self, one, other):
        return keras.ops.matmul(one, keras.ops.transpose(other)) / 0.02


class Following(keras.Model):
    """A network, and one that follows it without training, which runs first."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.target, self.net = (
            keras.Sequential([layers.Dense(size, "relu"), layers.Dense(3)], name=name)
            for size, name in ((width, "target"), (32, "net"))
        )

    def call(self, x):
        best = keras.ops.stop_gradient(keras.ops.max(self.target(x), 1))
        return self.net(x), best


@pytest.mark.parametrize(("width", "level"), [(32, "note"), (16, "fault")])
def test_a_target_network_needs_no_gradient(width, level):
    model = Following(width)
    model(normal(16, 8))
    case = (normal(16, 8), normal(16, 3)), lambda y, output: keras.ops.mean(keras.ops.square(output[0] - y))
    (finding,) = check_model(model, *case).findings
    assert (finding.code, finding.level) == ("no-gradient", level)


def test_the_layer_that_sees_no_difference_is_named():
    (finding,) = check_model(*masked()).findings
    assert (finding.code, finding.layers[0].split("/")[-1].rstrip("_0123456789")) == ("same-output", "dense")
    assert check_model(*masked(proper=True)).findings == ()


def test_a_last_layer_may_start_at_zero():
    last = layers.Dense(10, kernel_initializer="zeros", bias_initializer=initializers.Constant(0.1))
    report = check_model(*vectors(dense(2, "relu", "he_normal"), last))
    assert "same-output" not in [finding.code for finding in report.findings]


def test_similarities_beside_the_output_are_no_mixing():
    inputs = keras.Input((64,))
    hidden = layers.Dense(32)(inputs)
    model = keras.Model(inputs, [layers.Dense(10)(hidden), Against()(hidden, hidden)])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    report = check_model(model, (normal(16, 64), labels(16)), lambda y, output: loss(y, output[0]))
    assert "mixed-examples" not in [finding.code for finding in report.findings]


class Cut(keras.Model):
    """Blocks in a row, of which the first ones are cut off."""

    def __init__(self):
        super().__init__()
        self.blocks = [keras.Sequential([layers.Dense(64, "relu"), layers.Dense(64)]) for _ in range(4)]
        self.head = layers.Dense(10)

    def call(self, x):
        for place, block in enumerate(self.blocks):
            x = x + block(x)
            x = keras.ops.stop_gradient(x) if place == 1 else x
        return self.head(x)


def test_blocks_in_a_row_are_no_target_networks():
    model = Cut()
    model(normal(16, 64))
    found = {
        finding.code: finding.level for finding in check_model(model, (normal(16, 64), labels(16)), LOGITS).findings
    }
    assert found["no-gradient"] == "fault"
