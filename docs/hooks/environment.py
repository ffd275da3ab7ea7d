"""Make the virtual environment `.venv`, or say in words what is missing.

    python3 docs/hooks/environment.py [the Python to make it with]

`make` runs this before every command with whatever Python the system has, so it rests on the standard library alone
and can be read by an old Python, which has to be told that it is too old. `.venv/installed` is written last and says
what the environment holds: one that was interrupted is made anew, one whose requirements changed is brought up to date.
"""

import fcntl
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST, NEWEST = (3, 11), (3, 13)
NAMES = ("python3", "python3.13", "python3.12", "python3.11", "python")
"""Where to look. What the reader calls `python3` goes first: other versions may be there for other work."""

CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
PROBE_SECONDS = 5
WORTH_A_LINE = 20
"""Megabytes from which a download is told; the hundred small packages are not."""

LOCK = Path("docs", "hooks", "requirements.lock")
"""All packages with the hashes of their files; PyTorch, whose CPU builds have another index, is not in it."""

OPTIONS = ("--no-input", "--disable-pip-version-check", "--progress-bar=off", "--retries=2", "--no-compile")

QUESTION = """
import importlib.util, json, os, sys
parts = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
print(json.dumps([sys.version_info[:3], base, parts]))
"""

NO_NETWORK = re.compile(
    "NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|RemoteDisconnected"
    "|Network is unreachable|Connection refused|Connection reset|timed out|ConnectionError"
)


class CannotMake(Exception):
    """Why there is no environment, and what to do about it."""


class Python:
    """An interpreter that fits."""

    def __init__(self, version, path):
        self.version = ".".join(map(str, version))
        self.path = path


