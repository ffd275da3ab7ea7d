"""What no test of the contract leaves behind."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_group_of_processes() -> Iterator[None]:
    """The one that a sharded model needs; PyTorch is not imported for it, since TensorFlow does not bear it."""
    yield
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_initialized():
        distributed.destroy_process_group()
