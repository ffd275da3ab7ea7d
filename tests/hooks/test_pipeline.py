"""The build fails with the right words on a planted fault, tells all failures together, and recovers."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docs.hooks.measure import processes
from docs.hooks.measure.experiment import find_experiments
from docs.hooks.measure.imports import imported_modules

SOUND = '''"""Halving: each step halves the value.

Source: Euclid, Elements, book X, proposition 1.
"""

import time
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim


class Halving(NamedTuple):
    values: np.ndarray


def measure(seed: int = 0) -> Halving:
    return Halving(0.5 ** np.arange(10.0))


CLAIMS = (
    Claim(statement="The first step halves", value=lambda m: m.values[1], interval=(0.5, 0.5), reason="exact"),
    Claim(statement="So does the second", value=lambda m: m.values[2], interval=(0.25, 0.25), reason="exact"),
)


def plot(measured: Halving) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    axes.semilogy(measured.values)
    axes.set(xlabel="step", ylabel="value")
    return figure
'''
TABLE = '''

def table(measured: Halving) -> list[tuple[str, ...]]:
    half = format(measured.values[1], "g")
    return [("step", "value", "what"), ("0", "—", "whole"), ("1", half, "0.5 of it")]
'''
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="plants a fault with a signal or a limit of POSIX")
MEASURE = "    return Halving(0.5 ** np.arange(10.0))"


def faulty(body: str) -> str:
    """The sound experiment with other first lines in `measure`."""
    return SOUND.replace(MEASURE, f"{body}\n{MEASURE}")


def figure(project, name: str) -> Path:
    return project.root / "docs" / "figures" / "halving" / f"{name}.svg"


@pytest.fixture
def sound(project):
    """A small project with one experiment that works."""
    project.write("snippets/halving/experiment_sound.py", SOUND)
    return project


def made(project) -> list[str]:
    """The names of all figures, numbers and cards there are, and of what is unfinished."""
    folders = (project.root / "docs" / "figures" / "halving", project.root / ".cache" / "unfinished")
    return sorted(path.name for folder in folders if folder.is_dir() for path in folder.iterdir())


def test_an_experiment_is_measured_drawn_and_written_down(sound):
    run = sound.make_figures()

    assert run.returncode == 0, run.stdout
    for line in (r"\[  1/2\] .* s  halving/sound measured", r"\[  2/2\] .* s  halving/sound drawn"):
        assert re.search(line, run.stdout)
    assert made(sound) == ["sound.json", "sound.md", "sound.svg"]
    ledger = (sound.root / "docs/figures/evidence-ledger.md").read_text(encoding="utf-8")
    for part in ("### Halving: each step halves the value {", "The first step halves", "<dd>0.5</dd>", "exact",
                 "Euclid, Elements, book X, proposition 1.", "snippets/halving/experiment_sound.py"):  # fmt: skip
        assert part in ledger


def test_a_table_is_written_if_the_experiment_has_one_and_goes_with_it(sound):
    with_table = SOUND + TABLE
    sound.write("snippets/halving/experiment_sound.py", with_table)
    assert sound.make_figures().returncode == 0
    assert made(sound) == ["sound-table.md", "sound.json", "sound.md", "sound.svg"]
    table = figure(sound, "sound").with_name("sound-table.md")
    rows = re.findall("<tr>(.*?)</tr>", table.read_text(encoding="utf-8"), flags=re.DOTALL)
    right = ' style="text-align: right;"'
    assert [row.split("\n")[1:-1] for row in rows] == [
        [f"<th{right}>step</th>", f"<th{right}>value</th>", "<th>what</th>"],
        [f"<td{right}>0</td>", f"<td{right}>—</td>", "<td>whole</td>"],
        [f"<td{right}>1</td>", f"<td{right}>0.5</td>", "<td>0.5 of it</td>"],
    ]
    table.unlink()
    sound.make_figures()
    assert table.is_file()
    sound.write("snippets/halving/experiment_sound.py", SOUND)
    sound.make_figures()
    assert not table.exists()


def test_a_table_whose_rows_differ_in_length_is_refused(sound):
    sound.write("snippets/halving/experiment_sound.py", SOUND + TABLE.replace('"0.5 of it"', '"0.5", "of it"'))

    assert "ValueError: table: every row must have 3 cells" in sound.make_figures().stdout
    assert made(sound) == []


def test_a_warm_build_measures_nothing(sound):
    sound.make_figures()

    assert sound.make_figures().stdout == ""


STEPS = {
    "measured drawn shown": ["snippets/halving/experiment_sound.py", "snippets/laboratory/claim.py"],
    "measured": ["docs/hooks/measure/record.py"],
    "drawn": ["docs/hooks/draw/palette.py", "docs/hooks/draw/style.py"],
    "shown": ["docs/hooks/show/card.html.j2", "docs/hooks/show/evidence.py"],
    "": ["requirements.txt", "docs/hooks/tasks.py", "docs/stylesheets/theme.css"],
}


@pytest.mark.parametrize(("change", "steps"), [(file, steps) for steps, files in STEPS.items() for file in files])
def test_a_step_is_taken_again_when_what_it_reads_changed(sound, change, steps):
    """A comment changes nothing else: where a step makes the same bytes as before, the next has nothing to do."""
    sound.make_figures()
    card = figure(sound, "sound").with_suffix(".md")
    with (sound.root / change).open("a", encoding="utf-8") as file:
        file.write("\n{# changed #}\n" if change.endswith(".j2") else "\n# changed\n")
    os.utime(card, (0, 0))

    run = sound.make_figures()

    assert run.returncode == 0, run.stdout
    taken = [step for step in ("measured", "drawn") if f"halving/sound {step}" in run.stdout]
    assert taken == [step for step in steps.split() if step != "shown"]


@pytest.mark.parametrize(
    ("package", "steps"), [("numpy", ["measured"]), ("matplotlib", ["drawn"]), ("playwright", [])]
)
def test_another_version_of_a_package_takes_the_steps_again_that_rest_on_it(sound, package, steps):
    sound.make_figures()
    # The first that is found counts, and the project stands before the installed packages.
    sound.write(f"{package}-99.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 99\n")

    run = sound.make_figures()

    assert [step for step in ("measured", "drawn") if f"halving/sound {step}" in run.stdout] == steps


def test_a_changed_colour_is_in_the_figure_and_a_changed_template_in_the_card(sound):
    sound.make_figures()
    for file, old, new in (
        ("docs/hooks/draw/palette.py", "#1b49a2", "#123456"),
        ("docs/hooks/show/card.html.j2", "This build", "This measurement"),
    ):
        text = (sound.root / file).read_text(encoding="utf-8")
        sound.write(file, text.replace(old, new))

    run = sound.make_figures()

    assert "measured" not in run.stdout
    assert "#123456" in figure(sound, "sound").read_text(encoding="utf-8")
    assert "<dt>This measurement</dt>" in figure(sound, "sound").with_suffix(".md").read_text(encoding="utf-8")


def test_what_is_drawn_has_the_types_that_were_measured(sound):
    nested = "{1: (np.float32(0.5), {'a': [Halving(np.eye(2))]}), 'more': Halving(np.arange(3)), 2.5: None}"
    asserts = "    assert repr(measured.values) == repr({}), repr(measured.values)\n    measured = Halving([1, 2])\n"
    source = faulty(f"    return Halving({nested})").replace("m.values[1]", "0.5").replace("m.values[2]", "0.25")
    plot = "    figure = Figure()\n"
    sound.write("snippets/halving/experiment_sound.py", source.replace(plot, asserts.format(nested) + plot))

    assert sound.make_figures().returncode == 0


@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_a_damaged_measurement_is_measured_again(sound, damage):
    sound.make_figures()
    measurement = sound.root / ".cache/measured/halving/sound.pickle"
    before = measurement.read_bytes()
    measurement.unlink()
    if damage == "cut short":
        measurement.write_bytes(before[:100])

    run = sound.make_figures()

    assert run.returncode == 0, run.stdout
    assert "halving/sound measured" in run.stdout
    assert measurement.read_bytes() == before


def test_a_plot_that_raises_is_named_and_what_was_measured_is_kept(sound):
    sound.write("snippets/halving/experiment_sound.py", SOUND.replace("axes.semilogy", "axes.nowhere"))

    run = sound.make_figures()

    line = SOUND[: SOUND.index("axes.semilogy")].count("\n") + 1
    assert f"snippets/halving/experiment_sound.py:{line} in plot: axes.nowhere(measured.values)" in run.stdout
    assert "python -m docs.hooks.draw.run snippets/halving/experiment_sound.py" in run.stdout
    assert "measuring" not in sound.make_figures().stdout


def test_a_file_imported_through_another_measures_again(sound):
    sound.write("snippets/laboratory/inner.py", "SIZE = 10.0\n")
    sound.write("snippets/laboratory/outer.py", "from snippets.laboratory.inner import SIZE\n")
    source = SOUND.replace("import numpy", "from snippets.laboratory.outer import SIZE\nimport numpy").replace("10.0", "SIZE")
    sound.write("snippets/halving/experiment_sound.py", source)
    assert sound.make_figures().returncode == 0
    sound.write("snippets/laboratory/inner.py", "SIZE = 12.0\n")

    assert "halving/sound" in sound.make_figures().stdout
    assert len(json.loads(figure(sound, "sound").with_suffix(".json").read_text())["measured"]["values"]) == 12


def test_an_unchanged_figure_is_not_written_again(sound):
    """Else the live reload, which watches the folder, would build for ever."""
    sound.make_figures()
    written = figure(sound, "sound").stat().st_mtime_ns
    with (sound.root / "docs/hooks/draw/style.py").open("a") as file:
        file.write("\n")

    assert "halving/sound drawn" in sound.make_figures().stdout
    assert figure(sound, "sound").stat().st_mtime_ns == written


def test_a_claim_outside_its_interval_is_named_with_value_interval_and_reason(sound):
    sound.write("snippets/halving/experiment_sound.py", SOUND.replace("interval=(0.25, 0.25)", "interval=(0.3, 0.4)"))

    run = sound.make_figures()

    assert run.returncode != 0
    assert 'claim "So does the second": measured 0.25, asserted [0.3, 0.4] (exact)' in run.stdout
    assert "python -m docs.hooks.measure.run snippets/halving/experiment_sound.py" in run.stdout
    assert made(sound) == []


def test_all_refuted_claims_of_an_experiment_are_told(sound):
    sound.write("snippets/halving/experiment_sound.py", SOUND.replace("0.5 **", "0.9 **"))

    run = sound.make_figures()

    assert "The first step halves" in run.stdout and "So does the second" in run.stdout


def test_a_nan_refutes_a_claim(sound):
    sound.write("snippets/halving/experiment_sound.py", SOUND.replace("0.5 **", "np.nan *"))

    assert "measured nan" in sound.make_figures().stdout


def test_a_raising_experiment_is_shown_by_its_own_lines_alone(sound):
    sound.write("snippets/halving/experiment_sound.py", faulty("    np.linalg.inv(np.zeros((2, 2)))"))

    run = sound.make_figures()

    assert run.returncode != 0
    assert "snippets/halving/experiment_sound.py:20 in measure: np.linalg.inv(np.zeros((2, 2)))" in run.stdout
    assert "LinAlgError: Singular matrix" in run.stdout
    assert "site-packages" not in run.stdout and "Traceback" not in run.stdout


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("docs/hooks/measure/run.py", "values, refuted ="),
        ("docs/hooks/draw/style.py", "svg = text.getvalue()"),
        ("docs/hooks/measure/record.py", "return json.dumps(record"),
        ("docs/hooks/show/card.html.j2", "{{ claim.statement"),
        ("docs/hooks/progress.py", "self.started[task.name] = time"),
        ("docs/hooks/tasks.py", "write_if_changed(LEDGER"),
        ("docs/hooks/pages.py", "found = (path.relative_to"),
        ("docs/hooks/markdown/mathematics.py", "HEADINGS = {"),
        ("docs/hooks/site.py", "labs.use_our_jupyter()"),
        ("docs/overrides/main.html", "{{ super() }}"),
    ],
)
def test_an_error_of_the_build_itself_is_named_with_file_and_line(sound, file, place):
    """The template among them: doit's threads once left standard error closed behind them."""
    text = (sound.root / file).read_text(encoding="utf-8")
    before = text[: text.index(place)]
    sound.write(file, text.replace(place, ("{{ nowhere.known }}" if "{{" in place else "1 / 0; ") + place, 1))

    run = sound.build_site()

    assert run.returncode == 1
    number = before.count("\n") + 1
    assert re.search(rf'{re.escape(file)}(:|", line ){number}\b', run.stdout), run.stdout


