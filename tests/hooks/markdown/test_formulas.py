"""Bad LaTeX stops the build with its place; the fonts hold the glyphs of all formulas, and no others."""

import shutil

import pytest
from fontTools.ttLib import TTFont

from docs.hooks.markdown import fonts, formulas, katex
from tests.hooks.halving import SOUND

GOOD = "# Small\n\nThe root $\\sqrt{2/n}$.\n"


def font(project, face: str) -> set[int]:
    return set(TTFont(project.root / "docs/fonts/katex" / f"{face}.woff2").getBestCmap())


def test_bad_latex_stops_the_site_with_page_line_formula_reason_and_place(project):
    project.write("docs/index.md", GOOD + "\nA slip: $a + \\sqr{2}$ here.\n")

    run = project.build_site()

    assert run.returncode != 0
    assert (
        "docs/index.md:5: KaTeX cannot set this formula: Undefined control sequence: \\sqr\n"
        "    a + \\sqr{2}\n"
        "        ^\n" in run.stdout
    )
    assert "The site is not built" in run.stdout and "Traceback" not in run.stdout
    project.write("docs/index.md", GOOD)
    assert project.build_site().returncode == 0


def test_the_line_is_the_authors_one_after_front_matter_and_an_included_file(project):
    project.write("snippets/halving/long.py", "\n" * 50)
    front_matter = "---\nquestion: Why?\ndescription: Because\n---\n"
    included = '```python\n--8<-- "snippets/halving/long.py"\n```\n'
    project.write(
        "docs/index.md", f"{front_matter}# Small\n\n{included}\n- item\n\n    $$\n    x\n    = \\no\n    $$\n"
    )

    assert (
        "docs/index.md:15: KaTeX cannot set this formula: Undefined control sequence: \\no"
        in project.build_site().stdout
    )


def test_all_bad_formulas_of_a_run_come_together_with_the_failed_experiments(project):
    project.write("docs/index.md", "# Small\n\nOne $\\one$,\nand $\\two$.\n")
    project.write("docs/toolbox/other.md", "# Other\n\n$$\n\\three\n$$\n")
    project.write("snippets/halving/experiment_sound.py", SOUND.replace("np.arange", "np.nowhere"))

    run = project.build_site()

    for part in ("docs/index.md:3: ", "docs/index.md:4: ", "docs/toolbox/other.md:4: ", "np.nowhere"):
        assert part in run.stdout.partition("failed:")[2]


@pytest.mark.parametrize("written", ['"The $\\\\step$ halves"', 'r"The $\\step$ halves"'])
def test_bad_latex_in_a_card_is_named_with_the_line_of_the_experiment(project, written):
    project.write("snippets/halving/experiment_sound.py", SOUND.replace('"The first step halves"', written))

    run = project.make_figures()

    assert run.returncode != 0
    line = SOUND[: SOUND.index("The first step halves")].count("\n") + 1
    assert f"snippets/halving/experiment_sound.py:{line}: KaTeX cannot set this formula" in run.stdout
    project.write("snippets/halving/experiment_sound.py", SOUND)
    assert project.make_figures().returncode == 0


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("costs $5 and $6", [3]),
        ("text\n$$\nx\n$$\ntext", [4]),
        ("a $ b", [3]),
        ("$$x$$ in a line", [3]),
        ("| a | b |\n|---|---|\n| $|x|$ | $y$ |\n| $P(a|b)$ | $\\lvert x\\rvert\\|$ |", [5, 6]),
    ],
)
def test_what_would_silently_be_no_formula_is_asked_about(text, lines):
    _, slips = formulas.read(f"# Small\n\n{text}\n")

    assert [slip.line for slip in slips] == lines


