"""What one pass does not show: examples that depend on each other, cut paths, memory, outputs that are alike."""

import collections
import copy
import itertools
import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from snippets.diagnostics import check_model_pytorch as snippet
from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory import planted_faults
from tests.diagnostics.checked import batch, codes, cross_entropy, mean, mlp

pytestmark = pytest.mark.usefixtures("seeded")


class Order(nn.Module):
    """A recurrent layer that takes the first axis for time."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(6, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class Similar(nn.Module):
    """Each example against each, as contrastive losses take them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 32)

    def forward(self, x):
        x = self.layer(x)
        return x @ x.T


class Spread(nn.Module):
    """Nodes of a graph: the edges join them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 64)

    def forward(self, x, edges):
        return self.layer(edges @ x if edges.is_floating_point() else x + x[edges[0]].mean(0))


def test_examples_that_may_depend_on_each_other():
    by_time = torch.randn(12, 8, 6), torch.randint(4, (12, 8))
    report = check_model(Order(), by_time, lambda output, labels: cross_entropy(output.transpose(1, 2), labels))
    assert codes(report) == []
    labels = torch.arange(8)
    assert codes(check_model(Similar(), (torch.randn(8, 64), labels), cross_entropy)) == []
    x = torch.randn(16, 64)
    for edges in (torch.randint(16, (2, 30)), torch.rand(16, 16)):
        assert codes(check_model(Spread(), ((x, edges), torch.randint(64, (16,))), cross_entropy)) == []


@pytest.mark.parametrize("examples", [2, 5, 8])
def test_examples_that_are_mixed(examples):
    case = planted_faults.sequences(planted_faults.Tagger())
    inputs, labels = (part[:examples] for part in case.batch)
    found = codes(check_model(case.model, (inputs, labels), case.loss))
    assert found == (["mixed-examples"] if examples > 2 else [])
    case.model.proper = True
    assert codes(check_model(case.model, (inputs, labels), case.loss)) == []


def test_recurrence_over_the_examples_is_found():
    data = torch.randn(8, 10, 6), torch.randint(4, (8,))
    (finding,) = check_model(Order(), data, lambda output, labels: cross_entropy(output[:, -1], labels)).findings
    assert finding.code == "mixed-examples"


class Mixture(nn.Module):
    """Means, and weights of a mixture that add up to 1 over the axis `dim`."""

    def __init__(self, dim: int):
        super().__init__()
        self.layer, self.dim = nn.Linear(64, 10), dim

    def forward(self, x):
        means, weights = self.layer(x).chunk(2, -1)
        return means, weights.t().log_softmax(self.dim).t()


@pytest.mark.parametrize("dim", [0, 1])
def test_a_second_output_may_be_mixed_alone(dim):
    data = torch.randn(16, 64), torch.randn(16, 1)

    def loss(output, targets):
        return -torch.logsumexp(output[1] - (output[0] - targets).square(), -1).mean()

    found = codes(check_model(Mixture(dim), data, loss))
    assert ("mixed-examples" in found) == (dim == 1), "over the examples, which are the second axis here"


class Reader(nn.Module):
    """Reads columns in their order, with the time first, as a network for text in images does."""

    def __init__(self, batch_first: bool):
        super().__init__()
        self.rnn, self.out = nn.LSTM(8, 48, batch_first=batch_first), nn.Linear(48, 7)

    def forward(self, x):
        return self.out(self.rnn(x.permute(2, 0, 1))[0]).log_softmax(2)


@pytest.mark.parametrize("batch_first", [False, True])
def test_what_all_outputs_have_in_common_hides_no_mixing(batch_first):
    """At the start each log-probability is near -ln(7), whatever the others of the batch are."""
    data = torch.randn(16, 8, 20), torch.randint(1, 7, (16, 4))

    def loss(output, targets):
        return functional.ctc_loss(output, targets, torch.full((16,), 20), torch.full((16,), 4))

    assert ("mixed-examples" in codes(check_model(Reader(batch_first), data, loss))) == batch_first


class Lifted(nn.Module):
    """Each output is 1,000 and a little, of which a part is the mean over the batch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)

    def forward(self, x):
        y = self.layer(x)
        return 1000 + y + y.mean(0)


