"""A finding on its page says what the tool prints, and leads to a section that is there."""

import pytest

from docs.hooks.show import findings
from docs.hooks.show.findings import Tool

TOOL = Tool("check_model", findings.TOOLS[0].page, "ADVICE")
LINKS = {
    "chapters/he-initialization/#why": "[He initialization: Why](../chapters/he-initialization.md#why)",
    "toolbox/symptom-finder/#flat": "[Symptom finder: The loss does not move at all](symptom-finder.md#flat)",
    "toolbox/check-my-model/#limits": "[Check my model: What it cannot see](#limits)",
}


@pytest.fixture
def said(monkeypatch):
    """The entry of a finding with this level and link."""

    def entry(level: str, link: str) -> str:
        advice = {"a-code": (level, "The is_causal * is off.", "A cause.", "A cure.", link)}
        monkeypatch.setattr(Tool, "advice", lambda tool: advice)
        [(place, text)] = TOOL.entries()
        assert place.as_posix() == "docs/figures/findings/check_model/a-code.md"
        return text

    return entry


@pytest.mark.parametrize(("link", "read"), LINKS.items())
def test_an_entry_has_the_words_and_leads_to_the_section(said, link, read):
    assert (
        said("fault", link)
        == rf"`a-code`  {chr(10)}**The is\_causal \* is off.** A cause. *Cure:* A cure. *Read:* {read}" + "\n"
    )


def test_a_note_says_that_it_is_one(said):
    assert said("note", "chapters/he-initialization/#why").startswith("`a-code` (note)  \n")


@pytest.mark.parametrize("link", ["chapters/he-initialization/#nowhere", "chapters/nowhere/#why", "nowhere"])
def test_a_link_that_leads_nowhere_is_named(said, link):
    with pytest.raises(findings.FindingError, match=f"check_model_pytorch.py: a-code: no page has the section {link}"):
        said("fault", link)


def test_what_keras_models_are_listed_must_be_written_out(monkeypatch, tmp_path):
    models = tmp_path / "models.py"
    models.write_text("HEALTHY = dict(one=1)\nFAULTS = {}\n")
    monkeypatch.setattr(findings, "KERAS", models)
    with pytest.raises(findings.FindingError, match="HEALTHY is no dictionary"):
        findings.keras_list()
