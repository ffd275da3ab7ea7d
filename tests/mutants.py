"""Plant small faults in the files to copy, one at a time, and see that a test fails at each.

    python -m tests.mutants [files]

Without files it takes those that differ from the branch `main` of the remote, committed or not. Cosmic Ray makes the
faults, in a copy of the project and from an environment of its own, since the project needs nothing of what it needs.
For each file run its own tests, and of the tables of bad input those for its functions. What survives is shown as a
difference: either a test is missing, or the fault changes nothing that one could see.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from docs.hooks.show.catalogue import find_snippets, mirror

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "cosmic-ray==8.7.0"
ENVIRONMENT = Path(".cache", "mutants")
SECONDS = 300.0
"""For the tests of one file; a fault may make them run for ever."""
EXCLUDED = ("core/RemoveDecorator",)
"""Faults that are no faults of ours: without `no_grad` a test of PyTorch's own fails."""


def changed() -> list[Path]:
    """The files to copy that differ from what is published."""
    base = _git("merge-base", "HEAD", "origin/main")
    names = _git("diff", "--name-only", base).splitlines()
    return [path for path in find_snippets() if path.as_posix() in names]


def tests_of(snippet: Path) -> list[str]:
    """Arguments of pytest: the file's own tests, and the cells of its functions."""
    name, _, framework = snippet.stem.rpartition("_")
    tables = sorted((ROOT / "tests" / "contract").glob(f"test_*{framework}.py"))
    own = mirror(snippet).as_posix()
    return [own, *(path.relative_to(ROOT).as_posix() for path in tables), "-k", f"{Path(own).stem} or {name}."]


def survivors(snippet: Path, cosmic_ray: Path) -> tuple[int, list[str]]:
    """How many faults were planted, and those that no test noticed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        for name in ("docs/hooks", "snippets", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        mark = "keras" if snippet.stem.endswith("_keras") else "not keras"
        test = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", mark, *tests_of(snippet)]
        settings = {"module-path": snippet.as_posix(), "timeout": SECONDS, "excluded-modules": []}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        words = " ".join(f"'{word}'" if " " in word else word for word in test)
        lines += [f"test-command = {json.dumps(words)}", "[cosmic-ray.distributor]", 'name = "local"', ""]
        text = "\n".join(["[cosmic-ray]", *lines])
        (copy / "mutants.toml").write_text(text, encoding="utf-8")

        def run(*command: str) -> str:
            done = subprocess.run([cosmic_ray, *command], cwd=copy, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
            return done.stdout

        run("baseline", "mutants.toml")
        run("init", "mutants.toml", "session.sqlite")
        run("exec", "mutants.toml", "session.sqlite")
        results = [json.loads(line) for line in run("dump", "session.sqlite").splitlines()]
    alive = [
        result["diff"]
        for work, result in results
        if result and result["test_outcome"] == "survived" and work["mutations"][0]["operator_name"] not in EXCLUDED
    ]
    return len(results), alive


def cosmic_ray() -> Path:
    """The program, in an environment that is made once."""
    folder = ROOT / ENVIRONMENT
    program = folder / "bin" / "cosmic-ray"
    if not program.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    return program


def main(names: list[str]) -> int:
    files, alive, planted = [Path(name) for name in names] or changed(), 0, 0
    program = cosmic_ray()
    for snippet in files:
        number, left = survivors(snippet, program)
        planted, alive = planted + number, alive + len(left)
        print(f"{snippet.as_posix()}: {number - len(left)} of {number} faults noticed", flush=True)
        for difference in left:
            print(difference, flush=True)
    print(f"{planted - alive} of {planted} faults noticed in {len(files)} files")
    return 1 if alive else 0


def _git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