def test_a_syntax_error_is_shown_with_its_line(sound):
    sound.write("snippets/halving/experiment_sound.py", faulty("    return ("))

    run = sound.make_figures()

    assert run.returncode != 0
    assert "experiment_sound.py" in run.stdout and "line 20" in run.stdout and "SyntaxError" in run.stdout


@posix_only
def test_a_segmentation_fault_is_named_with_its_line(sound):
    sound.write("snippets/halving/experiment_sound.py", faulty("    import ctypes; ctypes.string_at(0)"))

    run = sound.make_figures()

    assert run.returncode != 0
    assert "snippets/halving/experiment_sound.py:20 in measure: the process died of SIGSEGV" in run.stdout


def test_a_hang_is_ended_and_named_with_its_line(sound):
    sound.write("snippets/halving/experiment_sound.py", faulty("    time.sleep(600)"))

    run = sound.make_figures(EXPERIMENT_TIME_LIMIT="3")

    assert run.returncode != 0
    assert "snippets/halving/experiment_sound.py:20 in measure: still running after 3 s" in run.stdout


@posix_only
def test_a_process_forked_with_pytorch_is_as_good_as_a_new_one(sound):
    """Only where an experiment needs PyTorch: the text of a crash, the name of a signal and the seed of hashes included."""
    torch = SOUND.replace("import numpy as np", "import torch\nimport numpy as np")
    crash = f"    torch.tensor(hash('a') - {hash_of_a_with_seed_zero()}).item() or __import__('ctypes').string_at(0)\n{MEASURE}"
    sound.write("snippets/halving/experiment_torch.py", torch)
    sound.write("snippets/halving/experiment_crash.py", torch.replace(MEASURE, crash))

    run = sound.make_figures()

    assert "1 failed:" in run.stdout
    assert "snippets/halving/experiment_crash.py:21 in measure: the process died of SIGSEGV" in run.stdout
    assert made(sound) == [f"{name}.{kind}" for name in ("sound", "torch") for kind in ("json", "md", "svg")]


