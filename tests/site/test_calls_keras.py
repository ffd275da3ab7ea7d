"""The short code of the pages prints what stands below it: Keras."""

import pytest

from tests.site.calls import find_calls, printed_by

pytestmark = pytest.mark.keras


@pytest.mark.parametrize("call", find_calls("keras"), ids=str)
def test_the_code_prints_what_the_page_says(call, monkeypatch):
    assert printed_by(call, monkeypatch) == call.output
