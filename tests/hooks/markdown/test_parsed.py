"""A page that was parsed before is the page that parsing makes."""

import markdown
import pytest
from mkdocs.config import load_config

from docs.hooks import store
from docs.hooks.markdown import parsed

PAGE = """
# A title with `code` and $x^2$ { #title }

A paragraph with *emphasis*, a [link](other.md#part), an ![image](figures/one.svg){ width="3" },
<kbd>HTML</kbd> & an entity &mdash;, two spaces at the end  
of a line, \\* and a [reference].

[reference]: https://example.org/ "title"

## A part

| a | b |
|---|---:|
| `x|y` | $\\lVert x\\rVert$ |

- one

    ```python title="one.py"
    gain = 2 ** 0.5
    ```

- two

=== "PyTorch"

    In a tab $x$.

=== "Keras"

    In another.

??? question "What is $x$?"
    It is **$y$**.

<figure markdown="span">
![what is to be seen](figures/two.svg)
<figcaption markdown="span">Caption *one* & $y$.</figcaption>
</figure>

<div class="evidence" markdown="1">
<p class="evidence-title" markdown="span">Of $x$</p>
<ul class="evidence-claims" markdown="1">
<li markdown="1">
<p markdown="span">Claim $n_\\text{in}$</p>
<dl>
<div><dt>This build</dt><dd>2</dd></div>
</dl>
</li>
</ul>
<p class="evidence-links" markdown="span">[A link](other.md){ download }</p>
</div>

<div id="raw">Raw <b>HTML</b></div>

    indented code < &

$$
\\frac{2}{n}
$$
"""


@pytest.fixture
def convert(tmp_path, monkeypatch):
    """HTML and table of contents, with the settings of the site, an empty memory, and without some extensions."""
    monkeypatch.setattr(store, "FUNCTIONS_OF_TEXT", tmp_path)
    config = load_config("mkdocs.yml")

    def convert(text, without=()):
        extensions = [name for name in config.markdown_extensions if name not in without]
        md = markdown.Markdown(extensions=extensions, extension_configs=config.mdx_configs)
        return md.convert(text), md.toc_tokens

    return convert


def test_a_page_that_was_parsed_before_is_the_page_that_parsing_makes(convert):
    page = convert(PAGE, without=["docs.hooks.markdown.parsed"])
    assert "one.py" in page[0]
    assert page[1][0]["id"] == "title"
    assert convert(PAGE) == page  # as it is remembered
    assert convert(PAGE) == page  # from the memory


@pytest.mark.parametrize(("old", "new"), [("A paragraph", "A phrase"), ("2 ** 0.5", "3 ** 0.5"), ("Raw", "raw")])
def test_a_changed_page_is_parsed_anew(convert, old, new):
    html, toc = convert(PAGE)
    assert convert(PAGE.replace(old, new))[0] != html
    assert convert(PAGE.replace(old, new)) == convert(PAGE.replace(old, new), without=["docs.hooks.markdown.parsed"])
    assert convert(PAGE) == (html, toc)


def test_a_page_is_parsed_anew_when_the_settings_change(convert, tmp_path, monkeypatch):
    convert("Words.")
    monkeypatch.setattr(parsed, "SETTINGS", tmp_path / "mkdocs.yml")
    parsed.SETTINGS.write_text("markdown_extensions: []")
    convert("Words.")
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_a_known_page_is_taken_from_the_memory(convert, tmp_path):
    convert(PAGE)
    entry = next(path for path in tmp_path.iterdir() if "A paragraph" in path.read_text(encoding="utf-8"))
    entry.write_text(entry.read_text(encoding="utf-8").replace("A paragraph", "Remembered"), encoding="utf-8")
    assert "<p>Remembered with <em>emphasis</em>" in convert(PAGE)[0]
    entry.write_text('{"made": [["div"')
    assert "<p>A paragraph with <em>emphasis</em>" in convert(PAGE)[0]


def test_a_page_is_parsed_anew_when_a_module_that_it_documents_changes(convert, tmp_path, monkeypatch):
    monkeypatch.setattr(parsed, "ROOT", tmp_path)
    memory = set(tmp_path.iterdir())
    for text in ("one = 1", "one = 2", "one = 2"):
        (tmp_path / "module.py").write_text(text, encoding="utf-8")
        convert("Words.\n\n::: module\n", without=["mkdocstrings"])
    assert len(set(tmp_path.glob("*.json")) - memory) == 2


def test_a_page_that_did_not_change_is_told_of_an_anchor_that_went(project):
    project.write("small.yml", "INHERIT: mkdocs.yml\nnav:\n  - index.md\n  - other.md\n")
    project.write("docs/index.md", "# Small\n\n[There](other.md#part), [and there](other.md#raw).\n")
    project.write("docs/other.md", '# Other\n\n## Part\n\n<div id="raw">Raw</div>\n')
    for _ in range(2):
        run = project.build_site()
        assert run.returncode == 0, run.stdout
    project.write("docs/other.md", "# Other\n\n## Renamed\n")

    run = project.build_site()

    assert run.returncode != 0
    assert "does not contain an anchor '#part'" in run.stdout
    assert "does not contain an anchor '#raw'" in run.stdout


def test_what_no_page_uses_any_more_is_forgotten(project):
    for words in ("One.", "Two."):
        project.write("docs/index.md", f"# Small\n\n{words}\n")
        assert project.build_site().returncode == 0
    kept = "".join(path.read_text(encoding="utf-8") for path in (project.root / ".cache/made").iterdir())
    assert "Two." in kept
    assert "One." not in kept
