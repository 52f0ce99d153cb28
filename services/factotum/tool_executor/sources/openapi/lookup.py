"""Asking an API what became of an effect, by a read of the same API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from factotum.connectors.protocols.openapi_calls import Answered
from factotum.connectors.protocols.openapi_places import at
from factotum.sdk.errors import Ambiguous, NotFound
from factotum.sdk.http import asking
from factotum.sdk.lag import found_in_time
from factotum.tool_executor.schema_model import SchemaModel
from factotum.tool_executor.sources.openapi.config import Lookup
from factotum.tool_executor.sources.openapi.templates import CLOCK_SKEW, filled, known
from factotum.tool_executor.sources.openapi.tools import Context, Operation, OperationTool
from factotum.tool_executor.wrappers.validated import faults


class Asking:
    """The reconciler of a tool. A read that lags behind its system's writes is asked again until it has had its time;
    only then is the effect not there."""

    def __init__(self, tool: OperationTool, lookup: Lookup, read: Operation, *, lenient: bool) -> None:
        self._tool = tool
        self._lenient = lenient
        self._lookup = lookup
        self._read = read

    async def __call__(self, given: SchemaModel, context: Context) -> SchemaModel | None:
        arguments: dict[str, Any] = given.root
        doubt = f"whether {self._tool.spec.name} had its effect shows in {self._tool.spec.system} by and by"
        return await found_in_time(
            lambda: self._asked(arguments, context), context, seconds=self._lookup.lag_seconds, doubt=doubt
        )

    async def _asked(self, arguments: dict[str, Any], context: Context) -> SchemaModel | None:
        answer = await self._answer(arguments, context)
        items = [] if answer is None else self._items(answer.body)
        found = [item for item in items if self._is_it(item, arguments, context)]
        if found:
            self._check_sure(arguments, context)
            return self._told(found)
        if answer is not None and not answer.complete:
            raise Ambiguous(
                f"{self._read.caller.interface.name} has more than the bounds of its paging take, and the effect "
                f"of {self._tool.spec.name} is not among those: it may be among the others"
            )
        return None

    async def _answer(self, arguments: dict[str, Any], context: Context) -> Answered | None:
        """None for what is not found."""
        interface = self._read.caller.interface
        wanted = filled(self._lookup.arguments, arguments, known(context))
        wanted = {name: value for name, value in wanted.items() if value is not None}
        if wrong := interface.arguments.faults(wanted):
            raise Ambiguous(
                f"{self._tool.spec.name} cannot be asked for by {interface.name}, whose arguments would be wrong: "
                f"{'; '.join(wrong)}"
            )
        with asking(self._tool.spec.system):
            try:
                return await self._read.answer(wanted, context, paging=self._read.terms.paging)
            except NotFound:
                return None

    def _items(self, body: Any) -> list[Any]:
        items = at(body, self._lookup.items)
        if items is None:
            return []
        return items if isinstance(items, list) else [items]

    def _is_it(self, item: Any, arguments: dict[str, Any], context: Context) -> bool:
        """Whether it is what was made, by all that can be compared."""
        given = known(context)
        for place, template in self._lookup.match.items():
            value, wanted = at(item, place), filled(template, arguments, given)
            if not (_is_nothing(wanted) or value == wanted or (isinstance(value, list) and wanted in value)):
                return False
        for place, template in self._lookup.contains.items():
            text, wanted = at(item, place), filled(template, arguments, given)
            if not (_is_nothing(wanted) or (isinstance(text, str) and isinstance(wanted, str) and wanted in text)):
                return False
        return not self._lookup.created or self._made_since(item, context)

    def _check_sure(self, arguments: dict[str, Any], context: Context) -> None:
        """Raises `Ambiguous` where the call gives no value to compare, unless the key itself was compared: that
        neither has something makes no two things the same."""
        given = known(context)
        places = [*self._lookup.match.items(), *self._lookup.contains.items()]
        missing = [place for place, template in places if _is_nothing(filled(template, arguments, given))]
        if missing and not any("{$key}" in template for _, template in places):
            raise Ambiguous(
                f"{self._tool.spec.system} has what {self._tool.spec.name} may have made, and the call gives nothing "
                f"to compare with {', '.join(missing)} of it"
            )

    def _made_since(self, item: Any, context: Context) -> bool:
        try:
            made = datetime.fromisoformat(str(at(item, self._lookup.created)))
        except ValueError:
            made = None
        if made is None or made.tzinfo is None:
            raise Ambiguous(
                f"{self._tool.spec.system} has what {self._tool.spec.name} may have made and does not say at "
                f"{self._lookup.created} when that was"
            )
        return made >= context.started_at - CLOCK_SKEW

    def _told(self, found: list[Any]) -> SchemaModel:
        name = self._tool.spec.name
        if len(found) > 1:
            raise Ambiguous(f"{len(found)} things are what {name} may have made: which one it is cannot be told")
        properties = self._tool.spec.output_schema["properties"]
        output = {"status": properties["status"].get("enum", [200])[0]}
        if "body" in properties:
            output["body"] = found[0]
        try:
            return self._tool.output.model_validate(output)
        except ValidationError as error:
            if self._lenient:
                return self._tool.output(output)
            raise Ambiguous(
                f"the effect of {name} is there, as {self._read.caller.interface.name} says, in another form than the "
                f"output has: {faults(error)}"
            ) from None


def _is_nothing(wanted: Any) -> bool:
    return wanted is None or wanted == ""
