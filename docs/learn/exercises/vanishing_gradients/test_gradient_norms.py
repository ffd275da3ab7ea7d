import torch
from gradient_norms import gradient_norms
from torch import nn


def small():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 3))
    return model, torch.randn(16, 5), torch.randint(3, (16,))


def by_backward(model, inputs, labels):
    model.zero_grad()
    nn.functional.cross_entropy(model(inputs), labels).backward()
    norms = [layer.weight.grad.norm().item() for layer in model if isinstance(layer, nn.Linear)]
    model.zero_grad()
    return norms


def near(found, wanted):
    return len(found) == len(wanted) and all(abs(a - b) < 1e-4 * b for a, b in zip(found, wanted, strict=True))


def test_one_norm_for_each_layer():
    model, inputs, labels = small()
    found, wanted = list(gradient_norms(model, inputs, labels)), by_backward(model, inputs, labels)
    weights = [layer.weight.norm().item() for layer in model if isinstance(layer, nn.Linear)]
    assert not near(found, weights), "these are the norms of the weights, not of their gradients"
    assert not near(found, wanted[::-1]), "the last layer comes first: turn the order round"
    assert len(found) == len(wanted), f"three layers have a weight, you give {len(found)} norms: leave out the biases"
    assert not near([norm / 16 for norm in found], wanted), (
        "16 times too large: cross_entropy takes the mean of a batch"
    )
    assert near(found, wanted), f"the gradients have the norms {wanted}, yours are {found}"


def test_a_second_call_gives_the_same():
    model, inputs, labels = small()
    first, second = (list(gradient_norms(model, inputs, labels)) for _ in range(2))
    assert not near(second, [2 * norm for norm in first]), (
        "the second call gives twice as much: backward() adds to what is there, set the gradients to zero first"
    )
    assert near(second, first), f"the first call gives {first}, the second {second}"
