"""The explorer's engine in Chromium against PyTorch: the same draws, the same pass, the theory beside it."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from snippets.laboratory import explorer, threefry
from snippets.laboratory.activations import from_torch
from snippets.laboratory.explorer import Settings
from snippets.laboratory.mean_field import batch_norm_chi_linear, batch_norm_chi_relu, gaussian_mean, propagate

pytestmark = pytest.mark.browser

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


def call(page: Page, module: str, body: str, argument: object = None) -> object:
    """What the function `body` of the module's exports and an argument returns in the browser."""
    return page.evaluate(
        f"async (argument) => ({body})(await import('/javascripts/explorer/{module}.js'), argument)", argument
    )


def run_passes(page: Page, settings: list[Settings]) -> list[dict]:
    return page.evaluate(
        """async (settings) => {
            const { pass } = await import("/javascripts/explorer/engine.js")
            const { predict } = await import("/javascripts/explorer/theory.js")
            const { normalize } = await import("/javascripts/explorer/settings.js")
            return settings.map(normalize).map((one) => {
                const measured = pass(one)
                return { ...measured, theory: predict(one, measured) }
            })
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


def first_layers(settings: Settings) -> dict[str, int | None]:
    found = explorer.run(settings)
    forward, backward = list(enumerate(found.activations, 1)), list(enumerate(found.gradients, 1))[::-1]

    def first(layers: list[tuple[int, torch.Tensor]], condition: Callable[[torch.Tensor], bool]) -> int | None:
        return next((layer for layer, values in layers if condition(values)), None)

    def overflows(values: torch.Tensor) -> bool:
        return not values.isfinite().all()

    def vanishes(values: torch.Tensor) -> bool:
        return not values.any()

    return {
        "overflow_forward": first(forward, overflows),
        "zero_forward": first(forward, vanishes),
        "overflow_backward": first(backward, overflows),
        "zero_backward": first(backward, vanishes),
    }


BEYOND_FLOAT32 = [
    *(Settings(depth=100, width=48, activation=name, scheme="unit", seed=1) for name in explorer.ACTIVATIONS),
    *(Settings(depth=100, width=32, activation=name, scheme="small", seed=2) for name in explorer.ACTIVATIONS),
    Settings(depth=100, width=16, scheme="he", gain=4.0, distribution="uniform"),
    Settings(depth=100, width=16, scheme="pytorch", gain=0.3, bias="pytorch", activation="sigmoid"),
    Settings(depth=100, width=16, scheme="pytorch", gain=0.3, bias="pytorch", activation="gelu"),
]


def test_layers_of_first_overflow_and_underflow_are_right_to_a_layer(engine):
    """In float32 the edge itself hangs on the kernel: a sum, or the product inside one processor's GELU, may pass the
    largest number on its way to a result that fits, and another order of additions rounds the last subnormal to zero.
    """
    found = [one["first"] for one in run_passes(engine, BEYOND_FLOAT32)]
    assert all(any(one[kind] for one in found) for kind in found[0])
    for settings, layers in zip(BEYOND_FLOAT32, found, strict=True):
        for kind, expected in first_layers(settings).items():
            assert (layers[kind] is None) == (expected is None), (settings, kind)
            assert expected is None or abs(layers[kind] - expected) <= 1, (settings, kind)


def test_a_hundred_layers_are_exact_in_float64(engine):
    """So the curves that cross float32's edges are those of PyTorch in every layer, far beyond these edges too."""
    exact = [one._replace(precision="float64") for one in BEYOND_FLOAT32]
    for settings, found in zip(exact, run_passes(engine, exact), strict=True):
        # Tanh at this scale is chaotic: from layer to layer a rounding error doubles or trebles.
        layers = slice(0, 20) if (settings.activation, settings.scheme) == ("tanh", "unit") else slice(None)
        result = explorer.run(settings)
        for name, tensors in (("activation", result.activations), ("gradient", result.gradients)):
            # The gradient comes down from the last layer, through all the chaos.
            if name == "activation" or layers == slice(None):
                rms = [tensor.square().mean().sqrt().item() for tensor in tensors]
                assert found[name]["rms"][layers] == pytest.approx(rms[layers], rel=1e-8), (settings, name)


def test_deep_chaos_keeps_its_curve(engine):
    """ReLU with batch normalization, 60 layers deep: the order of additions alone moves the gradient."""
    settings = Settings(depth=60, width=64, batch_norm=True)
    (found,), expected = run_passes(engine, [settings]), explorer.run(settings)
    rms = [gradient.square().mean().sqrt().item() for gradient in expected.gradients]
    assert rms[0] / rms[-1] > 1e5
    assert found["gradient"]["rms"] == pytest.approx(rms, rel=0.3)


def test_factors_are_geometric_means_over_what_float32_holds(engine):
    whole, overflown = run_passes(engine, [Settings(), BEYOND_FLOAT32[3]])
    rms = whole["activation"]["rms"]
    assert whole["factor"]["forward"] == pytest.approx((rms[-1] / rms[0]) ** (1 / 29), rel=1e-12)
    rms = whole["gradient"]["rms"]
    assert whole["factor"]["backward"] == pytest.approx((rms[0] / rms[-1]) ** (1 / 29), rel=1e-12)
    last = overflown["first"]["overflow_forward"] - 2
    rms, theory = overflown["activation"]["rms"], overflown["theory"]["forward"]
    assert overflown["factor"]["forward"] == pytest.approx((rms[last] / rms[0]) ** (1 / last), rel=1e-12)
    predicted = (theory[last] / theory[0]) ** (1 / last)
    assert overflown["theory"]["factor"]["forward"] == pytest.approx(predicted, rel=1e-12)
    (single,) = run_passes(engine, [Settings(depth=1)])
    assert single["factor"] == {"forward": None, "backward": None}


@pytest.mark.parametrize("bias", [0.0, 0.3, "pytorch"])
@pytest.mark.parametrize("gain", [0.8, 1.5])
@pytest.mark.parametrize("activation", explorer.ACTIVATIONS)
def test_theory_of_the_plain_network_is_mean_field(engine, activation, gain, bias):
    settings = Settings(depth=10, activation=activation, gain=gain, bias=bias)
    (found,) = run_passes(engine, [settings])
    variance = 1 / (3 * 64) if bias == "pytorch" else bias**2
    function = from_torch(explorer.ACTIVATIONS[activation])
    expected = propagate(function, gain, 10, gain**2 + variance, variance**0.5)
    assert found["theory"]["forward"] == pytest.approx(np.sqrt(expected.activation), rel=1e-6)
    # There the gradient of preactivations is followed, here that of activations, each from 1 at the top.
    chis = [gain**2 * gaussian_mean(lambda xi, q=q: function.slope(q**0.5 * xi) ** 2) for q in expected.preactivation]
    backward = np.sqrt(np.cumprod([1.0, *chis[:0:-1]]))[::-1]
    assert found["theory"]["backward"] == pytest.approx(backward, rel=1e-6)


@pytest.mark.parametrize(("activation", "chi"), [("identity", batch_norm_chi_linear), ("relu", batch_norm_chi_relu)])
def test_theory_of_batch_normalization_is_that_of_yang(engine, activation, chi):
    (found,) = run_passes(engine, [Settings(activation=activation, batch_norm=True)])
    # Exact for the linear network; for ReLU to first order in 1/32.
    tolerance = {"identity": 1e-6, "relu": 4e-4}[activation]
    assert found["theory"]["factor"]["backward"] == pytest.approx(chi(explorer.BATCH) ** 0.5, rel=tolerance)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("activation", explorer.ACTIVATIONS)
def test_theory_is_what_wide_networks_do(engine, activation, skip, batch_norm):
    base = Settings(depth=12, width=256, activation=activation, scheme="he", bias=0.2, batch_norm=batch_norm, skip=skip)
    runs = run_passes(engine, [base._replace(seed=seed) for seed in (0, 1)])
    theory = runs[0]["theory"]
    for measured, predicted in (("activation", "forward"), ("gradient", "backward")):
        mean = np.mean([np.log(one[measured]["rms"]) for one in runs], axis=0)
        # A layer of 256 ReLUs strays by 7 % and twelve add up; besides, the gradient of skip connections with ReLU has
        # a part along the mean activation, of order 1 / width, that grows faster.
        assert mean == pytest.approx(np.log(theory[predicted]), abs=0.3)
        factors = np.mean([np.log(one["factor"][predicted]) for one in runs])
        assert factors == pytest.approx(np.log(theory["factor"][predicted]), abs=0.025)
