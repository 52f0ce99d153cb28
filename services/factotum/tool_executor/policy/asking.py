"""Who asks for what: principals, tools and groups as Cedar's entities. Pure.

An id is composed of the tenant and a name, and a tenant's name has no slash: whatever a person, a group or a
procedure is called, it stays inside its tenant. Ids are given to Cedar as data, never as text of its language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from factotum.sdk.spec import Effect, ToolSpec

Json = Any

READ = "read"
WRITE = "write"


class Principal(NamedTuple):
    """Who a call is for.

    Attributes:
        user: the person; empty: nobody.
        procedure: `namespace/name` of what calls; empty: a call made by hand.
    """

    tenant: str
    user: str = ""
    procedure: str = ""

    @property
    def uid(self) -> dict[str, str]:
        """The person, or else the procedure as a service, or else the tenant."""
        if self.user:
            return {"type": "User", "id": f"{self.tenant}/{self.user}"}
        if self.procedure:
            return {"type": "Service", "id": f"{self.tenant}/{self.procedure}"}
        return {"type": "Tenant", "id": self.tenant}

    def __str__(self) -> str:
        if self.user:
            return f"{self.user} of {self.tenant}"
        if self.procedure:
            return f"the procedure {self.procedure} of {self.tenant}"
        return f"tenant {self.tenant}"


class Wanted(NamedTuple):
    """A tool, and what a call of it does."""

    name: str
    version: str
    action: str
    permissions: tuple[str, ...]
    source: str

    @property
    def uid(self) -> dict[str, str]:
        return {"type": "Tool", "id": self.name}


def wanted(spec: ToolSpec, *, source: str) -> Wanted:
    return Wanted(
        name=spec.name,
        version=spec.version,
        action=action(spec.effect),
        permissions=spec.needed_permissions,
        source=source,
    )


def action(effect: Effect) -> str:
    return READ if effect is Effect.NONE else effect.value


def entities(principal: Principal, tool: Wanted, groups: Iterable[str]) -> list[dict[str, Json]]:
    """Everything that a policy can ask of a principal, of an action and of a tool.

    Args:
        groups: those of the principal's person.
    """
    tenant = _uid("Tenant", principal.tenant)
    system = _uid("System", tool.name.partition(".")[0])
    made = [
        _entity(tenant),
        _entity(system),
        _entity(
            tool.uid,
            system,
            name=tool.name,
            system=system["id"],
            version=tool.version,
            permissions=list(tool.permissions),
            source=tool.source,
        ),
        _entity(_uid("Action", tool.action), *([] if tool.action == READ else [_uid("Action", WRITE)])),
    ]
    if principal.user:
        within = [_uid("Group", f"{principal.tenant}/{group}") for group in groups]
        made += [_entity(group, tenant) for group in within]
        made.append(_entity(principal.uid, tenant, *within, name=principal.user))
    elif principal.procedure:
        made.append(_entity(principal.uid, tenant, name=principal.procedure))
    return made


def grant(principal: Principal, tool: Wanted, secrets: Sequence[str] = ()) -> str:
    """The policy that permits just this, in Cedar; with these of a document's secrets."""
    who, what = principal.uid, tool.uid
    name = "-".join([who["id"], tool.action, tool.name, *secrets])
    name = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")
    given = f" when {{ context.secrets.containsAll([{', '.join(map(_text, secrets))}]) }}" if secrets else ""
    return (
        f'@id("{name}") permit(principal == {who["type"]}::{_text(who["id"])}, action == Action::{_text(tool.action)}, '
        f"resource == {what['type']}::{_text(what['id'])}){given};"
    )


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}


def _entity(uid: dict[str, str], *parents: dict[str, str], **attributes: Json) -> dict[str, Json]:
    return {"uid": uid, "attrs": attributes, "parents": list(parents)}


def _text(value: str) -> str:
    # Names hold no control characters, so that JSON's escapes are Cedar's.
    return json.dumps(value, ensure_ascii=False)
