"""What a document names must be there, wherever it names it."""

from __future__ import annotations

import pytest

from factotum.procedures.check import called_tools
from factotum.procedures.parse import parse
from tests.support.checked import HEAD, said

HTTP = "call: http, with: {method: get, endpoint: %s}"


@pytest.mark.parametrize(
    "text",
    [
        "use: {functions: {greet: {call: mail.read}}}\ndo: [{a: {call: greet}}]\n",
        "use: {catalogs: {acme: {endpoint: https://x}}}\ndo: [{a: {call: 'f:1.0.0@acme'}}]\n",
        "do: [{a: {call: 'f:1.0.0@default'}}]\n",
        "do: [{a: {call: 'mail.read:1.0.0@default'}}]\n",
        "do: [{a: {call: https://acme.example/functions/f/1.0.0/function.yaml}}]\n",
        f"use: {{authentications: {{p: {{bearer: {{token: t}}}}}}}}\n"
        f"do: [{{a: {{{HTTP % '{uri: https://x, authentication: {use: p}}'}}}}}]\n",
        f"use: {{secrets: [s]}}\ndo: [{{a: {{{HTTP % '{uri: https://x, authentication: {basic: {use: s}}}'}}}}}]\n",
        "use: {timeouts: {t: {after: PT1S}}}\ndo: [{a: {wait: PT1S, timeout: t}}]\ntimeout: t\n",
        "use: {errors: {e: {type: a:t, status: 400}}}\ndo: [{a: {raise: {error: e}}}]\n",
        "use: {retries: {r: {delay: PT1S}}}\ndo: [{a: {try: [{b: {set: {}}}], catch: {retry: r}}}]\n",
        "do: [{a: {run: {shell: {command: ls}}}}]\n",
        "do: [{a: {run: {workflow: {namespace: n, name: w, version: '1.0.0'}}}}]\n",
        "input: {schema: {resource: {endpoint: https://x/schema.json}}}\ndo: [{a: {set: {}}}]\n",
    ],
)
def test_what_is_there_is_no_fault(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "use: {functions: {greet: {call: mail.read}}}\ndo: [{a: {call: great}}]\n",
            "/do/0/a/call: there is no function `great`. Did you mean `greet`?",
        ),
        ("do: [{a: {call: htpp}}]\n", "/do/0/a/call: there is no function `htpp`. Did you mean `http`?"),
        ("do: [{a: {call: something}}]\n", "there is no function `something`. Define it under `use.functions`"),
        ("do: [{a: {call: mail.sned}}]\n", "there is no tool `mail.sned`. Did you mean `mail.send`?"),
        ("do: [{a: {call: nobody.knows}}]\n", "there is no tool `nobody.knows`. There are"),
        (
            "do: [{a: {call: grpc, with: {}}}]\n",
            "`call: grpc` needs the tool `grpc.call`, which is not in the catalog. "
            "The tool executor must have the connector `grpc`",
        ),
        (
            "do: [{a: {call: asyncapi, with: {subscription: {consume: {amount: 1}}}}}]\n",
            "`call: asyncapi` needs the tool `asyncapi.receive`",
        ),
        ("do: [{a: {run: {script: {language: js, code: x}}}}]\n", "/do/0/a/run/script: `run: script` needs the tool"),
        (
            "use: {catalogs: {acme: {endpoint: https://x}}}\ndo: [{a: {call: 'f:1.0.0@acne'}}]\n",
            "there is no catalog `acne` under `use.catalogs`. Did you mean `acme`?",
        ),
        (
            f"do: [{{a: {{{HTTP % '{uri: https://x, authentication: {use: p}}'}}}}}]\n",
            "/do/0/a/with/endpoint/authentication/use: there is no authentication `p` under `use.authentications`. "
            "Define it under `use.authentications`",
        ),
        (
            "do: [{a: {call: http, with: {method: get, endpoint: https://x, document: {endpoint: "
            "{uri: https://x, authentication: {use: p}}}}}}]\n",
            "/do/0/a/with/document/endpoint/authentication/use: there is no authentication `p`",
        ),
        (
            "use: {functions: {f: {call: http, with: {method: get, endpoint: {uri: https://x, authentication: "
            "{use: p}}}}}}\ndo: [{a: {call: f}}]\n",
            "/use/functions/f/with/endpoint/authentication/use: there is no authentication `p`",
        ),
        (
            "use: {secrets: [token]}\n"
            f"do: [{{a: {{{HTTP % '{uri: https://x, authentication: {oauth2: {use: tken}}}'}}}}}]\n",
            "/authentication/oauth2/use: the secret `tken` is not declared. Did you mean `token`?",
        ),
        (
            "use: {authentications: {p: {basic: {use: s}}}}\ndo: [{a: {set: {}}}]\n",
            "/use/authentications/p/basic/use: the secret `s` is not declared. Add `s` to `use.secrets`",
        ),
        (
            "use: {authentications: {p: {use: q}}}\ndo: [{a: {set: {}}}]\n",
            "/use/authentications/p/use: a policy under `use.authentications` cannot name another one",
        ),
        (
            "do: [{a: {set: {}, output: {schema: {resource: {endpoint: {uri: https://x, "
            "authentication: {use: p}}}}}}}]\n",
            "/do/0/a/output/schema/resource/endpoint/authentication/use: there is no authentication `p`",
        ),
        (
            "input: {schema: {resource: {endpoint: {uri: https://x, authentication: {use: p}}}}}\n"
            "do: [{a: {set: {}}}]\n",
            "/input/schema/resource/endpoint/authentication/use: there is no authentication `p`",
        ),
        (
            "do: [{a: {run: {script: {language: js, source: {endpoint: {uri: https://x, "
            "authentication: {use: p}}}}}}}]\n",
            "/do/0/a/run/script/source/endpoint/authentication/use: there is no authentication `p`",
        ),
        ("do: [{a: {wait: PT1S, timeout: t}}]\n", "/do/0/a/timeout: there is no timeout `t` under `use.timeouts`"),
        ("do: [{a: {set: {}}}]\ntimeout: t\n", "/timeout: there is no timeout `t`"),
        (
            "use: {errors: {notFound: {type: a:t, status: 400}}}\ndo: [{a: {raise: {error: notfound}}}]\n",
            "/do/0/a/raise/error: there is no error `notfound` under `use.errors`. Did you mean `notFound`?",
        ),
        (
            "do: [{a: {try: [{b: {set: {}}}], catch: {retry: r}}}]\n",
            "/do/0/a/catch/retry: there is no retry policy `r`",
        ),
        (
            "do: [{a: {call: mail.send, with: {to: a, size: 1}, metadata: {compensate: {call: mail.snd}}}}]\n",
            "/do/0/a/metadata/compensate/call: there is no tool `mail.snd`",
        ),
        (
            "use: {extensions: [{log: {extend: all, before: [{x: {call: mail.reed}}]}}]}\ndo: [{a: {set: {}}}]\n",
            "/use/extensions/0/log/before/0/x/call: there is no tool `mail.reed`",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_was_meant(text: str, fault: str) -> None:
    found = said(text)
    assert any(fault in each for each in found), found


def test_a_function_comes_before_a_protocol_and_a_tool_of_its_name() -> None:
    functions = "use: {functions: {http: {call: mail.read}, mail.send: {set: {}}}}\n"
    text = f"{functions}do: [{{a: {{call: http}}}}, {{b: {{call: mail.send}}}}]\n"
    assert said(text) == []
    assert called_tools(parse(HEAD + text).document) == {"mail.read"}


def test_called_tools_are_those_of_protocols_processes_functions_extensions_and_compensations() -> None:
    text = """
use:
  functions: {f: {do: [{x: {call: openapi, with: {document: {endpoint: d}, operationId: o}}}]}}
  extensions: [{log: {extend: all, before: [{x: {call: grpc, with: {}}}]}}]
do:
  - a: {call: f, metadata: {compensate: {call: 'people.undo:1.0.0@default'}}}
  - b: {call: http, with: {}, metadata: {compensate: {call: mcp}}}
  - c: {call: asyncapi, with: {message: {}}}
  - d: {call: asyncapi, with: {subscription: {consume: {amount: 1}, foreach: {do: [{x: {call: a2a}}]}}}}
  - e: {run: {shell: {command: ls}}}
  - f: {run: {script: {language: js, code: x}}}
  - g: {run: {container: {image: x}}}
  - h: {run: {workflow: {namespace: n, name: w}}}
  - i: {listen: {to: {any: []}}, foreach: {do: [{x: {call: mail.send}}]}}
  - j: {call: 'f:1.0.0@elsewhere'}
"""
    assert called_tools(parse(HEAD + text).document) == {
        "openapi.call", "grpc.call", "people.undo", "http.request", "mcp.call", "asyncapi.publish", "asyncapi.receive",
        "a2a.call", "process.shell", "process.script", "process.container", "mail.send",
    }  # fmt: skip