def test_a_large_offset_hides_no_mixing():
    data = torch.randn(16, 64), 1000 + torch.randn(16, 1)
    assert "mixed-examples" in codes(check_model(Lifted(), data, nn.MSELoss()))


class Beside(nn.Module):
    """Logits, and something of the batch whose sizes may be the number of examples by chance."""

    def __init__(self, what):
        super().__init__()
        self.layer, self.what = nn.Linear(64, 10), what

    def forward(self, x):
        logits = self.layer(x)
        return logits, self.what(logits)


@pytest.mark.parametrize(
    "what",
    [
        lambda logits: logits[:, :4].softmax(1).mean(0),  # how often each of four codes is used
        lambda logits: functional.normalize(logits) @ functional.normalize(logits).t(),
    ],
    ids=["usage of four codes", "similarities"],
)
def test_what_belongs_to_no_example_is_not_compared(what):
    data = torch.randn(16, 64), torch.randint(10, (16,))
    assert codes(check_model(Beside(what), data, lambda output, labels: cross_entropy(output[0], labels))) == []


@pytest.mark.parametrize("shift", [0, 1])
def test_a_temperature_within_the_batch_is_no_confidence(shift):
    """Of each example against each, the targets are the places; else the logits are too large."""

    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 32)

        def forward(self, x, y):
            one, other = (functional.normalize(self.layer(part), dim=-1) for part in (x, y))
            return one @ other.t() / 0.02

    targets = (torch.arange(32) + shift) % 32
    found = codes(check_model(Pairs(), ((torch.randn(32, 64), torch.randn(32, 64)), targets), cross_entropy))
    assert ("confident-at-start" in found) == bool(shift)


class Following(nn.Module):
    """A network, and one that follows it without training, which runs first."""

    def __init__(self, copied: bool, width: int = 32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
        other = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))
        self.target = copy.deepcopy(self.net) if copied else other

    def forward(self, x):
        with torch.no_grad():
            best = self.target(x).amax(1)
        return self.net(x), best


@pytest.mark.parametrize(
    ("model", "level"),
    [
        (lambda: Following(True), "note"),
        (lambda: Following(False), "note"),  # it lags behind
        (lambda: nn.Sequential(collections.OrderedDict(agent=Following(True))), "note"),
        (lambda: Following(False, 16), "fault"),
    ],
)
def test_a_target_network_needs_no_gradient(model, level):
    report = check_model(model(), (torch.randn(16, 8), torch.randn(16, 3)), lambda output, y: mean(output[0] - y, y))
    (finding,) = report.findings
    assert (finding.code, finding.level) == ("no-gradient", level)
    assert ("is made alike and has one" in finding.evidence) == (level == "note")


class Critics(nn.Module):
    """Two networks, and a target network for each."""

    def __init__(self):
        super().__init__()
        self.q1, self.q2, self.target_q1, self.target_q2 = (
            nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3)) for _ in range(4)
        )

    def forward(self, x):
        with torch.no_grad():
            best = torch.minimum(self.target_q1(x), self.target_q2(x)).amax(1)
        return self.q1(x) + self.q2(x), best


class Cut(nn.Module):
    """Blocks in a row, of which the first ones are cut off."""

    def __init__(self, cut: int):
        super().__init__()
        blocks = (nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)) for _ in range(4))
        self.blocks, self.head, self.cut = nn.ModuleList(blocks), nn.Linear(64, 10), cut

    def forward(self, x):
        for place, block in enumerate(self.blocks):
            x = x + block(x)
            x = x.detach() if place == self.cut else x
        return self.head(x)


def test_each_of_two_target_networks_has_its_own():
    data = torch.randn(16, 8), torch.randn(16, 3)
    (finding,) = check_model(Critics(), data, lambda output, y: mean(output[0] - y, y)).findings
    assert (finding.code, finding.level) == ("no-gradient", "note")
    assert finding.layers == ("target_q1.0", "target_q1.2", "target_q2.0", "target_q2.2")


