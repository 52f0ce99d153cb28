"""The activity that keeps the memory in order."""

from __future__ import annotations

import grpc
from temporalio import activity
from temporalio.exceptions import ApplicationError

from factotum.api.memory.v1 import memory_pb2, memory_pb2_grpc
from factotum.workflows.contract import CONSOLIDATE_MEMORY, Consolidated

# Seconds that all tenants may take; a little below what the workflow allows for one try.
ANSWER_SECONDS = 3500.0
UNAVAILABLE = "memory_unavailable"
REFUSED = "memory_refused"
# Asking again brings the same answer.
_FOR_GOOD = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED})


class Consolidations:
    """Asks the memory to fold what repeats itself, and to let the expired go.

    Args:
        memory: a channel to the memory.
    """

    def __init__(self, memory: grpc.aio.Channel) -> None:
        self._memory = memory_pb2_grpc.MemoryServiceStub(memory)

    @activity.defn(name=CONSOLIDATE_MEMORY)
    async def consolidate(self) -> Consolidated:
        """Of every tenant. To be done again after a kill: what was done is not done twice.

        What could not be done of one tenant is told in the log, and does not keep the others. Raises an
        `ApplicationError`, which Temporal retries while the memory is away, and does not where the memory takes the
        request not, now or later.
        """
        try:
            answer = await self._memory.Consolidate(memory_pb2.ConsolidateRequest(), timeout=ANSWER_SECONDS)
        except grpc.aio.AioRpcError as error:
            for_good = error.code() in _FOR_GOOD
            raise ApplicationError(
                f"memory: {error.code().name} {error.details()}",
                type=REFUSED if for_good else UNAVAILABLE,
                non_retryable=for_good,
            ) from error
        for problem in answer.problems:
            activity.logger.warning("not consolidated: %s %s: %s", problem.tenant, problem.id, problem.reason)
        return Consolidated(folded=answer.folded, expired=answer.expired)
