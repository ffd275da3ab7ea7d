"""Runs the code of a lab in this process, as its notebook would."""

import re

import matplotlib
import torch

from docs.hooks.show.labs import LABS
from docs.hooks.store import ROOT


def run(slug: str, seeds: int) -> dict:
    """All names of the lab after its code has run, with `seeds` added to each of its seeds."""
    path = ROOT / LABS / f"{slug}.py"
    source = re.sub(
        r"manual_seed\((\d+)\)", lambda seed: f"manual_seed({int(seed[1]) + seeds})", path.read_text("utf-8")
    )
    threads, names = torch.get_num_threads(), {"__name__": "lab"}
    try:
        with matplotlib.rc_context():
            exec(compile(source, path, "exec"), names)
    finally:
        torch.set_num_threads(threads)
    return names
