"""The environment is made once, mended when the requirements change, made anew after an interruption."""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from typing import ClassVar

import pytest

pytest.importorskip("fcntl", reason="make and its environment are for Linux and macOS")

from docs.hooks import environment
from docs.hooks.environment import CannotMake, explain, find_python, progress


@pytest.fixture
def interpreter(tmp_path, monkeypatch):
    """Makes a program on an otherwise empty PATH that runs a line of shell."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(name: str, line: str) -> None:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return make


def answer(version: list[int], missing: tuple[str, ...] = ()) -> str:
    return f"echo '{json.dumps([version, '/opt/bin/python', missing])}'"


def test_make_takes_the_pythons_that_the_project_promises():
    promised = tomllib.loads((environment.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (_, oldest), (_, newest) = environment.OLDEST, environment.NEWEST

    assert promised["requires-python"] == f">=3.{oldest},<3.{newest + 1}"


def test_this_python_answers_the_question():
    found = find_python([sys.executable])

    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert os.path.samefile(found.path, os.path.realpath(sys._base_executable))


def test_the_first_python_that_fits_is_taken(interpreter):
    interpreter("python3", answer([3, 14, 0]))
    interpreter("python3.12", answer([3, 12, 4]))
    interpreter("python3.11", answer([3, 11, 2]))

    found = find_python(["python3", "python3.13", "python3.12", "python3.11"])

    assert (found.version, found.path) == ("3.12.4", "/opt/bin/python")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (answer([3, 10, 9]), "python3 is Python 3.10.9"),
        (answer([3, 14, 0]), "python3 is Python 3.14.0"),
        (answer([3, 12, 1], ("ensurepip",)), "without its module ensurepip"),
        (answer([3, 12, 1], ("venv", "ensurepip")), "apt install python3.12-venv"),
        ("exit 1", "does not run Python"),
        ("exit 0", "does not run Python"),
        ("echo hello", "does not run Python"),
    ],
)
def test_a_python_that_does_not_fit_is_named_with_its_reason(interpreter, line, reason):
    interpreter("python3", line)

    with pytest.raises(CannotMake) as raised:
        find_python(["python3", "python3.13"])

    assert "Python 3.11, 3.12 or 3.13 is needed" in str(raised.value)
    assert reason in str(raised.value)
    assert "make PYTHON=" in str(raised.value)


def test_where_no_python_is_the_names_looked_for_are_told(interpreter):
    with pytest.raises(CannotMake, match="nothing called python3 or python3.13"):
        find_python(["python3", "python3.13"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project of two files whose environment is made of nothing; `folder.calls` tells what was done to make it."""

    class Folder:
        root = tmp_path / "project"
        stamp = root / ".venv" / "installed"
        calls: ClassVar[list[str]] = []
        fails = False
        after: ClassVar[list[tuple[str, str]]] = []

        def make(self, *names: str) -> list[str]:
            self.calls.clear()
            self.after.clear()
            environment.bring_up_to_date(list(names))
            return list(self.calls)

        def create(self, venv, python) -> None:
            self.calls.append(f"create {python.path}")
            (venv / "bin").mkdir(parents=True, exist_ok=True)
            (venv / "bin" / "python").touch()
            self.stamp.unlink(missing_ok=True)

        def install(self, command) -> None:
            self.calls.append("install hashed" if "--require-hashes" in command else "install")
            if self.fails:
                raise CannotMake("no network")

        def run_quietly(self, command) -> None:
            assert self.calls[-1] == "install"
            self.after.append((command[2], command[-1]))

    made = Folder()
    made.root.mkdir()
    (made.root / "requirements.txt").write_text("# why\nnumpy==2.0\n")
    (made.root / environment.LOCK).parent.mkdir(parents=True)
    (made.root / environment.LOCK).write_text("numpy==2.0 --hash=sha256:0\n    # via x\n")
    (made.root / "pyproject.toml").write_text('[project]\nname = "x"\n\n[tool.pytest.ini_options]\naddopts = ""\n')
    monkeypatch.setattr(environment, "ROOT", made.root)
    monkeypatch.setattr(environment, "create", made.create)
    monkeypatch.setattr(environment, "install", made.install)
    monkeypatch.setattr(environment, "run_quietly", made.run_quietly)
    monkeypatch.setattr(environment, "cpu_wheels", list)
    monkeypatch.setattr(environment, "find_python", lambda names: environment.Python((3, 12, 0), f"/{names[0]}"))
    return made


def test_the_environment_is_made_once(folder):
    assert folder.make() == ["create /python3", "install hashed", "install"]
    # Triton and TensorFlow end each other where PyTorch is a CUDA build.
    assert folder.after == [("pip", "triton"), ("compileall", str(folder.root / ".venv" / "lib"))]
    assert folder.make() == []


