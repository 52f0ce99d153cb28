"""Which texts of a model tell nothing that happened: heartbeats, thanks, what it was told to be, keys hit. Pure.

Only whole texts in words that are known here: other languages, and sentences that only begin so, are left alone.
"""

from __future__ import annotations

import re

_SIGNALS = re.compile(
    r"(?:(?:heart ?beat|ping|pong|no (?:reply|response|op)|noop)(?: (?:ok|okay|received|needed))?"
    r"|(?:ok|okay|sure|great|alright|hello|hi|hey|thanks|thank you|you are welcome|you're welcome|got it|understood"
    r"|done)"
    r"(?: (?:there|then|thanks|thank you|got it|understood|done))*"
    r"|(?:i am |i'm )?(?:processing|working|thinking|loading)(?: (?:on it|(?:the|your) request|request))?"
    r"(?: please wait)?"
    r"|please wait|one moment(?: please)?)"
)
_TOLD = re.compile(
    r"(?:you are|i am|i'm) an? (?:helpful|friendly|useful)(?: ai)? assistant"
    r"|(?:the )?user (?:said|says) (?:hello|hi|hey|thanks|thank you|ok|okay|goodbye|bye)"
    r"|(?:the )?user has no (?:known |recorded )?(?:preferences|history|memories)(?: (?:recorded|known|yet|so far))*"
)
_BETWEEN = re.compile(r"[\s_.,;:!…-]+")
_LETTERS = re.compile(r"[a-z]+")
# Letters that stand beside each other on a keyboard and in no language that is written with these.
_UNSPOKEN = re.compile(r"qw|wq|zx|xz|jh|xm|jq|qj|vq|qz|zq|jx|xj|asdf|sdfg|dfgh|ghjk|hjkl")


def is_idle(text: str) -> bool:
    said = _BETWEEN.sub(" ", text.casefold()).strip()
    return _SIGNALS.fullmatch(said) is not None or _TOLD.fullmatch(said) is not None


def is_typed_at_random(text: str) -> bool:
    """Whether it is several words of which nobody could say any."""
    words = text.casefold().split()
    return len(words) > 1 and all(_LETTERS.fullmatch(word) and _UNSPOKEN.search(word) for word in words)
