"""Which words of a question are looked for. Pure."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")  # noqa: RUF001
# They make a sentence a question, or hold it together; a text that answers need not have them, and many others do.
_EMPTY: Final = frozenset(
    re.findall(
        r"\w+",
        "a about am an and any are as at be been but by can could did do does doing for from had has have he her hers"
        " him his how i if in into is it its let me my of on or our ours please shall she should so some that the"
        " their theirs them then there these they this those to us was we were what when where which while who whom"
        " whose why will with would you your yours",
    )
)


def looked_for(question: str) -> str:
    """The question without words that say nothing of its matter; as it came, where nothing else would be left."""
    words = [word for word in _TOKEN.findall(question) if word.lower() not in _EMPTY]
    return " ".join(dict.fromkeys(words)) or question