def test_an_interrupted_environment_is_made_anew(folder):
    folder.fails = True
    with pytest.raises(CannotMake):
        folder.make()
    assert not folder.stamp.exists()
    folder.fails = False

    assert folder.make() == ["create /python3", "install hashed", "install"]
    assert folder.make() == []


@pytest.mark.parametrize("damage", ["", '{"folder": "/pro', "\0"])
def test_a_damaged_stamp_means_made_anew(folder, damage):
    folder.make()
    folder.stamp.write_text(damage)

    assert folder.make() == ["create /python3", "install hashed", "install"]


def test_changed_requirements_are_installed_into_the_environment_that_is_there(folder):
    folder.make()
    (folder.root / "requirements.txt").write_text("numpy==2.1\n")

    assert folder.make() == ["install hashed", "install"]
    assert folder.make() == []


def test_an_interrupted_update_is_not_taken_for_an_environment(folder):
    folder.make()
    (folder.root / "requirements.txt").write_text("numpy==2.1\n")
    folder.fails = True
    with pytest.raises(CannotMake):
        folder.make()
    folder.fails = False

    assert folder.make() == ["create /python3", "install hashed", "install"]


@pytest.mark.parametrize(
    ("file", "old", "new", "installs"),
    [
        ("requirements.txt", "# why", "# because", False),
        ("pyproject.toml", 'addopts = ""', 'addopts = "-q"', False),
        ("pyproject.toml", 'name = "x"', 'name = "y"', True),
        ("requirements.txt", "numpy", "scipy", True),
        (environment.LOCK, "# via x", "# via y", False),
        (environment.LOCK, "sha256:0", "sha256:1", True),
    ],
)
def test_only_what_concerns_installing_installs_again(folder, file, old, new, installs):
    folder.make()
    path = folder.root / file
    path.write_text(path.read_text().replace(old, new))

    assert folder.make() == (["install hashed", "install"] if installs else [])


def test_another_python_makes_another_environment_and_stays(folder):
    folder.make()

    assert folder.make("python3.13") == ["create /python3.13", "install hashed", "install"]
    assert folder.make("python3.13") == folder.make() == []


def test_a_moved_folder_needs_a_new_environment(folder, monkeypatch):
    """The scripts of a virtual environment hold its absolute path."""
    folder.make()
    moved = folder.root.with_name("moved")
    folder.root.rename(moved)
    monkeypatch.setattr(environment, "ROOT", moved)

    assert folder.make() == ["create /python3", "install hashed", "install"]


def test_only_downloads_that_take_time_are_told():
    line = "  Downloading https://download.pytorch.org/whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl ({})"

    assert progress(line.format("190.1 MB")) == "downloading torch 2.13.0+cpu (190.1 MB)"
    assert progress(line.format("1.2 GB")) == "downloading torch 2.13.0+cpu (1.2 GB)"
    assert progress(line.format("1.9 MB")) == progress(line.format("190 kB")) == ""
    assert progress("Installing collected packages: numpy, torch") == "installing 2 packages"
    assert progress("Collecting torch==2.13.0") == ""


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "takes 4 GB"),
        ("NewConnectionError('...: [Errno 111] Connection refused')", "HTTPS_PROXY"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", "the same command again"),
        ("ERROR: No matching distribution found for torch==2.13.0", "No matching distribution found for torch==2.13.0"),
    ],
)
def test_a_failed_installation_is_explained(line, advice):
    assert advice in explain(["Collecting torch", line, ""])


def test_the_lock_holds_what_the_list_names_with_hashes_for_every_system():
    """Where this fails, run `make lock`."""
    listed = re.findall(r"^([\w-]+==\S+)", (environment.ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    lock = (environment.ROOT / environment.LOCK).read_text("utf-8")
    locked = re.findall(r"^([\w.-]+==[^\s;]+)(?: ;[^\\]*)? \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(locked) == len(re.findall(r"^[\w-]+==", lock, re.MULTILINE)) > len(listed) > 20
    assert [pin for pin in listed if pin not in locked and not pin.startswith("torch==")] == []
    assert not re.search(r"^(torch|triton|nvidia-\S+)==", lock, re.MULTILINE)


def test_make_says_in_words_what_is_missing(project, tmp_path):
    """The real script, with a program that is no Python."""
    script = project.root / "docs" / "hooks" / "environment.py"

    run = subprocess.run([sys.executable, "-I", script, "false"], capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert "false (" in run.stderr and "does not run Python" in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / ".venv").exists()
