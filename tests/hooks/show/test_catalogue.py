"""The page of all snippets and the archive: complete, true to the files, and a clear word where a place is missing."""

import io
import re
import zipfile
from pathlib import Path

from docs.hooks.show import catalogue
from docs.hooks.show.catalogue import TASKS, Docstring, archive, concepts, find_snippets, sections
from docs.hooks.store import ROOT

SNIPPET = '''"""Halve a number.

    y = x / 2

Half of it, in words.
Source: Euclid, Elements,
book X, proposition 1.
"""

import numpy as np
'''


def test_every_copyable_file_is_on_the_page_once():
    offered = re.findall(r"\]\(\.\./downloads/([a-z]\w*/\w+\.py)\)\{ download \}", catalogue.catalogue())
    assert sorted(offered) == [path.relative_to("snippets").as_posix() for path in find_snippets()]


def test_every_concept_that_a_task_names_exists():
    named = [name for task in TASKS for name in task.concepts]
    assert len(named) == len(set(named))
    assert {name for name in named if "*" not in name} <= set(concepts())


def test_every_file_has_its_tests_and_its_page_beside_it():
    entries = catalogue.catalogue().split("\n### ")[1:]
    assert len(entries) == len(concepts())
    for entry in entries:
        assert entry.count("../downloads/tests/") == entry.split("{ .files }")[0].count("{ download }"), entry
        assert "Explained in [" in entry, entry


def test_every_place_has_its_own_address():
    anchors = re.findall(r"\{ #([\w-]+) \}$", catalogue.catalogue(), flags=re.MULTILINE)
    assert len(anchors) == len(set(anchors)) == len(sections()) + len(concepts())


def test_files_of_one_concept_stand_in_the_order_of_the_tabs():
    assert [path.stem for path in concepts()["he_initialization/he_init"].files] == [
        "he_init_pytorch", "he_init_keras", "he_init_numpy"]  # fmt: skip


def test_a_pattern_takes_what_no_task_names(monkeypatch):
    monkeypatch.setattr(catalogue, "TASKS", (catalogue.Task("all", ("*",)), catalogue.Task("one", ("a/b",))))
    one, two = catalogue.Concept("a/b", ()), catalogue.Concept("a/c", ())
    monkeypatch.setattr(catalogue, "concepts", lambda: {"a/b": one, "a/c": two})
    assert [own for _, own in sections()] == [[two], [one]]


def test_what_is_read_off_a_docstring(tmp_path):
    file = tmp_path / "halve_numpy.py"
    file.write_text(SNIPPET, encoding="utf-8")
    assert Docstring.of(file) == ("Halve a number.", "y = x / 2", "Euclid, Elements, book X, proposition 1.")


def test_a_formula_may_have_several_lines_and_a_gap():
    words = Docstring.of(Path("snippets/exploding_gradients/finite_guard_pytorch.py"))
    assert words.formula.startswith("with finite_guard(model):\n    loss = ")
    assert words.formula.splitlines()[3] == ""
    assert words.formula.splitlines()[4].startswith("FloatingPointError: ")


def test_the_archive_is_the_same_to_the_byte_and_holds_all_files():
    data = archive()
    assert archive() == data
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        held = {entry.filename: zipped.read(entry) for entry in zipped.infolist()}
        assert {entry.date_time for entry in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    wanted = {path.relative_to("snippets").as_posix(): path for path in find_snippets()} | {"LICENSE": Path("LICENSE")}
    assert held == {f"well-initialized-snippets/{name}": (ROOT / path).read_bytes() for name, path in wanted.items()}


def test_the_build_makes_page_archive_and_copies_and_clears_them_away(project):
    file = project.write("snippets/he_initialization/he_init_numpy.py", SNIPPET)
    test = project.write("tests/he_initialization/test_he_init_numpy.py", "")
    shown = '--8<-- "snippets/he_initialization/he_init_numpy.py"'
    page = f"# Halves\n\n## Why {{ #why }}\n\n## Use {{ #use }}\n\n{shown}\n\n## End {{ #end }}\n"
    project.write("docs/toolbox/halves.md", page)
    assert project.make_figures().returncode == 0
    page = (project.root / "docs/figures/snippets.md").read_text(encoding="utf-8")
    assert "## Draw the weights of a layer {" in page and "y = x / 2" in page
    assert "Explained in [Halves: Use](../toolbox/halves.md#use). Tests: [NumPy](" in page
    downloads = project.root / "docs" / "downloads"
    with zipfile.ZipFile(downloads / "well-initialized-snippets.zip") as zipped:
        assert "well-initialized-snippets/he_initialization/he_init_numpy.py" in zipped.namelist()
    copied = downloads / "tests" / "he_initialization" / test.name
    assert copied.is_file()

    file.unlink()
    assert project.make_figures().returncode == 0
    assert not copied.exists()
    assert (project.root / "docs/figures/snippets.md").read_text(encoding="utf-8") == ""


def test_a_snippet_without_a_place_stops_the_build_and_says_what_to_do(project):
    project.write("snippets/halving/halve_numpy.py", SNIPPET)
    run = project.make_figures()
    assert run.returncode == 1
    assert "halving/halve: say what a reader wants it for. Add each name to a task of TASKS in docs/" in run.stdout


def test_a_snippet_of_no_framework_stops_the_build(project):
    project.write("snippets/halving/halve.py", SNIPPET)
    run = project.make_figures()
    assert run.returncode == 1
    assert "snippets/halving/halve.py: the name of a copyable file ends in one of" in run.stdout


def test_a_snippet_without_a_source_stops_the_build(project):
    project.write("snippets/he_initialization/he_init_numpy.py", '"""Halve."""\n')
    run = project.make_figures()
    assert run.returncode == 1
    assert "he_init_numpy.py: the docstring says what the file is for" in run.stdout
