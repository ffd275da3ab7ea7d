"""MkDocs calls this around its work on the pages; `docs/hooks/make.py` does most of the work."""

import atexit
import gc
import os
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

from docs.hooks import make, store
from docs.hooks.publish import facts, sheets
from docs.hooks.show import execution, explorer, labs, search

# Else Python looks for garbage among all objects once more before it ends.
atexit.register(gc.freeze)


def on_pre_build(config: MkDocsConfig) -> None:
    labs.use_our_jupyter()
    # The day of the site map. Without it MkDocs takes today's, and two builds of one commit differ.
    if second := facts.facts().second:
        os.environ.setdefault("SOURCE_DATE_EPOCH", str(second))
    if make.main():
        raise PluginError("The site is not built: the failures above come first.")
    execution.execute_all(config.config_file_path)


def on_post_build(config: MkDocsConfig) -> None:
    for folder in (explorer.MODULES, explorer.PLAY, search.SCRIPT.parent):
        modules = Path(config.site_dir, folder)
        explorer.publish_modules(modules, modules)
    search.publish_index(Path(config.site_dir))
    sheets.publish(Path(config.site_dir))
    store.forget_unused()
