"""One claim of an experiment as a card of its own, for a page that one number decides.

A page asks for it by an include of `docs/figures/claims/<topic>/<experiment>/<first words of the claim>.md`. A claim
that is worded anew has another address, so no page shows another one unnoticed; the build says which there are.
"""

import json
import re
from pathlib import Path
from typing import Any

from docs.hooks import evidence
from docs.hooks.catalogue import find_pages
from docs.hooks.experiment import ROOT, Experiment

CLAIMS = Path("docs", "figures", "claims")
WANTED = re.compile(rf'^--8<-- "({CLAIMS.as_posix()}/\w+/\w+/[\w-]+\.md)"$', re.MULTILINE)


class ClaimNotFoundError(Exception):
    """An include does not name one claim of one experiment."""


def wanted() -> list[Path]:
    """The cards that pages include, relative to the root."""
    texts = ((ROOT / page).read_text(encoding="utf-8") for page in find_pages())
    return sorted({Path(address) for text in texts for address in WANTED.findall(text)})


def experiment_of(card: Path) -> Experiment:
    """The experiment whose claim stands on the card, whether it exists or not."""
    *_, topic, name, _ = card.parts
    return Experiment(Path("snippets", topic, f"experiment_{name}.py"))


def words(statement: str) -> str:
    """The statement as the last part of an address: its words, digits and the letters of its formulas."""
    plain = re.sub(r"\\(operatorname|mathbb|mathcal|lVert|rVert|sqrt|partial|frac|[a-z]+)", " ", statement)
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def card(path: Path) -> str:
    """The Markdown of the card. Raises ClaimNotFoundError unless the address fits one claim of its experiment."""
    experiment = experiment_of(path)
    if not (ROOT / experiment.path).is_file():
        raise ClaimNotFoundError(f"{path.as_posix()}: there is no {experiment.path.as_posix()}")
    record: dict[str, Any] = json.loads((ROOT / experiment.numbers).read_text(encoding="utf-8"))
    known = {words(claim["statement"]): claim for claim in record["claims"]}
    exactly = [known[path.stem]] if path.stem in known else []
    fitting = exactly or [claim for address, claim in known.items() if address.startswith(path.stem)]
    if len(fitting) != 1:
        found = "\n".join(("that experiment has the claims", *known))
        raise ClaimNotFoundError(f"{path.as_posix()} fits {len(fitting)} claims; {found}")
    return evidence.card(experiment, record | {"claims": fitting})
