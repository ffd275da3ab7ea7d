"""Labs: the template of their pages, and the notebooks.

mkdocs-jupyter executes and renders a lab. Its own template brings 575 kB of styles, MathJax from elsewhere and a second
copy of each cell. nbconvert looks for templates in JUPYTER_PATH first, and ours has the same name.

The notebooks lie beside the labs in the repository, since Colab and Binder open what a repository holds.
"""

import os
import re
import shutil
from html import escape
from pathlib import Path

from docs.hooks.draw import scheme, theme
from docs.hooks.markdown import formulas, katex
from docs.hooks.markdown.mathematics import CLOSING, FOR_THE_SEARCH, IN_A_LINE, OPENING
from docs.hooks.store import write_if_changed

LABS = Path("docs", "labs")
CACHE = Path(".cache", "mkdocs-jupyter")
"""Where mkdocs-jupyter keeps the labs that it executed."""

JUPYTER = Path(__file__).resolve().parent / "jupyter"


def use_our_jupyter() -> None:
    """Let nbconvert, in this process, find our template and settings before any other."""
    for variable in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        paths = os.environ.get(variable, "").split(os.pathsep)
        os.environ[variable] = os.pathsep.join(dict.fromkeys([str(JUPYTER), *filter(None, paths)]))
    from nbconvert.exporters.templateexporter import default_filters

    default_filters |= {"figure": figure, "set_apart": set_apart, "typeset": typeset}


def figure(svg: str) -> str:
    """A drawing of matplotlib that follows the reader's scheme: its palette as it is, its black as the ink."""
    ink = scheme.STAND_INS["ink"]
    svg = svg[svg.index("<svg") :].replace("#000000", ink).replace("<svg ", f'<svg fill="{ink}" ', 1)
    return theme.painted(scheme.name_colours(svg))


def set_apart(source: str) -> str:
    """The Markdown of a cell with each formula as one word, which the notebook's Markdown does not touch."""
    parts, end = [], 0
    for code in formulas.NOT_PROSE.finditer(source):
        parts += [_words(source[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _words(source[end:])])


def _words(prose: str) -> str:
    prose = formulas.DISPLAY.sub(lambda found: _word("display", found[1]), prose)
    return formulas.INLINE.sub(lambda found: _word("inline", found[3]) if found[3] else found[0], prose)


def _word(kind: str, tex: str) -> str:
    return f"tex{kind}{tex.strip().encode().hex()}tex"


def typeset(html: str) -> str:
    """What was set apart, as the pages of the site have it: see `mathematics.py`."""
    html = re.sub(r"(?:<p>)?texdisplay([0-9a-f]+)tex(?:</p>)?", _typeset_display, html)
    return IN_PROSE.sub(_typeset_inline, html)


IN_PROSE = re.compile(f"({OPENING.pattern.rstrip('$')})texinline([0-9a-f]+)tex({CLOSING.pattern})")


def _typeset_display(word: re.Match[str]) -> str:
    formula = katex.render(bytes.fromhex(word[1]).decode(), display=True)
    return f'{_for_the_search(formula)}<div class="katex-display" data-search-exclude>{formula.html}</div>'


def _typeset_inline(word: re.Match[str]) -> str:
    opening, tex, closing = word.groups()
    formula = katex.render(bytes.fromhex(tex).decode())
    inner = formula.html.removeprefix('<span class="katex">').removesuffix("</span>")
    shown = f'{_for_the_search(formula)}<{IN_A_LINE} class="katex" data-search-exclude>{inner}</{IN_A_LINE}>'
    return f'<span class="tied">{opening}{shown}{closing}</span>' if opening or closing else shown


def _for_the_search(formula: katex.Formula) -> str:
    return f"<{FOR_THE_SEARCH} hidden>{escape(formula.text)}</{FOR_THE_SEARCH}>"


def prose(lab: Path) -> str:
    """The text of a lab in lines of the same number as in its file; its code is left out."""
    kept, is_prose = [], False
    for line in lab.read_text(encoding="utf-8").splitlines():
        is_prose = "[markdown]" in line if line.startswith("# %%") else is_prose and line.startswith("#")
        kept.append(re.sub("^# ?", "", line) if is_prose and not line.startswith("# %%") else "")
    return "\n".join(kept)


def find_labs() -> list[Path]:
    return sorted(LABS.glob("*.py"))


def forget_executed() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)


def write_notebook(source: Path, target: Path) -> None:
    """Write the percent script `source` as a notebook without outputs; the same script gives the same bytes."""
    import jupytext
    import nbformat

    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    write_if_changed(target, nbformat.writes(notebook) + "\n")
