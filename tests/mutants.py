"""Plant small faults in the files to copy, one at a time, and see that a test fails at each.

    python -m tests.mutants [--sample N] [--seed S] [files]

Without files it takes those that differ from the branch `main` of the remote, committed or not. Cosmic Ray says which
faults there are and makes them, from an environment of its own, since the project needs nothing of what it needs. They
are tried in a copy of the project by one process that has the framework imported and forks for each: most die within a
second. First run the file's own tests, then, of the tables of bad input and the laws, those for its functions. What
survives is shown as a difference: either a test is missing, or the fault changes nothing that one could see.
"""

import argparse
import ast
import contextlib
import difflib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import NamedTuple

from docs.hooks.show.catalogue import find_snippets, mirror

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "cosmic-ray==8.7.0"
ENVIRONMENT = Path(".cache", "mutants")
LONGER = 5.0
"""Times what the tests take without a fault; after that a fault counts as noticed, since it would run for ever."""
EXCLUDED = ("core/RemoveDecorator",)
"""Faults that are no faults of ours: without `no_grad` a test of PyTorch's own fails."""

PLANT = """
import json, random, sys
from pathlib import Path
from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
path = Path(sys.argv[1])
faults = [fault for item in _all_work_items([path], {}) for fault in item.mutations]
print(len(faults))
random.Random(int(sys.argv[2])).shuffle(faults)
for fault in faults:
    operator = get_operator(fault.operator_name)(**fault.operator_args)
    source = mutate_code(path.read_text(encoding="utf-8"), operator, fault.occurrence)
    print(json.dumps([fault.operator_name, source]), flush=True)
"""

IMPORTED = {
    "pytorch": ("torch", "torch._dynamo", "torch._functorch.aot_autograd", "torch.func"),
    "keras": ("tensorflow", "keras"),
    "numpy": (),
}
"""By the process before it forks: what starts no threads."""


class Fault(NamedTuple):
    operator: str
    source: str
    """The whole file with the fault in it."""
    change: str
    """The lines that differ, before and after."""


def changed() -> list[Path]:
    """The files to copy that differ from what is published."""
    base = _git("merge-base", "HEAD", "origin/main")
    names = _git("diff", "--name-only", base).splitlines()
    return [path for path in find_snippets() if path.as_posix() in names]


def tests_of(snippet: Path) -> list[list[str]]:
    """Arguments of pytest, run by run: the file's own tests and others beside them, the laws, and the cells of its
    functions.
    """
    name, _, framework = snippet.stem.rpartition("_")
    contract = Path("tests", "contract")
    laws = contract / f"test_laws_{framework}.py"
    tables = sorted(path.relative_to(ROOT) for path in (ROOT / contract).glob(f"test_*{framework}.py"))
    own = mirror(snippet)
    beside = [
        path.relative_to(ROOT)
        for path in sorted((ROOT / own.parent).glob(f"test_*_{framework}.py"))
        if path.name != own.name and f".{snippet.stem} import " in path.read_text(encoding="utf-8")
    ]
    runs = [[path.as_posix() for path in (own, *beside)]]
    if (ROOT / laws).is_file() and snippet.stem in (ROOT / laws).read_text(encoding="utf-8"):
        runs.append([laws.as_posix()])
    return [*runs, [*(path.as_posix() for path in tables if path != laws), "-k", f"{name}."]]


