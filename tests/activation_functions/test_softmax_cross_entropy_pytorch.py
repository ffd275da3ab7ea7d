import numpy as np
import pytest
import torch
from torch.nn import functional

from snippets.activation_functions import softmax_cross_entropy_numpy as oracle
from snippets.activation_functions.softmax_cross_entropy_pytorch import softmax_cross_entropy
from tests.activation_functions.shapes import batch_of_logits


@pytest.mark.parametrize(("dtype", "accuracy"), [(np.float64, 1e-14), (np.float32, 1e-6)])
def test_the_oracle_agrees(dtype, accuracy):
    logits, labels = batch_of_logits(dtype)
    loss, gradient = softmax_cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels))
    expected, expected_gradient = oracle.softmax_cross_entropy(logits, labels)
    assert loss.item() == pytest.approx(expected, rel=accuracy)
    assert gradient.numpy() == pytest.approx(expected_gradient, abs=accuracy)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_loss_and_gradient_are_those_of_torch(dtype):
    logits, labels = (torch.from_numpy(array) for array in batch_of_logits())
    logits = logits.to(dtype).requires_grad_()
    loss, gradient = softmax_cross_entropy(logits, labels)
    theirs = functional.cross_entropy(logits, labels)
    theirs.backward()
    accuracy = 4 * torch.finfo(dtype).eps
    assert loss.dtype == gradient.dtype == dtype and not loss.requires_grad
    assert loss.item() == pytest.approx(theirs.item(), rel=accuracy)
    assert torch.allclose(gradient, logits.grad, rtol=0, atol=accuracy)


def test_extreme_logits_give_finite_numbers():
    logits = torch.tensor([[3e38, -3e38, 0.0]])
    before = logits.clone()
    loss, gradient = softmax_cross_entropy(logits, torch.tensor([0]))
    assert loss == 0 and not gradient.any()
    assert torch.equal(logits, before)


@pytest.mark.parametrize(
    ("shape", "labels", "named"),
    [
        ((3,), [0], r"logits .*shapes.*got \(3,\)"),
        ((2, 3), [0], r"labels .*shapes.* and \(1,\)"),
        ((2, 3), [0, 3], r"labels must lie in 0 \.\.\. 2, got 0 \.\.\. 3"),
        ((2, 3), [-1, 0], r"labels must lie in 0 \.\.\. 2, got -1 \.\.\. 0"),
    ],
)
def test_errors_name_argument_and_value(shape, labels, named):
    with pytest.raises(ValueError, match=named):
        softmax_cross_entropy(torch.zeros(shape), torch.tensor(labels))


@pytest.mark.parametrize(
    ("logits", "labels", "named"),
    [
        ("float32", "bool", "must be floating and integer, got .*float32 and .*bool"),
        ("float32", "float32", "and labels .*float32"),
        ("int64", "int64", "got .*int64 and"),
    ],
)
def test_other_dtypes_are_refused(logits, labels, named):
    with pytest.raises(ValueError, match=named):
        softmax_cross_entropy(torch.from_numpy(np.zeros((2, 3), logits)), torch.from_numpy(np.ones(2, labels)))


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match=r"logits .*none of them 0, got \(0, 3\)"):
        softmax_cross_entropy(torch.from_numpy(np.zeros((0, 3))), torch.from_numpy(np.zeros(0, np.int64)))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_every_integer_counts_a_class(dtype):
    logits, labels = batch_of_logits()
    loss, _ = softmax_cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels.astype(dtype)))
    assert float(loss) == pytest.approx(oracle.softmax_cross_entropy(logits, labels)[0], rel=1e-12)


def test_a_compiled_step_gives_the_same_numbers():
    logits, labels = (torch.from_numpy(array) for array in batch_of_logits())
    compiled = torch.compile(softmax_cross_entropy, fullgraph=True, backend="eager")
    for one, other in zip(compiled(logits, labels), softmax_cross_entropy(logits, labels), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_more_classes_than_float16_can_sum(dtype):
    logits, labels = torch.zeros(2, 70_000, dtype=dtype), torch.tensor([0, 69_999])
    loss, gradient = softmax_cross_entropy(logits, labels)
    assert loss.item() == pytest.approx(np.log(70_000), rel=0.01)
    torch.testing.assert_close(gradient[:, 0].float(), torch.tensor([-0.5, 0.5 / 70_000]), rtol=0.01, atol=1e-7)
