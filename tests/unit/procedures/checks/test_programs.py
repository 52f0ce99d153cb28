"""What each expression may use where it stands, and what may be done with secrets."""

from __future__ import annotations

import pytest

from tests.support.checked import said

SET = "do: [{a: {set: {}}}]\n"
SECRETS = "use: {secrets: [token, pair]}\n"
TO_TOOL = SECRETS + "do: [{a: {call: http, with: {method: get, endpoint: https://x, headers: {h: '%s'}}}}]\n"


@pytest.mark.parametrize(
    "text",
    [
        "do: [{a: {set: {x: '${ [$context, $input, $task, $workflow, $runtime] }'}}}]\n",
        "do: [{a: {input: {from: '[$context, $task.name]'}, set: {}}}]\n",
        "do: [{a: {set: {}, output: {as: '[., $input]'}, export: {as: '[$context, $input, $output]'}}}]\n",
        "do: [{a: {for: {each: x, in: .l}, while: '$x and $index', do: [{b: {set: {y: '${ $x }'}}}]}}]\n",
        "do: [{a: {try: [{b: {set: {}}}], catch: {as: e, when: '$e.status', retry: {when: '$e'}, "
        "do: [{c: {set: {y: '${ $e }'}}}]}}}]\n",
        "use: {retries: {r: {when: '$error.status == 503'}}}\ndo: [{a: {try: [{b: {set: {}}}], catch: {retry: r}}}]\n",
        "do: [{a: {listen: {to: {any: []}}, foreach: {item: e, at: i, do: [{b: {set: {x: '${ [$e, $i] }'}}}], "
        "output: {as: '$e'}, export: {as: '[$e, $output]'}}}}]\n",
        "do: [{a: {listen: {to: {any: [], until: '(. | length) > 3 and $input.x'}}}}]\n",
        "do: [{a: {wait: '${ .seconds }'}}]\n",
        "use: {extensions: [{log: {extend: all, when: '$task.call == \"http\"', "
        "before: [{x: {set: {y: '${ $task.reference }'}}}]}}]}\n" + SET,
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: https://x, authentication: {bearer: {token: t}}}}, "
        "output: {as: '$authorization.scheme'}}}]\n",
        "evaluate: {mode: loose}\n"
        "do: [{a: {set: {x: this is no expression, y: '${ neither | is this }', z: $nope}}}]\n",
        TO_TOOL % '${ "Bearer \\($secrets.token)" }',
        TO_TOOL % "${ $secrets.pair.user }",
        TO_TOOL % '${ $secrets["pair"]["a b"] }',
        TO_TOOL % "${ {a: $secrets.token, b: [1, $secrets.token]} }",
        TO_TOOL % "${ .mine // $secrets.token }",
        TO_TOOL % "${ if .x then $secrets.token else null end }",
        TO_TOOL % '${ "a" + $secrets.token }',
        TO_TOOL % "${ .x | $secrets.token }",
        SECRETS + "do: [{a: {run: {shell: {command: ls, environment: {T: '${ $secrets.token }'}}}}}]\n",
        SECRETS + "do: [{a: {input: {from: '${ {t: $secrets.token} }'}, call: mail.read}}]\n",
        SECRETS + "do: [{a: {input: {from: '{t: $secrets.token}'}, run: {shell: {command: ls}}}}]\n",
    ],
)
def test_what_is_there_may_be_used(text: str) -> None:
    assert said(text) == []


