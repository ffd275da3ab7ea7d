import numpy as np
import pytest
import torch
from torch import nn

from snippets.weight_initialization.delta_orthogonal_numpy import delta_orthogonal
from snippets.weight_initialization.delta_orthogonal_pytorch import delta_orthogonal_


class SameDraws:
    """A NumPy generator that hands out what the torch generator draws."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def standard_normal(self, shape) -> np.ndarray:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64).numpy()


@pytest.mark.parametrize("shape", [(8, 8, 3, 3), (9, 4, 5), (6, 3)])
def test_it_is_the_oracle_on_the_same_draws(shape):
    weight = torch.full(shape, 7.0, dtype=torch.float64)
    assert delta_orthogonal_(weight, 1.5, torch.Generator().manual_seed(2)) is weight
    expected = delta_orthogonal(shape, 1.5, generator=SameDraws(2), dtype=np.float64)
    assert weight.numpy() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("padding_mode", ["zeros", "circular", "reflect"])
def test_fifty_convolutions_keep_the_norm_of_an_image(padding_mode):
    image = torch.randn(1, 8, 10, 10, generator=torch.Generator().manual_seed(0))
    h = image
    for seed in range(50):
        layer = nn.Conv2d(8, 8, 3, padding=1, padding_mode=padding_mode, bias=False)
        delta_orthogonal_(layer.weight, generator=torch.Generator().manual_seed(seed))
        h = layer(h)
    assert h.norm().item() == pytest.approx(image.norm().item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_dtypes_get_the_same_weights_rounded(dtype):
    weight = torch.empty(4, 4, 3, dtype=dtype)
    delta_orthogonal_(weight, generator=torch.Generator().manual_seed(0))
    assert weight.dtype == dtype
    single = delta_orthogonal_(torch.empty(4, 4, 3), generator=torch.Generator().manual_seed(0))
    assert torch.equal(weight, single.to(dtype))


@pytest.mark.parametrize(("shape", "named"), [((3, 4, 3), "outputs"), ((4, 4, 3, 2), "odd")])
def test_shapes_without_such_a_kernel_are_refused(shape, named):
    with pytest.raises(ValueError, match=named):
        delta_orthogonal_(torch.empty(shape))


def test_other_weights_and_gains_are_refused():
    for weight in (torch.ones(4, 3, 3, dtype=torch.int64), torch.ones(4), torch.ones(4, 0)):
        with pytest.raises(
            ValueError,
            match=r"weight must be dense and floating, of shape \(out, in, \*kernel\), got torch.strided torch\.",
        ):
            delta_orthogonal_(weight)
    for gain in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"gain must be finite and not negative, got {gain}"):
            delta_orthogonal_(torch.ones(4, 3, 3), gain)


class Sharded(torch.Tensor):
    """As FSDP2 leaves a parameter."""

    device_mesh = None


def test_a_sharded_weight_is_refused():
    with pytest.raises(ValueError, match="weight must not be sharded, got Sharded"):
        delta_orthogonal_(torch.ones(3, 3, 3).as_subclass(Sharded))
