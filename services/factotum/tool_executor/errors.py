"""What can keep a call from being taken, and the tool errors that only the executor raises."""

from __future__ import annotations

import shlex

from factotum.sdk.errors import Ambiguous, RateLimited, ToolError, Unavailable

# Characters of a tool's error that are kept: a system may answer with a page.
LONGEST_MESSAGE = 4000


class CallRefused(Exception):
    """The call itself is malformed: tenant, key or a limit. The message says what to change."""


class UnknownTool(LookupError):
    """No connector has a tool of this name."""


class ToolComing(Exception):
    """Where the tool would come from is still being looked at: it may be there in a moment."""


class UnknownEffect(LookupError):
    """The tenant's ledger has no entry under this key."""


class NotAmbiguous(Exception):
    """Only an ambiguous effect can be resolved."""


class LedgerUnavailable(Exception):
    """The ledger could not be read or written. What was not recorded as started was not done."""


class ConnectorsInvalid(Exception):
    """The file of connectors' settings cannot be used; the message says where it is wrong."""


class EffectUnderWay(Unavailable):
    """Another attempt holds the effect's lease.

    Args:
        retry_after: seconds until it is worth asking again.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SystemResting(Unavailable):
    """A system that did not answer is left alone for a moment; nothing was done.

    Args:
        retry_after: seconds until it is worth asking again.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message, effect_possible=False)
        self.retry_after = retry_after


class EffectAmbiguous(Ambiguous):
    """A person has to say whether the effect happened; until then each retry is answered with this.

    Args:
        why: what made it ambiguous.
        retry_after: seconds until it is worth looking whether somebody decided.
    """

    def __init__(self, key: str, why: str, *, retry_after: float) -> None:
        super().__init__(
            f"whether the effect happened is not known: {why}. Look into the system, then say so with "
            f"`factotum effects resolve {shlex.quote(key)} --happened|--did-not`"
        )
        self.retry_after = retry_after


def presentable(message: str) -> str:
    """A message of a system as it can be stored, sent and read: valid Unicode of bounded length."""
    clean = message.encode("utf-8", "replace").decode()
    return clean if len(clean) <= LONGEST_MESSAGE else f"{clean[:LONGEST_MESSAGE]}…"


def retry_after(error: ToolError) -> float:
    """Seconds to wait before a retry; 0 where nobody said."""
    if isinstance(error, RateLimited | SystemResting | EffectUnderWay | EffectAmbiguous):
        return error.retry_after or 0.0
    return 0.0
