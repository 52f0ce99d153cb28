"""What the structure of a document lacks: one fault for one mistake, at the property itself, in plain words."""

from __future__ import annotations

import pytest

from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import parse
from tests.support.checked import HEAD

SET = "do: [{a: {set: {}}}]\n"
CALL = "do: [{a: {call: mail.send, metadata: {approval: %s}}}]\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "do: [{r: {raise: {error: {type: 't:t', status: five}}}}]\n",
            "2:40: /do/0/r/raise/error/status: must be a whole number. Write a whole number, without quotes",
        ),
        ("do: [{r: {raise: {error: 5}}}]\n", "/do/0/r/raise/error: must be an error, or a name under `use.errors`"),
        (
            "do: [{a: {try: [{b: {set: {}}}], catch: {retry: {dealy: PT1S}}}}]\n",
            "2:50: /do/0/a/catch/retry/dealy: `dealy` is not a property here. Did you mean `delay`?",
        ),
        ("do: [{a: {set: {}, timeout: {after: soon}}}]\n", "2:30: /do/0/a/timeout/after: 'soon' is not an ISO 8601"),
        ("timeout: {after: soon}\n" + SET, "2:11: /timeout/after: 'soon' is not an ISO 8601"),
        ("do: [{a: {set: {}, timeout: 5}}]\n", "/do/0/a/timeout: must be {after: …}, or a name under `use.timeouts`"),
        ("do: [{a: {set: 5}}]\n", "2:11: /do/0/a/set: must be a mapping, or an expression that gives one"),
        (
            "do: [{a: {listen: {to: {any: [], until: {one: {}}}}}}]\n",
            "2:42: /do/0/a/listen/to/until/one: `with` is missing. Add `with:`",
        ),
        ("do: [{a: {listen: {to: {any: [], until: 1}}}}]\n", "/do/0/a/listen/to/until: must be an expression, or"),
        (CALL % "{by: [a], otherwise: {by: []}}", "/do/0/a/metadata/approval/otherwise/by: must have at least one"),
        (CALL % "{by: [a], otherwise: allow}", "/do/0/a/metadata/approval/otherwise: must be `deny`, or {by: […]"),
        (CALL % "{by: ada}", "/do/0/a/metadata/approval/by: must be a list. Write a list"),
        ("use: {catalogs: {c: {endpoint: {url: 'https://x'}}}}\n" + SET, "/use/catalogs/c/endpoint/url: `url` is not"),
        ("input: {schema: {resource: {endpoint: 5}}}\n" + SET, "/input/schema/resource/endpoint: must be an address"),
        ("use: {functions: []}\n" + SET, "/use/functions: must be a mapping, each entry `name: {call: …}`"),
        (
            "do: [{a: {wait: {secnds: 5}}}]\n",
            "2:18: /do/0/a/wait/secnds: `secnds` is not a property here. Did you mean `seconds`?",
        ),
        ("do: [{a: {wait: {seconds: -5}}}]\n", "2:18: /do/0/a/wait/seconds: must be 0 or more"),
        ("evaluate: {language: js}\n" + SET, "2:12: /evaluate/language: must be `jq`"),
        ("do: [{function-a: {set: {}, tehn: end}}]\n", "2:29: /do/0/function-a/tehn: `tehn` is not a property"),
        ("do: []\n", "2:1: /do: must have at least one entry. Add one"),
    ],
)
def test_one_mistake_is_one_fault_at_its_property(text: str, fault: str) -> None:
    with pytest.raises(FaultyDocument) as refused:
        parse(HEAD + text)
    found = [str(each) for each in refused.value.faults]
    if "url:" in text:  # and the address itself is missing
        found = [each for each in found if "`uri` is missing" not in each]
    assert len(found) == 1
    assert fault in found[0]
