"""Whom and what a call or a run is about: the rule, in one place. Pure.

Subjects are identifiers that people use for people and things: the mail addresses that stand anywhere in what was
asked and answered, and the values of fields that are called like an identifier, such as `employeeNumber` or the `id`
of an `employee`. Ids that a platform made for itself (of runs, steps, events, or `{"id": "99"}` of nobody in
particular) are none: nobody would ask by them, and they would tie together what has nothing in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from factotum.events.redaction import without_secrets
from factotum.memory.records import MAX_SUBJECT_CHARACTERS, MAX_SUBJECTS
from factotum.sdk.characters import steers

# Fields whose value identifies somebody or something, compared without case and separators.
_IDENTIFYING = frozenset(
    {
        *("externalid", "username", "userprincipalname", "samaccountname", "accountid", "accountname", "login"),
        *("employeeid", "employeenumber", "personid", "personnelnumber", "userid", "memberid", "customerid"),
        *("candidateid", "applicantid", "contactid", "studentid"),
        *("issuekey", "ticketid", "ticketnumber", "caseid", "casenumber", "ordernumber", "invoicenumber"),
        *("assettag", "serialnumber", "deviceid", "hostname"),
    }
)
# What holds somebody or something whose `id` or `key` identifies it: `{"employee": {"id": "123"}}`.
_HOLDERS = frozenset(
    {
        *("employee", "person", "user", "member", "account", "customer", "candidate", "applicant", "contact"),
        *("student", "manager", "assignee", "owner", "requester", "reporter"),
        *("issue", "ticket", "case", "order", "invoice", "asset", "device"),
    }
)
_SEPARATORS = re.compile(r"[-_.\s]")
_BREAK = re.compile("[\t\n]")
# RFC 5321: 64 characters before the @, 255 behind it. What stands around an address in running text is left out.
_LOCAL = re.compile(r"\w[\w.!#$%&'*+/=?^`{|}~-]{0,63}\Z")
_DOMAIN = re.compile(r"(?:\w(?:[\w-]{0,61}\w)?\.){1,8}[^\W\d_](?:[\w-]{0,61}\w)?")
# Characters of one string that are looked through.
_LONGEST_TEXT = 100_000


def subjects_of(*values: Any, without: Iterable[str] = ()) -> list[str]:
    """The identifiers in some JSON values, in lower case, in the order of the values, at most `MAX_SUBJECTS`.

    Args:
        without: what a field may hold and is no identifier, e.g. the run's own id.
    """
    found: dict[str, None] = {}
    excluded = {"", *(text.lower() for text in without)}
    for value in values:
        for identifier in _identifiers(without_secrets(value), "", ""):
            subject = identifier.strip().lower()
            if (
                subject in excluded
                or len(subject) > MAX_SUBJECT_CHARACTERS
                or _BREAK.search(subject)
                or steers(subject)
            ):
                continue
            found[subject] = None
            if len(found) == MAX_SUBJECTS:
                return list(found)
    return list(found)


def _identifiers(value: Any, name: str, holder: str) -> Iterator[str]:
    """Those in a value that is called `name` within something that is called `holder`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _identifiers(inner, _plain(str(key)), name)
    elif isinstance(value, list):
        # What is in a list is called as the list is: `{"users": [{"id": "7"}]}`.
        for inner in value:
            yield from _identifiers(inner, name, holder)
    elif isinstance(value, str):
        yield from _addresses(value)
        if _identifies(name, holder):
            yield value
    elif isinstance(value, int) and not isinstance(value, bool) and _identifies(name, holder):
        yield str(value)


def _identifies(name: str, holder: str) -> bool:
    if name in _IDENTIFYING:
        return True
    return name in ("id", "key") and (holder in _HOLDERS or holder.removesuffix("s") in _HOLDERS)


def _addresses(text: str) -> Iterator[str]:
    """The mail addresses in a text."""
    for place in re.finditer("@", text[:_LONGEST_TEXT]):
        at = place.start()
        local = _LOCAL.search(text[max(0, at - 64) : at])
        domain = _DOMAIN.match(text, at + 1)
        if local and domain:
            yield f"{local[0]}@{domain[0]}"


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()
