"""The one sheet of a page holds what the page can use, in the old order, and nothing else."""

import pytest

from docs.hooks.publish import sheets

PAGE = '<html><body class="wide js-off"><p id="why" data-kind="a b">x</p><input type="checkbox" hidden></body></html>'


def rules(css: str, html: str = PAGE, scripts: str = "", theme: str = "") -> list[str]:
    first, *kept = sheets.purged(css, [html], scripts, theme).splitlines()
    assert first == '@charset "utf-8";'
    return kept


@pytest.mark.parametrize(
    "selector",
    [
        "p",
        ".wide",
        "#why",
        "*",
        "[hidden]",
        "[type=checkbox]",
        '[data-kind~="b"]',
        '[data-kind^="a"]',
        "p:hover",
        "p::before",
        "p:not(.nowhere)",
        ".wide > p:nth-child(2n + 1)",
        "p:is(.nowhere, #why)",
        "body:has(#why)",
        ":root",
        "::selection",
    ],
)
def test_a_rule_that_can_hold_stays(selector):
    assert rules(f"{selector} {{ color: red }}") == [f"{selector}{{color:red}}"]


@pytest.mark.parametrize(
    "selector",
    [
        "table",
        ".narrow",
        "#where",
        "[open]",
        "[type=radio]",
        '[data-kind~="c"]',
        "p.narrow",
        ".narrow p",
        "p:is(.nowhere, #where)",
        "body:has(table)",
        "table:hover",
        "[dir=rtl] p",
    ],
)
def test_a_rule_that_cannot_hold_goes(selector):
    assert rules(f"{selector} {{ color: red }}") == []


def test_of_a_list_those_selectors_stay_that_can_hold():
    assert rules("p, table, .wide { color: red }") == ["p,.wide{color:red}"]


def test_what_a_script_may_add_stays():
    script = 'one.classList.add("narrow"); make(`<table open data-kind="c">`); one.dir = "rtl"'
    css = ".narrow{top:0}table{top:1px}[open]{top:2px}.other{top:3px}[dir=rtl]{top:4px}"
    assert rules(css, scripts=script) == [".narrow{top:0}", "table{top:1px}", "[open]{top:2px}"]
    inline = f"{PAGE}<script>{script}</script>"
    assert rules(css, inline) == [".narrow{top:0}", "table{top:1px}", "[open]{top:2px}"]


def test_of_the_script_of_the_theme_only_names_count():
    """It is minified: its variables and properties are words as well. What it makes has names with hyphens."""
    theme = 'var note="x";a.classList.add("md-top--on","js");h("mark");e.hidden=1;b("md-version__list")'
    css = ".note{top:0}.md-top--on{top:1px}.js p{top:2px}mark{top:3px}.md-version__list{top:4px}"
    assert rules(css, theme=theme) == [".md-top--on{top:1px}", ".js p{top:2px}", "mark{top:3px}"]


def test_a_name_that_a_script_ends_itself_stays():
    css = ".tabs--next{top:0}.tabs--prev{top:1px}.tab--next{top:2px}"
    assert rules(css, theme='h("div",{class:`tabs--${side}`})') == [".tabs--next{top:0}", ".tabs--prev{top:1px}"]


def test_a_word_of_the_text_is_no_class():
    assert rules(".note { color: red }", f"{PAGE}<p>note</p>") == []


def test_groups_keep_their_rules_and_vanish_without_any():
    css = "@media print { p { top: 0; left: 0 } table { top: 0 } } @media screen { table { top: 0 } }"
    assert rules(css) == ["@media print{p{top:0;left:0}}"]
    assert rules("@supports (top: 0) { @media print { p { top: 0 } p { left: 0 } } }") == [
        "@supports (top: 0){@media print{p{top:0}p{left:0}}}"
    ]
    assert rules("@page { margin: 1cm }") == ["@page{margin:1cm}"]


def test_custom_properties_that_nothing_names_go_one_after_the_other():
    css = ":root{--a:var(--b);--b:1;--c:var(--d);--d:2;--e:3;--f:4}p{top:var(--a)}"
    assert rules(css, f'{PAGE}<p style="--e:5"></p>', 'get("--f")') == [
        ":root{--a:var(--b);--b:1;--e:3;--f:4}",
        "p{top:var(--a)}",
    ]