def hash_of_a_with_seed_zero() -> int:
    command = [sys.executable, "-c", "print(hash('a'))"]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def test_tensorflow_never_meets_pytorch():
    methods = {
        processes._context(experiment).get_start_method()
        for experiment in find_experiments()
        if "keras" in imported_modules(experiment.path)
    }
    assert methods == {"spawn"}


def test_a_missing_source_is_asked_for(sound):
    sound.write("snippets/halving/experiment_sound.py", SOUND.replace("Source:", "After"))

    assert "needs a paragraph that begins with 'Source:'" in sound.make_figures().stdout


def test_all_failures_of_a_run_come_together_and_the_sound_experiments_are_kept(sound):
    sound.write("snippets/halving/experiment_raising.py", faulty("    1 / 0"))
    sound.write("snippets/halving/experiment_refuted.py", SOUND.replace("interval=(0.25, 0.25)", "interval=(1, 2)"))

    run = sound.make_figures()

    summary = run.stdout.partition("2 failed:")[2]
    assert "halving/raising" in summary and "halving/refuted" in summary
    assert made(sound) == ["sound.json", "sound.md", "sound.svg"]


def test_a_failure_is_never_remembered_and_its_cure_is_enough(sound):
    sound.write("snippets/halving/experiment_sound.py", faulty("    1 / 0"))
    assert sound.make_figures().returncode != 0
    assert sound.make_figures().returncode != 0
    sound.write("snippets/halving/experiment_sound.py", SOUND)

    assert sound.make_figures().returncode == 0


