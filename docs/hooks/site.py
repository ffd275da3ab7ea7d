"""MkDocs calls this around its work on the pages; `docs/hooks/make.py` does most of the work."""

import atexit
import gc
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import CombinedEvent, event_priority
from mkdocs.structure.pages import Page

from docs.hooks import make, store
from docs.hooks.publish import sheets
from docs.hooks.show import execution, explorer, labs, search

# Else Python looks for garbage among all objects once more before it ends.
atexit.register(gc.freeze)


def on_pre_build(config: MkDocsConfig) -> None:
    labs.use_our_jupyter()
    if make.main():
        raise PluginError("The site is not built: the failures above come first.")
    execution.execute_all(config.config_file_path)


@event_priority(100)
def show_the_search_less(context: dict, page: Page, **others: object) -> None:
    _whole[page] = page.content or ""
    page.content = search.readable(_whole[page])


@event_priority(-100)
def show_all(context: dict, page: Page, **others: object) -> None:
    page.content = _whole.pop(page)


on_page_context = CombinedEvent(show_the_search_less, show_all)
_whole: dict[Page, str] = {}
"""The content of the page that the search is reading."""


def on_post_build(config: MkDocsConfig) -> None:
    for folder in (explorer.MODULES, explorer.PLAY, search.SCRIPT.parent):
        modules = Path(config.site_dir, folder)
        explorer.publish_modules(modules, modules)
    search.publish_index(Path(config.site_dir))
    sheets.publish(Path(config.site_dir))
    store.forget_unused()
