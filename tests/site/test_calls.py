"""The short code of the pages prints what stands below it: PyTorch and NumPy."""

import pytest
import torch

from docs.hooks.pages import find_pages
from tests.site.calls import SHORT, find_calls, printed_by


@pytest.mark.parametrize("call", find_calls("pytorch", "numpy"), ids=str)
def test_the_code_prints_what_the_page_says(call, monkeypatch):
    with torch.random.fork_rng():
        assert printed_by(call, monkeypatch) == call.output


@pytest.mark.parametrize("call", find_calls("pytorch", "keras", "numpy"), ids=str)
def test_the_code_is_short_and_fits(call):
    lines = call.code.splitlines()
    assert len(lines) <= 16
    assert [line for line in lines if len(line) > 88] == []


def test_every_output_has_its_code():
    """A block of output that no pattern found would be a number that somebody typed."""
    for page in find_pages():
        assert page.text.count("{ .text .output }") == len(SHORT.findall(page.text)), page


def test_every_chapter_shows_how_to_call_its_code():
    called = {call.page for call in find_calls("pytorch", "keras", "numpy")}
    chapters = [page.path for page in find_pages() if page.path.parent.name == "chapters"]
    assert {path.with_suffix("").as_posix() for path in chapters} <= called
