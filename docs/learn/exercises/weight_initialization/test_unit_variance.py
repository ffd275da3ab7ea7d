import torch
from torch import nn
from unit_variance import unit_variance


def scaled():
    torch.manual_seed(0)
    layers = []
    for _ in range(6):
        linear = nn.Linear(64, 64, bias=False)
        linear.weight.data *= 0.2
        layers += [linear, nn.GELU()]
    model, inputs = nn.Sequential(*layers), torch.randn(256, 64)
    before = [layer.weight.clone() for layer in model[::2]]
    unit_variance(model, inputs)
    deviations = []
    with torch.no_grad():
        for layer in model:
            inputs = layer(inputs)
            deviations.append(inputs.std().item())
    return model, before, deviations[::2], deviations[1::2]


def test_every_layer_puts_out_deviation_one():
    _, _, linear, activated = scaled()
    assert any(abs(deviation - 1) > 0.01 for deviation in activated), (
        "the deviation is 1 behind the activations: measure what the linear layer puts out"
    )
    assert not (abs(linear[0] - 1) < 0.01 and abs(linear[1] - 1) > 0.05), (
        "the first layer is right and the next is not: scale a layer before you measure the one behind it"
    )
    assert linear[0] < 2, "the first layer puts out too much: divide by the standard deviation, not by the variance"
    assert all(abs(deviation - 1) < 0.01 for deviation in linear), f"the deviations are {linear}"


def test_only_the_scale_changes():
    model, before, _, _ = scaled()
    for layer, old in zip(model[::2], before, strict=True):
        ratio = layer.weight.detach() / old
        assert ratio.std() < 1e-3 * ratio.mean(), "the weights themselves have changed: multiply them by one number"
