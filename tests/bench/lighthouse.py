"""Lighthouse on a phone, ours beside stock Material on the same text: the median of five runs of each page.

    python -m tests.bench.lighthouse [--runs 5] [--pages chapters/he-initialization/ ...]

Both sites are built here and sent by the same server from this machine; their runs alternate, so that a busy moment
meets both. Scores of performance on a busy machine mean little and never decide. What decides are accessibility, best
practices and SEO of ours: exits with 1 where one is below 100, after naming the audits that failed.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.hooks.publish import browser
from docs.hooks.store import ROOT
from tests.site.conftest import serve

VERSION = "12.8.2"
"""Of Lighthouse; 13 wants Node 22."""
HOME = ROOT / ".cache" / "lighthouse"
CLI = HOME / "node_modules" / "lighthouse" / "cli" / "index.js"
STOCK = Path("tests", "bench", "stock.yml")
BEGIN = """document$.subscribe(() => document.querySelectorAll(".arithmatex").forEach((one) =>
  katex.render(one.textContent.slice(2, -2), one, { displayMode: one.tagName === "DIV", throwOnError: false })))
"""
"""What Material's documentation has a page do with its formulas, without KaTeX's search for dollar signs."""
CATEGORIES = {"performance": "perf", "accessibility": "a11y", "best-practices": "best", "seo": "SEO"}
MUST_BE_FULL = ("accessibility", "best-practices", "seo")
NUMBERS = {
    "FCP s": ("first-contentful-paint", 1000),
    "LCP s": ("largest-contentful-paint", 1000),
    "TBT ms": ("total-blocking-time", 1),
    "CLS": ("cumulative-layout-shift", 1),
    "kB": ("total-byte-weight", 1000),
}
LIMIT = 600
"""Seconds after which a run hangs."""

Report = dict[str, Any]


def install() -> None:
    """Put Lighthouse into `.cache`, where this version is not there."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads((CLI.parents[1] / "package.json").read_text(encoding="utf-8"))["version"] == VERSION:
            return
    if not shutil.which("npm"):
        raise SystemExit("Lighthouse needs Node.js 18 or newer with npm.")
    HOME.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--prefix", str(HOME), "--no-audit", "--no-fund", f"lighthouse@{VERSION}"]
    subprocess.run(command, check=True)


def build(config: Path | None, site: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(site)]
    subprocess.run([*command, *(["--config-file", str(config)] if config else [])], cwd=ROOT, check=True)


def gather(text: Path) -> None:
    """The pages that both sites have, their figures, and KaTeX, in a folder for stock Material."""
    shutil.rmtree(text, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "chapters", text / "chapters")
    shutil.copytree(ROOT / "docs" / "figures", text / "figures", ignore=shutil.ignore_patterns("*.md"))
    shutil.copytree(ROOT / "docs" / "hooks" / "vendor" / "katex", text / "katex")
    shutil.copy(ROOT / "docs" / "index.md", text)
    (text / "katex" / "begin.js").write_text(BEGIN, encoding="utf-8")


def look(url: str) -> Report:
    """What Lighthouse says of a page on its phone, whose network and processor it simulates."""
    chromium = browser.find()
    if not chromium:
        raise SystemExit("Lighthouse needs Chromium or Chrome.")
    command = ["node", str(CLI), url, "--quiet", "--output=json", f"--only-categories={','.join(CATEGORIES)}"]
    flags = f"--chrome-flags=--headless=new {' '.join(browser.SWITCHES)}"
    environment = os.environ | {"CHROME_PATH": chromium}
    done = subprocess.run([*command, flags], env=environment, capture_output=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return json.loads(done.stdout)


def scores(report: Report) -> dict[str, float]:
    return {name: 100 * (report["categories"][name]["score"] or 0) for name in CATEGORIES}


def numbers(report: Report) -> dict[str, float]:
    audits = report["audits"]
    found = {name: audits[audit]["numericValue"] / unit for name, (audit, unit) in NUMBERS.items()}
    return found | {"requests": len(audits["network-requests"]["details"]["items"])}


def median(runs: list[Report]) -> dict[str, float]:
    rows = [scores(run) | numbers(run) for run in runs]
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def failed(report: Report) -> Iterator[str]:
    """The audits of the categories that must be full, with the first place that each names."""
    for category in MUST_BE_FULL:
        for one in report["categories"][category]["auditRefs"]:
            audit = report["audits"][one["id"]]
            if one["weight"] and audit["score"] is not None and audit["score"] < 1:
                items = audit.get("details", {}).get("items", [])
                place = json.dumps(items[0])[:200] if items else ""
                yield f"{category}: {audit['title']} {place}"


def row(page: str, site: str, of: dict[str, float]) -> str:
    shown = [f"{of[name]:.0f}" for name in CATEGORIES]
    shown += [f"{of['FCP s']:.1f}", f"{of['LCP s']:.1f}", f"{of['TBT ms']:.0f}", f"{of['CLS']:.3f}"]
    shown += [f"{of['kB']:.0f}", f"{of['requests']:.0f}"]
    return f"{page or 'home':40} {site:6}" + "".join(f"{text:>9}" for text in shown)


def pages_of(site: Path) -> list[str]:
    return [path.parent.relative_to(site).as_posix() + "/" for path in sorted(site.rglob("index.html"))]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pages", nargs="*", help="addresses below the root; all where none is given")
    asked = parser.parse_args(arguments)
    install()
    ours, stock = HOME / "ours", HOME / "stock"
    build(None, ours)
    gather(HOME / "text")
    build(ROOT / STOCK, stock)
    pages = asked.pages or ["" if page == "./" else page for page in pages_of(ours)]
    wrong: list[str] = []
    print(f"Lighthouse {VERSION}, phone, median of {asked.runs}; load {os.getloadavg()[0]:.1f} at the start")
    heads = [*CATEGORIES.values(), *NUMBERS, "requests"]
    print(f"{'page':40} {'site':6}" + "".join(f"{head:>9}" for head in heads), flush=True)
    with contextlib.ExitStack() as servers:
        urls = {}
        for name, folder in {"ours": ours, "stock": stock}.items():
            serving = contextlib.contextmanager(serve)(folder)
            urls[name] = servers.enter_context(serving).url
        for page in pages:
            both = {name: url for name, url in urls.items() if (HOME / name / page / "index.html").is_file()}
            runs: dict[str, list[Report]] = {name: [] for name in both}
            for _ in range(asked.runs):
                for name, url in both.items():
                    runs[name].append(look(url + page))
            for name in both:
                print(row(page, name, median(runs[name])), flush=True)
            wrong += [f"{page or 'home'}: {text}" for text in failed(runs["ours"][-1])]
    for text in wrong:
        print(text)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