def faults(snippet: Path, program: Path, sample: int | None, seed: int) -> tuple[list[Fault], int]:
    """`sample` of those that Cosmic Ray knows for this file, or all, and how many it knows. Faults in annotations,
    which nothing runs, are not among the first.
    """
    before = (ROOT / snippet).read_text(encoding="utf-8")
    runs, found = _run(before), []
    command = [program, "-c", PLANT, ROOT / snippet, str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as listed:
        assert listed.stdout is not None
        known = int(next(listed.stdout))
        for line in listed.stdout:
            operator, source = json.loads(line)
            if operator not in EXCLUDED and _run(source) != runs:
                lines = list(difflib.unified_diff(before.splitlines(), source.splitlines(), n=0, lineterm=""))
                change = "\n".join(line.rstrip() for line in lines[3:] if line[0] in "+-")
                found.append(Fault(operator, source, change))
            if len(found) == sample:
                listed.kill()
                break
    return found, known


def _run(source: str) -> str:
    """What of a file is run: without annotations of arguments, results and fields that have a value."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if isinstance(getattr(node, field, None), ast.expr):
                setattr(node, field, ast.Constant(None))
    return ast.dump(tree)


def survivors(snippet: Path, planted: list[Fault]) -> list[Fault]:
    """Those that no test noticed; each is tried in a process that was forked from this one."""
    for module in IMPORTED[snippet.stem.rpartition("_")[2]]:
        __import__(module)
    import hypothesis
    import pytest
    import scipy.stats  # noqa: F401

    mark = "keras" if snippet.stem.endswith("_keras") else "not keras"
    options = ["-x", "-q", "--no-header", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-m", mark]
    hypothesis.settings.register_profile("mutants", database=None, derandomize=True)

    def run_tests() -> int:
        hypothesis.settings.load_profile("mutants")
        for arguments in tests_of(snippet):
            code = pytest.main([*options, *arguments])
            if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                return 1
        return 0

    def forked(seconds: int) -> bool:
        """Whether all tests passed."""
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                silent = os.open(os.devnull, os.O_WRONLY)
                os.dup2(silent, 1)
                os.dup2(silent, 2)
                signal.alarm(seconds)
                code = run_tests()
            os._exit(code)
        return os.waitpid(child, 0)[1] == 0

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in ("docs/hooks", "snippets", "tests"):
            shutil.copytree(ROOT / name, name, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        sys.path.insert(0, folder)
        started = time.monotonic()
        if not forked(3600):
            raise SystemExit(f"{snippet}: its tests fail without a fault")
        seconds = int(LONGER * (time.monotonic() - started)) + 20
        # The compiled tests stay; the file itself is compiled from what stands there.
        shutil.rmtree(snippet.parent / "__pycache__", ignore_errors=True)
        sys.dont_write_bytecode = True
        alive = []
        for fault in planted:
            snippet.write_text(fault.source, encoding="utf-8")
            if forked(seconds):
                alive.append(fault)
        return alive


def cosmic_ray() -> Path:
    """The Python of its environment, which is made once."""
    folder = ROOT / ENVIRONMENT
    program = folder / "bin" / "python"
    if not (folder / "bin" / "cosmic-ray").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([program, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    return program


def main(names: list[str], sample: int | None, seed: int) -> int:
    files, alive, planted = [Path(name) for name in names] or changed(), 0, 0
    program = cosmic_ray()
    for snippet in files:
        tried, known = faults(snippet, program, sample, seed)
        results = Path(tempfile.gettempdir(), f"mutants-{os.getpid()}.json")
        # A process for each file: only what is forked from it imports the file.
        child = os.fork()
        if not child:
            left = survivors(snippet, tried)
            results.write_text(json.dumps(left), encoding="utf-8")
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            return 1
        left = [Fault(*entry) for entry in json.loads(results.read_text(encoding="utf-8"))]
        results.unlink()
        planted, alive = planted + len(tried), alive + len(left)
        counted = f"{len(tried) - len(left)} of {len(tried)} faults noticed"
        print(f"{snippet.as_posix()}: {counted}, of {known} that there are", flush=True)
        for fault in left:
            print(f"{fault.operator}\n{fault.change}", flush=True)
    print(f"{planted - alive} of {planted} faults noticed in {len(files)} files")
    return 1 if alive else 0


def _git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, help="as many of each file, where there are more")
    parser.add_argument("--seed", type=int, default=0, help="which")
    parser.add_argument("files", nargs="*")
    given = parser.parse_args()
    sys.exit(main(given.files, given.sample, given.seed))
