"""The explorer in Chromium: by hand, by keyboard, by screen reader, from a link, on paper, and when it fails."""

import itertools
import math
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from docs.hooks.show.explorer import MODULES, digits_json, publish_modules
from tests.bench import explorer as bench_explorer
from tests.site.conftest import LINKED, serve
from tests.site.test_browser import AXE, PHONE, ROOT, WIDE, axe

pytestmark = pytest.mark.browser

CONTROLS = {
    "slider": ["Depth", "Width", "Gain", "Bias", "Branch scale", "Learning rate"],
    "combobox": ["Activation", "Preset", "Scheme", "Distribution"],
    "checkbox": ["Batch normalization", "Skip connections", "Activations", "Gradients", "Weight gradients"],
    "radio": ["By layer", "Histograms", "Angle"],
    "spinbutton": ["Seed"],
    "button": ["Pin, to compare", "Copy link", "Copy as PyTorch", "Copy as Keras", "Train 100 steps", "Cancel"],
}
PAGE = """<!doctype html>
<html lang="en" class="js" style="font-size: 125%"><head><meta charset="utf-8"><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width">
<title>Explorer</title>
{sheets}
<script type="module" src="javascripts/explorer/loader.js"></script></head>
<body data-md-color-scheme="default">
<main class="md-content__inner md-typeset" style="background: var(--paper); color: var(--ink)">
<h1>Explorer</h1>
<figure><p><init-explorer {attributes}>
<img alt="The figure" src="figure.svg" width="442" height="326"></init-explorer></p>
<figcaption>A caption.</figcaption></figure></main></body></html>"""
EMBED = 'activation="sigmoid" depth="80" width="32" controls="activation depth" against="activation=relu&amp;scheme=he"'


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two bare pages with the explorer, all controls and few, and the files that they need, without the site."""
    folder = tmp_path_factory.mktemp("explorer")
    for name, attributes in (("index.html", ""), ("embed.html", EMBED), ("404.html", "")):
        (folder / name).write_text(PAGE.format(sheets=LINKED, attributes=attributes), encoding="utf-8")
    (folder / "figure.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 442 326"/>')
    publish_modules(ROOT / "docs" / MODULES, folder / MODULES)
    for name in ("stylesheets", "fonts"):
        (folder / name).symlink_to(ROOT / "docs" / name)
    downloads = folder / "downloads"
    (downloads / "explorer").mkdir(parents=True)
    (downloads / "explorer" / "digits.json").write_text(digits_json(), encoding="utf-8")
    shutil.copytree(ROOT / "snippets" / "diagnostics", downloads / "diagnostics")
    for server in serve(folder):
        yield server.url


def visit(page: Page, url: str, state: str = "") -> None:
    """Open the explorer afresh and wait until it is live and has said its first verdict."""
    page.goto("about:blank")
    page.goto(url + state)
    page.locator("init-explorer.live").wait_for()
    page.locator(".status:not(:empty)").wait_for(state="attached")


def engine_pass(page: Page, **settings: object) -> dict:
    return page.evaluate(
        """async (settings) => {
            const { pass } = await import("/javascripts/explorer/engine.js")
            const { normalize } = await import("/javascripts/explorer/settings.js")
            const { predict } = await import("/javascripts/explorer/theory.js")
            const result = pass(normalize(settings))
            return { ...result, theory: predict(normalize(settings), result) }
        }""",
        settings,
    )


def test_every_control_has_its_name(page: Page, url):
    visit(page, url)
    for role, names in CONTROLS.items():
        for name in names:
            assert page.get_by_role(role, name=name, exact=True).count() == 1, f"{role} {name}"
    controls = page.locator("init-explorer :is(input, select, button)")
    assert controls.count() == sum(map(len, CONTROLS.values()))
    expect(page.locator("label output")).to_have_count(0)
    # What does nothing cannot be moved.
    assert page.get_by_role("slider", name="Branch scale").is_disabled()
    page.get_by_role("checkbox", name="Skip connections").check()
    assert page.get_by_role("slider", name="Branch scale").is_enabled()


def test_a_finger_hits_every_control(page: Page, url):
    page.set_viewport_size(PHONE)
    visit(page, url)
    for control in page.locator("init-explorer :is(select, button, label, summary)").all():
        box = control.bounding_box()
        assert box["height"] >= 24 and box["width"] >= 24, control.evaluate("(control) => control.outerHTML")


def test_on_a_phone_the_chart_stays_in_view_while_a_control_moves(page: Page, url):
    page.set_viewport_size(PHONE)
    visit(page, url)
    for control in page.locator("init-explorer .controls :is(select, input)").all():
        control.evaluate("(control) => control.scrollIntoView({ block: 'center' })")
        chart, box = page.locator(".chart").bounding_box(), control.bounding_box()
        assert chart["y"] >= 0 and chart["y"] + chart["height"] <= PHONE["height"]
        assert box["y"] >= chart["y"] + chart["height"], "the chart hides the control"


def test_histograms_show_he_and_xavier_apart(page: Page, url):
    """On one scale: what Xavier leaves in layer 30 is a line, what He leaves is as high as in layer 1."""
    visit(page, url, "#depth=30&scheme=he/scheme=xavier")
    page.get_by_role("radio", name="Histograms").check()
    heights = page.locator(".chart > g").evaluate_all("""(panels) => panels.map((panel) => {
        const cells = [...panel.querySelectorAll(".cells:not(.beyond)")].flatMap((path) =>
            [...path.getAttribute("d").matchAll(/M([\\d.]+) ([\\d.-]+)H[\\d.]+v([\\d.]+)/g)]
                .map((found) => found.slice(1).map(Number)))
        const right = Math.max(...cells.map(([x]) => x))
        const last = cells.filter(([x]) => x === right)
        return Math.max(...last.map(([, y, h]) => y + h)) - Math.min(...last.map(([, y]) => y))
    })""")
    assert heights[0] > 8 * heights[1], heights


def test_by_keyboard_alone(page: Page, url):
    visit(page, url)
    reached = []
    while reached[-1:] != ["keras"] and len(reached) < 40:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.localName"))
        if reached[-1] == "depth":
            page.keyboard.press("ArrowRight")
        if reached[-1] == "batch_norm":
            page.keyboard.press("Space")
        if reached[-1] == "view":
            page.keyboard.press("ArrowRight")
        if reached[-1] == "pin":
            # It pins what is shown, and a slow machine may still compute what was set.
            page.wait_for_function(
                "({ now, settings }) => JSON.stringify(now.settings) === JSON.stringify(settings)",
                arg=page.locator("init-explorer").element_handle(),
            )
            page.keyboard.press("Enter")
    order = ["activation", "depth", "seed", "view", "train", "summary", "pin", "keras"]
    assert [name for name in reached if name in order] == order
    assert page.get_by_role("slider", name="Depth").get_attribute("aria-valuetext") == "31 layers"
    assert page.get_by_role("radio", name="Histograms").is_checked()
    assert page.get_by_role("button", name="Unpin").is_visible()
    expect(page).to_have_url(re.compile("#depth=31&batch_norm=true/$"))


def test_focus_is_seen(page: Page, url):
    visit(page, url)
    page.keyboard.press("Tab")
    line, width = page.evaluate("""() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
        return [outlineStyle, parseFloat(outlineWidth)]
    }""")
    assert line == "solid" and width >= 2


@pytest.mark.parametrize("scheme", ["default", "slate"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(page: Page, url, viewport, scheme):
    page.set_viewport_size(viewport)
    visit(page, url, "#depth=80&activation=sigmoid/scheme=he")
    page.evaluate("(scheme) => (document.body.dataset.mdColorScheme = scheme)", scheme)
    page.locator("summary").click()
    page.evaluate(AXE)
    assert axe(page, scheme, {}) == []
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0


def test_dark_has_colours_of_its_own(page: Page, url):
    visit(page, url)

    def colours() -> list[str]:
        style = "(element) => { const s = getComputedStyle(element); return [s.stroke, s.fill, s.color].join() }"
        parts = ("g.solid .line", "svg text", ".grid", ".verdict")
        return [page.locator(part).first.evaluate(style) for part in parts]

    light = colours()
    page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
    assert all(one != other for one, other in zip(light, colours(), strict=True))


def test_the_verdict_follows_at_once_and_is_read_out_after_400_ms(page: Page, url):
    visit(page, url, "#depth=20&activation=sigmoid")
    assert re.search(r"weight gradient is [\d.]+ × 10 to the −\d+ times", page.locator(".status").inner_text())
    page.evaluate("""() => {
        window.moved = window.said = 0
        document.addEventListener("input", () => ([window.moved, window.said] = [performance.now(), 0]))
        new MutationObserver(() => (window.said ||= performance.now()))
            .observe(document.querySelector(".status"), { childList: true })
    }""")
    slider = page.get_by_role("slider", name="Gain")
    slider.focus()
    for _ in range(8):
        slider.press("ArrowRight")
        page.wait_for_timeout(60)
    page.wait_for_function("window.said > 0")
    assert page.evaluate("window.said - window.moved") >= 400
    spoken = page.locator(".status").inner_text()
    shown = page.locator(".verdict").inner_text()
    assert spoken.split("per layer")[0] == shown.split("per layer")[0]
    assert page.get_by_role("slider", name="Gain").get_attribute("aria-valuetext") == "× 1.58"


def test_the_last_of_many_moves_wins(page: Page, url):
    visit(page, url)
    page.evaluate("""() => {
        const depth = document.querySelector("[name=depth]")
        for (let value = 1; value <= 60; value++) {
            depth.value = value
            depth.dispatchEvent(new Event("input", { bubbles: true }))
        }
    }""")
    expect(page).to_have_url(re.compile("#depth=60$"))
    assert page.locator("g.solid .dots").first.get_attribute("d").count("M") == 60


def test_the_verdict_says_what_the_engine_measured(page: Page, url):
    visit(page, url, "#depth=10&activation=sigmoid&gain=2")
    result = engine_pass(page, depth=10, activation="sigmoid", gain=2)
    words = page.locator(".verdict").inner_text()
    factors = [float(number) for number in re.findall(r"factor of (\S+) per layer", words)]
    predicted = [float(number) for number in re.findall(r"theory: ([\d.]+)", words)]
    assert factors == [pytest.approx(result["factor"][way], rel=6e-3) for way in ("backward", "forward")]
    assert predicted == [pytest.approx(result["theory"]["factor"][way], rel=6e-3) for way in ("backward", "forward")]
    assert words.startswith("The gradient vanishes. Gradients shrink")
    angle = math.degrees(math.acos(result["cosine"][-1]))
    assert float(re.search(r"leave ([\d.]+)°", words)[1]) == pytest.approx(angle, rel=6e-3)


def test_underflow_is_said_in_words_and_marked_on_the_floor(page: Page, url):
    visit(page, url, "#depth=100&width=32&activation=sigmoid")
    first = engine_pass(page, depth=100, width=32, activation="sigmoid")["first"]["zero_backward"]
    assert 1 < first < 100
    assert f"They are exactly 0 in float32 from layer {first} down." in page.locator(".verdict").inner_text()
    gradients = page.locator("g.solid").nth(1).locator(".marks")
    assert gradients.get_attribute("d").count("M") == first
    assert "0" in page.locator(".chart text").all_text_contents()


def test_overflow_is_said_in_words_and_marked_on_the_ceiling(page: Page, url):
    visit(page, url, "#depth=80&scheme=unit")
    result = engine_pass(page, depth=80, scheme="unit")
    first = result["first"]["overflow_forward"]
    words = page.locator(".verdict").inner_text()
    assert words.startswith("The signal overflows.")
    assert f"They are Inf in float32 from layer {first} up" in words
    activations = page.locator("g.solid").last.locator(".marks")
    assert activations.get_attribute("d").count("M") == 80 - first + 1
    assert "Inf" in page.locator(".chart text").all_text_contents()


def test_a_dead_network_is_called_dead(page: Page, url):
    visit(page, url, "#depth=100&width=8&scheme=small")
    assert page.locator(".verdict").inner_text().startswith("The signal dies.")


def test_the_logarithmic_axis_snaps_to_three_decades(page: Page, url):
    visit(page, url)
    ends = page.evaluate("""async () => {
        const { decades } = await import("/javascripts/explorer/chart.js")
        const tried = []
        for (let power = -45; power < 38; power += 0.25) {
            const values = [10 ** power, 0, NaN, Infinity, 10 ** (0.3 * power)]
            const { low, high, ticks } = decades(values)
            tried.push({ low, high, ticks: ticks.map(([at]) => at), power })
        }
        return tried
    }""")
    for axis in ends:
        assert axis["low"] % 3 == axis["high"] % 3 == 0 and axis["high"] - axis["low"] >= 3
        for power in (axis["power"], 0.3 * axis["power"]):
            assert axis["low"] <= power + 1e-9 and power - 1e-9 <= axis["high"]
        assert axis["high"] - max(axis["power"], 0.3 * axis["power"]) < 6
        assert 2 <= len(axis["ticks"]) <= 7
    assert len({(axis["low"], axis["high"]) for axis in ends}) < 45


def test_a_line_stands_where_its_axis_says(page: Page, url):
    """Invert the drawing: from the places of dots and ticks back to the numbers."""
    visit(page, url)
    expected = engine_pass(page)["gradient"]["rms"]
    ticks = page.evaluate("""() => {
        const rows = [...document.querySelectorAll(".chart .grid")]
        const height = (grid) => Number(grid.getAttribute("d").match(/ ([\\d.]+)H/)[1])
        return rows.map((grid) => [height(grid), grid.nextElementSibling.textContent])
    }""")
    (y0, power0), (y1, power1) = [
        (y, 0 if label == "1" else int(label[2:].replace("−", "-"))) for y, label in (ticks[0], ticks[-1])
    ]
    dots = re.findall(r"M([\d.]+) ([\d.]+)", page.locator("g.solid").nth(1).locator(".dots").get_attribute("d"))
    assert y0 > y1 and power0 < power1, "large values stand high"
    drawn = [power0 + (float(y) - y0) * (power1 - power0) / (y1 - y0) for _, y in dots]
    assert drawn == pytest.approx([math.log10(value) for value in expected], abs=0.01)
    steps = [float(right) - float(left) for (left, _), (right, _) in itertools.pairwise(dots)]
    assert min(steps) == pytest.approx(max(steps), abs=0.11)


def test_the_table_has_all_numbers(page: Page, url):
    visit(page, url, "#depth=7&activation=tanh&gain=0.7")
    expect(page.locator("details td")).to_have_count(0)
    page.locator("summary").click()
    result = engine_pass(page, depth=7, activation="tanh", gain=0.7)
    rows = [row.inner_text().split("\t") for row in page.locator("details tr:has(td)").all()]
    assert [row[0] for row in rows] == list("1234567")

    def value(cell: str) -> float:
        digits, _, power = cell.replace("\u00a0", " ").rstrip("°% ").replace("−", "-").partition(" × 10")
        return float(digits) * 10 ** float(power or 0)

    columns = [
        result["activation"]["rms"], result["activation"]["mean"], result["gradient"]["rms"],
        result["weight_gradient"]["rms"], [math.degrees(math.acos(one)) for one in result["cosine"]],
        [100 * one for one in result["saturated"]], [100 * one for one in result["dead"]],
    ]  # fmt: skip
    for column, expected in enumerate(columns, 1):
        assert [value(row[column]) for row in rows] == pytest.approx(expected, rel=0.05), column


def test_the_other_views(page: Page, url):
    visit(page, url, "#depth=10&activation=tanh&scheme=pytorch/scheme=xavier")
    page.get_by_role("radio", name="Angle").check()
    assert page.locator(".chart text").first.text_content().startswith("angle between two inputs")
    expect(page.locator(".chart g.pinned .line")).to_have_count(1)
    assert not page.get_by_role("checkbox", name="Gradients", exact=True).is_visible()
    page.get_by_role("radio", name="Histograms").check()
    result = engine_pass(page, depth=10, activation="tanh", scheme="pytorch")
    filled = sum(fraction > 0 for bins in result["activation"]["histogram"]["counts"] for fraction in bins)
    panel = page.locator(".chart > g").first
    assert sum(cells.get_attribute("d").count("M") for cells in panel.locator(".cells").all()) == filled
    expect(page.locator(".chart > g")).to_have_count(2)
    page.get_by_role("radio", name="By layer").check()
    page.get_by_role("checkbox", name="Weight gradients").uncheck()
    expect(page.locator(".chart g.solid")).to_have_count(2)


def test_a_preset_gives_its_exact_values(page: Page, url):
    visit(page, url)
    preset = page.get_by_role("combobox", name="Preset")
    expect(preset).to_have_value("Xavier")
    preset.select_option("PyTorch")
    expect(page).to_have_url(re.compile("#depth=30&scheme=pytorch&distribution=uniform&bias=pytorch$"))
    page.get_by_role("slider", name="Gain").press("ArrowLeft")
    expect(page).to_have_url(re.compile("gain=0.944"))
    assert preset.evaluate("(preset) => preset.selectedOptions[0].text") == "your own"
    preset.select_option("He")
    expect(page).to_have_url(re.compile("#depth=30&scheme=he$"))
    assert page.get_by_role("slider", name="Bias").get_attribute("aria-valuetext") == "none"


STATES = [
    {},
    {"depth": 100, "width": 4, "activation": "leaky_relu", "scheme": "unit", "seed": 4294967295},
    {"gain": 1.534, "bias": "pytorch", "distribution": "orthogonal", "learning_rate": 0.0001},
    {"batch_norm": True, "skip": True, "branch_scale": 0.35, "bias": 0.05},
]


def test_settings_survive_a_link(page: Page, url):
    page.goto(url)
    for settings in STATES:
        for pinned in (None, {}, {"scheme": "he", "batch_norm": False}):
            state, read, again = page.evaluate(
                """async ([settings, pinned]) => {
                    const { read, write } = await import("/javascripts/explorer/controls.js")
                    const { normalize } = await import("/javascripts/explorer/settings.js")
                    const state = { settings: normalize(settings), pinned: null }
                    if (pinned) state.pinned = normalize({ ...settings, ...pinned })
                    const link = new URL("#" + write(state.settings, state.pinned), location.href).hash.slice(1)
                    const { settings: own, pinned: other } = read(link)
                    return [state, { settings: own, pinned: other ?? null }, write(own, other) === link]
                }""",
                [settings, pinned],
            )
            assert read == state
            assert again


def test_a_link_opens_its_setting_and_a_reload_keeps_it(page: Page, url):
    visit(page, url, "#depth=12&activation=tanh/scheme=he")
    expect(page.get_by_role("combobox", name="Activation")).to_have_value("tanh")
    expect(page.locator("p.pinned")).to_have_text("Solid: Xavier. Dashed: He.")
    page.get_by_role("checkbox", name="Skip connections").check()
    expect(page).to_have_url(re.compile("#depth=12&activation=tanh&skip=true/scheme=he&skip=false$"))
    words = page.locator(".verdict").inner_text()
    page.reload()
    page.locator("init-explorer.live").wait_for()
    expect(page.locator(".verdict")).to_have_text(words)
    # Another link on the same page.
    page.evaluate("location.hash = '#depth=5&scheme=he'")
    expect(page.get_by_role("slider", name="Depth")).to_have_value("5")
    expect(page.locator("p.pinned")).to_have_text("")


@pytest.mark.parametrize("state", ["#depth=1000", "#colour=red", "#depth=3/scheme=%3Cimg%3E"])
def test_a_link_that_makes_no_sense_is_named(page: Page, url, state):
    visit(page, url, state)
    assert page.locator(".told").inner_text().startswith("The address cannot be read:")
    assert page.get_by_role("slider", name="Depth").get_attribute("aria-valuetext") == "30 layers"
    expect(page.locator("init-explorer img")).to_have_count(1)


def test_a_number_that_makes_no_sense_is_named(page: Page, url):
    visit(page, url)
    seed = page.get_by_role("spinbutton", name="Seed")
    seed.fill("-3")
    assert page.locator(".told").inner_text().startswith("seed must be a whole number")
    seed.fill("3")
    expect(page).to_have_url(re.compile("seed=3$"))
    expect(page.locator(".told")).to_have_text("")


def test_pin_and_compare(page: Page, url):
    visit(page, url)
    before = page.locator("g.solid .line").last.get_attribute("d")
    page.get_by_role("button", name="Pin, to compare").click()
    page.get_by_role("combobox", name="Preset").select_option("He")
    expect(page.locator("p.pinned")).to_have_text("Solid: He. Dashed: Xavier.")
    pinned = page.locator("g.pinned .line")
    expect(pinned).to_have_count(3)
    expect(page).to_have_url(re.compile("#depth=30&scheme=he/scheme=xavier$"))
    after = page.locator("g.solid .line").last.get_attribute("d")
    assert after != before
    page.get_by_role("button", name="Unpin").click()
    expect(pinned).to_have_count(0)
    expect(page).to_have_url(re.compile("#depth=30&scheme=he$"))


def test_two_settings_train_side_by_side(page: Page, url):
    visit(page, url, "#depth=4&width=16&scheme=he&learning_rate=0.1/scheme=small")
    # Asked at once: on a machine with much to do the training may be over before a second call arrives.
    train = page.get_by_role("button", name="Train 100 steps")
    assert train.evaluate("(button) => (button.click(), button.disabled)")
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled(timeout=60_000)
    assert page.get_by_role("progressbar", name="Training").evaluate("(bar) => bar.value / bar.max") == 1
    words = page.locator(".trained").inner_text()
    he, small = map(float, re.findall(r"([\d.]+) % of the test digits", words))
    assert words.startswith("Solid, He: ") and "Dashed, N(0, 0.01²): " in words
    assert he > 40 > 25 > small
    for kind in ("solid", "pinned"):
        drawn = page.locator(f".losses g.{kind} :is(.dots, .marks)").all()
        assert sum(path.get_attribute("d").count("M") for path in drawn) == 100
    expect(page.locator(".status")).to_have_text(words)


def test_a_training_can_be_canceled_and_the_controls_answer_meanwhile(page: Page, url):
    visit(page, url, "#depth=100&width=128")
    page.get_by_role("button", name="Train 100 steps").click()
    progress = page.get_by_role("progressbar", name="Training")
    page.wait_for_function("document.querySelector('progress').value > 0")
    page.get_by_role("slider", name="Depth").press("ArrowLeft")
    expect(page).to_have_url(re.compile("depth=99"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Train 100 steps")).to_be_enabled()
    assert page.locator(".trained").inner_text().startswith("canceled.")
    stopped = progress.evaluate("(bar) => bar.value / bar.max")
    assert 0 < stopped < 1
    page.wait_for_timeout(500)
    assert progress.evaluate("(bar) => bar.value / bar.max") == stopped


def test_copy_the_link_and_the_code(browser: Browser, url):
    state = "#depth=3&width=20&activation=gelu&gain=1.5&bias=pytorch&skip=true&branch_scale=0.5&seed=7"
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        visit(page, url, state)

        def copied(name: str) -> str:
            page.get_by_role("button", name=name).click()
            expect(page.locator(".told")).to_have_text(f"{name}: done.")
            return page.evaluate("navigator.clipboard.readText()")

        assert copied("Copy link") == page.url
        kept = {part.partition("=")[0] for part in page.url.partition("#")[2].split("&")}
        assert kept == {"depth", "width", "activation", "gain", "bias", "skip", "branch_scale", "seed"}
        for framework in ("PyTorch", "Keras"):
            code = copied(f"Copy as {framework}")
            file = ROOT / "snippets" / "diagnostics" / f"first_pass_{framework.lower()}.py"
            original = file.read_text(encoding="utf-8")
            changed = [line.split("#")[0].strip() for line in code.splitlines() if line not in original.splitlines()]
            assert changed == [
                '"depth": 3,', '"width": 20,', '"activation": "gelu",', '"gain": 1.5,',
                '"bias": "pytorch",', '"skip": True,', '"branch_scale": 0.5,', '"seed": 7,',
            ]  # fmt: skip
            assert len(code.splitlines()) == len(original.splitlines())
            compile(code, "copied", "exec")


def test_what_cannot_be_copied_is_shown(page: Page, url):
    page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'))")
    visit(page, url)
    page.get_by_role("button", name="Copy as PyTorch").click()
    text = page.get_by_role("textbox", name="To copy")
    text.wait_for()
    assert text.input_value().startswith('"""How large are')
    assert text.evaluate("(area) => area.selectionEnd") == len(text.input_value())
    assert "not allowed" in page.locator(".told").inner_text()


