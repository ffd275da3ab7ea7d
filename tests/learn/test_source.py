"""The source of a chapter's pages and cards: a bad entry is told with its file, its id and its field."""

import re
from pathlib import Path

import pytest

from docs.hooks.learn.source import Source, SourceError, find_sources, measured, with_numbers
from docs.hooks.pages import Page
from docs.hooks.show.claims import ClaimNotFoundError

GOOD = find_sources()[0]
every_source = pytest.mark.parametrize("source", find_sources(), ids=lambda source: source.slug)


def slip(tmp_path: Path, old: str, new: str) -> str:
    """What is said of the first source after one replacement."""
    assert old in GOOD.text
    path = tmp_path / GOOD.path.name
    path.write_text(GOOD.text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SourceError) as error:
        Source(path).check()
    return str(error.value).replace(f"{tmp_path}/", "")


def test_a_missing_field_is_named(tmp_path):
    first = GOOD.entries.quiz[0]
    said = slip(tmp_path, "        why:", "        wy:")
    assert f"{GOOD.path.name}, quiz, {first.id}, choices, 1, why: Field required" in said
    assert f"{GOOD.path.name}, quiz, {first.id}, choices, 1, wy: Extra inputs are not permitted" in said


def test_two_right_choices_and_none_are_refused(tmp_path):
    first = GOOD.entries.quiz[0].id
    assert f"quiz, {first}: Value error, one choice is right, not 0" in slip(tmp_path, "        right: true\n", "")


def test_an_unknown_claim_is_told_with_those_there_are(tmp_path):
    first = GOOD.entries.quiz[0]
    claim = first.choices[0].claim
    said = slip(tmp_path, claim, f"{claim}-not")
    assert f"{GOOD.path.name}, quiz, {first.id}, choices, 1, claim: " in said
    assert "that experiment has the claims" in said
    missing = claim.rpartition("/")[0] + "_not/x"
    assert "there is no snippets/" in slip(tmp_path, claim, missing)


def test_a_formula_that_cannot_be_set_is_told_with_its_entry(tmp_path):
    first = GOOD.entries.quiz[0]
    said = slip(tmp_path, f"    ask: {first.ask[:10]}", f"    ask: $\\nosuch$ {first.ask[:10]}")
    assert f"quiz, {first.id}, ask: KaTeX cannot set this formula" in said


def test_too_many_words_for_half_a_minute_are_counted(tmp_path):
    first = GOOD.entries.interview[0]
    words = first.half_a_minute.split()[0]
    said = slip(tmp_path, f"half_a_minute: >-\n      {words}", f"half_a_minute: >-\n      {'word ' * 90}{words}")
    assert f"interview, {first.id}, half_a_minute: Value error, " in said and "at most 85" in said


def test_an_id_that_stands_twice_is_refused(tmp_path):
    first, second = GOOD.entries.quiz[:2]
    assert f"two entries have the id {first.id}" in slip(tmp_path, f"- id: {second.id}", f"- id: {first.id}")


def test_a_key_that_stands_twice_is_refused(tmp_path):
    assert "quiz stands twice" in slip(tmp_path, "interview:\n", "quiz:\n")


def test_yaml_that_cannot_be_read_is_told_with_its_line(tmp_path):
    assert re.search(r"line \d+", slip(tmp_path, "quiz:\n", "quiz: [\n"))


def test_a_number_is_the_one_of_this_build():
    address = GOOD.entries.quiz[0].choices[0].claim
    printed = measured(address).printed
    assert with_numbers(f"it is [[{address}]].").startswith(f"it is {printed.split('e')[0].replace('-', '−')}")
    with pytest.raises(ClaimNotFoundError):
        with_numbers("[[a/b/c]]")


@every_source
def test_a_source_is_sound(source):
    assert source.check()
    assert set(source.code) == {exercise.code for exercise in source.entries.exercises if exercise.code}
    named = {address.rpartition("/")[0] for _, address in source.claims()}
    assert named <= {str(experiment) for experiment in source.experiments}


@every_source
def test_every_misconception_of_the_chapter_is_asked(source):
    """The claims that decide the misconceptions decide choices of the quiz."""
    text = Page(Path("docs", "toolbox", "misconceptions.md")).text
    section = re.search(rf"^## [^\n]*#{source.slug} \}}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)[1]
    asked = {measured(choice.claim) for question in source.entries.quiz for choice in question.choices}
    for entry in section.split("<details")[1:]:
        decides = {measured(address) for address in re.findall(r"figures/claims/(\S+)\.md", entry)}
        assert decides & asked, re.search(r"“.*”", entry)[0]


@every_source
def test_a_chapter_has_its_three_pages_and_its_lab(source):
    for page in ("quiz", "interview", "exercises"):
        include = f"docs/figures/learn/{source.slug}/{page}.md"
        assert Page(Path("docs", "learn", source.slug, f"{page}.md")).included == [include]
    assert Path("docs", "labs", f"{source.slug}.py").is_file()


@every_source
def test_the_right_choice_is_not_always_in_the_same_place(source):
    places = [question.shuffled.index(question.right) for question in source.entries.quiz]
    assert len(set(places)) > 1


def test_a_choice_that_is_a_formula_alone_is_refused(tmp_path):
    first = GOOD.entries.quiz[0]
    said = slip(
        tmp_path, f"- text: {first.choices[0].text[:8]}", f"- text: $x$\n        old: {first.choices[0].text[:8]}"
    )
    assert f"quiz, {first.id}, choices, 1, text: Value error, a formula alone" in said
