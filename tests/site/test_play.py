"""What a chapter gives to play with: its numbers are the experiment's, a keyboard moves it, words say what it shows."""

import gzip
import math
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from docs.hooks.pages import find_pages
from docs.hooks.show.explorer import MODULES, PLAY, publish_modules
from snippets.activation_functions import experiment_attention_scale as attention
from snippets.batch_normalization import experiment_gradient_growth as growth
from snippets.exploding_gradients import experiment_cliff as cliff
from snippets.he_initialization import experiment_signal_per_layer as signal
from snippets.vanishing_gradients import experiment_lstm_forget_bias as forget
from snippets.weight_initialization import experiment_symmetry as symmetry
from snippets.xavier_initialization import experiment_rectangular_layers as rectangular
from tests.site.conftest import LINKED, serve
from tests.site.test_browser import AXE, PHONE, ROOT, axe

pytestmark = pytest.mark.browser

FRAME = {"play"}
PLAYS = sorted(file.stem for file in (ROOT / "docs" / PLAY).glob("*.js") if file.stem not in FRAME)
LIGHT = 6_000
"""Bytes, gzipped, of one with all that it needs."""

HEAD = f"""<!doctype html><html lang="en" class="js" style="font-size: 125%"><head><meta charset="utf-8">
<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width"><title>Play</title>
{LINKED}
<script type="module" src="javascripts/explorer/loader.js"></script></head>
<body data-md-color-scheme="default">
<main class="md-content__inner md-typeset" style="background: var(--paper); color: var(--ink)">
<h1>Play</h1>"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bare page for each, and the files that it needs."""
    folder = tmp_path_factory.mktemp("play")
    for name in PLAYS:
        (folder / f"{name}.html").write_text(
            f'{HEAD}<div data-play="{name}"><p>In words.</p></div></main></body></html>'
        )
    (folder / "404.html").write_text("")
    for modules in (MODULES, PLAY):
        publish_modules(ROOT / "docs" / modules, folder / modules)
    for name in ("stylesheets", "fonts"):
        (folder / name).symlink_to(ROOT / "docs" / name)
    for server in serve(folder):
        yield server.url


@pytest.fixture(scope="module")
def bare(browser, url) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url + "404.html")
        yield page


def call(page: Page, name: str, body: str) -> object:
    return page.evaluate(f"async () => ({body})(await import('/javascripts/play/{name}.js'))")


def within(experiment, start: str, value: float) -> None:
    """Where the experiment's claim that begins like this has its interval, this number lies too."""
    (claim,) = (claim for claim in experiment.CLAIMS if claim.statement.startswith(start))
    low, high = claim.interval
    assert low <= value <= high, f"{start}: {value} is not within {low} to {high}"


WRITTEN = {
    name: (page, text)
    for page in find_pages()
    for name, text in re.findall(r'<div data-play="([\w-]+)" markdown="1">\n(.+?)</div>', page.text, re.DOTALL)
}
"""What a page says where there is no JavaScript."""


def test_every_one_has_its_place():
    assert set(WRITTEN) == set(PLAYS)


@pytest.mark.parametrize("name", PLAYS)
def test_the_text_without_javascript_says_the_numbers(bare, name):
    """Those in bold are what is shown at first."""
    body = "async ({ controls, show }) => show((await import('/javascripts/play/play.js')).values(controls)).words"
    shown = call(bare, name, body)
    said = re.findall(r"\*\*(.+?)\*\*", WRITTEN[name][1])
    lifted = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "−0123456789")
    plain = re.sub(r"</?su[bp]>", "", shown).replace("\u00a0", " ")
    assert said and [one for one in said if f"<strong>{one.translate(lifted)}</strong>" not in plain] == []


@pytest.mark.parametrize("name", PLAYS)
def test_both_axes_say_what_they_are(bare, name):
    body = """async ({ controls, show }) =>
        show((await import('/javascripts/play/play.js')).values(controls)).axes.map(({ label }) => label)"""
    assert all(call(bare, name, body))


def test_the_forget_bias_opens_the_gate(bare):
    found = call(bare, "forget-bias", "({ gradients }) => [null, 1, 3].map((bias) => gradients(bias, 5).at(-1))")
    within(forget, "LSTM, PyTorch's defaults", found[0])
    within(forget, "Forget bias 1", found[1])
    within(forget, "Forget bias 3", found[2])


def test_the_cliff_is_that_of_the_experiment(bare):
    body = "({ descend }) => [Infinity, 0.5].map((limit) => descend(-3.275, limit))"
    plain, clipped = call(bare, "cliff", body)
    within(cliff, "Without clipping the longest step", plain["longest"])
    within(cliff, "Clipped, the longest step", clipped["longest"])
    within(cliff, "Loss after 300 steps without clipping", plain["losses"][-1])
    within(cliff, "Loss after 300 steps, clipped", clipped["losses"][-1])
    # From the wall on, the last digit decides where a step leads.
    before = slice(100)
    assert clipped["losses"][before] == pytest.approx(cliff.measure().clipped_losses.tolist()[before], rel=1e-9)


