"""`factotum tools`: sources, the whole contract, and trying tools."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
from typer.testing import CliRunner

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.cli.main import app
from tests.support.stubs import Stubs

_SOURCE = pb.Source(tenant="acme", system="github", kind="openapi", config_json='{"operations": ["issues/*"]}', tools=2)
_TOOL = pb.Tool(
    name="github.issues_create",
    version="1.1.4",
    description="Create an issue",
    effect=pb.EFFECT_CREATE,
    idempotency=pb.IDEMPOTENCY_NONE,
    input_schema_json='{"type": "object", "required": ["owner"]}',
    output_schema_json="{}",
    timeout_seconds=30,
    permissions=["github.create"],
    secrets=[pb.SecretNeed(name="github-token", description="of the person", delegated=True)],
    compensation=pb.Compensation(call="github.issues_update", arguments_json='{"state": "closed"}'),
    errors=[pb.ERROR_KIND_RATE_LIMITED, pb.ERROR_KIND_NOT_FOUND],
    rate_limit=pb.RateLimit(calls=30, seconds=60),
    concurrency=4,
    examples=[pb.Example(title="a bug", arguments_json='{"owner": "acme"}', output_json='{"number": 7}')],
    source="openapi",
)


def test_add_sends_the_document_and_shows_what_was_added(runner: CliRunner, parts: Stubs, tmp_path: Path) -> None:
    parts.tools.answers["AddSource"] = pb.AddSourceResponse(source=_SOURCE, tools=["github.a", "github.b"])
    document = tmp_path / "github.json"
    document.write_text("{}")
    given = ["tools", "add", "openapi", "github", "--document", str(document), "--allow", "issues/*"]
    result = runner.invoke(app, [*given, "--auth", "token=secret://github-token"])
    assert result.exit_code == 0 and result.stdout == "github.a\ngithub.b\n"
    assert "added github: 2 tools" in result.stderr
    (sent,) = parts.tools.requests
    assert isinstance(sent, pb.AddSourceRequest)
    assert (sent.tenant, sent.system, sent.kind, sent.document) == ("acme", "github", "openapi", b"{}")
    assert json.loads(sent.config_json) == {
        "operations": ["issues/*"],
        "auth": {"token": {"token": "secret://github-token"}},
    }
    as_json = json.loads(runner.invoke(app, [*given, "--json"]).stdout)
    assert as_json["source"]["config"] == {"operations": ["issues/*"]} and as_json["tools"] == ["github.a", "github.b"]


def test_every_kind_is_added_by_its_own_options(runner: CliRunner, parts: Stubs, tmp_path: Path) -> None:
    parts.tools.answers["AddSource"] = pb.AddSourceResponse(source=_SOURCE, tools=["x.a"])
    commands = tmp_path / "commands.yaml"
    commands.write_text("commands: {disk: {argv: [df]}}")
    for words in (
        ["mcp", "x", "--url", "https://a.example/mcp", "--allow", "*"],
        ["grpc", "x", "--address", "grpc://127.0.0.1:1", "--reads", "a.B/*"],
        ["command", "x", f"@{commands}"],
        ["command", "x", "--config", f"@{commands}"],
    ):
        result = runner.invoke(app, ["tools", "add", *words])
        assert result.exit_code == 0, result.stderr
    assert [request.kind for request in parts.tools.requests] == ["mcp", "grpc", "command", "command"]  # type: ignore[attr-defined]


def test_what_is_wrong_is_one_sentence(runner: CliRunner, parts: Stubs) -> None:
    add = ["tools", "add", "grpc", "library", "--address", "grpc://h:1", "--reads", "*"]
    parts.tools.answers["AddSource"] = (grpc.StatusCode.INVALID_ARGUMENT, "library: it has no reflection")
    result = runner.invoke(app, add)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, "factotum: library: it has no reflection")
    parts.tools.answers["AddSource"] = (grpc.StatusCode.UNAVAILABLE, "library: no connection to grpc://h:1")
    result = runner.invoke(app, add)
    assert result.exit_code == 1 and "Nothing was changed" in result.stderr and "dev" not in result.stderr
    parts.tools.answers["AddSource"] = (grpc.StatusCode.ALREADY_EXISTS, "'mail' is an installed connector")
    assert runner.invoke(app, add).exit_code == 1
    for words in (["openapi", "x"], ["mcp", "x"], ["grpc", "x"], ["command", "x", "@/no/such/file"]):
        result = runner.invoke(app, ["tools", "add", *words])
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_remove_asks(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["RemoveSource"] = pb.RemoveSourceResponse()
    unasked = runner.invoke(app, ["tools", "remove", "github"])
    assert unasked.exit_code == 2 and "--yes" in unasked.stderr and parts.tools.requests == []
    assert runner.invoke(app, ["tools", "remove", "github", "--yes"]).stdout == "removed github\n"
    assert parts.tools.requests == [pb.RemoveSourceRequest(tenant="acme", system="github")]
    assert json.loads(runner.invoke(app, ["tools", "remove", "github", "--yes", "--json"]).stdout) == {
        "removed": "github"
    }


def test_refresh_says_what_changed(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["RefreshSource"] = [
        pb.RefreshSourceResponse(source=_SOURCE, added=["github.new"], changed=["github.b"]),
        pb.RefreshSourceResponse(source=_SOURCE),
    ]
    assert runner.invoke(app, ["tools", "refresh", "github"]).stdout == "added    github.new\nchanged  github.b\n"
    assert "nothing has changed" in runner.invoke(app, ["tools", "refresh", "github"]).stdout
    assert json.loads(runner.invoke(app, ["tools", "refresh", "github", "--json"]).stdout)["added"] == []


def test_modules_of_python_are_named_and_looked_for(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["AddSource"] = pb.AddSourceResponse(tools=["dice.throw"])
    parts.tools.answers["RefreshSource"] = pb.RefreshSourceResponse(removed=["coin.flip"])
    result = runner.invoke(app, ["tools", "add", "python", "dice"])
    assert (result.stdout, result.exit_code) == ("dice.throw\n", 0)
    assert runner.invoke(app, ["tools", "refresh"]).stdout == "removed  coin.flip\n"
    assert parts.tools.requests == [
        pb.AddSourceRequest(tenant="acme", system="dice", kind="python", config_json="{}"),
        pb.RefreshSourceRequest(tenant="acme"),
    ]
    parts.tools.answers["RefreshSource"] = pb.RefreshSourceResponse()
    assert runner.invoke(app, ["tools", "refresh"]).stdout == "modules of Python: nothing has changed\n"


def test_the_sources_are_listed_with_what_is_wrong(runner: CliRunner, parts: Stubs) -> None:
    away = pb.Source(tenant="acme", system="library", kind="grpc", fault="no connection; it is tried again")
    parts.tools.answers["ListSources"] = pb.ListSourcesResponse(sources=[_SOURCE, away])
    shown = runner.invoke(app, ["tools", "list", "--sources"]).stdout
    assert "github" in shown and "openapi" in shown and "no connection; it is tried again" in shown
    listed = json.loads(runner.invoke(app, ["tools", "list", "--sources", "--json"]).stdout)
    assert [source["system"] for source in listed["sources"]] == ["github", "library"]


def test_the_list_asks_for_no_schemas_and_can_show_one_system(runner: CliRunner, parts: Stubs) -> None:
    other = pb.Tool(name="mail.send", version="1.0.0", effect=pb.EFFECT_SEND, idempotency=pb.IDEMPOTENCY_RECONCILE)
    parts.tools.answers["ListTools"] = pb.ListToolsResponse(tools=[_TOOL, other])
    shown = runner.invoke(app, ["tools", "list"]).stdout
    assert "github.issues_create" in shown and "mail.send" in shown and "openapi" in shown
    assert parts.tools.requests == [pb.ListToolsRequest(tenant="acme", without_schemas=True)]
    assert "github" not in runner.invoke(app, ["tools", "list", "mail"]).stdout
    nothing = runner.invoke(app, ["tools", "list", "nothing"])
    assert nothing.exit_code == 1 and "'nothing'" in nothing.stderr


def test_the_list_leaves_out_what_the_tenant_has_no_settings_of(runner: CliRunner, parts: Stubs) -> None:
    other = pb.Tool(name="mail.send", version="1.0.0", effect=pb.EFFECT_SEND, without_settings=True)
    parts.tools.answers["ListTools"] = pb.ListToolsResponse(tools=[_TOOL, other])
    shown = runner.invoke(app, ["tools", "list"])
    assert "mail.send" not in shown.stdout and "1 more" in shown.stderr and "--all" in shown.stderr
    assert "no settings" in runner.invoke(app, ["tools", "list", "--all"]).stdout
    listed = json.loads(runner.invoke(app, ["tools", "list", "--json"]).stdout)
    assert [tool["name"] for tool in listed["tools"]] == ["github.issues_create"]
    one = runner.invoke(app, ["tools", "list", "mail"])
    assert one.exit_code == 1 and "has no settings of mail" in one.stderr


def test_describe_tells_all_of_the_contract(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["DescribeTool"] = pb.DescribeToolResponse(tool=_TOOL)
    shown = runner.invoke(app, ["tools", "describe", "github.issues_create"]).stdout
    for words in (
        "github.issues_create 1.1.4: Create an issue",
        "creates something",
        "nobody can be asked",
        'github.issues_update {"state": "closed"}',
        "permission github.create",
        "github-token, of the person that the run acts for: of the person",
        "30 calls in 60 s",
        "4 at a time",
        "rate_limited: a retry may help",
        "not_found: a retry does not help",
        'example "a bug"',
        'factotum tools call github.issues_create \'{"owner": "acme"}\'',
        '{"number": 7}',
        '"owner"',
    ):
        assert words in shown, words
    plain = pb.Tool(
        name="a.b", version="1.0.0", effect=pb.EFFECT_NONE, idempotency=pb.IDEMPOTENCY_NATIVE, timeout_seconds=1
    )
    parts.tools.answers["DescribeTool"] = pb.DescribeToolResponse(tool=plain)
    shown = runner.invoke(app, ["tools", "describe", "a.b"]).stdout
    assert "reads: it may be called again" in shown and "permission a.read" in shown and "once" not in shown


def test_test_shows_each_check_and_fails_with_one(runner: CliRunner, parts: Stubs) -> None:
    check = pb.TestToolResponse.Check
    good, bad = check(name="schemas", passed=True, message="fine"), check(name="policy", message="no policy permits it")
    parts.tools.answers["TestTool"] = [pb.TestToolResponse(checks=[good]), pb.TestToolResponse(checks=[good, bad])]
    assert runner.invoke(app, ["tools", "test", "github.issues_create", "--user", "ada"]).exit_code == 0
    failed = runner.invoke(app, ["tools", "test", "github.issues_create"])
    assert failed.exit_code == 1 and "no policy permits it" in failed.stdout and "failed" in failed.stdout
    as_json = runner.invoke(app, ["tools", "test", "github.issues_create", "--json"])
    assert as_json.exit_code == 1 and json.loads(as_json.stdout)["checks"][1]["passed"] is False
    assert parts.tools.requests[0] == pb.TestToolRequest(tenant="acme", tool="github.issues_create", user="ada")


def test_a_call_can_act_for_a_person(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["Execute"] = pb.ExecuteResponse(observation=pb.Observation(output_json="{}"))
    runner.invoke(app, ["tools", "call", "github.issues_create", '{ "a": 1}', "--user", "ada"])
    (sent,) = parts.tools.requests
    assert isinstance(sent, pb.ExecuteRequest) and sent.origin.user == "ada" and sent.arguments_json == '{ "a": 1}'
    twice = runner.invoke(app, ["tools", "call", "github.issues_create", "{}", "--args", "{}"])
    assert twice.exit_code == 2 and "once" in twice.stderr