REFUSED = "`$secrets` is not available here: a secret is known only inside the tool. Use it in what a call"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("do: [{a: {if: $input.x, set: {}}}]\n", "/do/0/a/if: `$input` is not available here. Nothing has been made"),
        ("do: [{a: {input: {from: $input}, set: {}}}]\n", "/do/0/a/input/from: `$input` is not available here"),
        ("do: [{a: {set: {}, output: {as: $output}}}]\n", "/do/0/a/output/as: `$output` is not available here"),
        (
            "do: [{a: {set: {x: '${ $inptu }'}}}]\n",
            "/do/0/a/set/x: `$inptu` is not available here. Did you mean `$input`",
        ),
        ("do: [{a: {set: {x: '${ $authorization }'}}}]\n", "Only a task with an `authentication` has one"),
        ("input: {from: $context}\n" + SET, "/input/from: `$context` is not available here"),
        ("output: {as: $input}\n" + SET, "/output/as: `$input` is not available here"),
        (
            "do: [{a: {for: {in: .l}, do: [{b: {set: {}}}], output: {as: $item}}}]\n",
            "/do/0/a/output/as: `$item` is not available here",
        ),
        (
            "do: [{a: {try: [{b: {set: {y: '${ $error }'}}}], catch: {}}}]\n",
            "/do/0/a/try/0/b/set/y: `$error` is not available here",
        ),
        (
            "use: {retries: {r: {when: $error}}}\ndo: [{a: {try: [{b: {set: {}}}], catch: {as: e, retry: r}}}]\n",
            "/use/retries/r/when: `$error` is not available here",
        ),
        (
            "do: [{a: {try: [{b: {set: {}}}], catch: {retry: {delay: '${ $x }'}}}}]\n",
            "/do/0/a/catch/retry/delay: `$x` is not available here",
        ),
        (
            "do: [{a: {listen: {to: {one: {with: {data: '${ .x > $limit }'}}}}}}]\n",
            "/do/0/a/listen/to/one/with/data: `$limit` is not available here",
        ),
        (
            "do: [{a: {listen: {to: {all: [{with: {type: t}, correlate: {k: {from: .x |}}}]}}}}]\n",
            "/do/0/a/listen/to/all/0/correlate/k/from:",
        ),
        (
            "do: [{a: {listen: {to: {any: [], until: {one: {with: {type: '${ now }'}}}}}}}]\n",
            "/do/0/a/listen/to/until/one/with/type: 'now': `now` is not allowed",
        ),
        ("do: [{a: {listen: {to: {any: [], until: '$x'}}}}]\n", "/do/0/a/listen/to/until: `$x` is not available"),
        (
            "do: [{a: {listen: {to: {any: []}}, foreach: {item: e, output: {as: '[$e, $w]'}}}}]\n",
            "/do/0/a/foreach/output/as: `$w` is not available here",
        ),
        ("do: [{a: {set: {x: '${ map(.; .) }'}}}]\n", "/do/0/a/set/x: 'map(.; .)': map/2 is not defined"),
        ("schedule: {on: {one: {with: {type: '${ $context }'}}}}\n" + SET, "Here is only the value"),
        ("do: [{a: {emit: {event: {with: {source: s, type: '${ $x }'}}}}}]\n", "/do/0/a/emit/event/with/type: `$x`"),
        ("do: [{a: {run: {shell: {command: '${ $x }'}}}}]\n", "/do/0/a/run/shell/command: `$x`"),
        (
            "do: [{a: {run: {workflow: {namespace: n, name: w, input: {y: '${ $x }'}}}}}]\n",
            "/do/0/a/run/workflow/input/y: `$x`",
        ),
        ("use: {functions: {f: {set: {y: '${ $item }'}}}}\n" + SET, "/use/functions/f/set/y: `$item`"),
        ("use: {extensions: [{e: {extend: all, when: $input}}]}\n" + SET, "/use/extensions/0/e/when: `$input`"),
        ("use: {errors: {e: {type: a:t, status: 400, detail: '${ $x }'}}}\n" + SET, "/use/errors/e/detail: `$x`"),
        (
            "use: {authentications: {p: {bearer: {token: '${ $x }'}}}}\n" + SET,
            "/use/authentications/p/bearer/token: `$x`",
        ),
        ("use: {timeouts: {t: {after: '${ $x }'}}}\n" + SET, "/use/timeouts/t/after: `$x`"),
        ("do: [{a: {set: {}, timeout: {after: '${ $x }'}}}]\n", "/do/0/a/timeout/after: `$x`"),
        (
            "do: [{a: {call: asyncapi, with: {subscription: {filter: $x, consume: {until: $y, for: '${ $z }'}, "
            "foreach: {item: m, output: {as: '[$m, $w]'}}}}}}]\n",
            "/do/0/a/with/subscription/foreach/output/as: `$w`",
        ),
        ("do: [{a: {call: asyncapi, with: {subscription: {consume: {until: $y}}}}}]\n", "/consume/until: `$y`"),
        (
            "do: [{a: {call: mail.send, with: {to: a, size: 1}, metadata: {approval: {by: ['${ $x }']}}}}]\n",
            "/do/0/a/metadata/approval/by/0: `$x`",
        ),
        ("do: [{a: {set: {}, metadata: {summary: '${ $x }'}}}]\n", "/do/0/a/metadata/summary: `$x`"),
        (SECRETS + "do: [{a: {if: $secrets.token, set: {}}}]\n", f"/do/0/a/if: {REFUSED}"),
        (SECRETS + "do: [{a: {set: {x: '${ $secrets.token }'}}}]\n", f"/do/0/a/set/x: {REFUSED}"),
        (SECRETS + "input: {from: '{t: $secrets.token}'}\n" + SET, f"/input/from: {REFUSED}"),
        (SECRETS + "do: [{a: {input: {from: $secrets.token}, set: {}}}]\n", f"/do/0/a/input/from: {REFUSED}"),
        (
            SECRETS + "do: [{a: {input: {from: '${ {k: $secrets.token} }'}, "
            "emit: {event: {with: {source: s, type: t, data: '${ . }'}}}}}]\n",
            f"/do/0/a/input/from: {REFUSED}",
        ),
        (
            SECRETS[:-2] + ", functions: {http: {set: {}}}}\n"
            "do: [{a: {input: {from: '${ {k: $secrets.token} }'}, call: http}}]\n",
            f"/do/0/a/input/from: {REFUSED}",
        ),
        (SECRETS + "do: [{a: {set: {}, output: {as: $secrets.token}}}]\n", f"/do/0/a/output/as: {REFUSED}"),
        (SECRETS + "do: [{a: {set: {}, export: {as: $secrets.token}}}]\n", f"/do/0/a/export/as: {REFUSED}"),
        (SECRETS + "do: [{a: {switch: [{x: {when: $secrets.token, then: end}}]}}]\n", f"when: {REFUSED}"),
        (SECRETS + "do: [{a: {for: {in: .x}, while: $secrets.token, do: [{b: {set: {}}}]}}]\n", f"while: {REFUSED}"),
        (SECRETS + "do: [{a: {emit: {event: {with: {source: s, type: '${ $secrets.token }'}}}}}]\n", REFUSED),
        (SECRETS + "do: [{a: {run: {workflow: {namespace: n, name: w, input: '${ $secrets }'}}}}]\n", REFUSED),
        (SECRETS + "output: {as: $secrets.token}\n" + SET, f"/output/as: {REFUSED}"),
        ("evaluate: {mode: loose}\n" + SECRETS + "do: [{a: {set: {x: $secrets.token}}}]\n", REFUSED),
        (TO_TOOL % "${ $secrets.tokne }", "the secret `tokne` is not declared. Did you mean `token`?"),
        (TO_TOOL % "${ $secrets }", "`$secrets` must name a secret"),
        (TO_TOOL % "${ $secrets.token | length }", "a secret's value is not known here"),
        (TO_TOOL % '${ @base64 "x:\\($secrets.token)" }', "a secret's value is not known here"),
        (TO_TOOL % "${ if $secrets.token then 1 else 2 end }", "a secret's value is not known here"),
        (TO_TOOL % "${ $secrets[.name] }", "a secret's value is not known here"),
        (TO_TOOL % "${ $secrets.token as $t | $t }", "a secret's value is not known here"),
        (TO_TOOL % "${ {($secrets.token): 1} }", "a secret's value is not known here"),
    ],
)
def test_what_is_not_there_may_not_be_used(text: str, fault: str) -> None:
    found = said(text)
    assert any(fault in each for each in found), found


def test_many_programs_are_judged_each_by_itself() -> None:
    good = "".join(f"  - t{index}: {{set: {{x: '${{ $context.a{index} }}'}}}}\n" for index in range(150))
    found = said(f"do:\n{good}  - bad: {{set: {{x: '${{ map() }}', y: '${{ $context.a | }}'}}}}\n")
    assert [each.partition(":")[0] for each in found] == ["/do/150/bad/set/x", "/do/150/bad/set/y"]
