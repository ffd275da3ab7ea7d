"""Labs are executed when the site is built, again only when something changed, and a lab that raises is named."""

import json
import re

import pytest

LAB = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: small
#
# Adds two numbers.

# %%
import time

print("the sum is", 20 + 22)
time.sleep(0.5)
print("in one block")
"""


@pytest.fixture
def lab(project):
    """A small project with one lab."""
    project.write("small.yml", "INHERIT: mkdocs.yml\nnav:\n  - index.md\n  - Labs:\n      - labs/small.py\n")
    project.write("docs/labs/small.py", LAB)
    return project


def test_a_lab_is_executed_shown_described_and_offered_and_a_warm_build_executes_nothing(lab):
    run = lab.build_site()

    assert run.returncode == 0, run.stdout
    page = (lab.root / "site/labs/small/index.html").read_text(encoding="utf-8")
    assert "<code>the sum is 42\nin one block\n</code>" in page
    assert '<meta name="description" content="Adds two numbers.">' in page
    assert "<style" not in re.sub(r"<head>.*</head>", "", page, flags=re.DOTALL)
    notebook = json.loads((lab.root / "site/downloads/labs/small.ipynb").read_text(encoding="utf-8"))
    assert [cell["cell_type"] for cell in notebook["cells"]] == ["markdown", "code"]
    assert notebook["cells"][1]["outputs"] == []
    (lab.root / "docs/downloads/labs/gone.ipynb").write_text("{}")

    warm = lab.build_site()

    assert "Cache hit" in warm.stdout and "Converting" not in warm.stdout
    assert not (lab.root / "docs/downloads/labs/gone.ipynb").exists()


def test_a_lab_that_raises_stops_the_site_and_is_named_and_its_cure_is_enough(lab):
    lab.write("docs/labs/small.py", LAB.replace("20 + 22", "20 / 0"))

    run = lab.build_site()

    assert run.returncode != 0
    said = re.sub(r"\x1b\[[\d;]*m", "", run.stdout)  # the colours of the traceback
    assert "Error reading page 'labs/small.py'" in said and "ZeroDivisionError: division by zero" in said
    lab.write("docs/labs/small.py", LAB)
    assert lab.build_site().returncode == 0


TEMPLATE = "docs/hooks/show/jupyter/nbconvert/templates/mkdocs_html/notebook.html.j2"


FILTERS = "docs/hooks/show/labs.py"


@pytest.mark.parametrize("change", [TEMPLATE, FILTERS, "torch-99.dist-info/METADATA"])
def test_executed_labs_are_forgotten_when_what_they_rest_on_changes(lab, change):
    """The first version of a package that is found counts, and the project stands before the installed packages."""
    lab.make_figures()
    executed = lab.write(".cache/mkdocs-jupyter/executed.json", "{}")
    lab.make_figures()
    assert executed.is_file()
    before = (
        (lab.root / change).read_text(encoding="utf-8")
        if change != "torch-99.dist-info/METADATA"
        else "Name: torch\nVersion: 99"
    )
    lab.write(change, f"{before}\n")

    lab.make_figures()

    assert not executed.exists()


def test_a_damaged_cache_of_an_executed_lab_is_forgotten(lab):
    lab.make_figures()
    whole = lab.write(".cache/mkdocs-jupyter/whole.json", '{"content": ""}')
    cut_short = lab.write(".cache/mkdocs-jupyter/cut.json", '{"content": "')

    lab.make_figures()

    assert whole.is_file() and not cut_short.exists()
