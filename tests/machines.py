"""Hold the claims, the parity of the explorer and the tests of all snippets on stand-ins for other machines.

    python -m tests.machines              every stand-in that this machine can be, with one thread and with two
    python -m tests.machines --threads 2  with two threads alone
    python -m tests.machines --some       what `make test-all` holds: claims and parity, one thread, on the oldest
                                          processor, whose kernels differ most from this one's

The libraries choose their kernels by the processor, and kernels add in another order. So the last digits of a sum are
another machine's business; a training multiplies them. These settings make one machine choose as others would.
`make spread` holds ten seeds on the same processors, so one seed is enough here.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

X86 = {
    "DEFAULT": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    },
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "AVX512": {"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"},
}
"""Oldest first, under the names that PyTorch gives to what a processor can do. A younger one runs all before it."""

ARM = {
    "DEFAULT": {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "ARMV8"},
    "as it is": {},
}

THREADS = ("1", "2")

CLAIMS = "tests/test_claims.py"
PARITY = ("tests/site/test_explorer_engine.py", "tests/site/test_explorer_training.py")
SNIPPETS = (
    "diagnostics",
    "laboratory",
    "toolbox",
    *(path.parent.name for path in sorted(ROOT.glob("snippets/*/*.py"))),
)


def machines() -> dict[str, dict[str, str]]:
    """What stands in for which processor, as far as this one can."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return ARM
    import torch

    names = list(X86)
    able = torch.backends.cpu.get_cpu_capability()
    return (
        {name: X86[name] for name in names[: names.index(able) + 1]} if able in names else {"DEFAULT": X86["DEFAULT"]}
    )


def environment(settings: dict[str, str], threads: str) -> dict[str, str]:
    """That of this process with the switches of one stand-in, and with no other switch that may have been set."""
    switches = {"OPENBLAS_L2_SIZE", *(name for machine in X86.values() for name in machine)}
    kept = {name: text for name, text in os.environ.items() if name not in switches}
    # A thread that waits for another sleeps; else it keeps a core busy that the other may wait for.
    return kept | settings | {"TEST_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}


def passes(settings: dict[str, str], threads: str, arguments: Sequence[str]) -> bool:
    """Whether all tests pass. In two halves, since PyTorch and TensorFlow do not share a process."""
    # More threads than cores would wait for each other in every operation.
    processes = max(1, min(4, (os.cpu_count() or 1) // int(threads)))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "-n",
        str(processes),
        "--dist",
        "worksteal",
        *arguments,
    ]
    run = {"cwd": ROOT, "env": environment(settings, threads), "check": False}
    # A half that a signal ended has a negative status.
    statuses = [subprocess.run([*command, "-m", half], **run).returncode for half in ("not keras", "keras")]
    return statuses == [0, 0]


def main(some: bool, threads_of: Sequence[str] = THREADS) -> int:
    able = machines()
    folders = sorted({f"tests/{name}" for name in SNIPPETS if (ROOT / "tests" / name).is_dir()})
    failed = []
    if some:
        chosen = list(product(list(able)[:1], THREADS[:1]))
        # The report of coverage covers the experiments too, which nothing else runs among the tests.
        arguments = [CLAIMS, *PARITY, "--cov", "--cov-append", "--cov-report="]
    else:
        chosen = list(product(able, threads_of))
        arguments = [CLAIMS, *PARITY, *folders]
    for name, threads in chosen:
        print(f"\n{name}, threads: {threads}: {able[name]}", flush=True)
        started = time.monotonic()
        if not passes(able[name], threads, arguments):
            failed.append(f"{name} with {threads} threads")
        print(f"{name}, threads: {threads}: {time.monotonic() - started:.0f} s", flush=True)
    print("\nEvery stand-in passed." if not failed else f"\nFailed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--some", action="store_true", help="what fits into every run of the tests")
    parser.add_argument("--threads", choices=THREADS, nargs="+", default=THREADS, help="both if none is given")
    given = parser.parse_args()
    sys.exit(main(given.some, given.threads))
