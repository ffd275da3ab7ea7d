import re

import numpy as np
import pytest

from snippets.he_initialization.fans_numpy import keras_fans, pytorch_fans, true_fans


def counted_along_one_axis(kernel: int, stride: int, size: int = 600) -> tuple[float, float]:
    """Connections of a strided window, counted: mean summands per output, mean outputs per input, borders left out."""
    reads = np.zeros(((size - kernel) // stride + 1, size))
    for position in range(len(reads)):
        reads[position, position * stride : position * stride + kernel] += 1
    margin = 10 * stride
    return reads.sum(axis=1).mean(), reads.sum(axis=0)[margin : margin + stride * 20].mean()


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (4, 2), (5, 3), (2, 3)])
def test_fans_are_the_counted_connections(kernel, stride):
    per_output, per_input = counted_along_one_axis(kernel, stride)
    assert true_fans(1, 1, [kernel], [stride]) == pytest.approx((per_output, per_input))
    assert true_fans(1, 1, [kernel], [stride], transposed=True) == pytest.approx((per_input, per_output))
    # Axes multiply, and every output channel reads every input channel of its group.
    square = true_fans(6, 4, [kernel, kernel], [stride, stride], groups=2)
    assert square == pytest.approx((3 * per_output**2, 2 * per_input**2))


def test_linear_and_depthwise_are_special_cases():
    assert true_fans(300, 200) == (300, 200)
    assert true_fans(32, 32, [3, 3], groups=32) == (9, 9)
    assert true_fans(32, 64, [3, 3], groups=32) == (9, 18)


def test_a_transposed_layer_swaps_the_fans_of_the_layer_it_transposes():
    forward = true_fans(16, 32, [3, 5], [2, 1], groups=4)
    assert true_fans(32, 16, [3, 5], [2, 1], groups=4, transposed=True) == forward[::-1]


def test_what_the_frameworks_read_off_a_shape():
    """Linear and plain convolutions are right; depthwise, grouped and transposed ones are not."""
    assert pytorch_fans((200, 300)) == keras_fans((300, 200)) == true_fans(300, 200)
    plain = true_fans(16, 32, [3, 3])
    assert pytorch_fans((32, 16, 3, 3)) == keras_fans((3, 3, 16, 32)) == plain == (144, 288)
    transposed = true_fans(16, 32, [3, 3], transposed=True)
    assert transposed == (144, 288)
    assert pytorch_fans((16, 32, 3, 3)) == keras_fans((3, 3, 32, 16)) == (288, 144)
    assert pytorch_fans((32, 1, 3, 3)).fan_in == true_fans(32, 32, [3, 3], groups=32).fan_in == 9
    assert keras_fans((3, 3, 32, 1)).fan_in == 288
    assert pytorch_fans((32, 4, 3, 3)) == keras_fans((3, 3, 4, 32)) == (36, 288)
    assert true_fans(16, 32, [3, 3], groups=4) == (36, 72)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"inputs": 0, "outputs": 4}, "inputs=0"),
        ({"inputs": 4, "outputs": 4, "kernel": [3, 0]}, "kernel"),
        ({"inputs": 4, "outputs": 4, "kernel": [3], "stride": [0]}, "stride"),
        ({"inputs": 4, "outputs": 6, "kernel": [3], "groups": 4}, "groups=4"),
        ({"inputs": 6, "outputs": 4, "kernel": [3], "groups": 4}, "groups=4"),
    ],
)
def test_impossible_sizes_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        true_fans(**arguments)


@pytest.mark.parametrize("fans", [pytorch_fans, keras_fans])
def test_a_vector_has_no_fans(fans):
    with pytest.raises(ValueError, match=r"\(7,\)"):
        fans((7,))


@pytest.mark.parametrize("bad", [{"kernel": (2.5,)}, {"stride": (1.5,)}, {"inputs": 4.5}, {"kernel": (float("nan"),)}])
def test_a_fraction_is_refused_and_not_cut(bad):
    with pytest.raises(ValueError, match="integers from 1 on"):
        true_fans(**({"inputs": 4, "outputs": 4} | bad))


@pytest.mark.parametrize(("kernel", "stride"), [((3, 3), (2,)), ((3,), (2, 2)), ((), (2,))])
def test_a_stride_that_does_not_fit_the_kernel_is_refused(kernel, stride):
    with pytest.raises(ValueError, match=re.escape(f"or none, got {stride=}, {kernel=}")):
        true_fans(4, 6, kernel, stride)


def test_sizes_beyond_64_bits_do_not_wrap():
    assert true_fans(3, 3, (2**32, 2**32)).fan_in == 3 * 2**64
    assert pytorch_fans(np.array([4, 2**20, 2**12], np.int32)) == (2**32, 2**14)
    assert keras_fans(np.array([2**12, 2**20, 4], np.int32)) == (2**32, 2**14)
    assert true_fans(np.int8(100), np.int8(100), [np.int8(3)]) == (300, 300)
