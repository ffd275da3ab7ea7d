"""Every experiment: its claims say what they mean, its figure is sound, and the build drew the same one."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from docs.hooks.draw import scheme, style, theme
from docs.hooks.measure.experiment import ROOT, Experiment
from docs.hooks.measure.imports import imported_modules
from docs.hooks.show import evidence
from docs.hooks.store import load
from tests.experiments import EXPERIMENTS, every_experiment, module


@cache
def measured(experiment: Experiment) -> Any:
    """What `measure` returned when the site was built."""
    return load(ROOT / experiment.measurement).measured


@cache
def draw(experiment: Experiment) -> tuple[Figure, str]:
    with style.style(salt=str(experiment)):
        figure = module(experiment).plot(measured(experiment))
        return figure, theme.painted(style.to_svg(figure))


@pytest.fixture
def figure(experiment: Experiment, built_site: Path) -> Figure:
    return draw(experiment)[0]


@pytest.fixture
def svg(experiment: Experiment, built_site: Path) -> str:
    return draw(experiment)[1]


@every_experiment
def test_claims_say_why_their_interval_is_what_it_is(experiment):
    for claim in module(experiment).CLAIMS:
        assert len(claim.reason) > 10, f"{claim.statement}: give the reason of the interval"


@every_experiment
def test_a_sentence_about_a_training_names_steps_optimizer_and_rate(experiment):
    for claim in module(experiment).CLAIMS:
        if claim.budget:
            sentence = f"{claim.statement}; {claim.budget}"
            for part in ("[Ss]teps?", "SGD|Adam|[Gg]radient descent", r"\brates?\b|step size"):
                assert re.search(part, sentence), f"{sentence}: lacks {part}"


@every_experiment
def test_the_build_drew_the_same_figure(experiment, built_site, svg):
    """Another process, the same bytes: nothing hangs on global state or on the order of what ran before."""
    assert (built_site / experiment.figure.relative_to("docs")).read_text(encoding="utf-8") == svg


@pytest.mark.parametrize("experiment", [entry for entry in EXPERIMENTS if entry.values[0].has_table])
def test_the_build_wrote_the_same_table(experiment, built_site):
    rows = module(experiment).table(measured(experiment))
    assert (ROOT / experiment.table).read_text(encoding="utf-8") == evidence.table(rows)


@every_experiment
def test_axes_are_labelled(experiment, figure):
    for axes in figure.axes:
        # Twins and shared axes leave the label to the neighbour; a colour bar is labelled at its side.
        x_axis = axes.get_xlabel() or not axes.xaxis.get_tick_params().get("labelbottom", True)
        assert x_axis or not axes.axison or axes.get_label() == "<colorbar>", "label the x axis, with its unit"
        assert axes.get_ylabel() or not axes.axison or len(axes.get_yticks()) == 0 or _names_rows(axes), (
            "label the y axis, with its unit"
        )


def _names_rows(axes) -> bool:
    """Whether the ticks of the y axis are words, which label themselves."""
    return any(re.search("[A-Za-z]{2}", tick.get_text()) for tick in axes.get_yticklabels())


@every_experiment
def test_text_is_legible_on_a_phone(experiment, figure):
    assert figure.get_figwidth() == style.WIDTH
    texts = [text for text in figure.findobj(match=lambda artist: hasattr(artist, "get_fontsize")) if text.get_text()]
    assert texts
    assert min(text.get_fontsize() for text in texts) >= style.TEXT_SIZE


@every_experiment
def test_colours_follow_the_scheme(experiment, svg):
    """Every colour outside an image is a custom property; a literal one would be wrong in one of the schemes."""
    svg = re.sub(r"<style>.*?</style>|<image[^>]*>", "", svg, flags=re.DOTALL)
    literal = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    gradient_of_a_colour_bar = {colour for colour in literal if svg.count(colour) == 1}
    assert not literal - gradient_of_a_colour_bar, f"use C0 to C{len(scheme.SERIES) - 1}"


def test_there_are_experiments():
    assert len(EXPERIMENTS) >= 10
    assert all((ROOT / parameter.values[0].path).is_file() for parameter in EXPERIMENTS)


def test_no_experiment_brings_both_frameworks_together():
    for parameter in EXPERIMENTS:
        modules = {name.partition(".")[0] for name in imported_modules(Path(parameter.values[0].path))}
        assert not ({"torch"} <= modules and modules & {"keras", "tensorflow"}), parameter.id
