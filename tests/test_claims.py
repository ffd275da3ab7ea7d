"""The claims of every experiment hold for another seed than the build's, on whichever machine runs this.

The build measures with seed 0 and ends where a claim does not hold. `make test` runs this file on a stand-in for an
older processor, `make test-machines` on every stand-in (`tests.machines`); `make spread` takes ten seeds.
"""

import inspect

from tests.experiments import every_experiment, module

SEED = 1


@every_experiment
def test_claims_hold(experiment):
    takes_a_seed = "seed" in inspect.signature(module(experiment).measure).parameters
    result = module(experiment).measure(*[SEED] if takes_a_seed else [])
    assert module(experiment).CLAIMS
    for claim in module(experiment).CLAIMS:
        claim.check(result)
