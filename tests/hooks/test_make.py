"""A first build makes all, a later one what is stale; all failures come together, and the next build recovers."""

import os
import re
import signal
import subprocess
import time

import pytest

from docs.hooks.draw import palette
from tests.hooks.halving import PATH, SOUND, faulty, figure, made, posix_only, products, taken

pytestmark = pytest.mark.slow


def test_an_experiment_is_measured_drawn_and_written_down(sound):
    run = sound.make_figures()

    assert run.returncode == 0, run.stdout
    for line in (r"\[  1/2\] .* s  halving/sound measured", r"\[  2/2\] .* s  halving/sound drawn"):
        assert re.search(line, run.stdout)
    assert made(sound) == products("sound")
    folder = figure(sound, "sound").parent
    claims = (folder / "sound-claims.md").read_text(encoding="utf-8")
    for part in ("The first step halves", '<span class="claim-value">0.5</span>', "exact"):
        assert part in claims
    ledger = (folder.parent / "evidence-ledger.md").read_text(encoding="utf-8")
    include = '--8<-- "docs/figures/halving/sound-claims.md"'
    for part in ("### Halving: each step halves the value {", "2 claims", PATH.rpartition("/")[2]):
        assert part in ledger
    card = (folder / "sound.md").read_text(encoding="utf-8")
    assert include in card and "Euclid, Elements, book X, proposition 1." in card


def test_a_warm_build_measures_nothing(finished):
    assert finished.make_figures().stdout == ""


STEPS = {
    PATH: ["measured", "drawn"],
    "snippets/laboratory/claim.py": ["measured"],
    "docs/hooks/measure/record.py": ["measured"],
    "docs/hooks/draw/palette.py": [],
    "docs/hooks/draw/scheme.py": ["drawn"],
    "docs/hooks/draw/style.py": ["drawn"],
    "docs/hooks/show/evidence.py": [],
    "docs/hooks/show/claims.html.j2": [],
    "docs/hooks/tasks.py": [],
    "requirements.txt": [],
}


@pytest.mark.parametrize(("change", "steps"), STEPS.items())
def test_a_step_is_taken_again_when_what_it_reads_changed(finished, change, steps):
    """A new last line changes nothing else: a step that makes the same bytes as before gives the next nothing to do."""
    with (finished.root / change).open("a", encoding="utf-8") as file:
        file.write("\n")

    run = finished.make_figures()

    assert run.returncode == 0, run.stdout
    assert taken(run) == steps


@pytest.mark.parametrize(
    ("half", "steps"),
    [
        ('"""Another sentence."""\n\nHALF = 0.5  # a comment\n', []),
        ('"""One half."""\n\nHALF = 1 / 2\n', ["measured", "drawn"]),
        ('"""One half."""\n\nHALF = \n', []),
    ],
    ids=["a sentence", "the program", "its syntax"],
)
def test_a_sentence_in_what_an_experiment_imports_measures_nothing_again(sound, half, steps):
    imported = sound.write("snippets/laboratory/half.py", '"""One half."""\n\nHALF = 0.5\n')
    source = SOUND.replace("import Claim\n", "import Claim\nfrom snippets.laboratory.half import HALF\n")
    sound.write(PATH, source.replace("0.5 ** np", "HALF ** np"))
    assert taken(sound.make_figures()) == ["measured", "drawn"]
    imported.write_text(half, encoding="utf-8")

    run = sound.make_figures()

    assert taken(run) == steps
    assert ("half.py" in run.stdout) == ("= \n" in half)


@pytest.mark.parametrize(("package", "steps"), [("numpy", ["measured"]), ("matplotlib", ["drawn"]), ("playwright", [])])
def test_another_version_of_a_package_takes_the_steps_again_that_rest_on_it(finished, package, steps):
    # The first that is found counts, and the project stands before the installed packages.
    finished.write(f"{package}-99.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 99\n")

    run = finished.make_figures()

    assert taken(run) == steps


