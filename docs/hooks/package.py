"""Builds the project for pip. In place it is `docs` and `snippets` as they lie; as a wheel it is `well_initialized`.

The wheel holds the files to copy, byte for byte: `snippets/he_initialization/he_init_pytorch.py` is its
`well_initialized/pytorch/he_init_pytorch.py`. What is public in them is to be had from `well_initialized.pytorch` as
well, unless two files give it the same name. pip calls these functions by their names, alone with setuptools, so this
file imports nothing of the project. A folder of its own is built, so that nothing is written beside the sources.
"""

import ast
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable as build_editable,
)
from setuptools.build_meta import (
    build_sdist as build_sdist,
)
from setuptools.build_meta import (
    get_requires_for_build_editable as get_requires_for_build_editable,
)
from setuptools.build_meta import (
    get_requires_for_build_sdist as get_requires_for_build_sdist,
)
from setuptools.build_meta import (
    get_requires_for_build_wheel as get_requires_for_build_wheel,
)
from setuptools.build_meta import (
    prepare_metadata_for_build_editable as prepare_metadata_for_build_editable,
)

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORKS = {"pytorch": "PyTorch", "keras": "Keras", "numpy": "NumPy"}
NAME = "well_initialized"

PUBLISHED = {
    'packages = ["docs", "snippets"]': f"packages = {[NAME, *(f'{NAME}.{of}' for of in FRAMEWORKS)]}\n"
    f'package-data = {{ {NAME} = ["py.typed"] }}',
    'requires-python = ">=3.11,<3.14"': 'requires-python = ">=3.10"',
}
"""What the settings of the wheel say in the place of those of the project."""


def build_wheel(
    wheel_directory: str, config_settings: Mapping[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Write the wheel into `wheel_directory` and return its name. `metadata_directory` is not used."""
    target = str(Path(wheel_directory).resolve())
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder))
        before = Path.cwd()
        os.chdir(folder)
        try:
            return build_meta.build_wheel(target, config_settings)
        finally:
            os.chdir(before)


def lay_out(folder: Path) -> None:
    """Write the package and its settings into an empty `folder`."""
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    settings = settings.replace('build-backend = "package"\nbackend-path = ["docs/hooks"]\n', "")
    for ours, published in PUBLISHED.items():
        assert settings.count(ours) == 1, ours
        settings = settings.replace(ours, published)
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    for name in ("LICENSE", "README.md"):
        shutil.copyfile(ROOT / name, folder / name)
    package = folder / NAME
    package.mkdir()
    (package / "py.typed").touch()
    (package / "__init__.py").write_text(f'"""{_summary()}"""\n', encoding="utf-8")
    for framework in FRAMEWORKS:
        (package / framework).mkdir()
        files = list(_files(framework))
        for file in files:
            shutil.copyfile(file, package / framework / file.name)
        (package / framework / "__init__.py").write_text(_door(framework, files), encoding="utf-8")


def _files(framework: str) -> Iterator[Path]:
    for path in sorted((ROOT / "snippets").glob(f"*/*_{framework}.py")):
        if not path.stem.startswith("experiment_"):
            yield path


def public(file: Path) -> list[str]:
    """Functions, classes and constants that a file defines and that have no underscore, in their order."""
    names = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def homes(files: list[Path]) -> dict[str, str]:
    """The one file that defines a public function or class, for each name that only one defines."""
    count = Counter(name for file in files for name in public(file))
    return {name: file.stem for file in files for name in public(file) if count[name] == 1 and not name.isupper()}


def _door(framework: str, files: list[Path]) -> str:
    found = dict(sorted(homes(files).items()))
    imports = "\n".join(f"    from .{home} import {name} as {name}" for name, home in found.items())
    table = "\n".join(f'    "{name}": "{home}",' for name, home in found.items())
    return f'''"""The files of Well Initialized for {FRAMEWORKS[framework]}; each is imported when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
{imports}

_HOMES = {{
{table}
}}

__all__ = list(_HOMES)  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{{__name__}}.{{_HOMES[name]}}"), name)
    raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}")


def __dir__() -> list[str]:
    return __all__
'''


def _summary() -> str:
    return "Snippets about gradients and weight initialization, tested and with their sources."
