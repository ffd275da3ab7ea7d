"""What the tests of `check_model` for PyTorch begin with."""

import pytest


@pytest.fixture
def seeded() -> None:
    import torch  # not in the process of TensorFlow

    torch.manual_seed(0)
