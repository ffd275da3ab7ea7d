"""The page of all snippets, written from their docstrings, and the archive of all files.

A concept, `<topic>/<name>`, is what the files `<name>_pytorch.py`, `<name>_keras.py` and `<name>_numpy.py` of a topic
have in common. `TASKS` says what a reader wants it for; all else is read off the files and the pages.
"""

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from docs.hooks.archive import zipped
from docs.hooks.pages import find_places, link
from docs.hooks.store import ROOT

FRAMEWORKS = {"pytorch": "PyTorch", "keras": "Keras", "numpy": "NumPy"}
"""The last word of a file's name, in the order of the tabs."""

ARCHIVE = "well-initialized-snippets"


class Task(NamedTuple):
    """One section of the page."""

    title: str
    """What the reader wants to do."""
    concepts: tuple[str, ...]
    """In the order of the page; a pattern such as `diagnostics/*` stands for all concepts that fit and have no place
    of their own."""


TASKS = (
    Task(
        "Find out why a network does not train",
        (
            "diagnostics/*",
            "vanishing_gradients/layer_gradients",
            "activation_functions/unit_health",
            "exploding_gradients/finite_guard",
        ),
    ),
    Task("Initialize a whole model", ("weight_initialization/init_weights", "he_initialization/example")),
    Task(
        "Draw the weights of a layer",
        (
            "he_initialization/he_init",
            "xavier_initialization/xavier_init",
            "activation_functions/gain",
            "he_initialization/fans",
        ),
    ),
    Task(
        "Initialize attention, an LSTM, a convolution, the output",
        (
            "xavier_initialization/packed_attention",
            "vanishing_gradients/forget_bias",
            "weight_initialization/delta_orthogonal",
            "weight_initialization/output_bias",
        ),
    ),
    Task(
        "Make a very deep network trainable",
        (
            "weight_initialization/residual_scaling",
            "weight_initialization/looks_linear",
            "weight_initialization/lsuv",
        ),
    ),
    Task("Clip gradients", ("exploding_gradients/clip_gradients", "exploding_gradients/adaptive_clipping")),
    Task(
        "Normalize",
        (
            "batch_normalization/batch_norm",
            "batch_normalization/norms",
            "batch_normalization/freeze_batch_norm",
            "batch_normalization/fold_batch_norm",
        ),
    ),
    Task(
        "Move a model between the frameworks",
        ("batch_normalization/batch_norm_like_keras", "batch_normalization/batch_norm_like_pytorch"),
    ),
    Task("See inside a loss", ("activation_functions/softmax_cross_entropy",)),
)


class CatalogueError(Exception):
    """A concept has no place on the page."""


@dataclass(frozen=True)
class Concept:
    """One idea in one to three frameworks."""

    name: str
    """`<topic>/<name>`."""
    files: tuple[Path, ...]
    """Relative to the root, in the order of the tabs."""

    @property
    def anchor(self) -> str:
        return self.name.partition("/")[2].replace("_", "-")


def find_snippets() -> list[Path]:
    """Every file that readers copy, relative to the root: all but experiments and what these share."""
    found = (path.relative_to(ROOT) for path in sorted(ROOT.glob("snippets/*/*.py")))
    return [path for path in found if path.parent.name != "laboratory" and not path.stem.startswith("experiment_")]


def mirror(snippet: Path) -> Path:
    """The file with its tests, whether it exists or not."""
    return Path("tests", snippet.parent.name, f"test_{snippet.name}")


def concepts() -> dict[str, Concept]:
    files: dict[str, list[Path]] = {}
    for path in find_snippets():
        name, _, framework = path.stem.rpartition("_")
        if framework not in FRAMEWORKS:
            raise CatalogueError(f"{path.as_posix()}: the name of a copyable file ends in one of {list(FRAMEWORKS)}")
        files.setdefault(f"{path.parent.name}/{name}", []).append(path)
    order = list(FRAMEWORKS)
    return {
        name: Concept(name, tuple(sorted(found, key=lambda path: order.index(path.stem.rpartition("_")[2]))))
        for name, found in files.items()
    }