@pytest.mark.parametrize("product", ["sound.svg", "sound.json", "sound.md"])
def test_a_deleted_product_is_made_again(sound, product):
    sound.make_figures()
    figure(sound, "sound").with_name(product).unlink()

    assert sound.make_figures().returncode == 0
    assert made(sound) == ["sound.json", "sound.md", "sound.svg"]


@pytest.mark.parametrize("product", ["sound.svg", "sound.json", "sound.md"])
def test_an_altered_product_is_made_again(sound, product):
    sound.make_figures()
    path = figure(sound, "sound").with_name(product)
    before = path.read_bytes()
    path.write_bytes(before[:100])

    assert sound.make_figures().returncode == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"experiment:halving/sound": 3}', b"\xff\xfe"])
def test_a_damaged_cache_is_forgotten(sound, damage):
    sound.make_figures()
    (sound.root / ".cache/doit.json").write_bytes(damage)

    run = sound.make_figures()

    assert run.returncode == 0, run.stdout
    assert "halving/sound" in run.stdout


def test_the_figure_of_a_removed_experiment_goes(sound):
    sound.write("snippets/halving/experiment_other.py", SOUND)
    sound.make_figures()
    (sound.root / "snippets/halving/experiment_other.py").unlink()

    assert sound.make_figures().returncode == 0
    assert made(sound) == ["sound.json", "sound.md", "sound.svg"]


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
    slow.write_text(SOUND)

    assert sound.make_figures().returncode == 0
    assert made(sound) == ["slow.json", "slow.md", "slow.svg", "sound.json", "sound.md", "sound.svg"]


