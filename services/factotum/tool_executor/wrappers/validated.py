"""Nothing goes further whose arguments the tool's model refuses or whose tenant has not the system."""

from __future__ import annotations

from pydantic import ValidationError

from factotum.runtime.secrets.mask import Mask
from factotum.sdk.errors import InvalidArgument
from factotum.tool_executor.calls import Answer, Call, Handler, Prepared, Progress
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.errors import presentable


class Validated:
    """Raises `InvalidArgument` naming each faulty place as a JSON pointer, `NotPermitted`."""

    def __init__(self, inner: Handler[Answer], *, contexts: Contexts) -> None:
        self._inner = inner
        self._contexts = contexts

    async def __call__(self, call: Call) -> Answer:
        try:
            arguments = call.tool.arguments.model_validate_json(call.arguments_json)
        except ValidationError as error:
            raise InvalidArgument(presentable(f"{call.tool.spec.name}: {faults(error)}")) from None
        mask, progress = Mask(), Progress()
        context = self._contexts.context(
            tenant=call.tenant,
            system=call.tool.spec.system,
            key=call.key,
            run_id=call.origin.run_id,
            started_at=call.started_at,
            user=call.origin.user,
            mask=mask,
            report=progress,
        )
        return await self._inner(Prepared(call, arguments, context, mask, progress))


def faults(error: ValidationError) -> str:
    """The faults in one line, without the refused values: those may be secrets or personal data."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{_pointer(fault['loc'])}: {fault['msg']}" for fault in found)


def _pointer(place: tuple[int | str, ...]) -> str:
    # RFC 6901
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place) or "the arguments"
