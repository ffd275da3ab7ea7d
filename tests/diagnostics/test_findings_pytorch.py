"""Findings, beyond those that the experiments plant, and neighbors without one."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from snippets.diagnostics.check_model_pytorch import check_model
from tests.diagnostics.checked import Called, batch, codes, cross_entropy, mean, mlp, signals

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize(("factor", "found"), [(1.15, []), (1.4, ["exploding-activation"])])
def test_the_factor_per_layer_and_its_limits(factor, found):
    layers = [nn.Linear(64, 64, bias=False) for _ in range(40)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=factor)
    report = check_model(nn.Sequential(*layers), torch.randn(32, 64), mean)
    assert report.forward == pytest.approx(factor, rel=1e-4)
    assert report.backward == pytest.approx(factor, rel=1e-4)
    # 39 factors of 1.15 make 10^2.4, of 1.4 make 10^5.7.
    assert signals(report) == found
    (_, *followed) = report.findings
    assert [also.partition(":")[0] for finding in followed for also in finding.also] == (
        ["exploding-gradient"] if found else []
    )


@pytest.mark.parametrize(("depth", "found"), [(100, []), (160, ["vanishing-activation"])])
def test_a_factor_near_one_is_allowed_twice_the_decades(depth, found):
    layers = [nn.Linear(16, 16, bias=False) for _ in range(depth)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=1 / 1.095)
    # 99 factors make 10^-3.9, 159 make 10^-6.3.
    assert signals(check_model(nn.Sequential(*layers), torch.randn(8, 16), mean)) == found


def test_one_odd_layer_does_not_bend_the_factor():
    layers = [nn.Linear(16, 16, bias=False) for _ in range(9)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
    assert signals(check_model(nn.Sequential(*layers), torch.randn(8, 16), mean)) == []
    layers[1].weight.data.mul_(1e-3)
    layers[2].weight.data.mul_(1e3)
    report = check_model(nn.Sequential(*layers), torch.randn(8, 16), mean)
    assert report.forward == pytest.approx(1.0, rel=0.01)
    finding, _ = report.findings
    assert (finding.code, finding.layers) == ("layer-out-of-line", ("1", "2"))


@pytest.mark.parametrize(("dtype", "gain"), [(torch.float32, 1e-3), (torch.float64, 1e-16)])
def test_gradients_whose_squares_underflow_are_measured(dtype, gain):
    layers = [nn.Linear(16, 16, bias=False, dtype=dtype) for _ in range(12)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=gain)
    report = check_model(nn.Sequential(*layers), torch.randn(8, 16, dtype=dtype), mean)
    # Divided, since `approx` takes any two numbers near zero for equal.
    assert report.layers[0].gradient / gain**11 == pytest.approx(report.layers[-1].gradient, rel=1e-3)


@pytest.mark.parametrize("mask", [-torch.inf, -10_000.0])
def test_attention_is_judged_where_it_sees_eight_keys(mask):
    weights = []

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x):
            scores = self.layer(x) @ x.transpose(1, 2) / 4
            later = torch.ones(scores.shape[-2:]).triu(1).bool()
            weights.append(functional.softmax(scores.masked_fill(later, mask), dim=-1))
            return weights[0] @ x

    row = check_model(Causal(), torch.randn(4, 12, 16), mean).layers[0]
    assert row.peaked == pytest.approx(weights[0][:, 7:].amax(-1).mean().item(), rel=1e-5)


@pytest.mark.parametrize(("scale", "found"), [(None, []), (1.0, ["saturated-attention"])])
def test_the_scale_of_torchs_own_attention(scale, found):
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(256, 256)
            nn.init.orthogonal_(self.layer.weight)

        def forward(self, x):
            x = 3 * self.layer(x)
            return functional.scaled_dot_product_attention(x, torch.randn_like(x), x, scale=scale)

    assert codes(check_model(Attention(), torch.randn(2, 4, 16, 256), mean)) == found


def test_short_or_two_dimensional_softmaxes_are_no_attention():
    class Gate(nn.Linear):
        def forward(self, x):
            return super().forward(100 * x).softmax(-1) + super().forward(100 * x)[:, None, :4].softmax(-1).sum()

    model = nn.Sequential(nn.Linear(16, 16), Gate(16, 16))
    assert check_model(model, torch.randn(4, 16), mean).layers[0].peaked is None


def test_a_zero_layer_that_learns_is_no_fault():
    """The last layer of a residual branch, LoRA's second matrix, or an output layer may start at zero."""
    model = mlp(nn.ReLU(), nn.Identity())
    nn.init.zeros_(model[2].weight)
    assert codes(check_model(model, batch(), cross_entropy)) == []


