"""One definition of a page, and what it says of itself."""

from pathlib import Path

from docs.hooks import pages
from docs.hooks.pages import Page, find_pages, find_places

TEXT = """---
question: Why?
---
# A title

--8<-- "snippets/topic/early.py"

## First { #first }

![what is to be seen](../figures/topic/one.svg)

=== "PyTorch"

    --8<-- "snippets/topic/code.py"

## Second { #second }

--8<-- "snippets/topic/code.py"
--8<-- snippets/topic/not_quoted.py
"""


def written(folder: Path, monkeypatch, **texts: str) -> None:
    monkeypatch.setattr(pages, "ROOT", folder)
    for name, text in texts.items():
        file = folder / "docs" / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def test_a_page_says_what_it_holds(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, **{"chapters/page": TEXT})
    page = Page(Path("docs/chapters/page.md"))

    assert page.title == "A title"
    assert page.sections == ["first", "second"]
    assert page.images == [("what is to be seen", "../figures/topic/one.svg")]
    assert page.included == ["snippets/topic/early.py", "snippets/topic/code.py", "snippets/topic/code.py"]
    assert page.places == {
        "snippets/topic/early.py": "[A title](../chapters/page.md)",
        "snippets/topic/code.py": "[A title: First](../chapters/page.md#first)",
    }


def test_what_the_build_writes_is_no_page(tmp_path, monkeypatch):
    texts = {f"{folder}/one": TEXT for folder in ("chapters", "figures/topic", "hooks", "overrides", "toolbox")}
    written(tmp_path, monkeypatch, index="# Home\n", **texts)

    assert [str(page) for page in find_pages()] == ["docs/chapters/one.md", "docs/index.md", "docs/toolbox/one.md"]
    links = [f"[A title: First](../{folder}/one.md#first)" for folder in ("chapters", "toolbox")]
    assert find_places()["snippets/topic/code.py"] == links
