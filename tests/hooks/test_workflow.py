"""The workflow asks for few rights, runs only code that is pinned, and tests the Pythons that the project promises."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests import machines

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ".github" / "workflows" / "site.yml"
TEXT = FILE.read_text(encoding="utf-8")
# Not the safe loader: to YAML 1.1 the key `on` is a truth value.
WORKFLOW = yaml.load(TEXT, yaml.BaseLoader)
JOBS = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]

every_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


def test_there_is_one_workflow():
    assert list(FILE.parent.iterdir()) == [FILE]


def test_no_right_is_granted_to_all_jobs():
    assert WORKFLOW["permissions"] == {}


@every_job
def test_a_job_that_runs_code_of_the_project_can_write_nothing(job):
    if any("run" in step for step in job["steps"]):
        assert "write" not in job["permissions"].values()


@every_job
def test_a_job_ends(job):
    assert 0 < int(job["timeout-minutes"]) <= 60


def test_actions_are_pinned_to_a_commit_whose_version_stands_beside_it():
    used = re.findall(r"uses:(.*)", TEXT)
    assert len(used) == len([step for step in STEPS if "uses" in step])
    for action in used:
        assert re.fullmatch(r" actions/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    commits = {re.sub(r" actions/([\w-]+)[^@]*(@.*)", r"\1\2", action) for action in used}
    names = [commit.partition("@")[0] for commit in commits]
    assert len(names) == len(set(names)), f"one version of each action: {sorted(commits)}"


def test_checkouts_leave_no_token_behind():
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) >= 3
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


def test_commands_hold_no_expression():
    """What a pull request is called, or its branch, must not become part of a shell command."""
    commands = [step["run"] for step in STEPS if "run" in step]
    assert commands and not [command for command in commands if "${{" in command]


def test_pull_requests_run_without_the_rights_of_main():
    assert "pull_request" in WORKFLOW["on"] and "pull_request_target" not in WORKFLOW["on"]


def test_only_a_tested_main_is_deployed():
    assert "github.ref == 'refs/heads/main'" in JOBS["deploy"]["if"]
    assert set(JOBS["deploy"]["needs"]) == {"test", "build"}


def test_only_pull_requests_start_from_measured_figures():
    restoring = [step for step in STEPS if "/restore@" in step.get("uses", "")]
    assert restoring and all(step["if"] == "github.event_name == 'pull_request'" for step in restoring)
    assert not re.search(r"actions/cache@|cache: pip", TEXT)


def test_every_python_that_the_project_promises_is_tested():
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    oldest, beyond = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", promised).groups())

    assert JOBS["test"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(oldest, beyond)]
    named = {step["with"]["python-version"] for step in STEPS if "setup-python" in step.get("uses", "")}
    assert named == {"${{ matrix.python }}", f"3.{beyond - 1}"}


def test_claims_are_held_on_stand_ins_for_other_machines():
    """Some by `make test-all`, all of them weekly, on both kinds of processor that publish and read the site."""
    weekly = JOBS["machines"]
    assert "schedule" in weekly["if"]
    assert weekly["strategy"]["matrix"]["runner"] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
    assert weekly["strategy"]["matrix"]["threads"] == list(machines.THREADS)
    assert weekly["steps"][-1]["run"] == "make test-machines"
    assert weekly["steps"][-1]["env"] == {"MACHINES": "--threads ${{ matrix.threads }}"}
    assert "$(RUN) tests.machines --some ||" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_weekly_run_asks_what_a_commit_does_not():
    """Else what is thorough would be asked by nobody."""
    (run,) = (step for step in JOBS["test"]["steps"] if step.get("run") == "bash .ci/run")
    assert run["env"] == {"TESTS": "${{ github.event_name == 'schedule' && 'test-all' || 'test' }}"}
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").endswith('\nmake "${TESTS:-test}"\n')
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    tests = {
        name: [half.strip() for half in re.findall(r'TEST\).* -m "?([\w ]+)', recipe)]
        for name, recipe in re.findall(r"^(test[-\w]*): .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    }
    assert tests["test-all"] == ["not keras", "keras"]
    assert tests["test"] == [f"{half} and not thorough" for half in tests["test-all"]]


def test_the_site_learns_its_address_from_the_workflow():
    """So that a fork publishes without an edit."""
    build = next(step for step in JOBS["build"]["steps"] if step.get("run") == "make build")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert set(build["env"]) == set(re.findall(r"!ENV \[(\w+),", settings)) == {"SITE_URL", "REPO_URL"}


@pytest.mark.parametrize("ecosystem", ["pip", "github-actions"])
def test_updates_are_offered_weekly_and_not_on_their_first_day(ecosystem):
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    [update] = [update for update in updates if update["package-ecosystem"] == ecosystem]
    assert update["schedule"] == {"interval": "weekly"}
    assert update["cooldown"]["default-days"] >= 7
    assert [group["patterns"] for group in update["groups"].values()] == [["*"]]
