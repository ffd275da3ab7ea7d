"""The claims of every experiment hold for another seed than the build's, on whichever machine runs this.

The build measures with seed 0 and ends where a claim does not hold; `make spread` takes ten seeds. `make test-all` runs
this file on a stand-in for an older processor, `make test-machines` on every stand-in (`tests.machines`). What the tool
for models finds is no matter of seeds and processors alone: `make test` runs that too.
"""

import inspect

import pytest

from tests.experiments import EXPERIMENTS, module
from tests.tiers import thorough

SEED = 1
OF_THE_TOOL = {"diagnostics/healthy_models", "diagnostics/planted_faults"}


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(*one.values, id=one.id, marks=one.marks if one.id in OF_THE_TOOL else [*one.marks, thorough])
        for one in EXPERIMENTS
    ],
)
def test_claims_hold(experiment):
    takes_a_seed = "seed" in inspect.signature(module(experiment).measure).parameters
    result = module(experiment).measure(*[SEED] if takes_a_seed else [])
    assert module(experiment).CLAIMS
    for claim in module(experiment).CLAIMS:
        claim.check(result)
