"""MkDocs calls this before it reads the pages; all the work is done by `docs/hooks/dodo.py`."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

from docs.hooks import dodo, notebooks


def on_pre_build(config: MkDocsConfig) -> None:
    notebooks.use_our_jupyter()
    if dodo.main():
        raise PluginError("The site is not built: the failures above come first.")