def test_the_fonts_hold_the_glyphs_of_the_formulas_and_no_others(project):
    project.write(
        "docs/index.md", "# Small\n\nA $x,+\\mathbb E y$, $\\mathbf b$.\n\n$$\n\\sum_i\\Bigl(\\mathcal L\\Bigr)\n$$\n"
    )

    assert project.make_figures().returncode == 0

    faces = {path.stem for path in (project.root / "docs/fonts/katex").glob("*.woff2")}
    assert faces == {f"KaTeX_{face}" for face in ("AMS-Regular", "Caligraphic-Regular", "Main-Bold", "Main-Regular",
                                                  "Math-Italic", "Size2-Regular")}  # fmt: skip
    assert font(project, "KaTeX_Math-Italic") == set(map(ord, "xyi"))
    assert font(project, "KaTeX_Main-Regular") == {ord("+"), ord(",")}
    assert font(project, "KaTeX_Main-Bold") == {ord("b")}
    assert font(project, "KaTeX_AMS-Regular") == {ord("E")}
    assert font(project, "KaTeX_Size2-Regular") == set(map(ord, "∑()"))
    sheet = (project.root / "docs/fonts/katex/katex.css").read_text(encoding="utf-8")
    assert sheet.count("@font-face") == len(faces) == sheet.count("src:url(KaTeX_")
    assert "fonts/" not in sheet


def test_a_glyph_in_a_card_gets_into_the_fonts(project):
    project.write("snippets/halving/experiment_sound.py", SOUND.replace("The first step", "The step $\\\\xi$"))

    assert project.make_figures().returncode == 0
    assert font(project, "KaTeX_Math-Italic") == {ord("ξ")}


def test_a_new_glyph_arrives_and_a_gone_face_goes(project):
    project.write("docs/index.md", "# Small\n\n$x$ $\\mathbb E$\n")
    project.make_figures()
    assert font(project, "KaTeX_Math-Italic") == {ord("x")}
    project.write("docs/index.md", "# Small\n\n$x+y$\n")

    assert project.make_figures().returncode == 0

    assert font(project, "KaTeX_Math-Italic") == set(map(ord, "xy"))
    assert not (project.root / "docs/fonts/katex/KaTeX_AMS-Regular.woff2").exists()


def test_unchanged_fonts_are_not_written_again(project):
    """Else the live reload, which watches the folder, would build for ever."""
    project.write("docs/index.md", GOOD)
    project.make_figures()
    folder = project.root / "docs/fonts/katex"
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    project.write("docs/index.md", GOOD + "\nMore words, and $n$ once more.\n")

    assert project.make_figures().returncode == 0
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written


@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_a_damaged_font_is_made_again_with_the_same_bytes(project, damage):
    project.write("docs/index.md", GOOD)
    project.make_figures()
    path = project.root / "docs/fonts/katex/KaTeX_Math-Italic.woff2"
    before = path.read_bytes()
    path.unlink()
    if damage == "cut short":
        path.write_bytes(before[:100])

    assert project.make_figures().returncode == 0
    assert path.read_bytes() == before


def test_a_site_without_fonts_builds_without_a_warning(project):
    shutil.rmtree(project.root / "docs/fonts/katex", ignore_errors=True)
    project.write("docs/index.md", GOOD)

    run = project.build_site()

    assert run.returncode == 0, run.stdout
    assert "WARNING" not in run.stdout
    assert (project.root / "site/fonts/katex/KaTeX_Main-Regular.woff2").is_file()
    (sheet,) = (project.root / "site/stylesheets").glob("home.*.css")
    assert "url(../fonts/katex/KaTeX_Main-Regular.woff2)" in sheet.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tex", "face", "character"),
    [
        (r"\mathrm{d}", "Main-Regular", "d"),
        (r"\text{words}", "Main-Regular", "w"),
        (r"\textit{w}", "Main-Italic", "w"),
        (r"\textbf{\textit{w}}", "Main-BoldItalic", "w"),
        (r"\boldsymbol\theta", "Math-BoldItalic", "θ"),
        (r"\mathfrak g", "Fraktur-Regular", "g"),
        (r"\mathscr L", "Script-Regular", "L"),
        (r"\mathsf S", "SansSerif-Regular", "S"),
        (r"\mathtt t", "Typewriter-Regular", "t"),
        (r"\bigl(x\bigr)", "Size1-Regular", "("),
        (r"\Biggl(x\Biggr)", "Size4-Regular", "("),
        (r"\sum_i", "Size1-Regular", "∑"),
        (r"\lesssim", "AMS-Regular", "≲"),
        (r"\left\{\begin{matrix}a\\b\\c\\d\\e\end{matrix}\right\}", "Size4-Regular", "⎨"),
    ],
)
def test_a_character_is_looked_for_in_the_face_that_shows_it(tex, face, character):
    assert (f"KaTeX_{face}", character) in fonts.glyphs(katex.render(tex))
