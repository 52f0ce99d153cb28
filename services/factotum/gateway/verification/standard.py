"""Standard Webhooks (standardwebhooks.com): `webhook-signature` holds one or more `v1,<base64>`, each
the HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`.

The package's own `verify` is not used: it reads the clock itself, takes fractions of a second that
were not signed, and raises bare `ValueError`s on malformed headers. Its `sign` makes what is expected.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from factotum.gateway.errors import SignatureRefused
from factotum.gateway.verification.signature import check_window, header

ID_HEADER = "webhook-id"


class StandardVerifier:
    """See `Verifier`. Secrets are `whsec_<base64>` or the base64 alone; raises `ValueError` for others."""

    def __init__(self, secrets: Sequence[str], tolerance_seconds: int) -> None:
        self._webhooks = [_webhook(secret) for secret in secrets]
        self._tolerance = tolerance_seconds

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        message_id = header(headers, ID_HEADER)
        timestamp = header(headers, "webhook-timestamp")
        signatures = header(headers, "webhook-signature")
        signed_at = datetime.fromtimestamp(check_window(timestamp, now, self._tolerance), UTC)
        try:
            text = body.decode()  # strict, hence the same bytes again when `sign` encodes it
        except UnicodeDecodeError:
            raise SignatureRefused("the body is not UTF-8, which nothing of this scheme can have signed") from None
        # Signed once a secret, however many signatures a stranger may list.
        expected = [webhook.sign(message_id, signed_at, text).encode() for webhook in self._webhooks]
        given = [signature.encode() for signature in signatures.split(" ")]
        # No early exit: the time taken says nothing about which secret or signature it was.
        matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in given]
        if not any(matches):
            raise SignatureRefused("no signature matches")


def _webhook(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except Exception as error:  # the package raises bare RuntimeError, binascii.Error and its own
        raise ValueError("a secret of the scheme standard is base64, with or without whsec_ before it") from error
