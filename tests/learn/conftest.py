"""The browser of `tests/site`, for the pages to learn by."""

from tests.site.conftest import browser, browser_type_launch_args, page, server, site_url  # noqa: F401
