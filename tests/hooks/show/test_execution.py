"""Labs of which nothing is remembered are executed side by side."""

from tests.hooks.show.test_labs import LAB

WAITS = """
import pathlib
import time

pathlib.Path({own!r}).touch()
end = time.monotonic() + 240
while not pathlib.Path({other!r}).exists():
    assert time.monotonic() < end, "the other lab is not executed beside this one"
    time.sleep(0.05)
"""


def write_labs(project, *names: str) -> None:
    pages = "".join(f"      - labs/{name}.py\n" for name in names)
    project.write("small.yml", f"INHERIT: mkdocs.yml\nnav:\n  - index.md\n  - Labs:\n{pages}")


def test_labs_are_executed_side_by_side_each_by_a_kernel_of_its_own(project):
    write_labs(project, "left", "right")
    for own, other in (("left", "right"), ("right", "left")):
        begun = {"own": str(project.root / own), "other": str(project.root / other)}
        code = LAB.replace("20 + 22", f'"that of {own}"').replace("import time\n", WAITS.format(**begun))
        project.write(f"docs/labs/{own}.py", code)

    run = project.build_site()

    assert run.returncode == 0, run.stdout
    assert run.stdout.count("Cache hit") == 2 and "Cache miss" not in run.stdout
    for name in ("left", "right"):
        page = (project.root / "site/labs" / name / "index.html").read_text(encoding="utf-8")
        assert f"<code>the sum is that of {name}\n" in page
    assert not list(project.root.rglob("*-ipc*")) and not list(project.root.glob("kernel-*"))


def test_a_lab_that_raises_among_others_is_named_by_mkdocs(project):
    write_labs(project, "broken", "sound")
    project.write("docs/labs/sound.py", LAB)
    project.write("docs/labs/broken.py", LAB.replace("20 + 22", "20 / 0"))

    run = project.build_site()

    assert run.returncode == 1
    assert "broken.py" in run.stdout and "ZeroDivisionError" in run.stdout
