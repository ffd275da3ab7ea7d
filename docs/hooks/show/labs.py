"""Labs: the template of their pages, and the notebooks for download.

mkdocs-jupyter executes and renders a lab. Its own template brings 575 kB of styles, MathJax from elsewhere and a second
copy of each cell. nbconvert looks for templates in JUPYTER_PATH first, and ours has the same name.
"""

import os
import shutil
from pathlib import Path

from docs.hooks.store import write_if_changed

LABS = Path("docs", "labs")
CACHE = Path(".cache", "mkdocs-jupyter")
"""Where mkdocs-jupyter keeps the labs that it executed."""

JUPYTER = Path(__file__).resolve().parent / "jupyter"
ON_PAGE_ONLY = "page-only"
"""Tag of a cell whose links lead nowhere outside the site."""


def use_our_jupyter() -> None:
    """Let nbconvert, in this process, find our template and settings before any other."""
    for variable in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        paths = os.environ.get(variable, "").split(os.pathsep)
        os.environ[variable] = os.pathsep.join(dict.fromkeys([str(JUPYTER), *filter(None, paths)]))


def find_labs() -> list[Path]:
    return sorted(LABS.glob("*.py"))


def forget_executed() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)


def write_notebook(source: Path, target: Path) -> None:
    """Write the percent script `source` as a notebook without outputs; the same script gives the same bytes."""
    import jupytext
    import nbformat

    notebook = jupytext.read(source)
    notebook.cells = [cell for cell in notebook.cells if ON_PAGE_ONLY not in cell.metadata.get("tags", [])]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    write_if_changed(target, nbformat.writes(notebook) + "\n")
