"""Make the environment of the zoo: the project's own, and beside it the libraries that only the zoo needs.

    .venv/bin/python -m tests.zoo.environment

It stands in `.cache/zoo` and sees all that `.venv` holds, so that PyTorch and TensorFlow are not installed twice.
Nothing here is needed to build or test the site.
"""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "zoo"
PACKAGES = (
    *("timm==1.0.31", "torchvision==0.28.0", "diffusers==0.42.1", "importlib_metadata==10.2.0", "zipp==4.1.2"),
    *("keras-hub==0.32.0", "kagglehub==1.0.2", "kagglesdk==0.1.28", "lazy-importer==0.1.0", "sentencepiece==0.2.3"),
    "tensorflow-text==2.21.1",
)
"""With what they need beside the project's own packages; `--no-deps`, since torchvision would bring another torch."""


def main() -> None:
    python = FOLDER / "bin" / "python"
    done = FOLDER / "installed"
    wanted = "\n".join(PACKAGES)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return
    venv.create(FOLDER, clear=True, with_pip=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    inherited = FOLDER / "lib" / version / "site-packages" / "project.pth"
    inherited.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *PACKAGES], check=True)
    done.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
