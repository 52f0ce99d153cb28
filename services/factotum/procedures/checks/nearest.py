"""Advice on a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_FEW = 12


def among(name: str, known: Iterable[str], otherwise: str = "", *, lead: str = "") -> str:
    """The name that was probably meant, or else all there are if they are few; `otherwise` if there are none.

    Args:
        lead: what comes before all names, e.g. `It has`.
    """
    names = sorted(set(known))
    if not names:
        return otherwise
    folded = {each.lower(): each for each in reversed(names)}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    if close:
        return f"Did you mean `{folded[close[0]]}`?"
    if len(names) > _FEW:
        return otherwise or f"There are {len(names)}, among them {', '.join(names[:_FEW])}"
    return f"{lead or ('There is' if len(names) == 1 else 'There are')} {', '.join(names)}"
