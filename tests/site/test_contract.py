"""What holds between pages, snippets, experiments and tests, so that none of them can drift from the others."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.hooks.measure.experiment import Experiment, find_experiments
from docs.hooks.measure.imports import imported_modules
from docs.hooks.pages import PARTS, Page, find_pages, parts
from docs.hooks.show.catalogue import find_snippets
from docs.hooks.store import ROOT

FRAMEWORKS = {"pytorch": "torch", "keras": "keras", "numpy": "numpy"}
TABS = ["PyTorch", "Keras", "NumPy"]

every_page = pytest.mark.parametrize("page", find_pages(), ids=str)
every_copyable = pytest.mark.parametrize("snippet", find_snippets(), ids=str)
every_experiment = pytest.mark.parametrize("experiment", find_experiments(), ids=str)


@every_page
def test_include_directives_are_well_formed(page: Page):
    """A directive with a slip is printed as text and fails nothing."""
    written = [line for line in page.text.splitlines() if "--8<--" in line or re.search(r"-+8<-+", line)]
    assert len(written) == len(page.included), f"not all of these are a directive alone on its line: {written}"


@every_page
def test_sections_open_and_close_once(page: Page):
    """An unclosed section swallows the rest of its file, and of two with one name the first wins."""
    for target in page.included:
        path, _, section = target.partition(":")
        text = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""
        if section:
            assert len(re.findall(rf"--8<-- \[start:{re.escape(section)}\]", text)) == 1, target
            assert len(re.findall(rf"--8<-- \[end:{re.escape(section)}\]", text)) == 1, target
            assert path in page.included, f"{path} is walked through in sections: show it whole on the same page"


COMPANIONS = {f"diagnose_{name}": {f"check_model_{name}"} for name in ("pytorch", "keras")}
"""Of files that say in their docstring which one to put beside them."""


@every_page
def test_code_is_not_highlighted_by_line_number(page: Page):
    assert not re.search(r"hl_lines|linenums", page.text)


@every_page
def test_figures_have_an_alt_text_that_says_what_is_seen(page: Page):
    for alt, address in page.images:
        assert len(alt) >= 40, f"{address}: say what is to be seen, not only what it is: {alt!r}"


@every_page
def test_framework_tabs_have_their_names_and_order(page: Page):
    """The site remembers the reader's framework by the name of the tab."""
    tabs = re.findall(r'^ *===[!+]? "([^"]+)"', page.text, flags=re.MULTILINE)
    assert set(tabs) <= set(TABS), f"tabs are named {TABS}, got {tabs}"
    groups = re.split(r"\n(?=\S)(?!===)", page.text)
    for group in groups:
        order = [TABS.index(tab) for tab in re.findall(r'^=== "([^"]+)"', group, flags=re.MULTILINE)]
        assert order == sorted(set(order)), f"each framework once, in the order {TABS}: {group[:80]}"


@every_copyable
def test_a_copyable_file_is_shown_whole_and_offered_as_a_download(snippet: Path):
    showing = [page for page in find_pages() if snippet.as_posix() in page.included]
    assert showing, f"no page shows {snippet}"
    link = f"../downloads/{snippet.relative_to('snippets').as_posix()}"
    assert any(f"]({link}){{ download }}" in page.text for page in showing), f"offer it: [...]({link}){{ download }}"


@every_copyable
def test_a_copyable_file_needs_one_framework_and_nothing_of_this_project(snippet: Path):
    modules = {name.partition(".")[0] for name in imported_modules(snippet)}
    foreign = modules - set(sys.stdlib_module_names) - {"numpy"}
    framework = FRAMEWORKS[snippet.stem.rpartition("_")[2]]
    # Keras has no function for a gradient: that is its backend's.
    backend = {"tensorflow"} if framework == "keras" else set()
    # A report draws itself only where the reader has matplotlib.
    drawing = {"matplotlib"} if snippet.parent.name == "diagnostics" else set()
    companion = COMPANIONS.get(snippet.stem, set())
    assert foreign <= {framework} | backend | drawing | companion, f"{snippet} imports {foreign}"
    docstring = ast.get_docstring(ast.parse((ROOT / snippet).read_text(encoding="utf-8")))
    assert all(f"Put {name}.py beside this file" in docstring for name in companion)
    # What counts sizes needs Python alone.
    assert framework in modules or framework == "numpy"


