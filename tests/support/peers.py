"""Systems of each protocol that keep what they were asked to do, and a world for each tool that speaks to them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from fastapi import FastAPI, Request
from google.protobuf.message_factory import GetMessageClass
from mcp.server.mcpserver import MCPServer

from factotum.connectors.process import containers
from factotum.connectors.process.settings import ProcessSettings
from factotum.connectors.protocols.a2a import A2aSettings
from factotum.connectors.protocols.asyncapi import AsyncapiSettings
from factotum.connectors.protocols.grpc import GrpcSettings
from factotum.connectors.protocols.mcp import McpSettings
from factotum.connectors.protocols.protobuf import Compiler, Proto
from factotum.sdk.sandbox import Command, Ended, Limits
from factotum.sdk.testing import World
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from tests.support.kafka import embedded_kafka, read_all
from tests.support.served_app import served_app

PROTO = """
syntax = "proto3";
package notes.v1;
service Notes { rpc Take(Note) returns (Note); }
message Note { string text = 1; }
"""
IMAGE = "localhost/factotum-test:1"
TOPIC = "notes"
LOCAL = ["http://127.0.0.1:*", "grpc://127.0.0.1:*", "kafka://127.0.0.1:*"]
RUNTIME = Path(__file__).parent / "container_runtime.py"

AnyWorld: TypeAlias = World[Any]
Arguments: TypeAlias = Mapping[str, Any]


@dataclass
class Peers:
    """`taken` counts the notes by their text."""

    folder: Path
    web: str = ""
    mcp: str = ""
    grpc: int = 0
    kafka: str = ""
    taken: Counter[str] = field(default_factory=Counter)

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.post("/rpc")
        async def rpc(request: Request) -> dict[str, Any]:
            asked = await request.json()
            self.taken[asked["params"]["message"]["parts"][0]["text"]] += 1
            return {"jsonrpc": "2.0", "id": asked["id"], "result": {"kind": "message"}}

        @app.get("/asyncapi.json")
        def document() -> dict[str, Any]:
            channel = {"address": TOPIC, "servers": [{"$ref": "#/servers/broker"}]}
            return {
                "asyncapi": "3.0.0",
                "servers": {
                    "broker": {"host": self.kafka, "protocol": "kafka"},
                    "web": {"host": self.web.partition("://")[2], "protocol": "http"},
                },
                "channels": {TOPIC: channel, "page": {"address": "/page", "servers": [{"$ref": "#/servers/web"}]}},
                "operations": {
                    TOPIC: {"action": "send", "channel": {"$ref": f"#/channels/{TOPIC}"}},
                    "write": {
                        "action": "receive",
                        "channel": {"$ref": "#/channels/page"},
                        "bindings": {"http": {"method": "put"}},
                    },
                },
            }

        @app.put("/page")
        async def write(request: Request) -> dict[str, Any]:
            self.taken[await request.json()] = 1
            return {}

        return app

    def desk(self) -> MCPServer:
        server = MCPServer("notes")

        @server.tool()
        def take(text: str) -> str:
            """Take a note."""
            self.taken[text] += 1
            return text

        return server

    async def serve_grpc(self, server: grpc.aio.Server) -> None:
        (self.folder / "notes.proto").write_text(PROTO)
        schema = await Compiler().schema(Proto("notes.proto", self.folder))
        note = GetMessageClass(schema.method("notes.v1.Notes", "Take").input_type)

        async def take(request: Any, _: grpc.aio.ServicerContext[Any, Any]) -> Any:
            self.taken[request.text] += 1
            return request

        handler = grpc.unary_unary_rpc_method_handler(
            take, request_deserializer=note.FromString, response_serializer=note.SerializeToString
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("notes.v1.Notes", {"Take": handler}),))
        self.grpc = server.add_insecure_port("127.0.0.1:0")
        await server.start()


@asynccontextmanager
async def peers(folder: Path) -> AsyncIterator[Peers]:
    """All of them, until the block ends; meanwhile a runtime of containers is one of plain processes."""
    made, server = Peers(folder), grpc.aio.server()
    with embedded_kafka([TOPIC]) as made.kafka, pytest.MonkeyPatch.context() as patch:
        runtime = folder / "podman"
        runtime.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {RUNTIME} {folder} "$@"\n')
        runtime.chmod(0o755)
        patch.setattr(containers, "SEARCH", str(folder))
        patch.setattr(containers, "_environment", lambda: {"PATH": "/usr/bin:/bin"})
        await made.serve_grpc(server)
        try:
            async with (
                served_app(lambda _: made.app()) as made.web,
                served_app(lambda _: made.desk().streamable_http_app()) as made.mcp,
            ):
                yield made
        finally:
            await server.stop(None)


class Recorded(Bubblewrap):
    """Knows how many commands with a text in their standard input came to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: set[str] = set()

    async def run(self, command: Command, limits: Limits) -> Ended:
        ended = await super().run(command, limits)
        self.ended.add(str(command.stdin))
        return ended


