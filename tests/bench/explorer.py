"""Time the explorer in Chromium and weigh what a reader loads for it.

    python -m tests.bench.explorer [folder of the built site]

A pass goes to the worker and back, as it does for a reader. A new gain finds the weights drawn, a new seed has them
drawn again. Milliseconds on a busy machine mean little: they are printed beside the budget and never decide.
"""

import gzip
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from docs.hooks.publish import browser
from docs.hooks.show.explorer import MODULES
from tests.bench.table import Row, table

WEIGHT = 20_500
"""Bytes, gzipped, of all modules together."""

PASSES = 5
"""How many of a kind; the median is told."""

FRAME_GAP = 50
"""Milliseconds, so that a drag does not stutter: the passes run in the worker, the drawing in the page."""

SIZES = ((30, 64, 100), (100, 64, None), (100, 128, None), (100, 256, 1500))
"""Depth, width, and the budget in milliseconds."""

TIME_PASSES = """async ([depth, width, passes]) => {
    const worker = new Worker("/javascripts/explorer/worker.js", { type: "module" })
    const answer = (settings) => new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => (data.kind === "pass" ? resolve() : reject(new Error(data.message)))
        worker.onerror = reject
        worker.postMessage({ id: 1, task: "pass", settings: { depth, width, ...settings } })
    })
    const time = async (name) => {
        const times = []
        for (let move = 0; move <= passes; move++) {
            const start = performance.now()
            await answer({ [name]: 1 + move })
            times.push(performance.now() - start)
        }
        return times.slice(1) // the first starts the worker, or finds other weights than these
    }
    const result = { gain: await time("gain"), seed: await time("seed") }
    worker.terminate()
    return result
}"""

TIME_MOVES = """async ([depth, width, moves]) => {
    await import("/javascripts/explorer/explorer.js")
    const element = document.createElement("init-explorer")
    for (const [name, value] of Object.entries({ depth, width, controls: "gain" })) element.setAttribute(name, value)
    document.body.replaceChildren(element)
    const frame = () => new Promise(requestAnimationFrame)
    while (!element.classList.contains("live")) await frame()
    await frame() // its size is known, and the first drawing is done again
    const slider = element.querySelector("[name=gain]")
    const move = (by) => {
        slider.value = Number(slider.value) + by
        slider.dispatchEvent(new Event("input", { bubbles: true }))
    }
    const screen = []
    for (let i = 0; i < moves; i++) {
        const start = performance.now()
        const drawn = new Promise((resolve) =>
            new MutationObserver(resolve).observe(element.querySelector(".chart"), { childList: true }))
        move(1)
        await drawn
        await frame()
        screen.push(performance.now() - start)
    }
    const gaps = []
    for (let i = 0, before = await frame(); i < 12 * moves; i++) {
        move(i % 2 ? 1 : -1)
        const now = await frame()
        gaps.push(now - before)
        before = now
    }
    element.remove()
    return { screen, gaps }
}"""


def engine_rows(page: Page) -> list[Row]:
    rows = []
    for depth, width, budget in SIZES:
        for what, times in page.evaluate(TIME_PASSES, [depth, width, PASSES]).items():
            rows.append(Row(f"explorer: pass {depth} x {width}, new {what}", statistics.median(times), budget))
    return rows


def move_rows(page: Page) -> list[Row]:
    """From a slider to the screen, and the time between two frames while it is dragged."""
    rows = []
    for depth, width, budget in SIZES:
        times = page.evaluate(TIME_MOVES, [depth, width, PASSES])
        screen, gap = (statistics.median(times[kind]) for kind in ("screen", "gaps"))
        rows.append(Row(f"explorer: move to screen, {depth} x {width}", screen, budget))
        rows.append(Row(f"explorer: frame gap in a drag, {depth} x {width}", gap, FRAME_GAP))
    return rows


def weight(site: Path) -> int:
    """Bytes of all modules, gzipped one by one as a host sends them."""
    return sum(len(gzip.compress(module.read_bytes(), 6)) for module in (site / MODULES).glob("*.js"))


def report(site: Path) -> str:
    """What `make bench` prints of the explorer; says so where there is no Chromium."""
    heavy = f"explorer code: {weight(site) / 1000:.1f} kB gzipped, of at most {WEIGHT / 1000:g}"
    chromium = browser.find()
    if not chromium:
        return f"{heavy}\nNo Chromium is found: the explorer is not timed."
    with browser.served(site) as address, sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=browser.SWITCHES)
        page = opened.new_page()
        page.goto(address)
        rows = engine_rows(page) + move_rows(page)
        opened.close()
    return f"{table('ms', rows)}\n{heavy}"


if __name__ == "__main__":
    print(report(Path(*sys.argv[1:] or ["site"])))
