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
        advice = {"a-code": (level, "The is * off.", "A cause.", "A cure.", link)}
        monkeypatch.setattr(Tool, "advice", lambda tool: advice)
        [(place, text)] = TOOL.entries()
        assert place.as_posix() == "docs/figures/findings/check_model/a-code.md"
        return text

    return entry


@pytest.mark.parametrize(("link", "read"), LINKS.items())
def test_an_entry_has_the_words_and_leads_to_the_section(said, link, read):
    assert (
        said("fault", link) == rf"`a-code`  {chr(10)}**The is \* off.** A cause. *Cure:* A cure. *Read:* {read}" + "\n"
    )


@pytest.mark.parametrize(
    ("words", "marked"),
    [
        ("Clean it: ask isfinite(x).all() of it.", "Clean it: ask `isfinite(x).all()` of it."),
        ("x = y.gather(1, i[:, None])[:, 0] (PyTorch)", "x = `y.gather(1, i[:, None])[:, 0]` (PyTorch)"),
        ("loss = -(log_p * a).mean().", "loss = `-(log_p * a).mean()`."),
        ("An nn.Linear, is_causal=True, head_dim.", "An `nn.Linear`, `is_causal=True`, `head_dim`."),
        (
            "A .detach(), .data, without training=self.training.",
            "A `.detach()`, `.data`, without `training=self.training`.",
        ),
        ("softmax(q @ k.T / sqrt(d)), 1/sqrt(n).", "`softmax(q @ k.T / sqrt(d))`, `1/sqrt(n)`."),
        ("A well-known rate (0.1), 0/0, of 1.5. Next.", "A well-known rate (0.1), 0/0, of 1.5. Next."),
        ("2 * x is _ no code", r"2 \* x is \_ no code"),
    ],
)
def test_code_in_the_words_is_marked(words, marked):
    assert findings._marked(words) == marked


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