def test_copies_are_named_and_constants_are_not_copies():
    model = mlp(nn.ReLU(), nn.ReLU(), nn.ReLU())
    model[4].weight.data.copy_(model[0].weight)
    (finding,) = check_model(model, batch(), cross_entropy).findings
    assert (finding.code, finding.level, finding.layers) == ("identical-layers", "note", ("0.weight", "4.weight"))


def test_the_loss_of_guessing():
    def of(model, data, loss):
        report = check_model(model, data, loss)
        return report.chance_loss, codes(report)

    model, (inputs, labels) = mlp(nn.Identity()), batch()
    padded = labels.masked_fill(torch.arange(32) < 5, -100)
    soft = torch.softmax(torch.randn(32, 64), 1)
    assert of(model, (inputs, padded), cross_entropy) == (pytest.approx(math.log(64)), [])
    assert of(model, (inputs, padded.masked_fill(padded < 0, 99)), nn.CrossEntropyLoss(ignore_index=99))[1] == []
    assert of(model, (inputs, soft), cross_entropy) == (pytest.approx(math.log(64)), [])
    assert of(model, (inputs[0], labels[0]), cross_entropy) == (pytest.approx(math.log(64)), [])
    assert of(model, (inputs[0], soft[0]), cross_entropy) == (pytest.approx(math.log(64)), [])
    assert of(model, (inputs, (soft > 0.02).float()), nn.BCEWithLogitsLoss()) == (pytest.approx(math.log(2)), [])
    assert of(model, (inputs, labels), mean) == (None, [])
    logged = nn.Sequential(model, nn.LogSoftmax(1))
    assert of(logged, (inputs, labels), nn.NLLLoss()) == (None, [])


@pytest.mark.parametrize("scale", [1.5, 3.0])
def test_confidence_at_the_start(scale):
    model = nn.Linear(64, 64)
    nn.init.normal_(model.weight, 0.0, scale / 8)
    found = codes(check_model(model, batch(256), nn.CrossEntropyLoss(reduction="sum")))
    assert found == (["confident-at-start"] if scale > 2 else [])


@pytest.mark.parametrize("loss", [functional.l1_loss, functional.smooth_l1_loss, functional.huber_loss])
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_regressions_that_broadcast(loss):
    data = (torch.randn(32, 64), torch.randn(32))
    assert codes(check_model(nn.Linear(64, 1), data, lambda out, y: loss(out, y))) == ["broadcast-loss"]
    assert codes(check_model(nn.Linear(64, 1), data, lambda out, y: loss(out[:, 0], y))) == []


def test_activations_that_only_sound_like_a_relu_or_a_sigmoid():
    model, (inputs, labels) = mlp(nn.Identity()), batch()
    assert codes(check_model(nn.Sequential(model, nn.LeakyReLU()), (inputs, labels), cross_entropy)) == []
    targets = torch.rand(32, 64).round()
    assert codes(check_model(nn.Sequential(model, nn.LogSigmoid()), (inputs, targets), nn.BCEWithLogitsLoss())) == []


@pytest.mark.parametrize("labels", [torch.tensor([0, 64]), torch.tensor([-1, 3])])
def test_a_report_without_a_loss(labels):
    report = check_model(mlp(nn.ReLU()), (torch.randn(2, 64), labels), cross_entropy)
    assert codes(report) == ["labels-out-of-range"]
    assert math.isnan(report.loss)
    assert (len(report.layers), report.layers[0].gradient, report.backward) == (1, None, None)
    assert f"labels {labels.min()} to {labels.max()}, 64 classes" in str(report)


SPARE = nn.Linear(64, 64, bias=False)


class Hidden(nn.Module):
    """Layers where parameters() does not look."""

    def __init__(self, held) -> None:
        super().__init__()
        self.held, self.head = held, nn.Linear(64, 64)

    def forward(self, x):
        layers = self.held if isinstance(self.held, nn.Module | list | dict) else self.held()
        for layer in layers.values() if isinstance(layers, dict) else layers:
            x = layer(x).relu()
        return self.head(x)


@pytest.mark.parametrize(
    ("held", "names"),
    [
        ([nn.Linear(64, 64)], ("held.0.bias", "held.0.weight")),
        ({"a": nn.Linear(64, 64, bias=False)}, ("held.a.weight",)),
        (lambda: [nn.Linear(64, 64, bias=False)], ("made in the pass, of shape (64, 64)",)),
        (lambda layer=SPARE: [layer], ("held.weight",)),
        (nn.ModuleList([nn.Linear(64, 64)]), ()),
    ],
)
def test_weights_that_the_model_does_not_own(held, names):
    found = {finding.code: finding.layers for finding in check_model(Hidden(held), batch(), cross_entropy).findings}
    assert found == ({"unregistered-weights": names} if names else {})