@every_copyable
def test_a_copyable_file_is_short_and_documented(snippet: Path):
    text = (ROOT / snippet).read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert "Source:" in (ast.get_docstring(tree) or ""), "the docstring of the module names the source"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} promises nothing"


@every_copyable
def test_the_prose_of_a_copyable_file_fits_a_page(snippet: Path):
    """A block of code shows 80 characters of a line; whoever wants more must scroll."""
    text = (ROOT / snippet).read_text(encoding="utf-8")
    lines = text.splitlines()
    prose = [number for number, line in enumerate(lines) if line.lstrip().startswith("#")]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            prose += range(node.lineno - 1, node.end_lineno)
    assert [lines[number] for number in prose if len(lines[number]) > 80] == []


@pytest.mark.slow
@pytest.mark.parametrize("framework", [pytest.param("keras", marks=pytest.mark.keras), "torch", "numpy"])
def test_copyable_files_run_alone_in_an_empty_folder(framework: str, tmp_path: Path):
    """One isolated process per framework runs each file by itself: no installed project, no script folder."""
    names = [path for path in find_snippets() if FRAMEWORKS[path.stem.rpartition("_")[2]] == framework]
    assert names
    for name in names:
        (tmp_path / name.name).write_bytes((ROOT / name).read_bytes())
    # The folder itself is on the path only for a file that asks for another beside it.
    script = (
        "import pathlib, runpy, sys\n"
        "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder)]\n"
        "for file in sorted(pathlib.Path().glob('*.py')):\n"
        f"    path = [str(file.parent.absolute())] * (file.stem in {sorted(COMPANIONS)})\n"
        "    sys.path += path\n"
        "    print(file, flush=True); runpy.run_path(str(file), run_name='__main__')\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr[-2000:]}"
    assert len(run.stdout.split()) >= len(names)


@every_copyable
def test_the_signatures_of_a_copyable_file_stand_on_a_page(snippet: Path):
    page = ROOT / "docs" / "toolbox" / f"api-{snippet.stem.rpartition('_')[2]}.md"
    line = f"::: {'.'.join(snippet.with_suffix('').parts)}"
    assert line in page.read_text(encoding="utf-8").splitlines(), f"add a section to {page.name}: {line}"


@every_experiment
def test_the_page_of_its_topic_shows_figure_and_card(experiment: Experiment):
    toolbox = map(Page, Path("docs", "toolbox").glob("*.md"))
    homes = toolbox if experiment.topic == "diagnostics" else parts(experiment.topic.replace("_", "-"))
    page = next((page for page in homes if experiment.card.as_posix() in page.included), None)
    assert page, f"include {experiment.card}"
    assert f"../{experiment.figure.relative_to('docs').as_posix()}" in [address for _, address in page.images]
    assert not experiment.has_table or experiment.table.as_posix() in page.included


@every_page
def test_every_figure_shown_is_made_by_an_experiment(page: Page):
    made = {f"figures/{experiment}.svg" for experiment in find_experiments()}
    shown = {address[address.index("figures/") :] for _, address in page.images if "figures/" in address}
    assert shown <= made


@pytest.mark.parametrize("snippet", [path.relative_to(ROOT) for path in sorted(ROOT.glob("snippets/*/*.py"))], ids=str)
def test_every_snippet_has_its_test(snippet: Path):
    """Experiments are tested together, by `tests/test_experiments.py`."""
    mirror = ROOT / "tests" / snippet.parent.name / f"test_{snippet.name}"
    assert snippet.stem.startswith("experiment_") or mirror.is_file(), f"write {mirror.relative_to(ROOT)}"


def test_one_slug_names_chapter_snippets_and_tests():
    slugs = {path.stem for path in (ROOT / "docs" / "chapters").glob("*.md")}
    assert len(slugs) >= 7
    for folder in (*ROOT.glob("snippets/*/"), *ROOT.glob("tests/*/")):
        if not folder.name.startswith(("_", ".")):
            of_tests = (
                {"bench", "contract", "hooks", "learn", "site", "toolbox", "zoo"}
                if folder.parent.name == "tests"
                else set()
            )
            shared = {"laboratory", "diagnostics"} | of_tests
            assert folder.name in shared | {slug.replace("-", "_") for slug in slugs}, folder


@pytest.mark.parametrize("chapter", sorted((ROOT / "docs" / "chapters").glob("*.md")), ids=lambda path: path.stem)
def test_a_chapter_has_its_question_and_its_rungs(chapter: Path):
    text = chapter.read_text(encoding="utf-8")
    assert re.match(r"---\n(?=(.*\n)*?question: \S)(?=(.*\n)*?description: \S)", text)
    assert re.findall(r"\{ #(\w+) \}$", text, flags=re.MULTILINE)[0] == "answer"
    rungs = ["answer", "try", "picture", "why", "proof", "use", "recap", "limits", "check", "sources"]
    found = [rung for rung in re.findall(r"^## .*\{ #(\w+) \}$", text, flags=re.MULTILINE) if rung in rungs]
    assert found == [rung for rung in rungs if rung in found], f"the ladder has its order: {found}"
    if list(ROOT.glob(f"snippets/{chapter.stem.replace('-', '_')}/experiment_*.py")):
        may = {"try"} - set(found)
        assert found == [rung for rung in rungs if rung not in may], f"a chapter with experiments has them all: {found}"


@pytest.mark.parametrize("chapter", sorted((ROOT / "docs" / "chapters").glob("*.md")), ids=lambda path: path.stem)
def test_a_chapter_leads_to_all_its_experiments_and_files(chapter: Path):
    """What stands on its further pages is one step from the chapter, and under the address that it has there."""
    core, *further = parts(chapter.stem)
    for page in further:
        assert f"\nchapter: {chapter.stem}\n" in page.text, "the front matter says whose page it is"
        address = f"../{page.path.relative_to('docs').as_posix()}"
        assert page.sections and [name for name in page.sections if f"]({address}#{name})" not in core.text] == []


def test_a_further_page_belongs_to_a_chapter_or_its_code_to_a_tool():
    chapters, tools = ({path.stem for path in (ROOT / "docs" / name).glob("*.md")} for name in ("chapters", "toolbox"))
    for folder in PARTS:
        names = {path.stem for path in (ROOT / "docs" / folder).glob("*.md")}
        assert names <= (chapters | tools if folder == "code" else chapters)


@pytest.mark.parametrize("chapter", sorted((ROOT / "docs" / "chapters").glob("*.md")), ids=lambda path: path.stem)
def test_a_chapter_ends_in_five_lines(chapter: Path):
    recap = re.search(r"^## .*\{ #recap \}\n(.*?)^## ", chapter.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    if recap and list(ROOT.glob(f"snippets/{chapter.stem.replace('-', '_')}/experiment_*.py")):
        assert 1 <= len(re.findall(r"^\d\. ", recap[1], re.MULTILINE)) <= 5


@every_copyable
def test_a_copyable_file_states_the_oldest_version_it_needs(snippet: Path):
    if snippet.parent.name == "diagnostics":
        return
    oldest = {"numpy": "NumPy 1.26", "pytorch": "PyTorch 2.6", "keras": "Keras 3.9"}[snippet.stem.rpartition("_")[2]]
    text = ast.get_docstring(ast.parse((ROOT / snippet).read_text(encoding="utf-8")))
    assert f"Needs Python 3.10 and {oldest}, or newer." in text


CHAPTERS = [page for page in find_pages() if page.path.parent.name == "chapters"]
every_chapter = pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.path.stem)


@every_chapter
def test_no_heading_of_a_chapter_stands_over_folds_alone(page: Page):
    """Who skips what is folded reads one sentence there. The sources are a list, and so are the folds of `beyond`."""
    bare = re.findall(r"^#{2,3} .*\{ #([\w-]+) \}\n+(?=\?\?\? deeper)", page.text, re.MULTILINE)
    assert set(bare) <= {"sources", "beyond"}


@every_chapter
def test_a_chapter_leads_to_its_symbols_before_it_uses_them(page: Page):
    """One with a handful of formulas, as the worked example of the README, says in place what they hold."""
    (why,) = re.findall(r"^## .*\{ #why \}\n+(.*)$", page.text, re.MULTILINE)
    assert "](../toolbox/notation.md)" in why or page.text.count("$") < 40


STACKED = re.compile(r'<div class="(?:stacked|cheats|differences|learn-all)[^>]*>\n.*?\n</div>', re.DOTALL)


@every_page
def test_a_table_of_four_columns_has_a_form_for_a_phone(page: Page):
    """Which has no room for four columns of words; numbers that an experiment includes are narrower."""
    rest = STACKED.sub("", page.text)
    assert re.findall(r"^(?:\|[ :-]+){4,}\|$", rest, re.MULTILINE) == []


@every_page
def test_quotation_marks_of_sentences_are_curved(page: Page):
    text = re.sub(r"\A---.*?^---|^ *```.*?^ *```", "", page.text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ *(===|\?\?\?|!!!|--8<--).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`\n]*`|\{[^{}\n]*\}|</?[a-z][^>]*>|\]\([^)]*\)", "", text)
    assert re.findall(r'.*".*', text) == []


