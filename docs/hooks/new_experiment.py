"""Write a new experiment that passes all tests, and show it on the page of its topic.

    make new-experiment TOPIC=he_initialization NAME=wider_layers

It measures something true and small. Put your own measurement in its place.
"""

import re
import sys
from pathlib import Path

from docs.hooks.measure.experiment import Experiment, find_experiments
from docs.hooks.pages import Page, find_pages
from docs.hooks.store import ROOT

SKELETON = '''"""A preactivation keeps the mean square of its inputs where the weights have variance 1/fan_in: {name}.

Source: He et al. (2015), section 2.2, equation 7. Ours: width 512, 100 inputs, normal weights, no training. TODO
"""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim

FAN_IN, EXAMPLES = 512, 100


class Measured(NamedTuple):
    preactivations: np.ndarray
    """Shape (EXAMPLES, FAN_IN)."""


def measure(seed: int = 0) -> Measured:
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((FAN_IN, FAN_IN)) / np.sqrt(FAN_IN)
    inputs = generator.standard_normal((EXAMPLES, FAN_IN))
    return Measured(inputs @ weights)


CLAIMS = (
    Claim(
        statement="Inputs of mean square 1, weights of variance 1/fan_in: mean square of a preactivation",
        value=lambda measured: (measured.preactivations**2).mean(),
        interval=(0.95, 1.05),
        reason="1 in the mean; five standard deviations of the mean over all entries are 0.04.",
        rival=2.0,
        rival_of="weights of He's variance 2/fan_in",
        format=".3f",
    ),
)


def plot(measured: Measured) -> Figure:
    """The preactivations beside the normal density."""
    figure = Figure()
    axes = figure.subplots()
    bins = np.linspace(-4, 4, 61)
    axes.hist(measured.preactivations.ravel(), bins, density=True, color="C1")
    axes.plot(bins, np.exp(-(bins**2) / 2) / np.sqrt(2 * np.pi), color="C0")
    axes.set(xlabel="preactivation", ylabel="density")
    return figure
'''

MORE = "**More experiments:** "
"""What a chapter has before its links to the experiments that its further page shows."""

SECTION = """
{rank} {title} {{ #{anchor} }}

TODO: say what is asked, and what is varied.

<figure markdown="1">
![A histogram that fills the bell of the standard normal density. TODO]({up}figures/{topic}/{name}.svg)
<figcaption markdown="span">TODO: what is on the axes, and what to look at.</figcaption>
</figure>

--8<-- "docs/figures/{topic}/{name}.md"
"""


def write(topic: str, name: str) -> tuple[Path, Page]:
    """The experiment and the page that shows it. ValueError where one of the names does not fit."""
    topics = {experiment.topic for experiment in find_experiments()}
    if topic not in topics:
        raise ValueError(f"TOPIC must be one of {', '.join(sorted(topics))}, got {topic!r}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(f"NAME must be words in small letters with _ between them, got {name!r}")
    experiment = Experiment(Path("snippets", topic, f"experiment_{name}.py"))
    if (ROOT / experiment.path).exists():
        raise ValueError(f"NAME must be new, but {experiment.path} is there")
    page, place = _last_card(topic)
    further = page.path.parent.name == "experiments"
    section = SECTION.format(
        rank="##" if further else "###",
        topic=topic,
        name=name,
        anchor=name.replace("_", "-"),
        title=name.replace("_", " ").capitalize(),
        up="../" * (len(page.path.parts) - 2),
    )
    text = page.text[:place] + section + page.text[place:]
    (ROOT / experiment.path).write_text(SKELETON.format(name=name.replace("_", " ")), encoding="utf-8")
    (ROOT / page.path).write_text(text, encoding="utf-8")
    if further:
        _link(Page(Path("docs", "chapters", page.path.name)), page, name)
    return experiment.path, page


def _link(chapter: Page, page: Page, name: str) -> None:
    """Let the chapter lead to the new section of its further page."""
    anchor, words = name.replace("_", "-"), name.replace("_", " ")
    link = f"[{words}](../experiments/{page.path.name}#{anchor}){{ #{anchor} }},\n"
    if MORE not in chapter.text:
        raise ValueError(f"{chapter} must have the line {MORE!r} for the link to the new experiment")
    (ROOT / chapter.path).write_text(chapter.text.replace(MORE, MORE + link), encoding="utf-8")


def _last_card(topic: str) -> tuple[Page, int]:
    """The page that shows most experiments of the topic, and the end of the line of the last."""
    card = re.compile(rf'^--8<-- "docs/figures/{topic}/[^"]+"\n', re.MULTILINE)
    page = max(find_pages(), key=lambda page: len(card.findall(page.text)))
    return page, [found.end() for found in card.finditer(page.text)][-1]


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("Say which: make new-experiment TOPIC=he_initialization NAME=wider_layers", file=sys.stderr)
        return 2
    try:
        path, page = write(*arguments)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Written: {path}, and a section of {page}. Replace what says TODO.")
    print(f"Measure it alone:  .venv/bin/python -m docs.hooks.measure.run {path}")
    print(f"Draw it alone:     .venv/bin/python -m docs.hooks.draw.run {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
