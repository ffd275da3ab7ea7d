import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from snippets.batch_normalization import fold_batch_norm_numpy as oracle
from snippets.batch_normalization.fold_batch_norm_pytorch import fold_batch_norm, fold_model

PAIRS = [
    (nn.Linear(3, 4), nn.BatchNorm1d(4), (5, 3)),
    (nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4, eps=0.1), (5, 3)),
    (nn.Conv1d(3, 4, 2), nn.BatchNorm1d(4), (5, 3, 6)),
    (nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, bias=False), nn.BatchNorm2d(8), (5, 4, 6, 6)),
    (nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3, affine=False), (2, 2, 3, 3, 3)),
]

every_pair = pytest.mark.parametrize(("layer", "norm", "shape"), PAIRS, ids=lambda value: type(value).__name__)


def trained(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode that no longer holds the values a batch normalization starts with."""
    module, generator = copy.deepcopy(module).eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module


@every_pair
def test_one_layer_computes_what_two_did(layer, norm, shape):
    layer, norm = trained(layer), trained(norm)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    before = layer.weight.clone()
    folded = fold_batch_norm(layer, norm)
    torch.testing.assert_close(folded(x), norm(layer(x)), rtol=1e-5, atol=1e-5)
    assert type(folded) is type(layer)
    assert torch.equal(layer.weight, before) and layer.weight.requires_grad


@pytest.mark.parametrize("has_bias", [True, False])
def test_the_oracle_and_torch_agree(has_bias):
    linear, conv = trained(nn.Linear(3, 4, bias=has_bias)), trained(nn.Conv2d(3, 4, 2, bias=has_bias))
    for layer, norm, theirs in [
        (linear, trained(nn.BatchNorm1d(4)), fuse_linear_bn_eval),
        (conv, trained(nn.BatchNorm2d(4)), fuse_conv_bn_eval),
    ]:
        folded = fold_batch_norm(layer, norm)
        state = [tensor.detach().numpy() for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
        bias = layer.bias.detach().numpy() if has_bias else None
        weight, shift = oracle.fold_batch_norm(layer.weight.detach().numpy(), bias, *state, norm.eps)
        np.testing.assert_allclose(folded.weight.detach(), weight, rtol=1e-5)
        np.testing.assert_allclose(folded.bias.detach(), shift, rtol=1e-5)
        other = theirs(layer, norm)
        torch.testing.assert_close((folded.weight, folded.bias), (other.weight, other.bias))


def test_a_model_computes_the_same_with_fewer_layers():
    model = trained(
        nn.Sequential(
            nn.BatchNorm2d(3),
            nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
            nn.Flatten(),
            nn.Linear(64, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.BatchNorm1d(8),
            nn.Linear(8, 2),
        )
    )
    x = torch.randn(5, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    folded, report = fold_model(model)
    torch.testing.assert_close(folded(x), model(x), rtol=1e-5, atol=1e-5)
    assert [type(layer).__name__ for layer in folded] == [
        "BatchNorm2d", "Sequential", "Flatten", "Linear", "ReLU", "BatchNorm1d", "Linear",
    ]  # fmt: skip
    assert [type(layer) for layer in folded[1]] == [nn.Conv2d, nn.ReLU]
    assert report.reached == {"1.1": "1.0", "4": "3"}
    assert list(report.left) == ["0", "6"] and report.left["0"] == "model starts with it"
    assert report.left["6"].startswith("layer must be one of") and report.left["6"].endswith("got ReLU()")
    assert not folded.training and not {id(p) for p in folded.parameters()} & {id(p) for p in model.parameters()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_is_that_of_the_layer(dtype):
    layer, norm = trained(nn.Linear(3, 4)).to(dtype), trained(nn.BatchNorm1d(4))
    folded = fold_batch_norm(layer, norm)
    assert folded.weight.dtype == folded.bias.dtype == dtype


def test_errors_name_what_does_not_fit():
    with pytest.raises(ValueError, match="norm must keep running statistics"):
        fold_batch_norm(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False))
    with pytest.raises(ValueError, match="norm must have 4 features.* got 5"):
        fold_batch_norm(nn.Linear(3, 4), nn.BatchNorm1d(5))


class Residual(nn.Sequential):
    """A Sequential with a forward of its own."""

    def forward(self, x):
        return x + super().forward(x)


class Masked(nn.Linear):
    """A Linear with a forward of its own."""

    def forward(self, x):
        return super().forward(x) * 2.0


def test_what_is_no_plain_pair_stays_as_it_is():
    torch.manual_seed(0)
    model = trained(
        nn.Sequential(
            Residual(nn.Linear(4, 4), nn.BatchNorm1d(4)),
            nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
            nn.BatchNorm1d(4),
            Masked(4, 4),
            nn.BatchNorm1d(4),
            nn.Unflatten(1, (4, 1, 1)),
            nn.ConvTranspose2d(4, 4, 2),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 4, 1),
            nn.BatchNorm2d(4, track_running_stats=False),
            nn.Flatten(2),
            nn.Linear(4, 6),
            nn.BatchNorm1d(4),
        )
    )
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    folded, report = fold_model(model)
    torch.testing.assert_close(folded(x), model(x), rtol=1e-5, atol=1e-5)
    assert [type(layer) for layer in folded] == [type(layer) for layer in model]
    assert not report.reached and list(report.left) == ["0.1", "2", "4", "7", "9", "12"]
    assert report.left["0.1"] == "'0' has a forward or a hook of its own around it"
    for name, why in {"2": "a weight of its own", "4": "Masked", "9": "running statistics", "12": "6 features"}.items():
        assert why in report.left[name]


def test_a_pair_that_stands_twice_is_folded_twice():
    pair = [trained(nn.Linear(4, 4)), trained(nn.BatchNorm1d(4))]
    model, x = nn.Sequential(*pair, nn.ReLU(), *pair), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    folded, report = fold_model(model)
    torch.testing.assert_close(folded(x), model(x), rtol=1e-5, atol=1e-5)
    assert len(folded) == 3 and report.reached == {"1": "0", "4": "3"}


def test_a_model_with_a_forward_of_its_own_is_refused():
    for model in (Residual(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.Linear(4, 4)):
        with pytest.raises(ValueError, match=f"model must be a Sequential .* got {type(model).__name__}"):
            fold_model(model)


@pytest.mark.parametrize(
    ("layer", "norm", "message"),
    [
        (nn.ConvTranspose2d(4, 4, 2), nn.BatchNorm2d(4), "layer must be one of .*'Conv3d'.*ConvTranspose2d"),
        (nn.ReLU(), nn.BatchNorm2d(4), "layer must be one of .*ReLU"),
        (
            nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
            nn.BatchNorm1d(4),
            "layer must be one of|weight of its own",
        ),
        (nn.LazyLinear(4), nn.BatchNorm1d(4), "layer must be one of|holds values"),
        (nn.Linear(4, 4), nn.BatchNorm2d(4), "norm must be a BatchNorm1d after Linear"),
        (nn.Linear(4, 4), nn.LayerNorm(4), "norm must be a BatchNorm1d after Linear, got LayerNorm"),
    ],
)
def test_other_layers_are_refused_by_name(layer, norm, message):
    with pytest.raises(ValueError, match=message):
        fold_batch_norm(layer, norm)


def test_a_folded_linear_takes_rows_alone():
    """On (B, 4, 4) the norm works on axis 1 and the Linear on axis 2."""
    folded = fold_batch_norm(trained(nn.Linear(4, 4)), trained(nn.BatchNorm1d(4)))
    with pytest.raises(ValueError, match=r"x must have shape \(B, in\) .* got \(2, 4, 4\)"):
        folded(torch.ones(2, 4, 4))
    with pytest.raises(ValueError, match=r"x must have shape \(B, in\) .* got \(4,\)"):
        folded(torch.ones(4))


def test_the_bias_learns_if_the_weight_does():
    layer = nn.Linear(3, 4).requires_grad_(False)
    assert not fold_batch_norm(layer, nn.BatchNorm1d(4)).bias.requires_grad
    assert fold_batch_norm(nn.Linear(3, 4), nn.BatchNorm1d(4)).bias.requires_grad


def test_a_norm_without_bias_is_folded():
    norm = trained(nn.BatchNorm1d(4))
    norm.bias, layer = None, trained(nn.Linear(3, 4))
    torch.testing.assert_close(fold_batch_norm(layer, norm)(torch.ones(2, 3)), norm(layer(torch.ones(2, 3))))


@pytest.mark.parametrize("of_weight", [False, True])
@pytest.mark.parametrize("of_bias", [False, True, None])
def test_what_was_frozen_stays_frozen(of_weight, of_bias):
    layer = nn.Conv2d(3, 4, 1, bias=of_bias is not None)
    layer.weight.requires_grad_(of_weight)
    if of_bias is not None:
        layer.bias.requires_grad_(of_bias)
    folded = fold_batch_norm(layer, trained(nn.BatchNorm2d(4)))
    assert folded.weight.requires_grad is of_weight
    assert folded.bias.requires_grad is (of_weight if of_bias is None else of_bias)


def named() -> tuple[nn.Sequential, torch.Tensor]:
    inner = nn.Sequential(OrderedDict(dense=nn.Linear(8, 4), norm=nn.BatchNorm1d(4), act=nn.ReLU()))
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten())
    model = nn.Sequential(OrderedDict(stem=stem, body=inner, head=nn.Linear(4, 2)))
    return trained(model), torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def test_names_stay_and_numbers_have_no_gap():
    model, x = named()
    folded, report = fold_model(model)
    torch.testing.assert_close(folded(x), model(x))
    assert [name for name, _ in folded.named_children()] == ["stem", "body", "head"]
    assert list(folded.stem._modules) == ["0", "1", "2", "3"] and list(folded.body._modules) == ["dense", "act"]
    assert report.reached == {"stem.1": "stem.0", "body.norm": "body.dense"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_folded_model_is_exported_and_compiled():
    model, x = named()
    folded, _ = fold_model(model)
    exported = torch.export.export(folded, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    compiled = torch.compile(folded, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        for module in (exported, compiled):
            torch.testing.assert_close(module(x[:3]), model(x[:3]))


def test_a_small_eps_counts_in_float16():
    norm = nn.BatchNorm1d(2, eps=1e-8).half().eval()
    norm.running_var.zero_()
    layer = nn.Linear(3, 2).half()
    nn.init.constant_(layer.weight, 0.5)
    torch.testing.assert_close(
        fold_batch_norm(layer, norm).weight.float(), torch.full((2, 3), 5_000.0), rtol=1e-3, atol=0
    )


class Active(nn.BatchNorm1d):
    """A norm with an activation inside, as libraries have them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


class Renamed(nn.BatchNorm1d):
    """A norm with a `forward` of its own that is one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)


@pytest.mark.parametrize("kind", [nn.Linear, nn.Conv1d])
def test_a_norm_that_does_more_stays(kind):
    layer = trained(kind(3, 4, *[1] * (kind is nn.Conv1d)))
    x = torch.randn(5, 3, *[6] * (kind is nn.Conv1d), generator=torch.Generator().manual_seed(1))
    folded, report = fold_model(nn.Sequential(layer, trained(Active(4))))
    assert report.reached == {} and "norm must do no more than normalize" in report.left["1"]
    torch.testing.assert_close(folded(x), nn.Sequential(layer, trained(Active(4)))(x))
    renamed = trained(Renamed(4))
    torch.testing.assert_close(fold_batch_norm(layer, renamed)(x), renamed(layer(x)))


def test_a_hook_is_not_lost():
    layer, norm, x = trained(nn.Linear(3, 4)), trained(nn.BatchNorm1d(4)), torch.ones(2, 3)
    watched = copy.deepcopy(layer)
    watched.register_forward_hook(lambda _layer, _inputs, output: output + 1.0)
    with pytest.raises(ValueError, match="layer must have no forward hook"):
        fold_batch_norm(watched, norm)
    for register in ("register_forward_hook", "register_forward_pre_hook"):
        called = []
        noted = copy.deepcopy(norm)
        getattr(noted, register)(lambda *_, called=called: called.append(1))
        folded, report = fold_model(nn.Sequential(layer, noted).eval())
        assert "norm must have no forward hook" in report.left["1"]
        assert not called  # folding runs nothing of the reader's
        folded(x)
        assert called
    doubling = nn.Sequential(copy.deepcopy(layer), copy.deepcopy(norm))
    doubling.register_forward_hook(lambda _model, _inputs, output: 2.0 * output)
    model = nn.Sequential(doubling)
    folded, report = fold_model(model.eval())
    torch.testing.assert_close(folded(x), model(x))
    assert list(report.left) == ["0.1"]
    with pytest.raises(ValueError, match="model must be a Sequential without a forward or a hook"):
        fold_model(doubling)


def test_a_sharded_model_is_named():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval()
    model[0].weight.device_mesh = "as a DTensor has"
    with pytest.raises(ValueError, match="model must not be sharded, got '0.weight'"):
        fold_model(model)
