"""What the parts of a task, a policy or a schedule can say of themselves, and what Factotum adds."""

from __future__ import annotations

import pytest

from tests.support.checked import said

SET = "do: [{a: {set: {}}}]\n"
TRY = "do: [{a: {try: [{b: {set: {}}}], catch: {%s}}}]\n"
HTTP = "do: [{a: {call: http, with: {method: get, endpoint: '%s'}}}]\n"
SEND = "do: [{a: {call: mail.send, with: {to: a, size: 1}, metadata: {%s}}}]\n"


@pytest.mark.parametrize(
    "text",
    [
        TRY % "errors: {with: {type: t, status: 1, title: t, detail: d, instance: /x}}",
        TRY % "retry: {delay: PT1S, jitter: {from: PT1S, to: PT2S}}",
        TRY % "retry: {delay: PT1S, jitter: {from: '${ .x }', to: PT2S}}",
        TRY % "errors: {with: {details: d}}",
        "do: [{a: {raise: {error: {type: '${ .type }', status: 400}}}}]\n",
        "do: [{a: {fork: {branches: []}}}]\n",
        HTTP % "https://x/{id}/y?z={a.b}",
        HTTP % "${ .address }",
        HTTP % "https://x/${ .id }",
        "do: [{a: {call: http, with: {method: post, endpoint: https://x, body: {uri: 'not { one'}}}}]\n",
        SEND % "summary: s, compensate: {call: mail.send, with: {to: a, size: 1}}, approval: {by: [ada]}, owner: me",
        SEND % "approach: x",
        SEND % "approval: {by: ['${ .manager }', '${ .manager }', 'group:hr'], count: 3}",
        SEND % "approval: {by: ['${ .deciders }'], count: 2}",
        SEND % "approval: {by: [ada], within: PT1H, otherwise: {by: ['group:it']}}",
        "do: [{a: {run: {shell: {command: ls}}, metadata: {approval: {by: [ada]}, compensate: {call: mail.send, "
        "with: {to: a, size: 1}}}}}]\n",
        "use: {functions: {f: {call: mail.send, with: {to: a, size: 1}}}}\n"
        "do: [{a: {call: f, metadata: {approval: {by: [ada]}}}}]\n",
        "schedule: {cron: '0 6 * * 1-5'}\n" + SET,
    ],
)
def test_what_is_right_is_no_fault(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            TRY % "errors: {with: {statu: 1}}",
            "/catch/errors/with/statu: an error has no `statu`. Did you mean `status`?",
        ),
        (
            TRY % "errors: {with: {status: '503'}}",
            "/catch/errors/with/status: an error's `status` is a whole number. Write it without quotes",
        ),
        (TRY % "errors: {with: {status: true}}", "is a whole number"),
        (TRY % "errors: {with: {title: 5}}", "/catch/errors/with/title: an error's `title` is a text"),
        (
            TRY % "errors: {with: {status: '${ .status }'}}",
            "`status` is compared as it stands: no expression is evaluated here. Use `catch.when`",
        ),
        (
            "do: [{a: {raise: {error: {type: not a uri at all, status: 400}}}}]\n",
            "/do/0/a/raise/error/type: `not a uri at all` is no URI. Write one such as",
        ),
        ("use: {errors: {e: {type: nope, status: 400}}}\n" + SET, "/use/errors/e/type: `nope` is no URI"),
        ("do: [{a: {fork: {compete: true, branches: []}}}]\n", "/do/0/a/fork/branches: without a branch none can win"),
        (TRY % "errors: {with: {x: 1}}", "It has detail, instance, status, title, type"),
        (
            TRY % "retry: {jitter: {from: PT3S, to: PT2S}}",
            "/do/0/a/catch/retry/jitter/from: `from` is longer than `to`",
        ),
        (
            "use: {retries: {r: {jitter: {from: P1M, to: PT2S}}}}\n" + SET,
            "/use/retries/r/jitter/from: `from` is longer",
        ),
        (TRY % "as: input, do: [{c: {set: {}}}]", "`input` is the name of an argument of every expression"),
        (
            "do: [{a: {for: {each: my-item, in: .x}, do: [{b: {set: {}}}]}}]\n",
            "`my-item` cannot be the name of a variable",
        ),
        (
            "do: [{a: {listen: {to: {any: []}}, foreach: {item: task, do: [{b: {set: {}}}]}}}]\n",
            "`task` is the name of an argument",
        ),
        (HTTP % "https://x/{id", "/do/0/a/with/endpoint: the braces of `https://x/{id` do not match. Write `{name}`"),
        (HTTP % "https://x/id}", "do not match"),
        (HTTP % "https://x/{}", "`{}` is no name"),
        (HTTP % "https://x/{a b}", "`{a b}` is no name"),
        (
            "do: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://x/{id'}}}}]\n",
            "/do/0/a/with/endpoint/uri: the braces",
        ),
        ("use: {catalogs: {c: {endpoint: 'https://x/{'}}}\n" + SET, "/use/catalogs/c/endpoint: the braces"),
        ("schedule: {cron: '0 6 * *'}\n" + SET, "/schedule/cron: `0 6 * *` has 4 fields"),
        (
            SEND % "compensat: {}",
            "/do/0/a/metadata/compensat: `compensat` means nothing here. Did you mean `compensate`?",
        ),
        (SEND % "Summary: s", "Did you mean `summary`?"),
        (
            SEND % "compensate: {call: mail.read}",
            "`mail.read` has no effect, so it undoes nothing. With an effect: mail.send",
        ),
        ("do: [{a: {call: mail.read, metadata: {approval: {by: [ada]}}}}]\n", "so there is nothing to approve"),
        (
            "do: [{a: {set: {}, metadata: {approval: {by: [ada]}}}}]\n",
            "only a `call` or a `run` can wait for an approval",
        ),
        (
            "do: [{a: {do: [{b: {set: {}}}], metadata: {compensate: {call: mail.send}}}}]\n",
            "Put it on the tasks inside",
        ),
        ("use: {functions: {f: {set: {}, metadata: {aproval: {}}}}}\n" + SET, "/use/functions/f/metadata/aproval"),
        (SEND % "approval: {by: ['a:b']}", "/do/0/a/metadata/approval/by/0: nobody can be named `a:b`. Write the name"),
        (SEND % "approval: {by: ['group:']}", "nobody can be named `group:`"),
        (SEND % "approval: {by: [ada, ada], count: 2}", "`count` is more than the people named in `by`"),
        (SEND % "approval: {by: [ada, ada]}", "/do/0/a/metadata/approval/by/1: `ada` is named twice"),
        (
            SEND % "approval: {by: [ada], within: PT1H, otherwise: {by: ['role:it']}}",
            "/do/0/a/metadata/approval/otherwise/by/0: nobody",
        ),
        (
            SEND % "approval: {by: [ada], otherwise: {by: [bob]}}",
            "/do/0/a/metadata/approval/otherwise: `otherwise` is never reached",
        ),
        (SEND % "approval: {by: []}", "/do/0/a/metadata/approval/by"),
        (
            "do: [{a: {set: {}, output: {schema: {document: {type: objekt}}}}}]\n",
            "/do/0/a/output/schema/document: not a JSON Schema",
        ),
        (
            "use: {functions: {f: {input: {schema: {document: {type: objekt}}}, set: {}}}}\n" + SET,
            "/use/functions/f/input/schema/document: not a JSON Schema",
        ),
        (
            "do: [{a: {listen: {to: {any: []}}, foreach: {output: {schema: {document: {type: objekt}}}}}}]\n",
            "/do/0/a/foreach/output/schema/document: not a JSON Schema",
        ),
        ("do: [{a: {sett: {}}}]\n", "/do/0/a: a task must have one of: call, for, fork, set"),
        ("do: [{a: {sett: {}}}]\n", "Did you mean `set`?"),
        ("do: [{a: {set: {}, tehn: end}}]\n", "/do/0/a/tehn: `tehn` is not a property here. Did you mean `then`?"),
        ("do: [{a: {for: {each: x}, do: []}}]\n", "/do/0/a/for: `in` is missing. Add `in:`"),
        ("do: [{a: {if: 1, set: {}}}]\n", "/do/0/a/if: must be a text. Write a text, in quotes"),
        ("do: [{a: {wait: 15m}}]\n", "/do/0/a/wait: '15m' is not an ISO 8601 duration such as PT15M. Write ISO 8601"),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(text: str, fault: str) -> None:
    found = said(text)
    assert any(fault in each for each in found), found
