"""Faults of experiments: each is named with its place and its cure. All are planted at once and told in one run."""

import pytest

from tests.conftest import make_project
from tests.hooks.halving import SOUND, TABLE, faulty, made, posix_only, products

pytestmark = pytest.mark.slow

LIMIT = "10"
"""Seconds, for the one that hangs; the others are done in a fraction of one, on a busy machine too."""

PLANTED = {
    "sound": SOUND,
    "refuted": SOUND.replace("interval=(0.25, 0.25)", "interval=(0.3, 0.4)"),
    "blind": SOUND.replace("rival=0.5", "rival=0.25"),
    "rivalless": SOUND.replace('rival=0.5, rival_of="one step"', ""),
    "twice": SOUND.replace("0.5 **", "0.9 **"),
    "nan": SOUND.replace("0.5 **", "np.nan *"),
    "raising": faulty("    np.linalg.inv(np.zeros((2, 2)))"),
    "syntax": faulty("    return ("),
    "crash": faulty("    import ctypes; ctypes.string_at(0)"),
    "hang": faulty("    time.sleep(600)"),
    "unsourced": SOUND.replace("Source:", "After"),
    "uneven": SOUND + TABLE.replace('"0.5 of it"', '"0.5", "of it"'),
    "no_number": faulty("    return Halving({1: {2, 3}})").replace("m.values[", "0.5 ** (").replace("],", "),"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("faults"))
    for name, text in PLANTED.items():
        project.write(f"snippets/halving/experiment_{name}.py", text)
    run = project.make_figures(EXPERIMENT_TIME_LIMIT=LIMIT)
    assert run.returncode != 0
    assert made(project) == products("sound")
    return run


@pytest.fixture
def told(run):
    """What is said of an experiment at the end, where all failures stand together."""
    summary = run.stdout.partition(f"{len(PLANTED) - 1} failed:")[2]
    return lambda name: summary.partition(f"\n\nhalving/{name}\n")[2].partition("\n\n")[0]


def test_a_claim_outside_its_interval_is_named_with_value_interval_and_reason(told):
    assert told("refuted") == (
        'claim "So does the second": measured 0.25, asserted [0.3, 0.4] (exact)\n'
        "Correct it, then try it alone: python -m docs.hooks.measure.run snippets/halving/experiment_refuted.py"
    )


def test_a_claim_whose_interval_contains_its_rival_is_named_with_its_file(told):
    assert told("blind") == (
        'claim "So does the second": its rival 0.25 (one step) is no number outside of [0.25, 0.25], '
        "so the interval would not notice that the statement is false\n"
        "Correct it, then try it alone: python -m docs.hooks.measure.run snippets/halving/experiment_blind.py"
    )


def test_a_claim_without_a_rival_is_named_with_its_line(told):
    assert told("rivalless").startswith("snippets/halving/experiment_rivalless.py:")
    assert 'claim "So does the second": give its rival' in told("rivalless")


def test_all_refuted_claims_of_an_experiment_are_told(told):
    assert "The first step halves" in told("twice") and "So does the second" in told("twice")


def test_a_nan_refutes_a_claim(told):
    assert "measured nan" in told("nan")


def test_a_raising_experiment_is_shown_by_its_own_lines_alone(told, run):
    assert told("raising").startswith(
        "snippets/halving/experiment_raising.py:20 in measure: np.linalg.inv(np.zeros((2, 2)))\n"
    )
    assert "LinAlgError: Singular matrix" in told("raising")
    assert "site-packages" not in run.stdout and "Traceback" not in run.stdout


def test_a_syntax_error_is_shown_with_its_line(told):
    for part in ("experiment_syntax.py", "line 20", "SyntaxError"):
        assert part in told("syntax")


@posix_only
def test_a_segmentation_fault_is_named_with_its_line(told):
    assert "snippets/halving/experiment_crash.py:20 in measure: the process died of SIGSEGV" in told("crash")


def test_a_hang_is_ended_and_named_with_its_line(told):
    assert f"snippets/halving/experiment_hang.py:20 in measure: still running after {LIMIT} s" in told("hang")


def test_a_missing_source_is_asked_for(told):
    assert "needs a paragraph that begins with 'Source:'" in told("unsourced")


def test_a_table_whose_rows_differ_in_length_is_refused(told):
    assert "ValueError: table: every row must have 3 cells" in told("uneven")


def test_what_cannot_be_written_as_numbers_is_refused(told):
    assert "TypeError: Object of type set is not JSON serializable" in told("no_number")
