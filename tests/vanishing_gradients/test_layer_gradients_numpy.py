import math

import numpy as np
import pytest

from snippets.vanishing_gradients.layer_gradients_numpy import (
    ACTIVATIONS,
    LayerGradient,
    Perceptron,
    cross_entropy_gradient,
    factor_per_layer,
    layer_gradients,
)
from tests.vanishing_gradients.networks import WIDTHS, arrays, batch


def perceptron(activation: str) -> Perceptron:
    return Perceptron(*arrays(), activation)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean())


def output(model: Perceptron, inputs: np.ndarray, shifts: dict[int, np.ndarray]) -> np.ndarray:
    """The forward pass on its own, with `shifts` added to the preactivations of some layers."""
    hidden = inputs
    for layer, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        z = np.einsum("bi,oi->bo", hidden, weight) + bias + shifts.get(layer, 0.0)
        hidden = ACTIVATIONS[model.activation][0](z)
    return z


def numerical_rms(function, shape: tuple[int, ...]) -> float:
    """Root mean square of a gradient by central differences."""
    gradient = np.empty(shape)
    for index in np.ndindex(shape):
        step = np.zeros(shape)
        step[index] = 1e-6
        gradient[index] = (function(step) - function(-step)) / 2e-6
    return math.sqrt(np.square(gradient).mean())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_both_gradients_are_those_of_central_differences(activation):
    model, (inputs, labels) = perceptron(activation), batch()
    rows = layer_gradients(model, inputs, lambda logits: cross_entropy_gradient(logits, labels))
    assert [row.name for row in rows] == ["0", "1", "2", "3"]
    for layer, (row, weight) in enumerate(zip(rows, model.weights, strict=True)):
        of_output = numerical_rms(
            lambda step, layer=layer: cross_entropy(output(model, inputs, {layer: step}), labels),
            (len(inputs), len(weight)),
        )

        def with_step(step, layer=layer, weight=weight):
            weights = [*model.weights[:layer], weight + step, *model.weights[layer + 1 :]]
            return cross_entropy(output(model._replace(weights=weights), inputs, {}), labels)

        assert row.output_rms == pytest.approx(of_output, rel=1e-6)
        assert row.weight_rms == pytest.approx(numerical_rms(with_step, weight.shape), rel=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_are_derivatives(activation):
    phi, slope = ACTIVATIONS[activation]
    z = np.linspace(-3.05, 3.0, 40)
    assert slope(phi(z)) == pytest.approx((phi(z + 1e-6) - phi(z - 1e-6)) / 2e-6, abs=1e-8)


def test_the_sigmoid_survives_large_arguments():
    assert ACTIVATIONS["sigmoid"][0](np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def test_the_example_of_the_docstring_runs(capsys):
    from snippets.vanishing_gradients import layer_gradients_numpy as module
    from tests.vanishing_gradients.networks import example

    inputs, labels = batch()
    exec(example(module), vars(module) | {"model": perceptron("tanh"), "inputs": inputs, "labels": labels})
    assert len(capsys.readouterr().out.splitlines()) == len(WIDTHS)


def test_the_factor_is_a_geometric_mean_over_layers():
    rows = [LayerGradient(str(layer), 3.0 * 0.5 ** (4 - layer), 1.0) for layer in range(5)]
    assert factor_per_layer(rows) == pytest.approx(0.5)
    assert factor_per_layer([rows[0], rows[3], rows[4]]) == pytest.approx(0.25)


def test_gradients_too_small_to_be_squared_are_still_told():
    weights, biases = [np.full((3, 3), 1e-70)] * 4, [np.zeros(3)] * 4
    rows = layer_gradients(Perceptron(weights, biases, "linear"), np.ones((2, 3)), np.ones_like)
    assert rows[0].output_rms == pytest.approx(27e-210, rel=1e-6, abs=0)
    assert factor_per_layer(rows) == pytest.approx(3e-70, rel=1e-6, abs=0)


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_zero_infinity_and_nan_are_told_as_such(value):
    rows = layer_gradients(
        Perceptron([np.eye(3)], [np.zeros(3)], "linear"), np.ones((2, 3)), lambda z: np.full_like(z, value)
    )
    assert rows[0].output_rms == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [LayerGradient("0", 1.0, 1.0)],
        [LayerGradient("0", 0.0, 0.0)] * 2,
        [LayerGradient("0", float(i < 2), 0.0) for i in range(3)],
    ],
)
def test_a_factor_needs_two_rows_with_a_gradient(rows):
    with pytest.raises(ValueError, match="rows must be two or more"):
        factor_per_layer(rows)


