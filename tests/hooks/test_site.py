"""What stops the site is named, and MkDocs says so without a traceback; an error of the build itself has its place."""

import re

import pytest

from docs.hooks import site
from tests.hooks.halving import PATH, SOUND, faulty

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("docs/hooks/measure/run.py", "values, refuted ="),
        ("docs/hooks/draw/style.py", "svg = text.getvalue()"),
        ("docs/hooks/measure/record.py", "return json.dumps(record"),
        ("docs/hooks/show/claims.html.j2", "{{ line.statement"),
        ("docs/hooks/progress.py", "self.started[task.name] = time"),
        ("docs/hooks/show/evidence.py", "sections = []"),
        ("docs/hooks/pages.py", "found = (path.relative_to"),
        ("docs/hooks/markdown/mathematics.py", "FOR_THE_SEARCH ="),
        ("docs/hooks/site.py", "labs.use_our_jupyter()"),
        ("docs/overrides/main.html", "{{ super() }}"),
    ],
)
def test_an_error_of_the_build_itself_is_named_with_file_and_line(finished, file, place):
    """The template among them: doit's threads once left standard error closed behind them."""
    text = (finished.root / file).read_text(encoding="utf-8")
    before = text[: text.index(place)]
    finished.write(file, text.replace(place, ("{{ nowhere.known }}" if "{{" in place else "1 / 0; ") + place, 1))

    run = finished.build_site()

    assert run.returncode == 1
    number = before.count("\n") + 1
    assert re.search(rf'{re.escape(file)}(:|", line ){number}\b', run.stdout), run.stdout


def test_mkdocs_stops_with_the_failures_and_without_a_traceback(sound):
    sound.write(PATH, faulty("    1 / 0"))

    run = sound.build_site()

    assert run.returncode != 0
    assert "ZeroDivisionError: division by zero" in run.stdout
    assert "The site is not built" in run.stdout and "Traceback" not in run.stdout
    sound.write(PATH, SOUND)
    assert sound.build_site().returncode == 0


def test_what_becomes_of_a_page_hangs_on_no_hook():
    """MkDocs' successor has none for pages: what a page shows is made before, or by extensions of Markdown."""
    assert {name for name in vars(site) if name.startswith("on_")} == {"on_pre_build", "on_post_build"}


def test_a_dead_link_fails_the_site_and_is_named(project):
    project.write("docs/index.md", "# Small\n\n[nowhere](nowhere.md)\n")

    run = project.build_site()

    assert run.returncode != 0
    assert "index.md" in run.stdout and "nowhere.md" in run.stdout


def test_a_missing_snippet_fails_the_site_and_is_named(project):
    project.write("docs/index.md", '# Small\n\n--8<-- "snippets/halving/nowhere.py"\n')

    run = project.build_site()

    assert run.returncode != 0
    assert "snippets/halving/nowhere.py" in run.stdout