def sections() -> list[tuple[Task, list[Concept]]]:
    """The tasks that have a concept, each with its own. Raises CatalogueError for a concept that fits none."""
    found = concepts()
    named = {name for task in TASKS for name in task.concepts}
    placed = []
    for task in TASKS:
        fitting = [
            name
            for wanted in task.concepts
            for name in ([wanted] if wanted in found else sorted(set(found) - named))
            if fnmatch(name, wanted)
        ]
        placed.append((task, [found.pop(name) for name in fitting]))
    if found:
        raise CatalogueError(
            f"{', '.join(found)}: say what a reader wants it for. Add each name to a task of TASKS in {_here()}."
        )
    return [(task, own) for task, own in placed if own]


def catalogue() -> str:
    """The page's Markdown below its introduction. Raises CatalogueError for a concept that has no place."""
    parts, places = [], find_places()
    for task, own in sections():
        parts.append(f"## {task.title} {{ #to-{re.sub(r'[^a-z]+', '-', task.title.lower())} }}\n")
        parts += [_entry(concept, places) for concept in own]
    return "\n".join(parts)


def archive() -> bytes:
    """A zip of all copyable files by topic, and the licence; the same files give the same bytes."""
    # Not compressed, so that two machines make the same.
    paths = (Path("LICENSE"), *find_snippets())
    return zipped(
        {
            f"{ARCHIVE}/{path.relative_to('snippets') if path.parts[1:] else path}": (ROOT / path).read_bytes()
            for path in paths
        }
    )


def _entry(concept: Concept, places: Mapping[str, Sequence[str]]) -> str:
    words = Docstring.of(concept.files[0])
    formula = f"``` {{ .text .no-copy }}\n{words.formula}\n```\n\n" if words.formula else ""
    return f"""\
### `{concept.name.partition("/")[2]}` {{ #{concept.anchor} }}

{words.first}

{formula}{" ".join(map(_download, concept.files))}
{{ .files }}

{_beside(concept, places)} Source: {words.source}
{{ .origin }}
"""


class Docstring(NamedTuple):
    """The parts of a copyable file's docstring that the page shows."""

    first: str
    """Its first paragraph, on one line: what the file is for."""
    formula: str
    """Its first indented block; empty if there is none."""
    source: str

    @classmethod
    def of(cls, path: Path) -> "Docstring":
        text = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if not text or "Source: " not in text:
            raise CatalogueError(f"{path.as_posix()}: the docstring says what the file is for, and its 'Source: ...'")
        first, _, rest = text.partition("\n\n")
        block = re.search(r"(?:^ {4}.*\n(?:\n(?= {4}))?)+", f"{rest}\n", flags=re.MULTILINE)
        formula = textwrap.dedent(block[0]).rstrip() if block else ""
        return cls(_line(first), formula, _line(text.split("Source: ")[1].split("\n\n")[0]))


def _line(text: str) -> str:
    return " ".join(text.split())


def _download(path: Path) -> str:
    return f"[{_framework(path)}: `{path.name}`](../downloads/{path.relative_to('snippets').as_posix()}){{ download }}"


def _beside(concept: Concept, places: Mapping[str, Sequence[str]]) -> str:
    """Where the files are explained, and their tests."""
    shown = dict.fromkeys(place for path in concept.files for place in places.get(path.as_posix(), ()))
    name = concept.name.partition("/")[2].replace("_", " ")
    tests = [
        link(_framework(path), f"../downloads/{mirror(path).as_posix()}", f"tests of {name}", download=True)
        for path in concept.files
        if (ROOT / mirror(path)).is_file()
    ]
    explained = f"Explained in {', '.join(shown)}." if shown else ""
    return f"{explained} Tests: {', '.join(tests)}." if tests else explained


def _framework(path: Path) -> str:
    return FRAMEWORKS[path.stem.rpartition("_")[2]]


def _here() -> str:
    return Path(__file__).relative_to(ROOT).as_posix()
