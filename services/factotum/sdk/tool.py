"""Making a tool of an async function: `Connector` groups the tools of one system.

    connector = Connector("mail", settings=MailSettings)

    @connector.tool(effect=Effect.SEND, idempotency=Idempotency.RECONCILE)
    async def send(arguments: Message, context: ToolContext[MailSettings]) -> Receipt:
        \"\"\"Send a mail.\"\"\"

    @send.reconcile
    async def _(arguments: Message, context: ToolContext[MailSettings]) -> Receipt | None:
        \"\"\"The receipt if the mail is in the archive, None if it certainly is not.\"\"\"

    @send.receipt
    def _(arguments: Message, context: ToolContext[MailSettings]) -> Receipt:
        \"\"\"The receipt of a mail that was sent, without asking anybody.\"\"\"

The pydantic models of the arguments and of the result give the schemas; the first line of the
docstring gives the description. A module exposes its tools by a module-level `connector`, named in
the entry-point group `factotum.tools`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import ToolError
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency, RateLimit, SecretNeed, ToolSpec

S = TypeVar("S", bound=BaseModel)
In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)

Function = Callable[[In, ToolContext[S]], Awaitable[Out]]
Reconciler = Callable[[In, ToolContext[S]], Awaitable[Out | None]]
ReceiptMaker = Callable[[In, ToolContext[S]], Out]
Narrower = Callable[[In, ToolContext[S]], Awaitable[tuple[Effect, Idempotency]]]


class Tool(Generic[In, Out, S]):
    """A spec with the function that carries it out and, where there is one, the one that asks."""

    def __init__(self, spec: ToolSpec, function: Function[In, S, Out], arguments: type[In], output: type[Out]) -> None:
        self.spec = spec
        self.function = function
        self.arguments = arguments
        self.output = output
        self.reconciler: Reconciler[In, S, Out] | None = None
        self.receipt_maker: ReceiptMaker[In, S, Out] | None = None
        self.narrower: Narrower[In, S] | None = None

    def reconcile(self, function: Reconciler[In, S, Out]) -> Reconciler[In, S, Out]:
        """Registers the look-up that tells whether an interrupted call had its effect.

        It returns the output if the effect is there, None if it certainly is not, and raises
        `Unavailable` if the system cannot be asked now, or `Ambiguous` if it can never tell.
        """
        if self.spec.idempotency is not Idempotency.RECONCILE:
            raise TypeError(f"{self.spec.name} is not declared Idempotency.RECONCILE")
        self.reconciler = function
        return function

    def receipt(self, function: ReceiptMaker[In, S, Out]) -> ReceiptMaker[In, S, Out]:
        """Registers what gives the output of an effect that is known to have happened.

        For tools whose output follows from the arguments and the key: where a person says that the
        effect happened, nobody need look the output up. It reaches no system.
        """
        self.receipt_maker = function
        return function

    def narrow(self, function: Narrower[In, S]) -> Narrower[In, S]:
        """Registers what says of given arguments that a call with them does less than the spec declares.

        For tools that carry any request, such as HTTP's: the spec declares the most that a call can do,
        and a GET reads all the same. The same arguments must have the same answer on every retry, or the
        effect would be treated in another way than it was begun. A `ToolError` leaves what is declared.
        """
        self.narrower = function
        return function

    def narrowed(self, effect: Effect, idempotency: Idempotency) -> Tool[In, Out, S]:
        """The same tool, declared to do no more than this."""
        made = copy(self)
        made.spec = self.spec.model_copy(update={"effect": effect, "idempotency": idempotency})
        return made


class Connector(Generic[S]):
    """The tools of one system and the type of its per-tenant settings."""

    def __init__(self, system: str, *, settings: type[S]) -> None:
        self.system = system
        self.settings = settings
        self.tools: dict[str, Tool[Any, Any, S]] = {}

    def tool(
        self,
        *,
        effect: Effect,
        idempotency: Idempotency = Idempotency.NATIVE,
        version: str = "1.0.0",
        timeout_seconds: float = 30.0,
        permissions: Sequence[str] = (),
        secrets: Sequence[SecretNeed] = (),
        compensation: Compensation | None = None,
        errors: Sequence[type[ToolError]] = (),
        rate_limit: RateLimit | None = None,
        concurrency: int | None = None,
        sandbox: bool = False,
        examples: Sequence[Example] = (),
    ) -> Callable[[Function[In, S, Out]], Tool[In, Out, S]]:
        """Registers `async def name(arguments: Model, context: ToolContext) -> Model`; see `ToolSpec`."""

        def register(function: Function[In, S, Out]) -> Tool[In, Out, S]:
            hints = get_type_hints(function)
            first = next(iter(inspect.signature(function).parameters))
            arguments, output = hints[first], hints["return"]
            spec = ToolSpec(
                name=f"{self.system}.{function.__name__}",
                version=version,
                description=(inspect.getdoc(function) or "").partition("\n")[0],
                effect=effect,
                idempotency=idempotency,
                input_schema=arguments.model_json_schema(by_alias=True),
                output_schema=output.model_json_schema(by_alias=True, mode="serialization"),
                timeout_seconds=timeout_seconds,
                permissions=tuple(permissions),
                secrets=tuple(secrets),
                compensation=compensation,
                errors=tuple(error.kind for error in errors),
                rate_limit=rate_limit,
                concurrency=concurrency,
                sandbox=sandbox,
                examples=tuple(examples),
            )
            made = Tool(spec, function, arguments, output)
            self.tools[spec.name] = made
            return made

        return register
