"""BambooHR's webhooks: `X-BambooHR-Signature` is the hex HMAC-SHA256 of body and timestamp, one after
the other, and `X-BambooHR-Timestamp` the timestamp in seconds since 1970."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from factotum.gateway.errors import SignatureRefused
from factotum.gateway.verification.signature import check_window, header

_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class BambooHRVerifier:
    """See `Verifier`. Hex digits may be of either case."""

    def __init__(self, secrets: Sequence[str], tolerance_seconds: int) -> None:
        self._keys = [secret.encode() for secret in secrets]
        self._tolerance = tolerance_seconds

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        signature = header(headers, "X-BambooHR-Signature")
        timestamp = header(headers, "X-BambooHR-Timestamp")
        if not _HEX.fullmatch(signature):
            raise SignatureRefused("the signature is not 64 hexadecimal digits")
        check_window(timestamp, now, self._tolerance)
        given, signed = bytes.fromhex(signature), body + timestamp.encode("ascii")
        # No early exit: the time taken says nothing about which secret it was.
        matches = [hmac.compare_digest(hmac.digest(key, signed, hashlib.sha256), given) for key in self._keys]
        if not any(matches):
            raise SignatureRefused("the signature does not match")
