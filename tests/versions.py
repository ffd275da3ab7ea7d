"""Hold the files of one framework with whatever version of it is installed.

    python -m tests.versions pytorch|keras|numpy

For the oldest versions that the files name, and for every backend of Keras: there the environment of the project, which
pins the newest ones, does not fit. What is needed beside the framework is in `NEEDED`. Warnings are no errors here:
those of old versions are not ours to mend.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("filelock", "hypothesis", "pytest", "scipy")
"""Without versions: those that go with the framework."""

ELSEWHERE = ("bench", "diagnostics", "hooks", "laboratory", "site", "toolbox")
"""Folders of tests that are about the site, or need what builds it."""

OF_TENSORFLOW = ("contract", "test_layer_gradients_keras.py")
"""What asks for TensorFlow itself, and so is passed over on another backend."""


def files_of(framework: str) -> list[Path]:
    found = [
        path for path in sorted((ROOT / "tests").glob(f"*/test_*{framework}.py")) if path.parent.name not in ELSEWHERE
    ]
    if (os.environ.get("KERAS_BACKEND") or "tensorflow") != "tensorflow":
        found = [path for path in found if not set(OF_TENSORFLOW) & set(path.parts)]
    return found


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
