"""Time the build: cold, warm, one thing changed, and from the edit of a page to its reload; then the explorer.

    python -m tests.bench.site

Everything happens in copies of the project in a temporary folder: the working tree keeps its figures. Seconds on a busy
machine mean little, so they are printed beside the budget and never decide. What decides is whether two cold builds, in
two folders, make the same bytes: exits with 1 when they do not.
"""

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from docs.hooks.measure.experiment import Experiment
from docs.hooks.store import ROOT
from tests.bench import explorer
from tests.bench.table import Row, table

EDITS = 5
"""Live reload looks for changes twice a second, so that one edit may be lucky."""

PATIENCE = 600
"""Seconds to wait for the server or for an edit before giving up."""

AS_IN_THE_MAKEFILE = {"NO_MKDOCS_2_WARNING": "1", "NBCONVERT_DISABLE_CONFIG_EXPORTERS": "1"}

CHANGES = {"a colour": "docs/hooks/draw/palette.py", "the look of a card": "docs/hooks/show/claims.html.j2"}
"""What is changed, one after the other: nothing is measured again."""

MADE = ("docs/figures", "docs/downloads", "docs/fonts/katex", "docs/assets", "site")


def copy_project(source: Path, target: Path) -> None:
    """Copy what git tracks or would track: what the build made stays behind."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=source, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (source / name).is_file():  # a tracked file may be deleted
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def differing(first: Path, second: Path) -> list[str]:
    """The files below the folders `MADE` that only one of two projects has, or that differ in a byte."""
    one, other = _files(first), _files(second)
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _files(project: Path) -> dict[str, bytes]:
    paths = [path for folder in MADE for path in (project / folder).rglob("*") if path.is_file()]
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in paths}


def build(project: Path) -> float:
    """Seconds that the strict build of the site takes; raises `SystemExit` with its output where it fails."""
    started = time.monotonic()
    done = subprocess.run(**_mkdocs(project, "build", "--strict"), stdout=subprocess.PIPE, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(done.stdout)
    return seconds


def _mkdocs(project: Path, *arguments: str) -> dict:
    """Arguments for `subprocess`; the copy hides the installed project."""
    environment = os.environ | {"PYTHONPATH": str(project), **AS_IN_THE_MAKEFILE}
    command = [sys.executable, "-m", "mkdocs", *arguments]
    return {"args": command, "cwd": project, "env": environment, "stderr": subprocess.STDOUT, "text": True}


@contextlib.contextmanager
def serve(project: Path) -> Iterator[str]:
    """The address of `mkdocs serve` on a free port, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = _mkdocs(project, "serve", "--dev-addr", f"127.0.0.1:{port}")
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        subprocess.Popen(**arguments, stdout=log) as server,
    ):
        try:
            address = f"http://127.0.0.1:{port}/"
            _wait_until(lambda: server.poll() is not None or _get(address), "the server answers")
            if server.poll() is not None:
                log.seek(0)
                raise SystemExit(log.read())
            yield address
        finally:
            server.send_signal(signal.SIGINT)  # so that it removes its temporary site


def edit_to_reload(project: Path, address: str, edit: int) -> float:
    """Seconds from saving the home page to the moment when the server sends the new one."""
    page, sentence = project / "docs" / "index.md", f"This is edit number {edit}."
    text = f"{page.read_text(encoding='utf-8')}\n\n{sentence}\n"
    started = time.monotonic()
    page.write_text(text, encoding="utf-8")
    _wait_until(lambda: sentence in _get(address), "the edit is served")
    return time.monotonic() - started


def _get(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            return answer.read().decode("utf-8")
    except urllib.error.URLError:
        return ""


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Gave up after {PATIENCE} s of waiting until {what}.")
        time.sleep(0.01)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        project, twin = Path(folder, "project"), Path(folder, "a", "twin")
        for copy in (project, twin):
            copy_project(ROOT, copy)
        print("Building twice from nothing; this takes minutes.", flush=True)
        rows = [
            Row("cold build", max(build(project), build(twin)), 180),
            Row("warm build", min(build(project) for _ in range(3)), 3),
        ]
        differences = differing(project, twin)
        for path in sorted(project.glob("snippets/*/experiment_*.py"))[:1]:
            with path.open("a", encoding="utf-8") as file:
                file.write("\n# changed\n")
            experiment = Experiment(path.relative_to(project))
            rows.append(Row(f"only {experiment} changed", build(project)))
        for what, file in CHANGES.items():
            with (project / file).open("a", encoding="utf-8") as source:
                source.write("\n")
            rows.append(Row(f"{what} changed", build(project)))
        with serve(project) as address:
            seconds = [edit_to_reload(project, address, edit) for edit in range(EDITS)]
            rows.append(Row(f"edit to reload, median of {EDITS}", statistics.median(seconds), 2))
        print(table("seconds", rows, decimals=1))
        print(explorer.report(project / "site"))
        for name in differences:
            print(f"two cold builds differ in {name}")
        print(f"two cold builds: {len(_files(twin))} files, {len(differences) or 'none'} differing")
    return int(bool(differences))


if __name__ == "__main__":
    sys.exit(main())