def test_one_layer_is_no_target_network():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x):
            x = torch.relu(self.first(x)).detach()
            return self.head(torch.relu(self.second(x)))

    report = check_model(Chain(), (torch.randn(16, 64), torch.randint(10, (16,))), cross_entropy)
    assert {finding.code: finding.level for finding in report.findings}["no-gradient"] == "fault"


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_blocks_in_a_row_are_no_target_networks(cut):
    report = check_model(Cut(cut), (torch.randn(16, 64), torch.randint(10, (16,))), cross_entropy)
    assert {finding.code: finding.level for finding in report.findings}["no-gradient"] == "fault"


def test_rows_that_a_mask_left_empty_are_counted():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 64)

        def forward(self, x):
            scores = self.layer(x) @ x.t()
            mask = torch.zeros(16, 16).masked_fill(torch.arange(16)[:, None] < 3, -torch.inf)
            return torch.softmax(scores + mask, dim=-1) @ x

    (finding,) = check_model(Masked(), batch(16), cross_entropy).findings
    assert finding.code == "non-finite-loss"  # no layer of the framework stands behind it
    assert "3 of 16 rows are -inf throughout" in finding.evidence


def stacked(*sizes: int, between: nn.Module | None = None) -> nn.Sequential:
    layers = [part for n, m in itertools.pairwise(sizes) for part in (nn.Linear(n, m), between or nn.Identity())]
    return nn.Sequential(nn.Linear(64, sizes[0]), nn.ReLU(), *layers)


@pytest.mark.parametrize(
    ("model", "level"),
    [
        (stacked(64, 64, 64), "note"),
        (stacked(64, 64, 64, 64), "fault"),
        (stacked(64, 64, 64, 64, between=nn.Dropout(0.1)), "fault"),
        (stacked(64, 8, 64), None),
        (stacked(64, 64, 64, between=nn.GELU()), None),
        (nn.Sequential(nn.Unflatten(1, (4, 4, 4)), nn.Conv2d(4, 8, 3), nn.Conv2d(8, 16, 1), nn.Flatten()), None),
    ],
)
def test_layers_without_an_activation_between_them(model, level):
    found = check_model(model, torch.randn(16, 64), mean).findings
    assert [(finding.code, finding.level) for finding in found] == ([("linear-stack", level)] if level else [])


@pytest.mark.parametrize("cut", [True, False])
def test_a_linear_layer_that_a_target_is_made_of_ends_a_part(cut):
    class SimSiam(nn.Module):
        def __init__(self):
            super().__init__()
            self.predictor = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64))
            self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))

        def forward(self, x):
            z = self.encoder(x)
            return self.predictor(z), z.detach() if cut else x

    report = check_model(
        SimSiam(), (torch.randn(16, 64), torch.zeros(16)), lambda output, _: functional.mse_loss(*output)
    )
    assert codes(report) == ([] if cut else ["linear-stack"])


def test_a_layer_that_others_read_too_is_more_than_a_step_on_the_way():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x):
            x = self.one(x)
            return x + self.other(x)

    assert codes(check_model(Twice(), batch(), cross_entropy)) == []


def test_scales_of_a_normalization():
    model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64))
    assert codes(check_model(model, batch(), cross_entropy)) == []
    nn.init.zeros_(model[1].weight)
    (finding,) = check_model(model, batch(), cross_entropy).findings
    assert (finding.code, finding.layers) == ("norm-scale", ("1.weight",))
    assert any(also.startswith("dead-relu") for also in finding.also)
    nn.init.uniform_(model[1].weight, 0.5, 1.5)
    (finding,) = check_model(model, batch(), cross_entropy).findings
    assert finding.code == "trained-already"


def test_one_raw_column_is_named():
    inputs, labels = batch()
    inputs[:, 3] = 50.0
    finding = check_model(mlp(nn.ReLU(), nn.ReLU()), (inputs, labels), cross_entropy).findings[0]
    assert finding.code == "input-scale" and finding.evidence.startswith("column 3, root mean square 50,")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_memory_through_time(kind, first):
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = kind(6, 16, 2, batch_first=first, bidirectional=True), nn.Linear(32, 4)

        def forward(self, x):
            return self.head(self.rnn(x)[0].mean(int(first)))

    def check(steps):
        shape = (8, steps, 6) if first else (steps, 8, 6)
        return check_model(Reader(), (torch.randn(shape), torch.randint(4, (8,))), cross_entropy)

    assert codes(check(10)) == []
    (finding,) = check(150).findings
    assert (finding.code, finding.level, finding.layers) == ("vanishing-through-time", "note", ("rnn",))


