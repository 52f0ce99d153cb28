"""The policies of docs/policies.md can be used, and what the tables say of calls is so."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from factotum.runtime.groups import Groups, GroupsFile
from factotum.tool_executor.policy.asking import Principal, Wanted
from factotum.tool_executor.policy.folders import STARTER, texts
from factotum.tool_executor.policy.judging import Given, Judge
from factotum.tool_executor.policy.policies import policies

DOCUMENT = Path(__file__).parents[4] / "docs" / "policies.md"
GROUPS = Groups(
    GroupsFile(tenants={"acme": {"it": ["ada"], "finance": ["ada"], "hr": ["mary"]}, "globex": {"it": ["ada"]}})
)
_PART = re.compile(r"^```cedar\n(.*?)^```$|^\| who \| call \|.*?\n\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Row:
    policies: str
    who: str
    call: str
    arguments: str
    verdict: str


def rows() -> list[Row]:
    """Each with the policies of the block before its table; of the starter's table with those."""
    found, before = [], ""
    for part in _PART.finditer(DOCUMENT.read_text(encoding="utf-8")):
        if part[1]:
            before = part[1]
            continue
        for line in part[0].strip().splitlines()[2:]:
            cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
            found.append(Row(before, *cells))
        before = "\n".join(texts([STARTER]).values())
    return found


ROWS = rows()


def test_the_document_has_examples() -> None:
    assert len(ROWS) > 20 and {row.verdict for row in ROWS} == {"allowed", "denied", "depends"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.who} {row.call} {row.arguments}")
def test_what_the_tables_say_is_so(row: Row) -> None:
    tenant, _, rest = row.who.partition(": ")
    words = rest.split(", ")
    named = {
        "procedure": next((word.removeprefix("by procedure ") for word in words if word.startswith("by ")), ""),
        "user": next((word for word in words if " " not in word), ""),
    }
    approved = tuple(word.removeprefix("approved by ") for word in words if word.startswith("approved"))
    call, _, source = row.call.partition(" from ")
    action, name = call.split()
    tool = Wanted(name, "1.0.0", action, (f"{name.partition('.')[0]}.{action}",), source or "installed")
    secrets = frozenset(word.split()[2] for word in words if word.startswith("with secret "))
    reserved = secrets if "of settings" in row.who else frozenset[str]()
    given = None
    if row.arguments:
        given = Given(json.loads(row.arguments), approved_by=approved, secrets=secrets, reserved=reserved)
    judge = Judge(policies({"p.cedar": row.policies}), GROUPS, where="p.cedar")
    judgement = judge.judge(Principal(tenant, **named), tool, given)
    assert judgement.verdict == row.verdict, judgement.explanation