def find_python(names):
    """The first of `names` that fits; `CannotMake` says of each why it does not."""
    reasons = []
    for name in names:
        path = shutil.which(name)
        if not path:
            continue
        asked = subprocess.run([path, "-I", "-c", QUESTION], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            # The base of a virtual environment, since `.venv` may be the active one and is about to be cleared.
            version, base, missing = json.loads(asked.stdout.decode())
        except ValueError:
            reasons.append(f"{name} ({path}) does not run Python")
            continue
        if not OLDEST <= tuple(version[:2]) <= NEWEST:
            reasons.append("{} is Python {}.{}.{}".format(name, *version))
        elif missing:
            reasons.append(
                "{} is Python {}.{}.{} without its module {}. On Debian, Ubuntu: apt install python{}.{}-venv".format(
                    name, *version, " and ".join(missing), *version[:2]
                )
            )
        else:
            return Python(version, base)
    found = "".join("\n  " + reason for reason in reasons) or "\n  nothing called " + " or ".join(names)
    raise CannotMake(
        f"Python 3.11, 3.12 or 3.13 is needed. Found:{found}\n"
        "Install one, or name one: make PYTHON=/path/to/python3.13 ..."
    )


def contents():
    """A digest of what is installed: the requirements, this project as far as it concerns installing, and how."""
    files = [ROOT / "requirements.txt", ROOT / LOCK]
    requirements = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    tables = r"^\[(?:build-system|project|tool\.setuptools)\b.*?(?=^\[|\Z)"
    project = re.findall(tables, (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    parts = [line for line in requirements if line and not line.lstrip().startswith("#")] + project
    parts.append(Path(__file__).read_text(encoding="utf-8"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def bring_up_to_date(names):
    """Make or mend the environment where it is not what it should be."""
    venv, stamp = ROOT / ".venv", ROOT / ".venv" / "installed"
    held = read(stamp) if (venv / "bin" / "python").exists() else {}
    # Any Python that fits will do, unless the reader names one.
    path = find_python(names).path if names else held.get("python")
    wanted = {"folder": str(ROOT), "python": path, "contents": contents()}
    if held == wanted:
        return
    if (held.get("folder"), held.get("python")) == (str(ROOT), path):
        print("The requirements have changed: bringing .venv up to date.")
        stamp.unlink()
    else:
        base = find_python(names or NAMES)
        wanted["python"] = base.path
        print(f"Making .venv with Python {base.version}: about 1 GB to download, 4 GB on the disk, minutes.")
        create(venv, base)
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip"]
    install([*pip, "install", *OPTIONS, "--require-hashes", "-r", str(LOCK)])
    # What the lock leaves out: PyTorch, and this project itself.
    install([*pip, "install", *OPTIONS, "-r", "requirements.txt", *cpu_wheels()])
    # Where PyTorch's own index is out of reach, its CUDA build comes, and with it Triton. Triton and TensorFlow each
    # bring LLVM, and a process that imports both dies. Without Triton PyTorch does all that it can do on a CPU.
    run_quietly([*pip, "uninstall", "--yes", "--quiet", "triton"])
    # By all cores, which pip does not do. A package may bring files that are for another Python.
    run_quietly([python, "-m", "compileall", "-q", "-j", "0", str(venv / "lib")])
    stamp.write_text(json.dumps(wanted))


def read(stamp):
    """What the environment holds; nothing where its making was interrupted."""
    try:
        return json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}


def create(venv, python):
    """An empty environment, whatever was there before."""
    sys.stdout.flush()
    command = [python.path, "-m", "venv", "--clear", str(venv)]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode:
        raise CannotMake(f"{made.stdout.decode().strip()}\nPython cannot make a virtual environment.")


def cpu_wheels():
    """On Linux PyTorch's own index, beside what pip is set to: its CPU build spares gigabytes of CUDA packages."""
    if platform.system() != "Linux":
        return []  # where the package index has the CPU build
    try:
        # Asked first, since pip would try an index out of reach again and again.
        urllib.request.urlopen(CPU_WHEELS + "/torch/", timeout=PROBE_SECONDS).close()
    except (OSError, ValueError):
        return []
    return ["--extra-index-url", CPU_WHEELS]


def install(command):
    """Run pip; of its many lines show those that take time."""
    started, lines = time.time(), []
    process = subprocess.Popen(command, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for raw in process.stdout or ():
        lines.append(raw.decode(errors="replace").rstrip())
        told = progress(lines[-1])
        if told:
            print(f"{time.time() - started:5.0f} s  {told}")
            sys.stdout.flush()
    if process.wait():
        raise CannotMake(explain(lines))
    print(f"{time.time() - started:5.0f} s  done")


def run_quietly(command):
    """Run what says something where there is nothing to tell."""
    subprocess.run(command, cwd=str(ROOT), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def progress(line):
    """One line of pip in few words, or nothing."""
    download = re.match(r" *Downloading (?:\S*/)?([^/\s-]+)-([^-\s]+)\S* \(([\d.]+) ([MG]B)\)", line)
    if download:
        name, version, size, unit = download.groups()
        if unit == "GB" or float(size) >= WORTH_A_LINE:
            return f"downloading {name} {urllib.parse.unquote(version)} ({size} {unit})"
    if line.startswith("Installing collected packages:"):
        return "installing {} packages".format(line.count(",") + 1)
    return ""


def explain(lines):
    """What to do after pip failed with these lines."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        return "The disk is full: the environment takes 4 GB. Make room, then run the same command again."
    if NO_NETWORK.search(text):
        return (
            "The packages cannot be downloaded: the package index is out of reach.\n"
            "Is this machine online? A proxy is named by HTTPS_PROXY, a mirror by PIP_INDEX_URL.\n"
            "Then run the same command again; pip keeps what has arrived."
        )
    last = "\n".join(line for line in lines[-15:] if line)
    return f"{last}\nThe packages cannot be installed; pip says why above."


def main(names):
    with open(str(ROOT / "requirements.txt")) as lock:
        # A second `make` in another terminal waits for the first instead of clearing its environment.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            bring_up_to_date(names)
        except CannotMake as reason:
            return f"\n{reason}\n"
        except KeyboardInterrupt:
            return "\nInterrupted. The next `make` starts the environment anew."
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
