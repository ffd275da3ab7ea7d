"""A page may show one claim of an experiment; an address that fits none or several stops the build."""

import pytest

from docs.hooks.measure.spread import address
from tests.hooks.halving import SOUND

CARD = "docs/figures/claims/halving/sound/{}.md"


def page(project, address: str) -> None:
    project.write("snippets/halving/experiment_sound.py", SOUND)
    project.write("docs/toolbox/page.md", f'# Page\n\n--8<-- "{CARD.format(address)}"\n')


def test_words_of_a_statement():
    assert address(r"ReLU: part of $\operatorname{E}[z^2]$ that is left") == "relu-part-of-e-z-2-that-is-left"
    assert address(r"Tanh: $\partial L/\partial W$, largest") == "tanh-l-w-largest"


def test_the_card_holds_the_claim_alone_and_goes_with_its_page(project):
    page(project, "so-does")
    assert project.make_figures().returncode == 0
    card = project.root / CARD.format("so-does")
    text = card.read_text(encoding="utf-8")
    assert (
        "So does the second" in text
        and '<span class="claim-value">0.25</span>' in text
        and "Halving: each step halves the value." in text
    )
    assert "The first step halves" not in text

    written = card.stat().st_mtime_ns
    assert project.make_figures().returncode == 0
    assert card.stat().st_mtime_ns == written

    project.write("docs/toolbox/page.md", "# Page\n")
    assert project.make_figures().returncode == 0
    assert not card.exists()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("evidence.py", "All evidence", "Every evidence"),
        ("claims.html.j2", "Link to this claim", "Address of this claim"),
    ],
)
def test_the_card_follows_the_code_that_writes_it(project, file, old, new):
    page(project, "so-does")
    project.make_figures()
    code = (project.root / "docs/hooks/show" / file).read_text(encoding="utf-8")
    project.write(f"docs/hooks/show/{file}", code.replace(old, new))

    assert project.make_figures().returncode == 0
    assert new in (project.root / CARD.format("so-does")).read_text(encoding="utf-8")


def test_a_whole_statement_goes_before_a_longer_one(project):
    page(project, "the-first-step")
    longer = SOUND.replace("So does the second", "The first step and the second")
    project.write("snippets/halving/experiment_sound.py", longer.replace("The first step halves", "The first step"))
    assert project.make_figures().returncode == 0
    assert '<span class="claim-value">0.5</span>' in (project.root / CARD.format("the-first-step")).read_text(
        encoding="utf-8"
    )


def test_an_address_that_fits_no_claim_tells_which_there_are(project):
    page(project, "so-did")
    run = project.make_figures()
    assert run.returncode != 0
    assert "so-did.md fits 0 claims; that experiment has the claims\nthe-first-step-halves\nso-does-" in run.stdout


def test_an_address_without_an_experiment_says_so(project):
    page(project, "so-does")
    (project.root / "snippets/halving/experiment_sound.py").unlink()
    run = project.make_figures()
    assert run.returncode != 0
    assert "so-does.md: there is no snippets/halving/experiment_sound.py" in run.stdout
