"""Hold the files of one framework with whatever version of it is installed.

    python -m tests.versions pytorch|keras|numpy

For the oldest versions that the files name, and for every backend of Keras: there the environment of the project, which
pins the newest ones, does not fit. What is needed beside the framework is in `NEEDED`. Warnings are no errors here:
those of old versions are not ours to mend.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("filelock", "hypothesis", "pytest", "scipy")
"""Without versions: those that go with the framework."""

ELSEWHERE = ("bench", "diagnostics", "hooks", "laboratory", "site", "toolbox")
"""Folders of tests that are about the site, or need what builds it."""

ALONE = {
    "keras": ROOT / "tests" / "contract" / "test_backends_keras.py",
    "numpy": ROOT / "tests" / "contract" / "test_numpy.py",
}
"""One file for each of these: the other tests of Keras are about its newest version with TensorFlow, and those of NumPy
compare it with PyTorch."""


def files_of(framework: str) -> list[Path]:
    if framework in ALONE:
        return [ALONE[framework]]
    found = sorted((ROOT / "tests").glob(f"*/test_*{framework}.py"))
    return [path for path in found if path.parent.name not in ELSEWHERE]


def main(framework: str) -> int:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "ignore",
        "-m",
        "keras" if framework == "keras" else "not keras",
    ]
    return subprocess.run([*command, *map(str, files_of(framework))], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
