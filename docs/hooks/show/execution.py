"""Labs executed side by side, before mkdocs-jupyter executes them one after the other."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from docs.hooks.measure import processes
from docs.hooks.show import labs


def execute_all(config_file: str) -> None:
    """Fill the cache of mkdocs-jupyter, where most is missing: one lab of seven takes a dozen seconds of one core.

    What fails here fails again when MkDocs comes to it, which tells the reader.
    """
    wanted = labs.find_labs()
    if len(wanted) - len(list(labs.CACHE.glob("*.json"))) < 2:
        return
    workers = max(2, os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    shares = [wanted[first::workers] for first in range(workers)]
    started = [context.Process(target=_execute, args=(config_file, share), daemon=True) for share in shares if share]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(processes.run, started))


def _execute(config_file: str, share: list[Path]) -> None:
    """In the new process."""
    from mkdocs.config import load_config
    from mkdocs.structure.files import File, Files
    from mkdocs.structure.pages import Page

    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    labs.use_our_jupyter()
    config = load_config(config_file)
    plugin = config.plugins["mkdocs-jupyter"]
    plugin.on_pre_build(config=config)
    for lab in share:
        name = lab.relative_to("docs").as_posix()
        file = File(name, config.docs_dir, config.site_dir, config.use_directory_urls)
        page = Page(None, file, config)
        plugin.on_pre_page(page, config=config, files=Files([file]))
        page.render(config, Files([file]))