def grpc_call(peers: Peers) -> AnyWorld:
    def arguments(number: int) -> Arguments:
        return {
            "proto": {"endpoint": "file://notes.proto"},
            "service": {"name": "notes.v1.Notes", "host": "127.0.0.1", "port": peers.grpc},
            "method": "Take",
            "arguments": {"text": f"grpc {number}"},
        }

    settings = GrpcSettings(allow=LOCAL, proto_folder=peers.folder, timeout=5)
    return taking(peers, settings, arguments, lambda given: given["arguments"]["text"])


def mcp_call(peers: Peers) -> AnyWorld:
    def arguments(number: int) -> Arguments:
        return {
            "method": "tools/call",
            "transport": {"http": {"endpoint": f"{peers.mcp}/mcp"}},
            "parameters": {"name": "take", "arguments": {"text": f"mcp {number}"}},
        }

    settings = McpSettings(allow=LOCAL, timeout=5)
    return taking(peers, settings, arguments, lambda given: given["parameters"]["arguments"]["text"])


def a2a_call(peers: Peers) -> AnyWorld:
    def arguments(number: int) -> Arguments:
        parts = [{"kind": "text", "text": f"a2a {number}"}]
        return {"method": "message/send", "server": f"{peers.web}/rpc", "parameters": {"message": {"parts": parts}}}

    settings = A2aSettings(allow=LOCAL, timeout=5)
    return taking(peers, settings, arguments, lambda given: given["parameters"]["message"]["parts"][0]["text"])


def taking(peers: Peers, settings: Any, arguments: Any, text: Callable[[Arguments], str]) -> AnyWorld:
    async def standing(given: Arguments) -> int:
        return peers.taken[text(given)]

    return World(settings=settings, arguments=arguments, standing=standing)


def publish(peers: Peers) -> AnyWorld:
    """With a PUT."""

    def arguments(number: int) -> Arguments:
        document = {"endpoint": f"{peers.web}/asyncapi.json"}
        return {"document": document, "operation": "write", "message": {"payload": f"page {number}"}}

    return taking(peers, AsyncapiSettings(allow=LOCAL, timeout=5), arguments, lambda given: given["message"]["payload"])


def publish_to_kafka(peers: Peers) -> AnyWorld:
    async def standing(given: Arguments) -> int:
        return [json.loads(one.value) for one in read_all(peers.kafka, TOPIC)].count(given["message"]["payload"])

    def arguments(number: int) -> Arguments:
        document = {"endpoint": f"{peers.web}/asyncapi.json"}
        return {"document": document, "operation": TOPIC, "message": {"payload": f"kafka {number}"}}

    return World(settings=AsyncapiSettings(allow=LOCAL, timeout=5), arguments=arguments, standing=standing)


def receive(peers: Peers) -> AnyWorld:
    given = {"document": {"endpoint": f"{peers.web}/asyncapi.json"}, "operation": TOPIC, "wait_seconds": 0}
    return World(settings=AsyncapiSettings(allow=LOCAL, timeout=5), arguments=lambda _: given)


def container(peers: Peers) -> AnyWorld:
    """Its effect is a line in a file, as of one that has a network: a runtime of plain processes keeps it from none."""

    def arguments(number: int) -> Arguments:
        return {"image": IMAGE, "command": f"echo done >> {peers.folder}/done-{number}"}

    def lines(file: Path) -> int:
        return len(file.read_text().splitlines()) if file.exists() else 0

    async def standing(given: Arguments) -> int:
        return lines(Path(given["command"].rpartition(" ")[2]))

    settings = ProcessSettings(container=True, images=[IMAGE], network=True)
    return World(settings=settings, arguments=arguments, standing=standing)


def sandboxed(**given: Any) -> Callable[[Peers], AnyWorld]:
    """A command that leaves nothing: what stands of it is that it came to its end."""

    def world(_: Peers) -> AnyWorld:
        sandbox = Recorded()

        async def standing(arguments: Arguments) -> int:
            return int(any(arguments["stdin"] in text for text in sandbox.ended))

        return World(
            settings=ProcessSettings.model_validate({"shell": True, "script": True}),
            arguments=lambda number: {**given, "stdin": f"input {number}."},
            standing=standing,
            surroundings={"sandbox": sandbox},
        )

    return world


WORLDS: dict[str, Callable[[Peers], AnyWorld]] = {
    "grpc.call": grpc_call,
    "mcp.call": mcp_call,
    "a2a.call": a2a_call,
    "asyncapi.publish": publish,
    "asyncapi.receive": receive,
    "process.container": container,
    "process.shell": sandboxed(command="cat"),
    "process.script": sandboxed(language="python", code="import sys; print(sys.stdin.read())"),
}
# In which a call is killed: where the system is asked what became of it.
DOUBTFUL = WORLDS | {"asyncapi.publish": publish_to_kafka}