def test_a_changed_colour_is_in_the_figure_and_a_changed_template_in_the_card(finished):
    for file, old, new in (
        ("docs/hooks/draw/palette.py", palette.SERIES[0][0], "#123456"),
        ("docs/hooks/show/claims.html.j2", "<span>Measured</span>", "<span>Seen</span>"),
    ):
        text = (finished.root / file).read_text(encoding="utf-8")
        finished.write(file, text.replace(old, new))

    run = finished.make_figures()

    assert run.returncode == 0 and taken(run) == []
    for path in ("docs/stylesheets/palette.css", "docs/assets/favicon.svg"):
        assert "#123456" in (finished.root / path).read_text(encoding="utf-8")
    assert "#123456" in figure(finished, "sound").read_text(encoding="utf-8")
    claims = figure(finished, "sound").with_name("sound-claims.md")
    assert "<span>Seen</span>" in claims.read_text(encoding="utf-8")


@pytest.mark.parametrize("product", products("sound"))
def test_a_deleted_product_is_made_again(finished, product):
    figure(finished, "sound").with_name(product).unlink()

    assert finished.make_figures().returncode == 0
    assert made(finished) == products("sound")


@pytest.mark.parametrize("product", products("sound"))
def test_an_altered_product_is_made_again(finished, product):
    path = figure(finished, "sound").with_name(product)
    before = path.read_bytes()
    path.write_bytes(before[:100])

    assert finished.make_figures().returncode == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"measure:halving/sound": 3}', b"\xff\xfe"])
def test_a_damaged_cache_is_forgotten(finished, damage):
    (finished.root / ".cache/doit.json").write_bytes(damage)

    run = finished.make_figures()

    assert run.returncode == 0, run.stdout
    assert taken(run) == ["measured", "drawn"]


def test_the_figure_of_a_removed_experiment_goes(finished):
    finished.write("snippets/halving/experiment_other.py", SOUND)
    finished.make_figures()
    assert made(finished) == products("other", "sound")
    (finished.root / "snippets/halving/experiment_other.py").unlink()

    assert finished.make_figures().returncode == 0
    assert made(finished) == products("sound")
    assert [path.stem for path in (finished.root / ".cache/measured/halving").iterdir()] == ["sound"]


def test_all_failures_of_a_run_come_together_and_the_sound_experiments_are_kept(sound):
    sound.write("snippets/halving/experiment_raising.py", faulty("    1 / 0"))
    sound.write("snippets/halving/experiment_refuted.py", SOUND.replace("interval=(0.25, 0.25)", "interval=(1, 2)"))

    run = sound.make_figures()

    summary = run.stdout.partition("2 failed:")[2]
    assert "halving/raising" in summary and "halving/refuted" in summary
    assert made(sound) == products("sound")


def test_a_failure_is_never_remembered_and_its_cure_is_enough(sound):
    sound.write(PATH, faulty("    1 / 0"))
    assert sound.make_figures().returncode != 0
    assert sound.make_figures().returncode != 0
    sound.write(PATH, SOUND)

    assert sound.make_figures().returncode == 0


@posix_only
@pytest.mark.parametrize("blow", ["SIGINT", "SIGKILL"])
def test_an_interrupted_build_leaves_nothing_half_written_and_the_next_one_recovers(sound, blow):
    slow = sound.write("snippets/halving/experiment_slow.py", faulty("    time.sleep(60)"))
    command = sound.command("docs.hooks.make")
    with subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as run:
        deadline = time.monotonic() + 300
        while "sound.json" not in made(sound) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(run.pid, getattr(signal, blow))
        output = run.communicate(timeout=300)[0]
    assert run.returncode != 0, output
    assert [name for name in made(sound) if name.startswith("slow")] == []
    # The blow may have hit while something was written, and the next build leaves a younger file to another build.
    for unfinished in (sound.root / ".cache" / "unfinished").iterdir():
        os.utime(unfinished, (0, 0))
    slow.write_text(SOUND)

    assert sound.make_figures().returncode == 0
    assert made(sound) == products("slow", "sound")


@posix_only
def test_a_full_disk_leaves_nothing_half_written_and_the_next_build_recovers(sound):
    # No file may grow beyond 1 kB in the experiment's process: its figure cannot be written to the end.
    limit = "    import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))"
    sound.write(PATH, faulty(limit))

    run = sound.make_figures()

    assert run.returncode != 0
    assert "OSError: [Errno 27] File too large" in run.stdout
    assert made(sound) == []
    sound.write(PATH, SOUND)
    assert sound.make_figures().returncode == 0
