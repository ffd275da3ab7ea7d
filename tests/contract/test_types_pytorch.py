"""What is no tensor, no model and no layer, function by function."""

from torch import nn

from tests.contract import test_layers_pytorch as layers
from tests.contract import test_models_pytorch as models
from tests.contract import test_tensors_pytorch as tensors
from tests.contract.table import TYPES, Cell, every, hold

CALLS = tensors.CALLS | layers.LAYERS
CALLS |= {row: (call, lambda: nn.Sequential(*models.chain())) for row, call in models.MODEL_CALLS.items()}


@every("pytorch", "types")
def test_types(cell: Cell):
    function, plain = CALLS[cell.row]
    hold(cell, lambda: function(plain()), lambda: function(TYPES[cell.column](plain())))