def test_tensors_with_a_gradient_that_are_no_weights():
    """Points of a gradient penalty, and the weights of a loss."""
    scale = nn.Parameter(torch.ones(64))

    def loss(output, labels):
        points = torch.randn(32, 64, requires_grad=True)
        return cross_entropy(output * scale, labels) + (points * output).mean()

    assert codes(check_model(mlp(nn.ReLU()), batch(), loss)) == []


@pytest.mark.parametrize(
    ("last", "targets", "found"),
    [
        (nn.ReLU(), -5.0, True), (nn.ReLU(), 5.0, False), (nn.Sigmoid(), 1.5, True), (nn.Sigmoid(), 0.5, False),
        (nn.Tanh(), -2.0, True), (nn.Softmax(1), -0.1, True), (nn.Softplus(), -1.0, True), (nn.Identity(), -5.0, False),
        (nn.Sequential(nn.Tanh(), nn.Unflatten(1, (8, 8)), nn.Flatten()), 2.0, True),
    ],
)  # fmt: skip
def test_targets_that_the_output_cannot_reach(last, targets, found):
    wanted = torch.full((32, 64), targets).index_fill(0, torch.arange(30 if not found else 2), 0.5)
    report = check_model(nn.Sequential(mlp(nn.Identity()), last), (torch.randn(32, 64), wanted), nn.SmoothL1Loss())
    assert codes(report) == (["output-range"] if found else [])


def test_a_few_targets_out_of_range_are_outliers():
    wanted = torch.rand(32, 64)
    wanted[0] = -1
    model = nn.Sequential(mlp(nn.Identity()), nn.ReLU())
    assert codes(check_model(model, (torch.randn(32, 64), wanted), nn.MSELoss())) == []


def test_softmaxes_over_an_axis_of_length_one():
    class Reader(nn.Module):
        def __init__(self, axis) -> None:
            super().__init__()
            self.score, self.head, self.axis = nn.Linear(8, 1), nn.Linear(8, 4), axis

        def forward(self, x):
            return self.head((self.score(x).softmax(self.axis) * x).sum(1))

    data = torch.randn(16, 12, 8), torch.randint(4, (16,))
    assert codes(check_model(Reader(-1), data, cross_entropy)) == ["length-one-axis"]
    assert codes(check_model(Reader(1), data, cross_entropy)) == []
    single = nn.Sequential(nn.Linear(8, 1), nn.Softmax(1))
    found = codes(check_model(single, (torch.randn(16, 8), torch.rand(16, 1).round()), nn.BCELoss()))
    assert found[0] == "length-one-axis"
    normalized = nn.Sequential(nn.Linear(8, 1), nn.LayerNorm(1))
    assert (
        codes(check_model(normalized, (torch.randn(16, 8), torch.randn(16, 1)), nn.MSELoss()))[0] == "length-one-axis"
    )


def test_attention_of_one_query_to_one_key_is_no_wrong_axis():
    model = Called(lambda h: (h @ h.transpose(-1, -2) / 4).softmax(-1) @ h)
    assert "length-one-axis" not in codes(check_model(model, torch.randn(4, 3, 1, 16), mean))


def test_softmaxes_over_the_examples():
    for axis, found in ((0, ["softmax-over-batch"]), (1, [])):
        model = nn.Sequential(nn.Linear(64, 64), nn.Softmax(axis), nn.Linear(64, 64))
        assert codes(check_model(model, batch(), cross_entropy)) == found
    # Time first: the targets say that axis 0 does not count examples.
    steps = nn.Sequential(nn.Linear(8, 8), nn.Softmax(0))
    assert (
        codes(
            check_model(steps, (torch.randn(12, 4, 8), torch.randn(4, 8)), lambda o, y: (o.sum(0) - y).square().mean())
        )
        == []
    )


def test_losses_by_hand_that_broadcast():
    model, inputs = nn.Linear(64, 1), torch.randn(32, 64)
    for loss in (
        lambda o, y: (y - o).pow(2).mean(),
        lambda o, y: torch.sub(o, y).abs().mean(),
        lambda o, y: (o * y).mean(),
    ):
        assert codes(check_model(model, (inputs, torch.randn(32)), loss)) == ["broadcast-loss"]
        assert codes(check_model(model, (inputs, torch.randn(32, 1)), loss)) == []

    # Every prediction with every other, as ranking wants it.
    def ranking(o, y):
        return ((o - o[:, 0]) * (y[:, None] - y)).relu().mean()

    assert "broadcast-loss" not in codes(check_model(model, (inputs, torch.randn(32)), ranking))


