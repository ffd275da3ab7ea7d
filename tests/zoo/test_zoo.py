"""A small part of the zoo, of the libraries that the project has anyway. The rest is `make zoo`."""

import pytest

from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.healthy_models import build
from tests.zoo import environment, table
from tests.zoo.pytorch import decoder, encoder, sequence, vision


@pytest.mark.parametrize("make", [lambda: decoder("llama"), lambda: encoder("roberta"), lambda: vision("vit")])
def test_models_of_transformers_raise_no_alarm(make):
    report = build(lambda: check_model(*make()), 0)
    assert not report.findings and report.layers


def test_a_sequence_to_sequence_model():
    assert not build(lambda: check_model(*sequence("bart")), 0).findings


def test_the_table_counts_alarms_and_names_what_was_not_built():
    rows = [("one", 1000, [], ["unused-weights"]), ("two", 5, ["dead-relu"], [])]
    text = table.written(rows, ["three"])
    assert text.startswith("2 models, 1 with a fault, 1 with a note.")
    assert "| one | 1,000 |  | `unused-weights` |" in text and "three" in text.splitlines()[-1]


def test_every_package_of_the_zoo_is_pinned():
    assert all(package.count("==") == 1 for package in environment.PACKAGES)
