"""What the build does for the explorer: its modules without their comments, and the digits that it trains on."""

import json
import re
from pathlib import Path

MODULES = Path("javascripts", "explorer")
PLAY = Path("javascripts", "play")
COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/|//[^\n]*)[ \t]*\n", re.MULTILINE | re.DOTALL)
"""A comment that has its lines for itself; one behind code stays, since telling it from a string takes a parser."""

LEVELS = 16
"""A pixel is a whole number from 0 to 16."""


def without_comments(script: str) -> str:
    """A third of the modules is what a reader of the code needs and a reader of the page need not load."""
    return COMMENT.sub("", script)


def publish_modules(source: Path, target: Path) -> None:
    """Write the modules in the folder `source` to the folder `target`, which may be the same, without comments."""
    target.mkdir(parents=True, exist_ok=True)
    for module in source.glob("*.js"):
        (target / module.name).write_text(without_comments(module.read_text(encoding="utf-8")), encoding="utf-8")


def digits_json() -> str:
    """All images, the 360 test images last: a letter for each pixel ("a" for 0, "q" for 16), a digit for each label."""
    import numpy as np  # takes its time, and a warm build makes no digits

    from snippets.laboratory.digits import load_digits

    data = load_digits()
    images = np.concatenate([data.train_inputs, data.test_inputs]).ravel()
    darkest = images.min()
    levels = np.rint((images - darkest) / (images.max() - darkest) * LEVELS).astype(np.uint8)
    labels = np.concatenate([data.train_labels, data.test_labels])
    return json.dumps({"levels": (levels + ord("a")).tobytes().decode(), "labels": "".join(map(str, labels))})