BRITISH = re.compile(
    r"\b\w*("
    r"(initial|normal|regular|optim|general|standard|summar|minim|maxim|organ|recogn|character|visual|vector|factor"
    r"|penal|quant|memor|random|stabil|special|parametr|orthogonal)is(e|ed|es|er|ing|ation)"
    r"|analys(e|ed|es|ing)|(col|fav|behavi|neighb|hon|lab|flav|rum)our(|ed|ing)|centre|centring|centred|grey|licence"
    r"|practise|(mode|labe|cance|trave|signa|leve)ll(ed|ing)|judgement|artefact|sceptic|learnt|spelt|whilst|amongst"
    r"|programme|defence|fulfil|per cent)s?\b",
    re.IGNORECASE,
)
"""Words that begin otherwise are found too, as `unlabelled`; `otherwise` and `emphasis` are none."""
WRITTEN = [page.path for page in find_pages()] + [
    *(path.relative_to(ROOT) for path in sorted((ROOT / "docs" / "learn").glob("*.yml"))),
    *map(Path, ("README.md", ".github/CONTRIBUTING.md")),
]


@pytest.mark.parametrize("path", WRITTEN, ids=str)
def test_the_spelling_is_american(path: Path):
    """Code, addresses and the cures, which are the words of a file to copy, are left alone."""
    text = re.sub(
        r"^```.*?^```|`[^`\n]*`|\]\([^)]*\)|\*Cure:\*[^*]*",
        "",
        (ROOT / path).read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
    assert {match.group() for match in BRITISH.finditer(text)} == set()


HUE = re.compile(r"\b(blue|red|orange|vermilion|green|purple|violet|yellow|olive|gold)\b", re.IGNORECASE)


@pytest.mark.parametrize("path", WRITTEN, ids=str)
def test_a_line_is_called_by_its_name(path: Path):
    """Not by its hue, which is another one in the dark, and which not everyone sees."""
    text = re.sub(
        r"^```.*?^```|`[^`\n]*`", "", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    assert HUE.findall(text) == []


SCRIPTS = [
    path.relative_to(ROOT)
    for folder in ("javascripts", "stylesheets", "overrides")
    for path in sorted((ROOT / "docs" / folder).rglob("*.*"))
    # The search knows how others spell; some are made by the build.
    if path.name not in {"search.js", "palette.css"} and path.parent.name != "made"
]


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_so_it_is_in_scripts_and_templates(path: Path):
    assert {match.group() for match in BRITISH.finditer((ROOT / path).read_text(encoding="utf-8"))} == set()


@pytest.mark.parametrize(
    "path", sorted(path.relative_to(ROOT) for path in ROOT.glob("snippets/*/*.py") if path.parent.name != "laboratory")
)
def test_so_it_is_in_claims_figures_and_docstrings(path: Path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    names = re.compile(r"`[^`\n]*`|\b\w*_\w*\b")
    assert {found for text in texts for found in map(re.Match.group, BRITISH.finditer(names.sub("", text)))} == set()


@pytest.mark.parametrize(
    "wrong", ["initialise", "Normalisation", "neighbours", "centred", "unlabelled", "licence", "grey", "per cent"]
)
def test_british_spelling_is_noticed(wrong: str):
    assert BRITISH.search(f"a {wrong} b")
    assert not BRITISH.search("otherwise, emphasis, precision, noise, revised, four, hour, your, telling, catalogue")
