"""The skeleton of a new experiment is one: measured, drawn, on its page, and held by the tests that hold all."""

import pytest

from docs.hooks import new_experiment
from docs.hooks.measure.experiment import find_experiments
from docs.hooks.pages import find_pages

TOPIC = "exploding_gradients"


@pytest.mark.parametrize(
    ("topic", "name", "message"),
    [
        ("exploding", "new", "TOPIC must be one of activation_functions, .*got 'exploding'"),
        (TOPIC, "New-One", "NAME must be words in small letters with _ between them, got 'New-One'"),
        (TOPIC, "cliff", "NAME must be new, but .*experiment_cliff.py is there"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(topic, name, message):
    with pytest.raises(ValueError, match=message):
        new_experiment.write(topic, name)


def test_without_names_it_says_which(capsys):
    assert new_experiment.main([]) == 2
    assert "TOPIC=he_initialization" in capsys.readouterr().err


@pytest.mark.slow
def test_the_skeleton_is_measured_drawn_and_passes_what_every_experiment_passes(whole_project):
    made = whole_project.run("docs.hooks.new_experiment", TOPIC, "wider_layers")
    assert made.returncode == 0, made.stdout
    path = f"snippets/{TOPIC}/experiment_wider_layers.py"
    for step in ("docs.hooks.measure.run", "docs.hooks.draw.run"):
        run = whole_project.run(step, path)
        assert run.returncode == 0, run.stdout
    for command in (["check", "--config", "pyproject.toml"], ["format", "--check"]):
        run = whole_project.run("ruff", *command, path)
        assert run.returncode == 0, run.stdout
    tests = ["tests/site/test_contract.py", "tests/test_experiments.py"]
    run = whole_project.run("pytest", "-p", "no:cacheprovider", *tests, "-k", "wider_layers and not drawn_by_the_build")
    assert run.returncode == 0, run.stdout


def test_each_topic_has_a_page_with_its_cards():
    for topic in {experiment.topic for experiment in find_experiments()}:
        page, place = new_experiment._last_card(topic)
        assert page.path in [one.path for one in find_pages()]
        assert page.text[:place].endswith('.md"\n')
