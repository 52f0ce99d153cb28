"""Secrets in variables of the process's environment.

`FACTOTUM_SECRET__ACME__IDENTITY_TOKEN` is `identity-token` of the tenant `acme`: in capitals, `-` and `.` as `_`.
`FACTOTUM_SECRET__ACME__USERS__ADA_40ACME_2EEXAMPLE__CALENDAR` is `calendar` of `ada@acme.example`: in a user's name
all but small letters and digits is `_` and the two hexadecimal digits of each byte of its UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from factotum.runtime.secrets import names
from factotum.runtime.secrets.errors import UnknownSecret

PREFIX = "FACTOTUM_SECRET"
_BETWEEN = "__"
_SEPARATORS = re.compile(r"[-._]")
# Two separators would read as the line between two parts, and one tenant's variable as another's.
_READABLE = re.compile(r"[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)*")


class SecretVariables:
    """A name with two separators in a row, or one at an end, has no variable.

    Args:
        environment: as `os.environ`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def resolve(self, tenant: str, name: str, *, user: str = "") -> str:
        """See `SecretStore`."""
        variable = self.variable(tenant, name, user=user)
        value = self._environment.get(variable)
        if value is None:
            raise names.unknown(tenant, name, user, f"the variable {variable}")
        return value

    def variable(self, tenant: str, name: str, *, user: str = "") -> str:
        """Where the secret is, or has to be put. Raises `UnknownSecret` for what has no variable."""
        names.check(tenant, name, user)
        owner = [_plain(tenant, "tenant"), "USERS", _encoded(user)] if user else [_plain(tenant, "tenant")]
        return _BETWEEN.join([PREFIX, *owner, _plain(name, "secret")])


def _plain(part: str, what: str) -> str:
    if not _READABLE.fullmatch(part):
        raise UnknownSecret(f"the {what} {part!r} has no variable of the environment: give it another name")
    return _SEPARATORS.sub("_", part).upper()


def _encoded(user: str) -> str:
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(chr(byte).upper() if byte in plain else f"_{byte:02X}" for byte in user.encode())
