"""The explorer's engine in Chromium against PyTorch: the same draws, the same pass, the same training."""

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page

from docs.hooks.explorer import digits_json
from snippets.laboratory import explorer, threefry
from snippets.laboratory.activations import from_torch
from snippets.laboratory.digits import load_digits
from snippets.laboratory.explorer import Settings
from snippets.laboratory.mean_field import batch_norm_chi_linear, batch_norm_chi_relu, propagate
from tests.site.conftest import serve

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "docs" / "javascripts"
DISTRIBUTIONS = ["normal", "uniform", "truncated", "orthogonal"]


def grid() -> Iterator[Settings]:
    """Every activation with every distribution, with and without batch normalization and skip connections."""
    combinations = itertools.product(explorer.ACTIVATIONS, enumerate(DISTRIBUTIONS), (False, True))
    schemes, biases = itertools.cycle(explorer.DEVIATIONS), itertools.cycle([0.0, 0.5, "pytorch"])
    shapes = itertools.cycle([(20, 64), (12, 33), (7, 16), (20, 30), (1, 4)])
    gains = itertools.cycle([1.0, 1.5, 0.7, 1.0])
    for seed, (activation, (number, distribution), batch_norm) in enumerate(combinations):
        depth, width = next(shapes)
        yield Settings(
            depth=depth,
            width=width,
            activation=activation,
            scheme=next(schemes),
            gain=next(gains),
            distribution=distribution,
            bias=next(biases),
            batch_norm=batch_norm,
            skip=number % 2 == 1,
            branch_scale=0.5,
            seed=seed,
        )


GRID = list(grid())


