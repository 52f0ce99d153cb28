"""The word of a person: whether an effect happened that no system can be asked about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from factotum.runtime.secrets.mask import Mask
from factotum.sdk.errors import ToolError
from factotum.sdk.spec import Effect
from factotum.tool_executor import observations
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.errors import CallRefused, NotAmbiguous, UnknownEffect, UnknownTool
from factotum.tool_executor.ledger import Entry, Ledger, State
from factotum.tool_executor.registry import AnyTool
from factotum.tool_executor.wrappers import invoked
from factotum.tool_executor.wrappers.validated import faults


class Resolver:
    """Resolves ambiguous effects, and has it told as an observation."""

    def __init__(self, *, catalog: Catalog, contexts: Contexts, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._contexts = contexts
        self._ledger = ledger
        self._now = now

    async def resolve(self, tenant: str, key: str, *, happened: bool, output_json: str, reason: str) -> Entry:
        """The entry as it is then. If it happened, the call is answered from now on with `output_json`
        or, where that is empty, with the tool's own receipt.

        Raises `UnknownEffect`, `NotAmbiguous`, `UnknownTool`; `CallRefused` naming what the output lacks.
        """
        entry = await self._ledger.entry(tenant, key)
        if entry is None:
            raise UnknownEffect(f"tenant {tenant} has no effect under the key {key!r}")
        if entry.state is not State.AMBIGUOUS:
            raise NotAmbiguous(f"the effect is {entry.state.value}; only an ambiguous one can be resolved")
        output = self._output(entry, output_json) if happened else None
        now = self._now()
        told = observations.resolution(entry, effect=self._effect(entry), output_json=output, reason=reason, now=now)
        return await self._ledger.resolve(tenant, key, output_json=output, reason=reason, now=now, publications=(told,))

    def _effect(self, entry: Entry) -> Effect | None:
        try:
            return self._catalog.tool(entry.tenant, entry.tool).spec.effect
        except UnknownTool:  # its connector is gone; that it did not happen can be said all the same
            return None

    def _output(self, entry: Entry, given: str) -> str:
        tool = self._catalog.tool(entry.tenant, entry.tool)
        if not given and (receipt := self._receipt(tool, entry)) is not None:
            return receipt
        try:
            return invoked.text(tool, tool.output.model_validate_json(given or "{}"))
        except ValidationError as error:
            raise CallRefused(f"output_json is not what {entry.tool} answers: {faults(error)}") from None

    def _receipt(self, tool: AnyTool, entry: Entry) -> str | None:
        if tool.receipt_maker is None or entry.arguments_json is None:
            return None
        try:
            context = self._contexts.context(
                tenant=entry.tenant,
                system=tool.spec.system,
                key=entry.key,
                run_id=entry.origin.run_id,
                started_at=entry.started_at,
                user=entry.origin.user,
                mask=Mask(),
            )
            arguments = tool.arguments.model_validate_json(entry.arguments_json)
            return invoked.text(tool, tool.receipt_maker(arguments, context))
        # Third parties' code, and arguments that an earlier version of it accepted.
        except Exception as error:
            why = error.message if isinstance(error, ToolError) else type(error).__name__
            raise CallRefused(f"{entry.tool} cannot tell its output by itself ({why}): give output_json") from error
