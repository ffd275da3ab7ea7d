"""The Keras program that the explorer copies, against the explorer's own engine: the same law, other draws."""

import pytest
from playwright.sync_api import Page

from snippets.diagnostics.first_pass_keras import SETTINGS, first_pass
from tests.diagnostics.first_pass import CASES, assert_same_law

pytestmark = [pytest.mark.browser, pytest.mark.keras]
SEEDS = 8


def engine_rows(page: Page, settings: list[dict]) -> list[list[list[float]]]:
    return page.evaluate(
        """async (settings) => {
            const { pass } = await import("/javascripts/explorer/engine.js")
            const { normalize } = await import("/javascripts/explorer/settings.js")
            return settings.map((one) => {
                const { activation, gradient, weight_gradient } = pass(normalize(one))
                return activation.rms.map((rms, i) => [rms, gradient.rms[i], weight_gradient.rms[i]])
            })
        }""",
        settings,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["activation"])
def test_the_law_is_that_of_the_explorer(engine: Page, case):
    settings = [SETTINGS | case | {"seed": seed} for seed in range(SEEDS)]
    assert_same_law([first_pass(one) for one in settings], engine_rows(engine, settings))
