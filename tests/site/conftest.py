"""The built site behind a small web server, and the system's Chromium to look at it."""

import gzip
import mimetypes
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from docs.hooks.publish import browser as installed
from docs.hooks.show import explorer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120_000
"""Milliseconds that a test waits for what should come: long, since it says that something hangs."""

SHEETS = re.findall(r"^  - (stylesheets/\w+\.css)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
"""The project's own style sheets, in their order."""
LINKED = "".join(f'<link rel="stylesheet" href="{sheet}">' for sheet in SHEETS)
"""They all, for the head of a page without the site."""

COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".xml", ".py", ".ipynb"}


@dataclass
class Server:
    """A web server for one folder, which compresses as hosts of static pages do and counts what it sends."""

    url: str
    sent: list[tuple[str, int]] = field(default_factory=list)
    """Path and bytes, head and body, of every response."""


@pytest.fixture(scope="session")
def server(built_site: Path) -> Iterator[Server]:
    yield from serve(built_site)


@pytest.fixture(scope="session")
def site_url(server: Server) -> str:
    return server.url


@lru_cache
def body_of(file: Path, changed: int) -> bytes:
    """What is sent for a file as it was at this time; every page asks for the same styles and scripts."""
    return gzip.compress(file.read_bytes(), 6) if file.suffix in COMPRESSED else file.read_bytes()


def serve(folder: Path) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = folder / unquote(urlsplit(self.path).path).lstrip("/")
            file = path / "index.html" if path.is_dir() else path
            status = 200 if file.is_file() else 404
            if status == 404:
                file = folder / "404.html"
            body = body_of(file, file.stat().st_mtime_ns)
            headers = {"Content-Type": mimetypes.guess_type(file.name)[0] or "application/octet-stream"}
            if file.suffix in COMPRESSED:
                headers["Content-Encoding"] = "gzip"
            headers["Content-Length"] = str(len(body))
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            head = sum(len(line) for line in self._headers_buffer)
            self.end_headers()
            self.wfile.write(body)
            server.sent.append((self.path, head + len(body)))

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_port}/")
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield server
        http.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict:
    """The browser that is installed; none is downloaded. Where CI is set, a missing one is an error."""
    path = installed.find()
    if not path:
        message = "NO CHROMIUM FOUND: nothing was tested in a browser. Install chromium or google-chrome."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return {"executable_path": path, "args": installed.SWITCHES, "headless": True}


@pytest.fixture(scope="session")
def browser(browser: Browser) -> Browser:
    """The plugin's browser, with a patience that does not depend on what else the machine does."""
    open_context = browser.new_context

    def open_patient_context(**settings: object) -> BrowserContext:
        context = open_context(**settings)
        context.set_default_timeout(PATIENCE)
        return context

    browser.new_context = open_patient_context
    expect.set_options(timeout=PATIENCE)
    return browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on a wide light screen. (The plugin's own fixture needs one that pytest 9.2 warns of.)"""
    with browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light") as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def engine(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """An empty page that can import the modules of the explorer as they are published, without the site."""
    folder = tmp_path_factory.mktemp("explorer")
    for name in ("index.html", "404.html"):
        (folder / name).write_text("<!doctype html><title>engine</title>", encoding="utf-8")
    explorer.publish_modules(ROOT / "docs" / explorer.MODULES, folder / explorer.MODULES)
    digits = folder / "downloads" / "explorer" / "digits.json"
    digits.parent.mkdir(parents=True)
    digits.write_text(explorer.digits_json(), encoding="utf-8")
    for server in serve(folder):
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(server.url)
            yield page
