"""Search filters of typed conditions (RFC 4515). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from factotum.connectors.directory.names import ATTRIBUTE
from factotum.sdk.errors import NotPermitted

# Of these nothing is told, not even by a condition: whoever may guess a hash finds it out.
SECRET = frozenset(
    {
        "authpassword",
        "ipanthash",
        "krb5key",
        "krbprincipalkey",
        "lmpassword",
        "ms-mcs-admpwd",
        "mslaps-encrypteddsrmpassword",
        "mslaps-encrypteddsrmpasswordhistory",
        "mslaps-encryptedpassword",
        "mslaps-encryptedpasswordhistory",
        "mslaps-password",
        "ntpassword",
        "olcrootpw",
        "pwdhistory",
        "sambalmpassword",
        "sambantpassword",
        "sambapasswordhistory",
        "unicodepwd",
        "userpassword",
    }
)

AttributeName = Annotated[str, Field(pattern=f"^{ATTRIBUTE}$", examples=["mail"])]
Value = Annotated[str, Field(min_length=1, max_length=10_000)]


class Condition(BaseModel):
    """What must be true of an attribute of the entry."""

    model_config = ConfigDict(extra="forbid")

    attribute: AttributeName
    operator: Literal["equals", "starts_with", "ends_with", "contains", "at_least", "at_most", "present", "absent"]
    value: Value | None = Field(default=None, description="Of all operators but present and absent.")

    @model_validator(mode="after")
    def _has_what_it_compares_with(self) -> Condition:
        if (self.operator in ("present", "absent")) == (self.value is not None):
            raise ValueError(f"{self.operator} takes {'no' if self.value is not None else 'a'} value")
        return self


def expression(conditions: Sequence[Condition], *, match: Literal["all", "any"]) -> str:
    """The filter's text; every entry where there are no conditions. Raises `NotPermitted`."""
    if not conditions:
        return "(objectClass=*)"
    terms = [_term(condition) for condition in conditions]
    return terms[0] if len(terms) == 1 else f"({'&' if match == 'all' else '|'}{''.join(terms)})"


def refuse_secrets(*attributes: str) -> None:
    """Raises `NotPermitted` for an attribute that holds passwords."""
    for name in attributes:
        if name.lower() in SECRET:
            raise NotPermitted(f"{name} is not told, and is set by directory.set_password only")


def escaped(value: str) -> str:
    """Every byte that is no letter and no digit by its number: nothing is left that a filter's text could mean."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:02x}"
        for byte in value.encode("utf-8", "replace")
    )


def _term(condition: Condition) -> str:
    refuse_secrets(condition.attribute)
    name, value = condition.attribute, escaped(condition.value or "")
    return {
        "equals": f"({name}={value})",
        "starts_with": f"({name}={value}*)",
        "ends_with": f"({name}=*{value})",
        "contains": f"({name}=*{value}*)",
        "at_least": f"({name}>={value})",
        "at_most": f"({name}<={value})",
        "present": f"({name}=*)",
        "absent": f"(!({name}=*))",
    }[condition.operator]
