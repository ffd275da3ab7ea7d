"""One claim of an experiment as a card of its own, for a page that one number decides.

A page asks for it by an include of `docs/figures/claims/<topic>/<experiment>/<first words of the claim>.md`. A claim
that is worded anew has another address, so no page shows another one unnoticed; the build says which there are.
"""

from pathlib import Path
from typing import Any

from docs.hooks.measure.experiment import Experiment
from docs.hooks.measure.spread import address
from docs.hooks.pages import find_pages
from docs.hooks.show import evidence

CLAIMS = Path("docs", "figures", "claims")


class ClaimNotFoundError(Exception):
    """An include does not name one claim of one experiment."""


def wanted() -> list[Path]:
    """The cards that pages include, relative to the root."""
    included = {Path(file) for page in find_pages() for file in page.included}
    return sorted(file for file in included if file.is_relative_to(CLAIMS))


def experiment_of(card: Path) -> Experiment:
    """The experiment whose claim stands on the card, whether it exists or not."""
    *_, topic, name, _ = card.parts
    return Experiment(Path("snippets", topic, f"experiment_{name}.py"))


def find(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The claim of `record` that the address names. Raises ClaimNotFoundError unless it fits one."""
    known = {address(claim["statement"]): claim for claim in record["claims"]}
    exactly = [known[path.stem]] if path.stem in known else []
    fitting = exactly or [claim for known_address, claim in known.items() if known_address.startswith(path.stem)]
    if len(fitting) != 1:
        found = "\n".join(("that experiment has the claims", *known))
        raise ClaimNotFoundError(f"{path.as_posix()} fits {len(fitting)} claims; {found}")
    return fitting[0]


def card(path: Path, record: dict[str, Any]) -> str:
    """The card of one claim of `record`. Raises ClaimNotFoundError unless the address fits one of its claims."""
    return evidence.card(experiment_of(path), evidence.claims(record | {"claims": [find(path, record)]}))