@pytest.fixture(scope="module")
def engine(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """An empty page that can import the modules, which are served as they are."""
    folder = tmp_path_factory.mktemp("explorer")
    (folder / "index.html").write_text("<!doctype html><title>engine</title>", encoding="utf-8")
    (folder / "404.html").write_text("not found", encoding="utf-8")
    (folder / "javascripts").symlink_to(MODULES)
    digits = folder / "downloads" / "explorer" / "digits.json"
    digits.parent.mkdir(parents=True)
    digits.write_text(digits_json(), encoding="utf-8")
    for server in serve(folder):
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(server.url)
            yield page


def call(page: Page, module: str, body: str, argument: object = None) -> object:
    """What the function `body` of the module's exports and an argument returns in the browser."""
    return page.evaluate(
        f"async (argument) => ({body})(await import('/javascripts/explorer/{module}.js'), argument)", argument
    )


def run_passes(page: Page, settings: list[Settings]) -> list[dict]:
    return page.evaluate(
        """async (settings) => {
            const { pass } = await import("/javascripts/explorer/engine.js")
            const { normalise } = await import("/javascripts/explorer/settings.js")
            return settings.map((one) => pass(normalise(one)))
        }""",
        [one._asdict() for one in settings],
    )


def test_settings_and_defaults_are_those_of_python(engine):
    names = {"DEFAULTS", "ACTIVATIONS", "SCHEMES", "DISTRIBUTIONS", "BATCH", "SATURATED"}
    found = call(engine, "settings", "(all, names) => Object.fromEntries(names.map((n) => [n, all[n]]))", list(names))
    assert found == {
        "DEFAULTS": Settings()._asdict(),
        "ACTIVATIONS": list(explorer.ACTIVATIONS),
        "SCHEMES": list(explorer.DEVIATIONS),
        "DISTRIBUTIONS": DISTRIBUTIONS,
        "BATCH": explorer.BATCH,
        "SATURATED": explorer.SATURATED,
    }


def test_the_grid_covers_every_choice():
    assert len(GRID) >= 40
    chosen = {(one.activation, one.distribution, one.batch_norm) for one in GRID}
    assert len(chosen) == len(explorer.ACTIVATIONS) * len(DISTRIBUTIONS) * 2
    assert len({(one.activation, one.skip, one.batch_norm) for one in GRID}) == len(explorer.ACTIVATIONS) * 4
    assert len({(one.scheme, one.bias) for one in GRID}) >= len(explorer.DEVIATIONS)


def test_known_answers_of_random123(engine):
    # `kat_vectors` of Random123: key, counter, answer.
    vectors = [
        ([0, 0, 0, 0], [0x6B200159, 0x99BA4EFE]),
        ([0xFFFFFFFF] * 4, [0x1CB996FC, 0xBB002BE7]),
        ([0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3], [0xC4923A9C, 0x483DF7A0]),
    ]
    body = "({ threefry }, inputs) => inputs.map((words) => [...threefry(...words)])"
    assert call(engine, "rng", body, [words for words, _ in vectors]) == [answer for _, answer in vectors]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("shape", [(64, 64), (10, 33), (33, 10), (5, 5)], ids=str)
def test_draws_are_those_of_numpy(engine, distribution, shape):
    seed = 2**32 - 3
    body = "({ weights }, [distribution, seed, shape]) => [...weights(distribution, seed, 3, ...shape)]"
    drawn = np.array(call(engine, "rng", body, [distribution, seed, list(shape)])).reshape(shape)
    expected = threefry.unit_weights(distribution, seed, 3, *shape)
    assert drawn == pytest.approx(expected, rel=1e-12, abs=1e-10 if distribution == "orthogonal" else 1e-14)
    assert (drawn.astype(np.float32) != expected.astype(np.float32)).sum() <= 1


def assert_parity(found: dict, settings: Settings, tolerance: float) -> None:
    expected = explorer.run(settings)

    def rms(tensors: list[torch.Tensor]) -> list[float]:
        return [tensor.double().square().mean().sqrt().item() for tensor in tensors]

    scale = np.array(rms(expected.activations))
    means = [h.double().mean().item() for h in expected.activations]
    stds = [h.double().std(correction=0).item() for h in expected.activations]
    assert found["activation"]["rms"] == pytest.approx(scale, rel=tolerance)
    assert np.array(found["activation"]["mean"]) / scale == pytest.approx(means / scale, abs=tolerance)
    assert np.array(found["activation"]["std"]) / scale == pytest.approx(stds / scale, abs=tolerance)
    preactivation = [z.double().std(correction=0).item() for z in expected.preactivations]
    assert found["preactivation"]["std"] == pytest.approx(preactivation, rel=tolerance)
    assert found["gradient"]["rms"] == pytest.approx(rms(expected.gradients), rel=tolerance)
    assert found["weight_gradient"]["rms"] == pytest.approx(rms(expected.weight_gradients), rel=tolerance)
    cosines = [torch.cosine_similarity(*h[:2].double(), dim=0).item() for h in expected.activations]
    assert found["cosine"] == pytest.approx(cosines, abs=tolerance)
    entries = expected.activations[0].numel()
    # A value at an edge may fall to either side.
    assert found["saturated"] == pytest.approx(expected.saturated, abs=2.5 / entries)
    assert found["dead"] == pytest.approx(expected.dead, abs=1e-12)
    for h, reach, counts in zip(expected.activations, *found["activation"]["histogram"].values(), strict=True):
        clipped = np.clip(h.double().numpy() / reach, -1.0, 1.0)
        assert np.histogram(clipped, len(counts), (-1.0, 1.0))[0] / entries == pytest.approx(counts, abs=2.5 / entries)


@pytest.fixture(scope="module")
def exact_passes(engine) -> list[dict]:
    return run_passes(engine, [one._replace(precision="float64") for one in GRID])


@pytest.mark.parametrize("number", range(len(GRID)))
def test_parity_in_float64(exact_passes, number):
    assert_parity(exact_passes[number], GRID[number]._replace(precision="float64"), 1e-8)


@pytest.fixture(scope="module")
def passes(engine) -> list[dict]:
    return run_passes(engine, GRID)


@pytest.mark.parametrize("number", range(len(GRID)))
def test_parity_in_float32(passes, number):
    assert_parity(passes[number], GRID[number], 2e-3)
