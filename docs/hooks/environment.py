"""Make the virtual environment, or say in words what is missing.

    python3 docs/hooks/environment.py

Needs nothing but the standard library, and any Python 3 can read it: an old one has to be told that it is too old.
Installs into `.venv` and writes `.venv/installed` last, so that an interrupted installation is taken up again.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
import urllib.request

OLDEST, NEWEST = (3, 11), (3, 13)
VENV = ".venv"
STAMP = os.path.join(VENV, "installed")
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
NETWORK_WORDS = ("name resolution", "getaddrinfo", "Failed to establish", "unreachable", "timed out", "Max retries")


def find_python():
    """The path of an interpreter of a fitting version; `PYTHON` in the environment goes first. None if there is none."""
    names = [os.environ.get("PYTHON"), sys.executable, "python3.13", "python3.12", "python3.11", "python3", "python"]
    for name in names:
        path = shutil.which(name) if name else None
        if path and OLDEST <= version_of(path) <= NEWEST:
            return path
    return None


def version_of(path):
    """Major and minor version of an interpreter; (0, 0) for a program that is none."""
    try:
        question = [path, "-c", "import sys; print(*sys.version_info[:2])"]
        major, minor = subprocess.check_output(question, stderr=subprocess.DEVNULL).split()
        return int(major), int(minor)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return 0, 0


def in_venv(name):
    """The path of a program of the virtual environment."""
    return os.path.join(VENV, "Scripts", name + ".exe") if os.name == "nt" else os.path.join(VENV, "bin", name)


def make_venv(python):
    """Create `.venv`, anew if its interpreter is gone or of a version that does not fit."""
    if OLDEST <= version_of(in_venv("python")) <= NEWEST:
        return
    made = subprocess.run([python, "-m", "venv", "--clear", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode:
        sys.exit(
            made.stdout.decode(errors="replace")
            + "\nThe virtual environment cannot be made. On Debian and Ubuntu: apt install python3-venv"
        )


def extra_arguments():
    """On Linux, PyTorch's own index: its CPU build spares gigabytes of CUDA packages. Nothing where it is out of reach."""
    if platform.system() != "Linux":
        return []
    try:
        with urllib.request.urlopen(CPU_WHEELS + "/torch/", timeout=5):
            return ["--extra-index-url", CPU_WHEELS]
    except OSError:
        return []


def install():
    """Install the pinned requirements and this project in place; exit with words when that fails."""
    command = [in_venv("python"), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--requirement", "requirements.txt"] + extra_arguments()
    print("Installing the requirements into .venv: about 1 GB the first time, a few minutes.", flush=True)
    started, lines = time.time(), []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for raw in process.stdout:
        line = raw.decode(errors="replace").strip()
        lines.append(line)
        if line.startswith(("Downloading", "Processing", "Installing")):
            print("  {:4.0f} s  {}".format(time.time() - started, line[:90]), flush=True)
    if process.wait():
        sys.exit(explain_failure(lines))


def explain_failure(lines):
    """What to do after pip failed with this output."""
    text = "\n".join(lines)
    if any(word in text for word in NETWORK_WORDS):
        return "The packages cannot be downloaded: the network, or the proxy to it, is missing. Connect, then try again."
    return "\n".join(lines[-15:]) + "\nThe installation failed; pip says why above. Correct that, then try again."


def main():
    python = find_python()
    if python is None:
        sys.exit(
            "Python 3.11, 3.12 or 3.13 is needed; this is {}. Install one from https://www.python.org/downloads/,\n"
            "or name one: make PYTHON=/path/to/python3.13".format(platform.python_version())
        )
    make_venv(python)
    install()
    with open(STAMP, "w") as stamp:
        stamp.write(python + "\n")


if __name__ == "__main__":
    main()
