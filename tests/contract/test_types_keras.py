"""What is no tensor, no model and no layer, function by function."""

import pytest

from tests.contract import test_keras as tensors
from tests.contract import test_models_keras as models
from tests.contract.table import TYPES, Cell, every, hold

pytestmark = pytest.mark.keras

CALLS = tensors.CALLS | models.LAYERS | {row: (call, models.chain) for row, call in models.CALLS.items()}


@every("keras", "types")
def test_types(cell: Cell):
    function, plain = CALLS[cell.row]
    hold(cell, lambda: function(plain()), lambda: function(TYPES[cell.column](plain())))
