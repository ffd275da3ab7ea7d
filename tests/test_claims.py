"""The claims of every experiment hold for another seed than the build's.

The build measures with seed 0 and ends where a claim does not hold, so that seed is not measured again here.
On stand-ins for other machines `tests.machines` takes three seeds with one thread, and one with two; `tests.spread`
takes ten.
"""

import inspect
import os

import pytest

from tests.experiments import every_experiment, module

# On a stand-in for another machine there is no build.
SEEDS = {None: (1,), "1": (0, 1, 2)}.get(os.environ.get("TEST_THREADS"), (0,))


@every_experiment
@pytest.mark.parametrize("seed", SEEDS)
def test_claims_hold(experiment, seed):
    takes_a_seed = "seed" in inspect.signature(module(experiment).measure).parameters
    if not takes_a_seed and seed != SEEDS[0]:
        pytest.skip("a closed form has no seed")
    result = module(experiment).measure(*[seed] if takes_a_seed else [])
    assert module(experiment).CLAIMS
    for claim in module(experiment).CLAIMS:
        claim.check(result)
