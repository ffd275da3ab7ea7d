"""The public test of each exercise passes its solution, and has for each plausible mistake the message meant for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from docs.hooks.learn import exercises
from docs.hooks.learn.source import find_sources
from docs.hooks.store import ROOT
from tests.learn.exercises import all_code, first_message, functions, load

MISTAKES = [
    (source, name, mistake)
    for source, name in all_code()
    for mistake in functions(load(exercises.mistakes(source, name), f"mistakes_{name}"))
]


@pytest.mark.parametrize(("source", "name"), all_code(), ids=[f"{one.slug}-{name}" for one, name in all_code()])
def test_the_stub_promises_and_waits_for_the_reader(source, name):
    names = {"__name__": name}
    exec(compile(exercises.stub(source, name), name, "exec"), names)
    assert names[name].__doc__
    with pytest.raises(NotImplementedError, match="your turn"):
        first_message(exercises.tests(source, name), name, names[name])


@pytest.mark.parametrize(
    ("source", "name", "mistake"), MISTAKES, ids=[f"{one.slug}-{name}-{it.__name__}" for one, name, it in MISTAKES]
)
def test_a_mistake_gets_the_message_meant_for_it(source, name, mistake):
    told = first_message(exercises.tests(source, name), name, mistake)
    assert told is not None, "the test lets it pass"
    assert told.split("\n")[0] == " ".join(mistake.__doc__.split())


@pytest.mark.parametrize(("source", "name"), all_code(), ids=[f"{one.slug}-{name}" for one, name in all_code()])
def test_an_exercise_knows_two_mistakes_at_least(source, name):
    assert len([it for one, of, it in MISTAKES if (one, of) == (source, name)]) >= 2


@pytest.mark.parametrize("source", find_sources(), ids=lambda source: source.slug)
def test_every_file_belongs_to_an_exercise(source):
    named = {file(source, name) for name in source.code
             for file in (exercises.solution, exercises.tests, exercises.mistakes)}  # fmt: skip
    found = {path.relative_to(ROOT) for path in (ROOT / exercises.FOLDER / source.topic).glob("*.py")}
    assert found == named


@pytest.mark.slow
def test_the_solutions_pass_as_a_reader_runs_them(tmp_path: Path):
    """One isolated pytest in a folder that holds a reader's files and nothing else."""
    for source, name in all_code():
        folder = tmp_path / source.topic
        folder.mkdir(exist_ok=True)
        for file in (exercises.solution(source, name), exercises.tests(source, name)):
            (folder / file.name).write_bytes((ROOT / file).read_bytes())
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path, env={"PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
