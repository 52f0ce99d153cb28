"""The activity of one tool call. Dynamic, so that its Activity Type in the Temporal UI is the tool's name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import grpc
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.workflows.contract import ToolCall
from factotum.workflows.effects import EXECUTOR_UNAVAILABLE
from factotum.workflows.local import LARGEST_RESULT_BYTES, TOO_LARGE

# Well below the heartbeat timeout of ten seconds.
HEARTBEAT_SECONDS = 2.0
# An executor that does not take a request to end a call within this is asked again.
CANCEL_SECONDS = 2.0
# What Temporal has to say whether a run is closed.
CLOSED_SECONDS = 10.0
# gRPC statuses that say nothing of the call itself: the executor is away, restarting or overloaded.
_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}


class ToolCalls:
    """Calls the tool executor over gRPC."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = tools_pb2_grpc.ToolExecutorServiceStub(channel)

    @activity.defn(dynamic=True)
    async def call(self, arguments: Sequence[RawValue]) -> Any:
        """The tool's output. A tool's error becomes an `ApplicationError` whose type is its kind."""
        call = activity.payload_converter().from_payload(arguments[0].payload, ToolCall)
        request = tools_pb2.ExecuteRequest(
            tenant=call.tenant,
            tool=call.tool,
            arguments_json=json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":")),
            idempotency_key=call.idempotency_key,
            origin=tools_pb2.Origin(
                run_id=call.run_id,
                step=call.step,
                iteration=call.iteration,
                procedure=call.procedure,
                event_source=call.event.source,
                event_id=call.event.id,
                user=call.user,
            ),
            settle=call.settle,
            tool_version=call.tool_version,
            secrets=tools_pb2.SecretMarks(**call.secrets.model_dump()) if call.secrets else None,
            approval=tools_pb2.Approval(**call.approval.model_dump()) if call.approval else None,
        )
        response = await self._to_its_end(request)
        if response.observation.HasField("error"):
            raise _tool_error(response.observation.error)
        output = response.observation.output_json
        if activity.info().is_local and len(output) > LARGEST_RESULT_BYTES:
            raise ApplicationError("the output is too large for a local activity", type=TOO_LARGE)
        return json.loads(output)

    async def _to_its_end(self, request: tools_pb2.ExecuteRequest) -> tools_pb2.ExecuteResponse:
        """Awaits a call, sending heartbeats, also after the run cancelled it or was closed: what it did must
        be known. The executor is then asked to end it."""
        call = asyncio.ensure_future(self._execute(request))
        asking: asyncio.Task[None] | None = None
        try:
            while not call.done():
                try:
                    # Most calls are done before their first heartbeat, which is a request of its own.
                    await asyncio.wait({call}, timeout=HEARTBEAT_SECONDS)
                    if not (call.done() or activity.info().is_local):
                        activity.heartbeat()
                except asyncio.CancelledError:
                    if activity.is_worker_shutdown():
                        call.cancel()
                        raise
                    if asking is None and not request.settle:
                        asking = asyncio.create_task(self._ask_to_end(request))
        finally:
            if asking is not None:
                asking.cancel()
        return call.result()

    async def _ask_to_end(self, request: tools_pb2.ExecuteRequest) -> None:
        """Asks until the executor has found the call, which may be on its way still. Asks nothing where the run
        may still want the call: another attempt may be at it."""
        if not (_cancelled_by_the_run() or await _run_is_closed()):
            return
        cancel = tools_pb2.CancelRequest(tenant=request.tenant, idempotency_key=request.idempotency_key)
        while True:
            try:
                if (await self._stub.Cancel(cancel, timeout=CANCEL_SECONDS)).found:
                    return
            except grpc.aio.AioRpcError as error:
                activity.logger.warning("the tool executor was not asked to end a call: %s", error.code().name)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _execute(self, request: tools_pb2.ExecuteRequest) -> tools_pb2.ExecuteResponse:
        try:
            return await self._stub.Execute(request, timeout=_deadline_seconds())
        except grpc.aio.AioRpcError as error:
            message = f"tool-executor: {error.code().name} {error.details()}"
            if error.code() in _PASSING:
                raise ApplicationError(message, type=EXECUTOR_UNAVAILABLE) from error
            kind = "not_found" if error.code() is grpc.StatusCode.NOT_FOUND else "invalid_argument"
            raise ApplicationError(message, False, type=kind, non_retryable=True) from error


def _cancelled_by_the_run() -> bool:
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


async def _run_is_closed() -> bool:
    """False also if it cannot be asked. The server answers a heartbeat of an attempt that it has given up in
    the same way as one of a run that was terminated: that it knows of none."""
    info = activity.info()
    if info.workflow_id is None:
        return False
    try:
        handle = activity.client().get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
        description = await handle.describe(rpc_timeout=timedelta(seconds=CLOSED_SECONDS))
    except RPCError as error:
        activity.logger.warning("whether the run of a call is closed could not be asked: %s", error.status.name)
        return False
    return description.status is not WorkflowExecutionStatus.RUNNING


def _tool_error(error: tools_pb2.ToolError) -> ApplicationError:
    """Its details are whether the effect may stand, and the HTTP status or None."""
    kind = tools_pb2.ErrorKind.Name(error.kind).removeprefix("ERROR_KIND_").lower()
    delay = timedelta(seconds=error.retry_after_seconds) if error.retry_after_seconds > 0 else None
    return ApplicationError(
        error.message,
        error.effect_possible,
        error.status or None,
        type=kind,
        non_retryable=not error.retryable,
        next_retry_delay=delay,
    )


def _deadline_seconds() -> float | None:
    """Before Temporal gives the attempt up: an executor that has vanished must not hold this worker's slot."""
    limit = activity.info().start_to_close_timeout
    return None if limit is None else max(1.0, limit.total_seconds() - HEARTBEAT_SECONDS)
