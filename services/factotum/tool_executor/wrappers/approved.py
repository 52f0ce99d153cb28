"""What a person approved is carried out, and nothing else under that approval."""

from __future__ import annotations

from pydantic_core import from_json

from factotum.sdk.approval import call_sha256
from factotum.sdk.errors import NotPermitted
from factotum.tool_executor.calls import Answer, Handler, Prepared


class Approved:
    """Raises `NotPermitted` where a call comes with an approval of another one. Whether a call needs an approval is
    for the run to know; a call to settle does nothing new and needs none."""

    def __init__(self, inner: Handler[Answer]) -> None:
        self._inner = inner

    async def __call__(self, prepared: Prepared) -> Answer:
        call = prepared.call
        if call.approval is not None and not call.settle:
            arguments = from_json(call.arguments_json)
            actual = call_sha256(tenant=call.tenant, tool=call.tool.spec.name, arguments=arguments)
            if actual != call.approval.call_sha256:
                raise NotPermitted(
                    f"what was approved is another call of {call.tool.spec.name} (sha256 {call.approval.call_sha256}, "
                    f"this one is {actual}): ask for approval again"
                )
        return await self._inner(prepared)