@posix_only
def test_a_full_disk_leaves_nothing_half_written_and_the_next_build_recovers(sound):
    # No file may grow beyond 1 kB in the experiment's process: its figure cannot be written to the end.
    limit = "    import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))"
    sound.write("snippets/halving/experiment_sound.py", faulty(limit))

    run = sound.make_figures()

    assert run.returncode != 0
    assert "OSError: [Errno 27] File too large" in run.stdout
    assert made(sound) == []
    sound.write("snippets/halving/experiment_sound.py", SOUND)
    assert sound.make_figures().returncode == 0


def test_mkdocs_stops_with_the_failures_and_without_a_traceback(sound):
    sound.write("snippets/halving/experiment_sound.py", faulty("    1 / 0"))

    run = sound.build_site()

    assert run.returncode != 0
    assert "ZeroDivisionError: division by zero" in run.stdout
    assert "The site is not built" in run.stdout and "Traceback" not in run.stdout
    sound.write("snippets/halving/experiment_sound.py", SOUND)
    assert sound.build_site().returncode == 0


def test_a_dead_link_fails_the_site_and_is_named(project):
    project.write("docs/index.md", "# Small\n\n[nowhere](nowhere.md)\n")

    run = project.build_site()

    assert run.returncode != 0
    assert "index.md" in run.stdout and "nowhere.md" in run.stdout


def test_a_missing_snippet_fails_the_site_and_is_named(project):
    project.write("docs/index.md", '# Small\n\n--8<-- "snippets/halving/nowhere.py"\n')

    run = project.build_site()

    assert run.returncode != 0
    assert "snippets/halving/nowhere.py" in run.stdout
