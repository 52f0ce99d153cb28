"""What is made of a server's words, and of an operator's, without any server."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from factotum.sdk.sandbox import WORK
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.sources.mcp import listing
from factotum.tool_executor.sources.mcp.config import McpConfig
from factotum.tool_executor.sources.mcp.extras import may_be_read
from factotum.tool_executor.sources.mcp.tools import content
from factotum.tool_executor.sources.source import SourceInvalid
from tests.unit.test_docs import ROOT, blocks

URL = {"url": "https://mcp.example/mcp"}


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("echo", "echo"),
        ("get-sum", "get_sum"),
        ("getStructuredContent", "get_structured_content"),
        ("repos/list.all", "repos_list_all"),
        ("3d-print", "t_3d_print"),
        ("-", "t_"),
    ],
)
def test_names(name: str, made: str) -> None:
    assert listing.snake(name) == made


def test_a_fingerprint_is_of_what_a_caller_relies_on() -> None:
    tool: dict[str, Any] = {"name": "x", "description": "does x", "inputSchema": {"type": "object", "a": 1}}
    same = {**tool, "title": "X", "_meta": {"a": 1}, "inputSchema": {"a": 1, "type": "object"}}
    assert listing.fingerprint(tool) == listing.fingerprint(same)
    for changed in ({"description": "does y"}, {"inputSchema": {}}, {"outputSchema": {"type": "object"}}):
        assert listing.fingerprint(tool) != listing.fingerprint({**tool, **changed})


def test_a_description_is_one_line_that_can_be_read() -> None:
    text = "Reads\n\n\x1b[31mfiles\u202e  and " + "x" * 3000
    made = listing.description({"name": "read", "description": text})
    assert made.startswith("Reads [31mfiles and xxx") and len(made) == 2000
    assert listing.description({"name": "read", "title": "Read"}) == "Read"


def test_a_schema_fetches_nothing() -> None:
    with pytest.raises(SourceInvalid, match="nothing is fetched"):
        listing.model("x", {"properties": {"a": {"$ref": "http://127.0.0.1/secrets"}}})
    with pytest.raises(SourceInvalid, match="no JSON Schema"):
        listing.model("x", {"type": "nonsense"})
    model = listing.model("x", {"$defs": {"a": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/a"}}})
    with pytest.raises(ValidationError):
        model.model_validate({"a": "b"})


def test_a_schema_of_draft_7_is_made_one_of_2020() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"pair": {"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False}},
        "properties": {
            "pair": {"$ref": "#/definitions/pair"},
            "dependencies": {"properties": {"items": {}}},
            "items": {"default": {"items": []}},
        },
        "dependencies": {"pair": ["items"], "items": {"required": ["dependencies"]}},
    }
    made = listing.modern(schema)
    assert made["properties"] == schema["properties"], "these are names"
    model = listing.model("x", made)
    right: dict[str, Any] = {"pair": [1, "a"], "items": 1, "dependencies": {}}
    model.model_validate(right)
    for wrong in ({**right, "pair": [1, 2]}, {**right, "pair": [1, "a", 3]}, {"pair": [1, "a"]}, {"items": 1}):
        with pytest.raises(ValidationError):
            model.model_validate(wrong)


def test_a_servers_expressions_are_not_run_on_its_own_words() -> None:
    schema = {
        "properties": {"pattern": {"type": "string", "pattern": "(a+)+$"}, "b": {"type": "integer"}},
        "patternProperties": {"(a+)+$": {"type": "string"}},
        "additionalProperties": False,
        "required": ["b"],
    }
    value = {"const": {"pattern": "x"}}
    assert listing.without_patterns(value) == value
    kept = listing.without_patterns(schema)
    assert kept == {"properties": {"pattern": {"type": "string"}, "b": {"type": "integer"}}, "required": ["b"]}
    model = listing.model("x", kept)
    model.model_validate({"pattern": "a" * 60 + "!", "b": 1})
    with pytest.raises(ValidationError):
        model.model_validate({"b": "c"})


@pytest.mark.parametrize(
    ("told", "version"), [("2.0.0", "2.0.0"), ("1.2.3-rc1", "1.2.3"), ("7", "1.0.0"), ("1.2.3.4", "1.0.0")]
)
def test_versions(told: str, version: str) -> None:
    assert listing.version({"version": told}) == version


def test_what_has_no_declared_form_is_a_typed_list() -> None:
    blocks = [
        {"type": "text", "text": "one", "_meta": {"a": 1}},
        {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
        {"type": "text", "text": "two"},
        {"type": "resource_link", "uri": "x://y", "name": "y", "icons": []},
        {"type": "resource", "resource": {"uri": "x://y", "blob": "AAAA"}},
    ]
    told = content({"content": blocks, "structuredContent": {"a": 1}})
    assert told["text"] == "one\ntwo" and told["structured"] == {"a": 1}
    assert "_meta" not in told["content"][0] and "icons" not in told["content"][3]
    model = listing.model("x", listing.CONTENT)
    model.model_validate(told)
    for wrong in ({"type": "text"}, {"type": "image", "data": "AAAA"}, {"type": "video"}, {"type": "resource"}):
        with pytest.raises(ValidationError):
            model.model_validate({"text": "", "content": [wrong]})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "either http or stdio"),
        ({"http": URL, "stdio": {"command": ["x"]}}, "either http or stdio"),
        ({"http": {"url": "https://a:b@mcp.example"}}, "holds credentials"),
        ({"http": {**URL, "authentication": {"bearer": {"token": "t0ken"}}}}, "holds the value of token"),
        ({"http": {**URL, "authentication": {"bearer": {"use": "name"}}}}, "holds the value of use"),
        ({"http": {**URL, "authentication": {"use": "other"}}}, "write the scheme out"),
        ({"http": URL, "tool": ["x"]}, "Extra inputs"),
        ({"http": URL, "reads": ["x"], "terms": {"x": {"effect": "create"}}}, "cannot both read"),
        ({"http": URL, "terms": {"x": {"idempotency": "reconcile"}}}, "go together"),
        (
            {
                "http": URL,
                "terms": {"x": {"idempotency": "reconcile", "reconcile": {"tool": "y", "argument": "z"}}},
            },
            "needs the key_argument",
        ),
        ({"stdio": {"command": ["x"], "unsandboxed": True, "folders": ["/srv"]}}, "leave out folders"),
        ({"stdio": {"command": ["x"], "folders": [WORK]}}, "the sandbox's own"),
        ({"stdio": {"command": ["x"], "folders": ["/"]}}, "whole path"),
        ({"stdio": {"command": ["x"], "folders": ["../etc"]}}, "whole path"),
        ({"stdio": {"command": ["x"], "hosts": ["https://x"]}}, "not a host"),
    ],
)
def test_what_no_configuration_is(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        McpConfig.model_validate(config)
    assert "t0ken" not in "".join(error["msg"] for error in caught.value.errors())


def test_the_documents_examples_are_configurations() -> None:
    whole, terms, _, remote = blocks(ROOT / "docs" / "mcp.md", "yaml")
    assert McpConfig.model_validate(yaml.safe_load(whole)).stdio is not None
    assert McpConfig.model_validate(yaml.safe_load(remote)).references() == [
        "secret://docs-client",
        "secret://docs-key",
    ]
    made = McpConfig.model_validate({"http": URL, **yaml.safe_load(terms)}).terms_of("open_case")
    assert made.reconcile is not None and made.reconcile.at == "/case"


def test_terms_are_the_operators_and_strict_where_nothing_is_said() -> None:
    config = McpConfig.model_validate(
        {"http": URL, "tools": "*", "without": ["gone"], "reads": ["look"], "terms": {"put": {"idempotency": "native"}}}
    )
    assert (config.terms_of("x").effect, config.terms_of("x").idempotency) == (Effect.EXECUTE, Idempotency.NONE)
    assert config.terms_of("look").effect is Effect.NONE
    assert config.terms_of("put").idempotency is Idempotency.NATIVE
    assert config.takes("x") and not config.takes("gone")
    assert not McpConfig.model_validate({"http": URL}).takes("x"), "none is taken that is not named"


def test_references_are_all_that_are_named() -> None:
    config = McpConfig.model_validate(
        {
            "http": {
                **URL,
                "headers": {"X-Key": "secret://b", "X-Team": "hr"},
                "authentication": {"basic": {"username": "u", "password": "secret://a"}},
            }
        }
    )
    assert config.references() == ["secret://a", "secret://b"]


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("docs://a/b", True),
        ("docs://a/../../etc/passwd", False),
        ("docs://a/..", False),
        ("file:///srv/x.md", True),
        ("file:///srv/x.mdx", False),
        ("file:///etc/passwd", False),
        ("xdocs://a", False),
    ],
)
def test_which_resources_may_be_read(uri: str, allowed: bool) -> None:
    config = McpConfig.model_validate({"http": URL, "resources": ["docs://*", "file:///srv/*.md"]})
    assert may_be_read(uri, config) is allowed