def test_a_recurrent_layer_that_reads_nothing_has_no_finding_through_time():
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(6, 16, batch_first=True), nn.Linear(16, 4)
            nn.init.zeros_(self.rnn.weight_ih_l0)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    found = check_model(Reader(), (torch.randn(8, 60, 6), torch.randint(4, (8,))), cross_entropy)
    assert not [code for code in codes(found) if "through-time" in code]


def test_a_loss_that_takes_its_arguments_the_other_way_round():
    with pytest.raises(ValueError, match="the other way round it works: pass lambda"):
        check_model(mlp(nn.ReLU()), batch(), lambda targets, output: cross_entropy(output, targets))


def test_a_notebook_shows_the_report():
    model = mlp(nn.ReLU(), nn.ReLU())
    assert "<p>No finding.</p>" in check_model(model, batch(), cross_entropy)._repr_html_()
    nn.init.constant_(model[0].bias, -50.0)
    report = check_model(model, (batch()[0], torch.randint(64, (32,))), cross_entropy)
    shown = report._replace(model="<model>")._repr_html_()
    assert "&lt;model&gt;" in shown and "<model>" not in shown
    assert "<b>fault dead-relu</b>" in shown
    assert shown.count("<tr") == 1 + len(report.layers) and shown.count("font-weight:bold") == 1
    assert shown.count("<td>") == len(report.layers) * (1 + len(snippet._COLUMNS))
    assert "also seen: collapsed" in check_model(mlp(*[nn.Sigmoid()] * 10), batch(), cross_entropy)._repr_html_()


class Queue(nn.Module):
    """Compares with what earlier batches left, as MoCo does."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 4)
        self.register_buffer("queue", torch.randn(4, 16))

    def forward(self, x):
        features = self.body(x)
        scores = features @ self.queue.clone()
        self.queue[:, : len(x)] = features.detach().T
        return scores


def test_a_model_that_remembers_earlier_batches_mixes_no_examples():
    torch.manual_seed(0)
    report = check_model(Queue(), (torch.randn(16, 8), torch.randint(16, (16,))), nn.CrossEntropyLoss())
    assert "mixed-examples" not in [finding.code for finding in report.findings], report


class Quantized(nn.Module):
    """Activations of few levels, whose scale is the largest one of the batch."""

    def __init__(self, levels):
        super().__init__()
        self.body, self.head, self.levels = nn.Linear(8, 16), nn.Linear(16, 4), levels

    def forward(self, x):
        scale = x.abs().amax() / (self.levels or 1)
        x = x + (torch.round(x / scale) * scale - x).detach() if self.levels else x / scale
        return self.head(self.body(x).relu())


@pytest.mark.parametrize("levels", [0, 3])
@pytest.mark.parametrize("largest", [0, 1, 2, 3, 40, 63])
def test_a_scale_of_the_whole_batch_mixes_examples_unless_it_quantizes(levels, largest):
    """Whichever example the largest number stands in."""
    data = torch.randn(64, 8), torch.randint(4, (64,))
    data[0][largest, 5] = 8.0
    assert codes(check_model(Quantized(levels), data, nn.CrossEntropyLoss())) == ([] if levels else ["mixed-examples"])


class Alternating(nn.Module):
    """Returns its hidden layer too, every other time: what it returns cannot be compared."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.calls = nn.Linear(8, 16), nn.Linear(16, 4), 0

    def forward(self, x):
        self.calls += 1
        hidden = self.body(x / x.abs().amax()).relu()
        return (self.head(hidden), *[hidden] * (self.calls % 2))


def test_outputs_whose_number_changes_tell_nothing_of_the_neighbors():
    data = torch.randn(64, 8), torch.randint(4, (64,))
    report = check_model(Alternating(), data, lambda outputs, targets: nn.functional.cross_entropy(outputs[0], targets))
    assert codes(report) == []


