"""What the schemes share: the contract of a verifier and the window of time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from factotum.gateway.errors import SignatureRefused

_UNIX_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)


class Verifier(Protocol):
    """Verifies the deliveries of one source."""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Returns if the raw bytes carry a signature made with one of the source's secrets within the
        tolerance around `now`; raises `SignatureRefused` otherwise, whatever the headers hold.

        Args:
            headers: names in lower case, values decoded as Latin-1; repeated ones joined by ", ".
        """


def header(headers: Mapping[str, str], name: str) -> str:
    """The header's value. Raises `SignatureRefused` if it is not there."""
    value = headers.get(name.lower(), "")
    if not value:
        raise SignatureRefused(f"the header {name} is missing")
    return value


def check_window(timestamp: str, now: datetime, tolerance_seconds: int) -> int:
    """The timestamp in seconds since 1970. Raises `SignatureRefused` if it is no whole number of them
    or further than the tolerance from `now`, before or after."""
    if not _UNIX_SECONDS.fullmatch(timestamp):
        raise SignatureRefused("the timestamp is not a number of seconds since 1970")
    seconds = int(timestamp)
    if abs(now.timestamp() - seconds) > tolerance_seconds:
        raise SignatureRefused(f"the timestamp is more than {tolerance_seconds} s from now")
    return seconds
