"""Fixed seeds for either framework, and the tests that all measures of differences share, one per row."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def seeded_pytorch() -> Iterator[None]:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def seeded_keras() -> None:
    import keras

    keras.utils.set_random_seed(0)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    measures = getattr(metafunc.cls, "measures", None)
    if measures and "label" in metafunc.fixturenames:
        metafunc.parametrize(("name", "label"), measures.codes())
    elif measures and "name" in metafunc.fixturenames:
        metafunc.parametrize("name", measures.rows)
