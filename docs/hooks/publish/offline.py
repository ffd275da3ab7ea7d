"""The built site as a zip that opens from a disk, without a server.

    python -m docs.hooks.publish.offline [mkdocs.yml]

It is made of the site as it is, not by another build. Links to folders name the page in them, fonts stand in the style
sheets, and `offline.js` holds what a browser does not read by `file:`. (Material's plugin for this builds another site
with other addresses, loads a script from elsewhere, and leaves modules and workers to fail.)
"""

import base64
import json
import re
import sys
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import urldefrag

from mkdocs.config import load_config

from docs.hooks.archive import zipped
from docs.hooks.show.search import INDEX
from docs.hooks.store import ROOT

COPY = Path("offline", "well-initialized.zip")
FOLDER = COPY.stem
SCRIPT = Path(__file__).with_name("offline.js")
LEFT_OUT = {"404.html", "robots.txt", "sitemap.xml", "sitemap.xml.gz", INDEX.as_posix()}
"""What only a server or a search engine asks for, and the index of the search, which comes as a script."""
READ = (
    "javascripts/search.js",
    "javascripts/explorer/*.js",
    "javascripts/play/*.js",
    "assets/javascripts/workers/search.*.js",
    "downloads/explorer/digits.json",
    "sitemap.xml",
    "downloads/diagnostics/first_pass_*.py",
)
"""Modules, workers and data, which scripts of the pages read."""

HREF = re.compile(r'(<a\b[^>]*?\shref=")([^"]+)(")')
FONT = re.compile(r"url\([\"']?([^\"')]+\.woff2)[\"']?\)")
PRELOAD = re.compile(r'<link rel="preload" [^>]*>\n?')
MODULE = re.compile(r'<script src="(?:\.\./|\./)*javascripts/explorer/loader\.js" type="module"></script>')
HEAD = re.compile(r"(?=<script>\s*if \(location\.protocol)")


def files(site: Path) -> dict[str, bytes]:
    """The copy of the site in the folder `site`: the content of each file, by its path."""
    paths = sorted(path for path in site.rglob("*") if path.is_file())
    found = {path.relative_to(site).as_posix(): path.read_bytes() for path in paths}
    pages = {name for name in found if name.endswith(".html")}
    copied = {name: content for name, content in found.items() if name not in LEFT_OUT}
    for name in pages - LEFT_OUT:
        copied[name] = page(found[name].decode(), name, pages).encode()
    for name in copied:
        if name.endswith(".css"):
            copied[name] = _with_fonts(found[name].decode(), name, found).encode()
    copied["offline.js"] = script(site).encode()
    if INDEX.as_posix() in found:
        copied[INDEX.with_suffix(".js").as_posix()] = f"var __index = {_index(found[INDEX.as_posix()])}".encode()
    return copied


def page(html: str, name: str, pages: set[str]) -> str:
    """The page at the path `name`, as it is read from a disk."""
    html = HREF.sub(lambda link: f"{link[1]}{_named(link[2], name, pages)}{link[3]}", html)
    html = PRELOAD.sub("", html)
    root = "../" * name.count("/")
    start = f'<script src="{root}offline.js"></script>\n'
    html, times = HEAD.subn(start, html, count=1)
    if not times:
        raise ValueError(f"{name}: the script that holds the search back is not where it was, nor is offline.js")
    return MODULE.sub("", html)


def _named(link: str, page: str, pages: set[str]) -> str:
    """A link to a folder of the site as a link to the page in it."""
    target, fragment = urldefrag(link)
    if not target or ":" in target or target.startswith("/"):
        return link
    path = normpath(join(dirname(page), target, "index.html"))
    if path not in pages:
        return link
    return f"{target.rstrip('/')}/index.html{'#' + fragment if fragment else ''}"


def _with_fonts(css: str, name: str, found: dict[str, bytes]) -> str:
    """A font beside the folder of a page is not read by every browser."""

    def inside(font: re.Match[str]) -> str:
        content = base64.b64encode(found[normpath(join(dirname(name), font[1]))]).decode()
        return f"url(data:font/woff2;base64,{content})"

    return FONT.sub(inside, css)


def script(site: Path) -> str:
    """`offline.js` with the files that it gives the pages."""
    read = {
        path.relative_to(site).as_posix(): path.read_text(encoding="utf-8")
        for pattern in READ
        for path in sorted(site.glob(pattern))
    }
    before, place, after = SCRIPT.read_text(encoding="utf-8").partition("const files = {}")
    if not place:
        raise ValueError(f"{SCRIPT.name} has no place for the files")
    return f"{before}const files = {json.dumps(read, ensure_ascii=False)}{after}"


def _index(index: bytes) -> str:
    """The index of the search, which leads to pages instead of folders."""
    content = json.loads(index)
    for entry in content["docs"]:
        folder, mark, fragment = entry["location"].partition("#")
        entry["location"] = f"{folder}index.html{mark}{fragment}"
    return json.dumps(content, ensure_ascii=False)


def main(settings: str = "mkdocs.yml") -> int:
    site = Path(load_config(settings).site_dir)
    if not (site / "index.html").is_file():
        print(f"{site} holds no site: build it first, as `make offline` does", file=sys.stderr)
        return 1
    copy = ROOT / COPY
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(zipped({f"{FOLDER}/{name}": content for name, content in files(site).items()}, compressed=True))
    print(f"{COPY} holds the site: unpack it and open {FOLDER}/index.html.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
