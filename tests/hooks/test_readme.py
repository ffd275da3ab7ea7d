"""The README says what is true: its commands, its paths, and its worked example, followed here to the letter."""

import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^(`{3,}).*?^\1$", "", README, flags=re.DOTALL | re.MULTILINE)
EXPERIMENT = "snippets/sigmoid_slope/experiment_quarter.py"
CHAPTER = "docs/chapters/sigmoid-slope.md"


def block(language: str) -> str:
    """The one fenced block in this language."""
    [(_, text)] = re.findall(rf"^(`{{3,}}){language}\n(.*?)^\1$", README, flags=re.DOTALL | re.MULTILINE)
    return text


def test_the_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    commands = [*block("sh").splitlines(), *re.findall(r"`([^`]+)`", PROSE)]
    named = {found[1] for command in commands if (found := re.match(r"make (?:[A-Z]+=\S+ )?([a-z]+)", command))}
    assert {"serve", "test"} <= named <= targets


def test_the_paths_exist():
    named = {path for path in re.findall(r"`([\w./-]+)`", PROSE) if "/" in path or path.endswith((".yml", ".txt"))}
    assert len(named) >= 10
    assert [path for path in named - {EXPERIMENT, CHAPTER} if not (ROOT / path).exists()] == []


def test_the_picture_is_there_for_light_and_dark_and_small():
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert pictures == [".github/page-dark.webp", ".github/page-light.webp"]
    assert all(0 < (ROOT / picture).stat().st_size < 150_000 for picture in pictures)
    assert len(re.search(r'alt="([^"]+)"', README)[1]) >= 40


def test_the_pythons_agree():
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    oldest, beyond = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", promised).groups())
    needed = re.search("You need Python .*", PROSE)[0]
    minors = [int(minor) for minor in re.findall(r"3\.(\d+)", needed)]
    assert minors == list(range(oldest, beyond))
    assert int(re.search(r"py -3\.(\d+)", block("powershell"))[1]) in minors


def test_without_make_the_same_is_installed_and_the_same_tests_run():
    lines = block("powershell").splitlines()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [line.partition(" -m ")[2] for line in lines] == [
        "venv .venv",
        "pip install --require-hashes -r docs/hooks/requirements.lock",
        "pip install -r requirements.txt",
        "mkdocs serve",
        'pytest -m "not keras and not thorough"',
        'pytest -m "keras and not thorough"',
    ]
    assert "$(RUN) mkdocs serve" in makefile and "TEST := $(RUN) pytest " in makefile
    for half in ("not keras", "keras"):
        assert f'$(TEST) -m "{half} and not thorough" ' in makefile


@pytest.fixture
def followed(project):
    """The small project after its author did what the README says."""
    project.write(EXPERIMENT, block("python"))
    project.write(CHAPTER, block("markdown"))
    project.write("docs/toolbox/evidence-ledger.md", '# All evidence\n\n--8<-- "docs/figures/evidence-ledger.md"\n')
    nav = f"nav:\n- index.md\n- toolbox/evidence-ledger.md\n{block('yaml')}"
    project.write("small.yml", f"INHERIT: mkdocs.yml\n{nav}")
    return project


def test_the_worked_example_builds(followed):
    run = followed.build_site()

    assert run.returncode == 0, run.stdout
    page = (followed.root / "site/chapters/sigmoid-slope/index.html").read_text(encoding="utf-8")
    for part in (
        "quarter.svg",
        'class="evidence"',
        "The steepest slope of the sigmoid",
        "0.2500",
        "2.1\u202f×\u202f10<sup>−6</sup>",
    ):
        assert part in page


def test_the_worked_example_is_a_proof(followed):
    """With another function its claim does not hold."""
    followed.write(EXPERIMENT, block("python").replace("np.exp(-inputs)", "np.exp(-1.001 * inputs)"))

    run = followed.make_figures()

    assert run.returncode != 0
    assert "The steepest slope of the sigmoid" in run.stdout


def test_the_worked_example_passes_the_tests_that_every_chapter_and_experiment_passes(whole_project):
    """By the README's two commands."""
    project = whole_project
    project.write(EXPERIMENT, block("python"))
    project.write(CHAPTER, block("markdown"))
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    line = block("yaml").strip()
    project.write("mkdocs.yml", re.sub(r"(?m)^( +)(- chapters/)", rf"\1{line}\n\1\2", settings, count=1))

    for step in re.findall(r"`python -m (docs\.hooks\.\w+\.run)`", PROSE):
        run = project.run(step, EXPERIMENT)
        assert run.returncode == 0, run.stdout

    tests = [f"tests/{name}.py" for name in ("site/test_contract", "site/test_explorer_chapters", "test_experiments")]
    chosen = "sigmoid and (slope or quarter) or test_one_slug or test_there or test_every_snippet"
    run = project.run("pytest", "-p", "no:cacheprovider", *tests, "-k", chosen)

    assert run.returncode == 0, run.stdout
    passed = int(re.search(r"(\d+) passed", run.stdout)[1])
    assert passed > 20, run.stdout
