"""Time the explorer in Chromium and weigh what a reader loads for it.

    python -m docs.hooks.bench_explorer [folder of the built site]

A pass goes to the worker and back, as it does for a reader. A new gain finds the weights drawn, a new seed has them
drawn again. Milliseconds on a busy machine mean little: they are printed beside the budget and never decide.
"""

import contextlib
import functools
import gzip
import shutil
import statistics
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from docs.hooks.bench_table import Row, table
from docs.hooks.explorer import MODULES

WEIGHT = 20_000
"""Bytes, gzipped, of all modules together."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

PASSES = 5
"""How many of a kind; the median is told."""

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


@contextlib.contextmanager
def serve(site: Path) -> Iterator[str]:
    """The address at which the folder is served."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site)) as http:
        threading.Thread(target=http.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/"
        finally:
            http.shutdown()


def engine_rows(page: Page) -> list[Row]:
    rows = []
    for depth, width, budget in SIZES:
        for what, times in page.evaluate(TIME_PASSES, [depth, width, PASSES]).items():
            rows.append(Row(f"explorer: pass {depth} x {width}, new {what}", statistics.median(times), budget))
    return rows


def weight(site: Path) -> int:
    """Bytes of all modules, gzipped one by one as a host sends them."""
    return sum(len(gzip.compress(module.read_bytes(), 6)) for module in (site / MODULES).glob("*.js"))


def report(site: Path) -> str:
    """What `make bench` prints of the explorer; says so where there is no Chromium."""
    heavy = f"explorer code: {weight(site) / 1000:.1f} kB gzipped, of at most {WEIGHT / 1000:g}"
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not chromium:
        return f"{heavy}\nNo Chromium is found: the explorer is not timed."
    with serve(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        rows = engine_rows(page)
        browser.close()
    return f"{table('ms', rows)}\n{heavy}"


if __name__ == "__main__":
    print(report(Path(*sys.argv[1:] or ["site"])))
