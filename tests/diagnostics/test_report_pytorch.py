"""What is printed, plotted and shown in a notebook."""

import json

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.diagnostics import check_model_pytorch as snippet
from snippets.diagnostics.check_model_pytorch import ADVICE, check_model
from snippets.laboratory.healthy_models import HEALTHY, build
from tests.diagnostics.checked import batch, cross_entropy, mean, mlp

pytestmark = pytest.mark.usefixtures("seeded")


def test_the_report_fits_100_columns_and_holds_nothing_but_plain_numbers():
    for name in ("Swin", "T5", "RegNet"):
        report = check_model(*build(HEALTHY[name], 0))
        text = str(report)
        assert max(map(len, text.splitlines())) <= 100
        assert "No finding." in text
        assert json.loads(json.dumps(report.to_dict()))["layers"][0]["name"] == report.layers[0].name


def test_long_tables_are_folded_and_long_names_shortened():
    report = check_model(*build(HEALTHY["BERT"], 0))
    lines = str(report).splitlines()
    hidden = [int(line.split()[1]) for line in lines if line.endswith("more in report.layers")]
    table = lines[lines.index("") + 2 : len(lines) - 1 - lines[::-1].index("")]
    assert sum(hidden) + len(table) - len(hidden) == len(report.layers) == 77
    assert any(line.startswith("b.e.l.0.a.self.query ") for line in lines)
    assert snippet._short_names(["a" * 50 + "tail"]) == ["…" + "a" * 22 + "tail"]


def test_names_that_were_alike_when_shortened_stay_apart():
    names = [f"{part}.{'block' * 5}.query" for part in ("encoder", "embedding", "one", "other")]
    short = snippet._short_names([*names, "0.weight"])
    assert len(set(short)) == 5 and all(len(name) < 28 for name in short) and short[4] == "0.weight"


def test_extreme_and_named_rows_of_a_long_table_are_printed():
    layers = [part for _ in range(100) for part in (nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU())]
    layers[120].weight.data.mul_(1e4)
    layers[180].bias.data[:] = -100
    report = check_model(nn.Sequential(*layers), torch.randn(32, 8), mean)
    assert any(line.startswith("120 ") for line in str(report).splitlines())
    found = (*report.findings, snippet.Finding("vanishing-gradient", "fault", ("150",), *([""] * 5)))
    assert any(line.startswith("150 ") for line in str(report._replace(findings=found)).splitlines())


def test_the_table_has_room_for_every_number():
    row = check_model(nn.Linear(8, 8), torch.randn(4, 8), mean).layers[0]
    row = snippet.LayerReport(*row[:3], *[-1e-100 if name == "mean" else 1e-100 for name in row._fields[3:]])._replace(
        dead=1.0, saturated=1.0, peaked=1.0, cosine=-1.0
    )
    assert len(snippet._row("0", row).split()) == 1 + len(snippet._COLUMNS)


def test_faults_come_before_notes_and_many_layers_are_counted():
    model = mlp(*[nn.Sigmoid()] * 12).eval()
    for layer in model[::2]:
        layer.load_state_dict(model[0].state_dict())
    report = check_model(model, batch(), cross_entropy)
    assert [finding.level for finding in report.findings] == ["fault", "note", "note"]
    assert "also seen collapsed-angles" in str(report)
    assert "0.weight, 2.weight, 4.weight, 6.weight and 8 more: 12 weights" in str(report)


def test_the_plot_has_a_point_for_every_layer():
    report = check_model(mlp(nn.ReLU(), nn.ReLU(), nn.ReLU()), batch(), cross_entropy)
    figure = report.plot()
    assert isinstance(figure, Figure)
    std, gradient = (axes.lines[0].get_ydata().tolist() for axes in figure.axes)
    assert std == [layer.std for layer in report.layers]
    assert gradient == [layer.gradient for layer in report.layers]
    assert all(axes.get_yscale() == "log" and axes.get_ylabel() for axes in figure.axes)


def test_no_model_has_fewer_than_no_layers():
    report = check_model(nn.LayerNorm(8), torch.randn(4, 8), mean)
    assert (report.layers, report.forward, report.backward) == ((), None, None)
    assert "factor per layer: none" in str(report)


def test_every_finding_says_all_it_promises():
    for code, (level, *words, link) in ADVICE.items():
        assert level in ("fault", "note"), code
        assert all(len(word) > 20 and word[-1] in ".)" for word in words), code
        assert link.startswith(("chapters/", "experiments/", "code/", "toolbox/")), code
