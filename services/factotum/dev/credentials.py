"""The secrets of the local stack: made once, at random, and kept in files that only their owner reads."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from pathlib import Path

TENANTS = ("acme", "globex")

IDENTITY_TOKEN = "identity-token"  # noqa: S105 - names of secrets, not their values
HR_API_KEY = "hr-api-key"
CALENDAR_PASSWORD = "calendar-password"  # noqa: S105
MAIL_ARCHIVE_TOKEN = "mail-archive-token"  # noqa: S105
BAMBOOHR_WEBHOOK = "bamboohr-webhook"
BILLING_WEBHOOK = "billing-webhook"
EVENTS_TOKEN = "events-token"  # noqa: S105

NAMES = (
    IDENTITY_TOKEN,
    HR_API_KEY,
    CALENDAR_PASSWORD,
    MAIL_ARCHIVE_TOKEN,
    BAMBOOHR_WEBHOOK,
    BILLING_WEBHOOK,
    EVENTS_TOKEN,
)

_BYTES = 24


def provide(directory: Path, tenants: Iterable[str], random_bytes: Callable[[int], bytes]) -> None:
    """Makes what is missing of `<directory>/<tenant>/<name>`; what is there stays as it is."""
    for tenant in tenants:
        folder = directory / tenant
        for made in (directory, folder):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
            made.chmod(0o700)
        for name in NAMES:
            path = folder / name
            if not path.exists():
                write_private(path, _value(name, random_bytes(_BYTES)))


def write_private(path: Path, text: str) -> None:
    """Writes a file of mode 0600 as a whole: at no moment can others read it, or anyone half of it."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _value(name: str, random: bytes) -> str:
    if name == BILLING_WEBHOOK:
        # The form that Standard Webhooks asks for.
        return "whsec_" + base64.b64encode(random).decode()
    return random.hex()