def test_the_gradient_grows_with_batch_normalization(bare):
    """One network of 96 units, where the experiment has three of 512: the mean of eight."""
    body = """({ growth, factor }) => [[128, "ReLU"], [8, "linear"]].map(([batch, activation]) =>
        Array.from({ length: 8 }, (_, seed) => Math.log(factor(growth(batch, activation, seed)))))"""
    relu, linear = (math.exp(sum(logs) / len(logs)) for logs in call(bare, "batch-growth", body))
    within(growth, "Squared gradient per ReLU layer", relu)
    within(growth, "Squared gradient per linear layer", linear)


def test_attention_saturates_without_its_scale(bare):
    body = """({ softmaxes, stiffness, median }) =>
        [1, 1 / 32].map((factor) => median(softmaxes(1024, factor).map(stiffness)))"""
    unscaled, scaled = call(bare, "softmax-scale", body)
    within(attention, "Median norm of $J$ at $d_k=1024$", unscaled)
    within(attention, "The same with the scale", scaled)


def test_one_layer_cannot_keep_both_directions(bare):
    body = "({ factors }) => factors(512, 32, 'Xavier')"
    found = call(bare, "two-conditions", body)
    assert found["forward"] == pytest.approx(2 * 512 / 544, rel=0.15)
    within(rectangular, "From 1024 to 64 units", found["backward"])


def test_equal_units_stay_equal(bare):
    apart = call(bare, "symmetric-start", "({ train }) => [0, 1e-3].map((noise) => train(noise).apart)")
    within(symmetry, "Started from a constant, the hidden layer keeps rank 1", apart[0])
    assert apart[1] > 1


def test_he_keeps_the_mean_square(bare):
    """A network of 128 units over 50 layers scatters by 3 % per layer, around 0.98: the mean of twelve."""
    found = call(bare, "depth-factor", "({ signal }) => signal(12)")
    factor = (found[-1] / found[0]) ** (1 / (len(found) - 1))
    within(signal, "He: factor of the mean square per ReLU layer", factor)
    within(signal, "Xavier: factor of the mean square per ReLU layer", factor / 2)


@pytest.mark.parametrize("name", PLAYS)
def test_by_keyboard_with_words_and_in_its_room(page: Page, url, name):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{url}{name}.html")
    page.locator(".play").wait_for()
    words = page.locator(".verdict").inner_text()
    assert re.search(r"\d", words) and "NaN" not in words and "undefined" not in words
    slider = page.get_by_role("slider").first
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    page.wait_for_function("(words) => document.querySelector('.verdict').innerText !== words", arg=words)
    assert slider.get_attribute("aria-valuetext")
    page.evaluate(AXE)
    for viewport in ({"width": 1280, "height": 800}, PHONE):
        page.set_viewport_size(viewport)
        assert axe(page, name, {}) == []
        place = page.locator("[data-play]")
        room = place.evaluate("(place) => parseFloat(getComputedStyle(place).minHeight)")
        assert page.locator(".play").bounding_box()["height"] <= room
        for control in page.locator(".play :is(input, select)").all():
            assert control.bounding_box()["height"] >= 24
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert errors == []


NAMES = """() => [...document.querySelectorAll(".play .chart g text")].map((name) => {
    const place = name.getBoundingClientRect(), chart = document.querySelector(".play .chart")
    const crossed = [...chart.querySelectorAll(".solid .line")].filter((line) => {
        const toScreen = line.getScreenCTM()
        return Array.from({ length: 2000 }, (_, i) => line.getPointAtLength((i * line.getTotalLength()) / 2000))
            .map((point) => point.matrixTransform(toScreen)).some(({ x, y }) =>
                x > place.left && x < place.right && y > place.top + 2 && y < place.bottom - 2)
    })
    return [name.textContent, crossed.length, parseFloat(getComputedStyle(name).fontSize) * name.getScreenCTM().a]
})"""
"""The names in the chart, how many lines cross each, and the height of its letters in pixels of the screen."""


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", PLAYS)
def test_the_chart_is_large_and_its_names_lie_on_no_line(page: Page, url, name, viewport):
    page.set_viewport_size(viewport)
    page.goto(f"{url}{name}.html")
    page.locator(".play").wait_for()
    for text, crossed, letters in page.evaluate(NAMES):
        assert crossed == 0, text
        assert letters >= 11, text
    assert page.locator(".play .chart").bounding_box()["width"] >= 0.9 * min(viewport["width"], 580)


@pytest.mark.parametrize("name", PLAYS)
def test_each_is_light(url, name, tmp_path):
    publish_modules(ROOT / "docs" / PLAY, tmp_path)
    publish_modules(ROOT / "docs" / MODULES, tmp_path)
    files = [tmp_path / f"{one}.js" for one in (name, "play", "sheet", "rng")]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < LIGHT