class Rare(nn.Module):
    """Starts at a probability of 1 % and computes its loss itself."""

    def __init__(self, bias):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(8, 32), nn.ReLU()), nn.Linear(32, 3)
        nn.init.constant_(self.head.bias, bias)

    def forward(self, x, labels):
        chances = self.head(self.body(x)).sigmoid()
        return {"loss": -(chances * labels + (1 - chances) * (1 - labels)).clamp_min(1e-8).log().mean()}


def test_a_rare_class_may_start_at_its_frequency():
    torch.manual_seed(0)
    batch = {"x": torch.randn(32, 8), "labels": (torch.rand(32, 3) < 0.01).float()}
    assert check_model(Rare(-4.6), batch).findings == ()


class Queries(nn.Module):
    """Learned queries, the same for every example until they look at it."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(4, 32))
        self.inputs, self.first, self.last = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 64)

    def forward(self, x):
        x = self.inputs(x)
        queries = self.first(self.queries.expand(len(x), -1, -1))
        return self.last(torch.relu(queries + x[:, None])).mean(1)


class Prompts(nn.Module):
    """What each class is called is read last, and for every example alike."""

    def __init__(self):
        super().__init__()
        self.image, self.text = nn.Linear(64, 32), nn.Linear(16, 32)
        self.words = nn.Parameter(torch.randn(64, 16))

    def forward(self, x):
        image = self.image(x)
        text = self.text(self.words.expand(len(x), -1, -1))
        return (text @ image[..., None])[..., 0] / 32**0.5


def constant_head() -> nn.Module:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    nn.init.zeros_(model[-1].weight)
    nn.init.constant_(model[-1].bias, 0.1)
    return model


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Queries(), torch.randn(16, 64)),
        (Prompts(), torch.randn(16, 64)),
        (constant_head(), torch.randn(16, 64)),  # the first step moves its weights
        (nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)), torch.randn(1, 64).expand(16, 64)),
    ],
    ids=["learned queries", "names of classes", "zero head", "one example, repeated"],
)
def test_outputs_may_be_the_same_for_a_reason(model, inputs):
    assert "same-output" not in codes(check_model(model, (inputs, torch.randint(64, (16,))), cross_entropy))


def test_the_layer_that_sees_no_difference_is_named():
    case = planted_faults.padded()
    (finding,) = check_model(*case).findings
    assert (finding.code, finding.layers) == ("same-output", ("head.0",))
    assert re.match(r"cos 0\.\d\d at table, 1\.000000 at head\.0 and after it", finding.evidence)
    case.model.proper = True
    assert check_model(*case).findings == ()


def test_what_is_infinite_in_evaluation_alone_is_not_compared():
    class Endless(nn.Linear):
        def forward(self, x):
            return super().forward(x) if self.training else torch.full((len(x), 64), math.inf)

    assert codes(check_model(Endless(64, 64), batch(16), cross_entropy)) == []


class Codebook(nn.Module):
    """The nearest of 512 codes, as a VQ-VAE takes it; `far` are biases that outweigh the inputs before it."""

    def __init__(self, table=True, far=False):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(64, 16), nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64))
        self.codes = nn.Embedding(512, 16) if table else nn.Parameter(torch.empty(512, 16))
        nn.init.uniform_(self.codes.weight if table else self.codes, -1 / 512, 1 / 512)
        if far:
            nn.init.normal_(self.encoder.bias, 0.0, 300.0)

    def forward(self, x):
        codes = getattr(self.codes, "weight", self.codes)
        given = self.encoder(x)
        nearest = torch.cdist(given, codes).argmin(1)
        code = codes[nearest] if codes is self.codes else self.codes(nearest)
        return self.decoder(given + (code - given).detach()), functional.mse_loss(code, given.detach())


@pytest.mark.parametrize("table", [True, False])
def test_what_a_model_chose_itself_may_look_the_same_at_first(table):
    """All inputs have the same code nearest to them, until codes and encoder come together."""
    x = torch.rand(32, 64)
    rebuilt = (x, x), lambda output, y: functional.mse_loss(output[0], y) + output[1]
    report = check_model(Codebook(table), *rebuilt)
    assert report.layers[-1].cosine > 1 - snippet.ANGLE and codes(report) == []
    assert "collapsed-angles" in str(check_model(Codebook(table, far=True), *rebuilt))