def test_outputs_of_one_unit_have_no_angle():
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1))
    for _ in range(20):
        changed = [layer.reset_parameters() for layer in model if isinstance(layer, nn.Linear)]
        report = check_model(model, (torch.randn(4, 16), torch.randn(4, 1)), nn.MSELoss())
        assert changed and codes(report) == [] and report.layers[-1].cosine is None


class ClassToken(nn.Module):
    """Class attention after CaiT: the token starts as a parameter, and its branches are scaled down."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.token = nn.Linear(16, 32), nn.Parameter(torch.randn(1, 1, 32))
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))
        self.mlp, self.head = nn.Linear(32, 32), nn.Linear(32, 10)
        self.scale = nn.Parameter(torch.full((32,), 2e-3))

    def forward(self, x):
        x, token = self.patch(x), self.token.expand(len(x), -1, -1)
        all_tokens = torch.cat([token, x], 1)
        weights = torch.softmax(self.query(token) @ self.key(all_tokens).transpose(1, 2) / 32**0.5, -1)
        token = token + self.scale * self.out(weights @ self.value(all_tokens))
        token = token + self.scale * functional.gelu(self.mlp(token))
        return self.head(functional.layer_norm(token[:, 0], (32,)))


def test_a_class_token_that_has_not_read_yet_is_no_collapse():
    report = check_model(ClassToken(), (torch.randn(8, 12, 16), torch.randint(10, (8,))), cross_entropy)
    assert report.layers[-1].cosine > 1 - 1e-4
    assert "collapsed-angles" not in codes(report)


def test_layers_behind_the_first_that_the_loss_does_not_reach_are_a_note():
    class Pooling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.pooler, self.idle = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = self.body(x)
            self.pooler(x)
            return x

    (finding,) = check_model(Pooling(), torch.randn(3, 4), mean).findings
    assert (finding.code, finding.level) == ("unused-weights", "note")
    assert finding.layers == ("pooler.weight", "pooler.bias", "idle.weight", "idle.bias")


@pytest.mark.parametrize(
    ("call", "born"),
    [
        (lambda h: h + (h - 9).log(), "born in log, torch.float32, inputs -"),
        (
            lambda h: h.masked_fill(h < 99, -torch.inf).softmax(-1),
            "born in softmax, torch.float32, inputs -inf to -inf",
        ),
        (lambda h: (999 * h).exp().float(), "born in exp, torch.float32"),
    ],
)
def test_the_place_where_a_number_that_is_none_was_born(call, born):
    report = check_model(nn.Sequential(Called(call), nn.Linear(16, 16)), torch.randn(4, 12, 16), mean)
    (finding,) = report.findings
    assert finding.code == "non-finite-activation" and born in finding.evidence
    (finding,) = check_model(nn.Linear(4, 4), torch.randn(3, 4), lambda o, _: (o.mean() - 9).sqrt()).findings
    assert finding.code == "non-finite-loss" and "born in sqrt" in finding.evidence
    (finding,) = check_model(nn.Linear(4, 4), torch.randn(3, 4), lambda o, _: -(0 * o.mean()).log()).findings
    assert finding.code == "non-finite-loss" and "born in log" in finding.evidence


def test_a_model_that_does_not_run_twice_is_not_hunted():
    class Once(nn.Linear):
        passes = 0

        def forward(self, x):
            self.passes += 1
            assert self.passes == 1
            return super().forward(x) * torch.nan

    (finding,) = check_model(Once(4, 4), torch.randn(3, 4), mean).findings
    assert finding.evidence == "100% of the output"


def test_without_a_loss_function_the_place_is_found_as_well():
    class Own(nn.Linear):
        def forward(self, x):
            return {"loss": (super().forward(x).mean() - 9).log()}

    (finding,) = check_model(Own(4, 4), (torch.randn(3, 4), None)).findings
    assert "born in log" in finding.evidence


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_one_bad_number_among_many_is_found(value):
    class Plant(nn.Module):
        def forward(self, x):
            return x.masked_fill(torch.arange(x.numel()).view_as(x) == 77_777, value)

    model = nn.Sequential(nn.Linear(64, 64), Plant(), nn.Linear(64, 64))
    (finding,) = check_model(model, torch.randn(4096, 64), mean).findings
    assert (finding.code, finding.layers) == ("non-finite-activation", ("2",))
    targets = torch.randn(4096, 64).masked_fill(torch.arange(64) == 3, value)
    report = check_model(nn.Linear(64, 64), (torch.randn(4096, 64), targets), functional.mse_loss)
    assert codes(report) == ["non-finite-input"]