def test_animations_and_fonts_that_nothing_names_go():
    css = """
    @keyframes used { from { top: 0 } to { top: 1px } } @keyframes unused { from { top: 0 } }
    @font-face { font-family: "Used"; src: url(used.woff2) } @font-face { font-family: "Other"; src: url(x.woff2) }
    body { --font: "Used", serif; animation: used 1s; font-family: var(--font) } table { font-family: "Other" }
    """
    assert rules(css) == [
        "@keyframes used{from{top:0}to{top:1px}}",
        '@font-face{font-family:"Used";src:url(used.woff2)}',
        'body{--font:"Used", serif;animation:used 1s;font-family:var(--font)}',
    ]


def test_tabs_are_counted():
    tabs = "".join(f'<input type="radio" id="__tabbed_1_{number}">' for number in (1, 2))
    css = ".wide>input:nth-child(2):checked~p{top:0}.wide>input:nth-child(3):checked~p{top:0}p:nth-child(3){top:0}"
    assert rules(css, f'<div class="wide">{tabs}<p>') == [
        ".wide>input:nth-child(2):checked~p{top:0}",
        "p:nth-child(3){top:0}",
    ]


def test_values_are_not_touched():
    css = 'p{content:"a  b;}";--x: ;top:calc( 1px  +  2px )!important;background:url("data:a  b")}'
    assert rules(css, f'{PAGE}<p style="top:var(--x)">') == [
        'p{content:"a  b;}";--x: ;top:calc( 1px + 2px )!important;background:url("data:a  b")}'
    ]


@pytest.mark.parametrize("css", ["p { top 0 }", "p { top: 0", "@import 'x.css';", "p { a { top: 0 } }"])
def test_what_cannot_be_joined_is_an_error(css):
    if css == "p { top: 0":  # ends with the file, as CSS allows
        assert rules(css) == ["p{top:0}"]
        return
    with pytest.raises(ValueError, match=r"joined"):
        rules(css)


@pytest.fixture
def site(tmp_path):
    links = '<link rel="stylesheet" href="{0}assets/main.css">\n\n <link rel="stylesheet" href="{0}fonts/own/x.css">'
    pages = {"index.html": "", "404.html": "/proofs/", "chapters/one/index.html": "../../", "learn/index.html": "../"}
    files = {page: f"<head>{links.format(root)}</head><p>{page}" for page, root in pages.items()} | {
        "assets/main.css": "p{top:0}h1{top:0}",
        "assets/main.css.map": "{}",
        "fonts/own/x.css": "p{top:1px;background:url(y.svg)}h2{background:url('data:z')}",
        "chapters/two/index.html": f"<head>{links.format('../../')}</head><h1></h1><h2></h2>",
        "assets/bundle.js": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "stylesheets").mkdir()
    return tmp_path


def test_each_kind_of_page_gets_a_sheet_of_its_own(site):
    sheets.publish(site)

    found = {path.name.partition(".")[0]: path for path in (site / "stylesheets").iterdir()}
    assert set(found) == {"home", "chapters", "learn"}
    for page, root in {"index.html": "", "404.html": "/proofs/", "learn/index.html": "../"}.items():
        name = found["learn" if page.startswith("learn") else "home"].name
        assert f'<head><link rel="stylesheet" href="{root}stylesheets/{name}"></head>' in (site / page).read_text()
    assert found["home"].read_text() == ('@charset "utf-8";\np{top:0}\np{top:1px;background:url(../fonts/own/y.svg)}\n')
    assert "h1{top:0}" in found["chapters"].read_text() and 'url("data:z")' in found["chapters"].read_text()
    assert not list(site.glob("*/main.css*")) and not list(site.glob("fonts/own/*.css"))


def test_indents_go_where_nobody_sees_them():
    html = "<p>\n    a\n\n  b </p>\n<pre>  x\n\n  y</pre>\n\n<script>\n  1\n</script> <b>c</b>  d\n"
    assert sheets.without_indents(html) == (
        "<p>\na\nb </p>\n<pre>  x\n\n  y</pre>\n<script>\n  1\n</script> <b>c</b>  d\n"
    )


@pytest.mark.parametrize(("attribute", "stays"), [("switching", True), ("scheme=slate", False)])
def test_of_the_color_a_script_says_when_it_switches_and_the_page_says_which(attribute, stays):
    """The rule that stops fades while the scheme switches: without it text fades in on the wrong paper."""
    theme = 'body.setAttribute("data-md-color-switching",""),body.setAttribute("data-md-color-scheme","slate")'
    assert bool(rules(f"[data-md-color-{attribute}] * {{ color: red }}", theme=theme)) == stays
