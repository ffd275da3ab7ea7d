"""What a lab says of Keras runs as it stands."""

import pytest

from docs.hooks.show.labs import find_labs
from docs.hooks.store import ROOT
from tests.learn.blocks import python_blocks

pytestmark = pytest.mark.keras


@pytest.mark.parametrize("lab", find_labs(), ids=lambda lab: lab.stem)
def test_the_keras_way_runs(lab):
    blocks = python_blocks(ROOT / lab)
    assert blocks
    for block in blocks:
        assert "keras" in block
        exec(compile(block, lab, "exec"), {"__name__": "block"})
