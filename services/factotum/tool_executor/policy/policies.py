"""Policies as they are read: each with its id, its place in a file, and what it must know of a call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from cedarpy import Schema, policies_to_pst, pst, validate_policies

from factotum.tool_executor.policy.needs import Needs, Unreadable, needs
from factotum.tool_executor.policy.statements import Statement, statements

SCHEMA_FILE: Final = Path(__file__).parent / "policies.cedarschema"
SUFFIX: Final = ".cedar"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_POLICY_IN_ERROR = re.compile(r"^for policy `[^`]*`, ")
_QUOTED = re.compile(r"`([^`]+)`")

# What is mostly meant where Cedar says this.
_ADVICE: tuple[tuple[str, str], ...] = (
    (
        "unable to guarantee safety of access to tag",
        "Ask first whether there is one: `….hasTag(NAME) && ….getTag(NAME)`",
    ),
    ("unrecognized entity type", "There are Tenant, Group, User, Service, System and Tool"),
    ("unrecognized action", "There are read, create, update, delete, send, execute, and write for all but read"),
    ("unable to find an applicable action", "Principals are Tenant, User and Service; the resource is a Tool"),
    ("expected an entity uid", 'Write its type too, as in Action::"read", Tool::"mail.send", Group::"acme/it"'),
)


@dataclass(frozen=True, slots=True)
class PolicyFault:
    """What is wrong with a policy, where, and how to mend it. `line` is 1-based; 0: of the whole file."""

    file: str
    line: int
    message: str
    advice: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}{'. ' + self.advice if self.advice else ''}"


class PoliciesInvalid(Exception):
    """Policies that cannot be used. `faults` is never empty."""

    def __init__(self, faults: list[PolicyFault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy.

    Attributes:
        needs: of each of its clauses.
        advice: what its author has to say to who meets it: its annotation `@advice`.
    """

    id: str
    template: pst.Template
    needs: tuple[Needs, ...]
    file: str
    line: int
    advice: str = ""

    def names(self, secrets: frozenset[str]) -> bool:
        """Whether it asks for each of these secrets by its name."""
        return secrets <= frozenset[str]().union(*(needs.secrets for needs in self.needs))

    @property
    def forbids(self) -> bool:
        return self.template.effect == "forbid"


@cache
def schema() -> Schema:
    """Reads the packaged schema once."""
    return Schema.from_str(SCHEMA_FILE.read_text(encoding="utf-8"))


def policies(texts: Mapping[str, str]) -> list[Policy]:
    """The policies of files, by their names. Raises `PoliciesInvalid` with every fault."""
    found: list[Policy] = []
    faults: list[PolicyFault] = []
    for file, text in texts.items():
        for statement in statements(text):
            read = _policy(file, statement)
            if isinstance(read, Policy):
                found.append(read)
            else:
                faults += read
    faults += _twice(found)
    if faults:
        raise PoliciesInvalid(faults)
    return found


def _policy(file: str, statement: Statement) -> Policy | list[PolicyFault]:
    try:
        parsed = policies_to_pst(statement.text)
    except ValueError as error:
        return [_told(file, statement, str(error))]
    if parsed.templates:
        return [PolicyFault(file, statement.line, "a template permits nothing here", "Name the principal or resource")]
    (template,) = parsed.static_policies.values()
    name = template.annotations.get("id", "")
    faults = [_told(file, statement, error.error) for error in validate_policies(statement.text, schema()).errors]
    if not _ID.fullmatch(name):
        advice = 'Put @id("…") before it, of letters, digits, dots, dashes and underscores: decisions are told by it'
        faults.insert(0, PolicyFault(file, statement.line, "the policy has no usable id", advice))
    wanted: list[Needs] = []
    for clause in template.clauses:
        try:
            wanted.append(needs(clause))
        except Unreadable as error:
            faults.append(PolicyFault(file, statement.line, "what it asks of the context is not plain", str(error)))
    if faults:
        return faults
    return Policy(name, template, tuple(wanted), file, statement.line, template.annotations.get("advice", ""))


def _told(file: str, statement: Statement, error: str) -> PolicyFault:
    message = _POLICY_IN_ERROR.sub("", error.removeprefix("Policy parse error: "))
    quoted = _QUOTED.search(message)
    line = statement.line_of(quoted[1].strip('"')) if quoted else statement.line
    advice = next((advice for said, advice in _ADVICE if said in message), "")
    return PolicyFault(file, line, message, advice)


def _twice(found: Iterable[Policy]) -> Iterator[PolicyFault]:
    first: dict[str, Policy] = {}
    for policy in found:
        earlier = first.setdefault(policy.id, policy)
        if earlier is not policy:
            where = f"{earlier.file}:{earlier.line}"
            yield PolicyFault(policy.file, policy.line, f"the id {policy.id!r} is that of another policy, {where}")
