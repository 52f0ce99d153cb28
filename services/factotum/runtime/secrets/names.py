"""How secrets are named, and which names are none. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

from factotum.runtime.secrets.errors import UnknownSecret

SCHEME = "secret://"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# As in the events' envelope: no two tenants are one in any store's way of writing names.
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LONGEST_USER = 128


def is_reference(text: str) -> bool:
    """Whether a text is `secret://` and a name, and nothing else."""
    return text.startswith(SCHEME) and _NAME.fullmatch(text, len(SCHEME)) is not None


def name_of(reference: str) -> str:
    """The name in `secret://name`. Raises `UnknownSecret`."""
    if not is_reference(reference):
        raise UnknownSecret(f"{reference!r} is not of the form secret://name")
    return reference.removeprefix(SCHEME)


def check(tenant: str, name: str, user: str = "") -> None:
    """Raises `UnknownSecret` for what no store is asked for: names that could mean another place."""
    if not _NAME.fullmatch(name):
        raise UnknownSecret(f"{name!r} is not of the form of a secret's name: letters, digits and . _ - between them")
    if not _TENANT.fullmatch(tenant):
        raise UnknownSecret(f"the tenant {tenant!r} is not of the form of a tenant's name")
    if len(user) > _LONGEST_USER or not user.isprintable():
        raise UnknownSecret(f"a user of a secret is at most {_LONGEST_USER} printable characters")


def folder(user: str) -> str:
    """A person's name as one part of a path, another for each: percent-encoded but for letters, digits and
    `@ + - . _ ~`; so are a dot at its start and two in a row."""
    encoded = quote(user, safe="@+").replace("..", "%2E%2E")
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded


def unknown(tenant: str, name: str, user: str, place: str) -> UnknownSecret:
    """What every store says of a secret that it has not."""
    whose = f"{user} of tenant {tenant}" if user else f"tenant {tenant}"
    return UnknownSecret(f"{whose} has no secret {name!r}: put its value into {place}", place=place)
