"""The tool executor of scenarios: the tools that a scenario scripts, and for the rest a real executor.

One gRPC server serves all scenarios and both stages; which script is meant, the call's run says.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import yaml

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.runtime import clock
from factotum.tool_executor import registry, tenants
from factotum.tool_executor.authorising import Authorising
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.grpc import ToolExecutorServicer
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.resolution import Resolver
from factotum.tool_executor.under_way import GRACE_SECONDS
from tests.support.composition import contexts_of, executor_of, permits_of, prober_of, sources_of
from tests.support.scenario import Json, Reply, Scenario

TENANT = "acme"
# Kinds that are worth another try; see `factotum.sdk.errors`.
RETRYABLE = ("unavailable", "rate_limited")


@dataclass
class Script:
    """What one run's tools answer, and what they were asked."""

    replies: Mapping[str, list[Reply]]
    calls: list[dict[str, Json]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    async def answer(self, tool: str) -> Reply:
        replies = self.replies[tool]
        reply = replies[min(self.counts[tool], len(replies) - 1)]
        self.counts[tool] += 1
        await asyncio.sleep(reply.after)
        return reply


class ScenarioTools(tools_pb2_grpc.ToolExecutorServiceServicer):
    """Answers from the script of the call's run; a tool that it has not is called for real."""

    def __init__(self, real: ToolExecutorServicer, secrets: Path) -> None:
        self._real = real
        self._secrets = secrets
        self._scripts: dict[str, Script] = {}
        self._under_way: dict[str, asyncio.Task[Reply]] = {}
        self.address = ""

    def begin(self, run_id: str, scenario: Scenario) -> Script:
        """The script of a run that is about to start; its secrets are there from now on."""
        for name, text in scenario.secrets.items():
            (self._secrets / TENANT).mkdir(parents=True, exist_ok=True)
            (self._secrets / TENANT / name).write_text(text, encoding="utf-8")
        self._scripts[run_id] = Script(scenario.tools)
        return self._scripts[run_id]

    def _script(self, run_id: str) -> Script:
        """Of the run or of the one that it is nested in, whose id its own begins with."""
        return next(
            script for outer, script in self._scripts.items() if f"{run_id}.".startswith((f"{outer}.", f"{outer}/"))
        )

    async def Execute(self, request: tools_pb2.ExecuteRequest, context: Any) -> tools_pb2.ExecuteResponse:
        script = self._script(request.origin.run_id)
        script.calls.append({"tool": request.tool, "arguments": json.loads(request.arguments_json)})
        if request.tool not in script.replies:
            return await self._real.Execute(request, context)
        reply = await self._reply(script, request)
        observation = tools_pb2.Observation(tool=request.tool, idempotency_key=request.idempotency_key)
        if reply.error:
            observation.error.CopyFrom(
                tools_pb2.ToolError(
                    kind=tools_pb2.ErrorKind.Value(f"ERROR_KIND_{reply.error.upper()}"),
                    message=f"as scripted: {reply.error}",
                    retryable=reply.error in RETRYABLE,
                )
            )
        else:
            observation.output_json = json.dumps(reply.output)
        return tools_pb2.ExecuteResponse(observation=observation)

    async def _reply(self, script: Script, request: tools_pb2.ExecuteRequest) -> Reply:
        answering = asyncio.ensure_future(script.answer(request.tool))
        self._under_way[request.idempotency_key] = answering
        try:
            return await asyncio.shield(answering)
        except asyncio.CancelledError:
            if answering.cancelled():
                return Reply(error="cancelled")
            raise
        finally:
            del self._under_way[request.idempotency_key]

    async def Cancel(self, request: tools_pb2.CancelRequest, context: Any) -> tools_pb2.CancelResponse:
        if request.idempotency_key in self._under_way:
            return tools_pb2.CancelResponse(found=self._under_way[request.idempotency_key].cancel())
        return await self._real.Cancel(request, context)


@asynccontextmanager
async def scenario_tools(folder: Path, settings: Mapping[str, Json]) -> AsyncIterator[ScenarioTools]:
    """Serves on a free port of loopback.

    Args:
        settings: of the tenant's systems, as in the file of connectors' settings.
    """
    (folder / "connectors.yaml").write_text(yaml.safe_dump({"tenants": {TENANT: dict(settings)}}))
    installed = registry.load(None)
    catalog = Catalog(installed, tenants.load(folder / "connectors.yaml", installed))
    async with (
        SqliteLedger(folder / "ledger.sqlite", ambiguous_retry_seconds=5.0) as ledger,
        sources_of(catalog, folder) as sources,
    ):
        secrets = folder / "secrets"
        executor = executor_of(catalog, ledger, secrets=secrets, cancel_grace_seconds=GRACE_SECONDS)
        contexts = contexts_of(catalog)
        resolver = Resolver(catalog=catalog, contexts=contexts, ledger=ledger, now=clock.now)
        real = ToolExecutorServicer(
            executor=executor,
            resolver=resolver,
            catalog=catalog,
            ledger=ledger,
            sources=sources,
            prober=prober_of(catalog, sources, executor, secrets=secrets),
            authorising=Authorising(catalog=catalog, contexts=contexts, permits=permits_of(), now=clock.now),
        )
        tools = ScenarioTools(real, secrets)
        server = grpc.aio.server()
        tools_pb2_grpc.add_ToolExecutorServiceServicer_to_server(tools, server)
        tools.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield tools
        finally:
            await server.stop(None)
            await executor.drained()
