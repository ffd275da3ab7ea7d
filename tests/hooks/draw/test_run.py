"""A figure is drawn from what was measured, as it was measured."""

import pytest

from tests.hooks.halving import PATH, SOUND, faulty, figure

pytestmark = pytest.mark.slow


def test_what_is_drawn_has_the_types_that_were_measured(sound):
    nested = "{1: (np.float32(0.5), {'a': [Halving(np.eye(2))]}), 'more': Halving(np.arange(3)), 2.5: None}"
    asserts = "    assert repr(measured.values) == repr({}), repr(measured.values)\n    measured = Halving([1, 2])\n"
    source = faulty(f"    return Halving({nested})").replace("m.values[1]", "0.5").replace("m.values[2]", "0.25")
    plot = "    figure = Figure()\n"
    sound.write(PATH, source.replace(plot, asserts.format(nested) + plot))

    assert sound.make_figures().returncode == 0


def test_an_unchanged_figure_is_not_written_again(finished):
    """Else the live reload, which watches the folder, would build for ever."""
    written = figure(finished, "sound").stat().st_mtime_ns
    with (finished.root / "docs/hooks/draw/style.py").open("a") as file:
        file.write("\n")

    assert "halving/sound drawn" in finished.make_figures().stdout
    assert figure(finished, "sound").stat().st_mtime_ns == written


def test_a_plot_that_raises_is_named_and_what_was_measured_is_kept(sound):
    sound.write(PATH, SOUND.replace("axes.semilogy", "axes.nowhere"))

    run = sound.make_figures()

    line = SOUND[: SOUND.index("axes.semilogy")].count("\n") + 1
    assert f"snippets/halving/experiment_sound.py:{line} in plot: axes.nowhere(measured.values)" in run.stdout
    assert "python -m docs.hooks.draw.run snippets/halving/experiment_sound.py" in run.stdout
    assert "measuring" not in sound.make_figures().stdout
