"""MkDocs calls this before it reads the pages and after it wrote them; `docs/hooks/dodo.py` does most of the work."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

from docs.hooks import dodo, explorer, notebooks


def on_pre_build(config: MkDocsConfig) -> None:
    notebooks.use_our_jupyter()
    if dodo.main():
        raise PluginError("The site is not built: the failures above come first.")


def on_post_build(config: MkDocsConfig) -> None:
    modules = Path(config.site_dir, explorer.MODULES)
    explorer.publish_modules(modules, modules)
