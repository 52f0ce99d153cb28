"""Payloads larger than Temporal takes, through a run and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError

from factotum.runs import claims
from factotum.runs.errors import ClaimUnreadable
from factotum.runtime.settings import ClaimSettings
from factotum.workflows.contract import ToolPin
from tests.support.run_bench import Bench, run_bench
from tests.support.temporal import temporal_server

MEGABYTES = 5
TEXT = "0123456789abcdef" * (MEGABYTES * 65536)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("claims")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(folder: Path) -> AsyncIterator[Bench]:
    async with temporal_server() as environment:
        config = environment.client.config()
        config["data_converter"] = claims.converter(ClaimSettings(folder=folder))
        async with run_bench(Client(**config)) as made, made.worker():
            yield made


def lose_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def without_store() -> AsyncIterator[Bench]:
    async with temporal_server() as environment, run_bench(environment.client) as made, made.worker():
        yield made


async def test_without_a_store_a_run_that_is_too_large_to_go_on_fails_and_is_undone(without_store: Bench) -> None:
    bench, large = without_store, TEXT[:1_200_000]
    bench.executor.answers["x.get"] = lambda _: {"text": large}
    bench.executor.answers["x.make"] = lambda _: {"id": 7}
    bench.executor.answers["x.undo"] = lambda _: {}
    bench.executor.answers["x.add"] = lambda arguments: {"n": arguments["n"]}
    text = """
do:
  - make: {call: x.make, metadata: {compensate: {call: x.undo, with: {id: '${ .id }'}}}}
  - get: {call: x.get, export: {as: {a: '${ .text }'}}}
  - more: {call: x.get, export: {as: {a: '${ $context.a }', b: '${ .text }'}}}
  - loop:
      for: {each: n, in: '[range(12)]'}
      do: [{add: {call: x.add, with: {n: '${ $n }'}}}]
"""
    run_id = await bench.start(text, history_events=50, moved_bytes=claims.MOST_INLINE_BYTES)
    with pytest.raises(WorkflowFailureError) as failed:
        await bench.result(run_id)
    assert "FACTOTUM_TEMPORAL__CLAIMS__FOLDER" in str(failed.value.cause)
    assert ("x.undo", {"id": 7}) in bench.executor.calls
    assert bench.outcomes.kept[-1].status == "failed"


async def test_five_megabytes_go_from_tool_to_tool_and_out(bench: Bench, folder: Path) -> None:
    bench.executor.answers["x.get"] = lambda _: {"text": TEXT}
    bench.executor.answers["x.put"] = lambda arguments: {"got": len(arguments["text"]), "text": arguments["text"]}
    text = "do:\n  - get: {call: x.get}\n  - put: {call: x.put, with: {text: '${ .text }'}}\n"
    run_id = await bench.start(text)
    assert await bench.result(run_id) == {"got": len(TEXT), "text": TEXT}
    view = await bench.runs.get("acme", run_id)
    assert view.output == {"got": len(TEXT), "text": TEXT}
    assert [step.tool for step in view.steps] == ["x.get", "x.put"]
    history = await bench.client.get_workflow_handle(run_id).fetch_history()
    assert sum(event.ByteSize() for event in history.events) < 64 * 1024
    lose_all(folder)
    with pytest.raises(ClaimUnreadable, match="is gone: there is no file"):
        await bench.runs.get("acme", run_id)


async def test_a_large_answer_of_a_light_call_and_a_large_input_too(bench: Bench) -> None:
    bench.executor.answers["x.get"] = lambda _: {"text": TEXT}
    light = {"x.get": ToolPin(version="1", timeout_seconds=5, effect="none")}
    run_id = await bench.start("do:\n  - get: {call: x.get}\n", {"given": TEXT}, tools=light, here_seconds=2.0)
    assert await bench.result(run_id) == {"text": TEXT}


async def test_a_run_that_goes_on_in_another_execution_carries_what_is_large(bench: Bench) -> None:
    large = TEXT[: 3 * 2**20]
    bench.executor.answers["x.get"] = lambda _: {"text": large}
    bench.executor.answers["x.add"] = lambda arguments: {"n": arguments["n"]}
    text = """
do:
  - get: {call: x.get, export: {as: .}}
  - loop:
      for: {each: n, in: '[range(12)]'}
      do: [{add: {call: x.add, with: {n: '${ $n }'}}}]
  - out: {set: '${ $context }'}
"""
    run_id = await bench.start(text, history_events=50)
    assert await bench.result(run_id) == {"text": large}