def test_on_paper_stands_the_figure(page: Page, url):
    visit(page, url)
    assert not page.get_by_role("img", name="The figure").is_visible()
    page.emulate_media(media="print")
    assert page.get_by_role("img", name="The figure").is_visible()
    assert not page.locator(".explorer").is_visible()


def test_without_javascript_stands_the_figure(browser: Browser, url):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(url)
        assert page.get_by_role("img", name="The figure").is_visible()


@pytest.mark.parametrize("script", ["explorer.js", "worker.js", "engine.js"])
def test_a_script_that_does_not_come_leaves_the_figure(page: Page, url, script):
    page.context.route(f"**/{script}", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(url)
    page.wait_for_timeout(500)
    assert page.get_by_role("img", name="The figure").is_visible()
    expect(page.locator(".explorer")).to_have_count(0)


def test_a_worker_that_fails_later_brings_the_figure_back(page: Page, url):
    visit(page, url)
    page.evaluate("document.querySelector('init-explorer').worker.dispatchEvent(new ErrorEvent('error'))")
    assert page.get_by_role("img", name="The figure").is_visible()
    expect(page.locator(".explorer")).to_have_count(0)


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_moves_when_it_comes(page: Page, url, viewport):
    page.set_viewport_size(viewport)
    page.add_init_script("""
        window.shifts = 0
        new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => (window.shifts += value)))
            .observe({ type: "layout-shift", buffered: true })
    """)
    visit(page, url + "embed.html")
    place = page.locator("figcaption").bounding_box()["y"]
    page.get_by_role("slider", name="Depth").fill("100")
    page.locator(".status", has_text="exactly 0").wait_for(state="attached")
    page.get_by_role("combobox", name="Activation").select_option("gelu")
    page.wait_for_timeout(600)
    assert page.locator("figcaption").bounding_box()["y"] == place
    assert page.evaluate("window.shifts") < 0.02  # words in the verdict; a tenth is called good
    room = page.locator("init-explorer").evaluate("(element) => parseFloat(getComputedStyle(element).minHeight)")
    assert page.locator(".explorer").bounding_box()["height"] <= room


def test_an_embed_has_few_controls_and_leads_to_all(page: Page, url):
    visit(page, url + "embed.html")
    controls = page.locator(".controls :is(input, select)").all()
    assert [control.get_attribute("name") for control in controls] == ["activation", "depth"]
    expect(page.locator("p.pinned")).to_have_text("Solid: Xavier, sigmoid. Dashed: He, ReLU.")
    page.get_by_role("combobox", name="Activation").select_option("tanh")
    page.locator("a[href*='activation=tanh']").wait_for()
    link = page.get_by_role("link", name="All controls").get_attribute("href")
    assert link == f"{url}toolbox/explorer/#depth=80&width=32&activation=tanh/activation=relu&scheme=he"
    assert page.url == url + "embed.html"


def test_it_comes_only_near_the_viewport(page: Page, url):
    asked = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.add_init_script("""addEventListener("DOMContentLoaded", () => {
        document.querySelector("h1").style.height = "5000px"
    })""")
    page.goto(url + "embed.html", wait_until="networkidle")
    assert "loader.js" in asked and "explorer.js" not in asked
    page.locator("init-explorer").scroll_into_view_if_needed()
    page.locator("init-explorer.live").wait_for()


def test_nothing_foreign_and_no_error(page: Page, url):
    foreign, errors = [], []
    page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(url) else None)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url + "#depth=3&width=8")
    page.locator("init-explorer.live").wait_for()
    page.get_by_role("button", name="Train 100 steps").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled(timeout=60_000)
    for name in ("Histograms", "Angle", "By layer"):
        page.get_by_role("radio", name=name).check()
    assert (foreign, errors) == ([], [])
    assert page.context.cookies() == [] and page.evaluate("localStorage.length") == 0


def test_all_modules_together_are_light(tmp_path):
    publish_modules(ROOT / "docs" / MODULES, tmp_path / MODULES)
    assert bench_explorer.weight(tmp_path) <= bench_explorer.WEIGHT


def test_the_benchmark_times_moves_and_frames(page: Page, url, monkeypatch):
    monkeypatch.setattr(bench_explorer, "SIZES", ((2, 8, 100),))
    page.goto(url)
    rows = bench_explorer.move_rows(page)
    assert [(row.what, row.budget) for row in rows] == [
        ("explorer: move to screen, 2 x 8", 100),
        ("explorer: frame gap in a drag, 2 x 8", 50),
    ]
    assert all(1 < row.value < 10_000 for row in rows)