def test_bad_arguments_are_named():
    inputs, _labels = batch()
    with pytest.raises(ValueError, match="activation .*'swish'"):
        layer_gradients(perceptron("swish"), inputs, np.ones_like)
    with pytest.raises(ValueError, match=r"shape \(7, 3\), got \(7,\)"):
        layer_gradients(perceptron("tanh"), inputs, lambda logits: logits[:, 0])


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_named(label):
    with pytest.raises(ValueError, match=f"labels must lie in 0 ... 2, got {min(label, 0)} ... {max(label, 0)}"):
        cross_entropy_gradient(np.zeros((2, 3)), np.array([0, label]))


def test_the_model_and_the_batch_stay():
    model, (inputs, labels) = perceptron("relu"), batch()
    layer_gradients(model, inputs, lambda logits: cross_entropy_gradient(logits, labels))
    again, (same_inputs, _) = perceptron("relu"), batch()
    assert np.array_equal(inputs, same_inputs)
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, again.weights, strict=True))


def test_an_empty_batch_is_refused():
    model = Perceptron([np.ones((2, 3))], [np.zeros(2)], "tanh")
    with pytest.raises(ValueError, match="inputs must hold an example"):
        layer_gradients(model, np.ones((0, 3)), np.ones_like)


def test_a_batch_may_lack_the_first_class():
    logits = np.zeros((2, 3))
    gradient = cross_entropy_gradient(logits, np.array([1, 2]))
    np.testing.assert_allclose(gradient, (1 / 3 - np.eye(3)[[1, 2]]) / 2)


def test_more_classes_than_float16_can_sum_and_memory_can_hold_as_a_square():
    gradient = cross_entropy_gradient(np.zeros((2, 300_000), np.float16), np.array([0, 299_999]))
    assert gradient.dtype == np.float16
    np.testing.assert_allclose(gradient[:, 0], [-0.5, 0.5 / 300_000], rtol=0.05)


@pytest.mark.parametrize(
    ("weights", "biases", "named"),
    [
        ([], [], "a layer, .*got 0 weights"),
        ([np.ones((2, 3))], [], "got 1 weights and 0 biases"),
        ([np.ones((2, 4))], [np.ones(2)], r"\(fan_out, 3\) .*in layer 0, got \(2, 4\) and \(2,\)"),
        ([np.ones((2, 3)), np.ones((1, 2))], [np.ones(2), np.ones(2)], r"in layer 1, got \(1, 2\) and \(2,\)"),
        ([np.ones((2, 3))], [np.ones(1)], r"in layer 0, got \(2, 3\) and \(1,\)"),
    ],
)
def test_layers_that_do_not_fit_are_refused(weights, biases, named):
    with pytest.raises(ValueError, match=f"model must .*{named}"):
        layer_gradients(Perceptron(weights, biases, "relu"), np.ones((4, 3)), np.ones_like)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_the_factor_fits_where_the_ratio_does_not(size):
    rows = [LayerGradient(str(layer), rms, 1.0) for layer, rms in enumerate([size, 1.0, 1.0 / size])]
    assert factor_per_layer(rows) == pytest.approx(size, rel=1e-12, abs=0)
    assert factor_per_layer(iter(rows)) == factor_per_layer(rows)


def test_a_model_of_another_kind_or_of_integers_is_named():
    with pytest.raises(ValueError, match="model must be a Perceptron, got list"):
        layer_gradients([np.eye(3)], np.ones((2, 3)), lambda output: output)
    whole = Perceptron([np.eye(3, dtype=int)], [np.zeros(3)], "tanh")
    with pytest.raises(ValueError, match="floating weights and biases, got int64 and float64 in layer 0"):
        layer_gradients(whole, np.ones((2, 3)), lambda output: output)
