"""What a run under way holds, and what the handlers of its tasks use of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from factotum.procedures import expressions
from factotum.procedures.duration import Lapse
from factotum.procedures.model import Document
from factotum.procedures.retries import Retry
from factotum.procedures.shapes import Timeout
from factotum.procedures.tasks import Catch, Task
from factotum.workflows import problem, shaping
from factotum.workflows.approvals import Approvals
from factotum.workflows.compensation import Journal
from factotum.workflows.contract import ACTS_FOR, SecretMarks
from factotum.workflows.inbox import Inbox
from factotum.workflows.problem import Problem
from factotum.workflows.progress import Frame, Gate
from factotum.workflows.racing import ended, first_done
from factotum.workflows.scope import Abort, Aborted, Scope
from factotum.workflows.secrets import marks
from factotum.workflows.world import Effects, Observe, TaskEvent

Json = Any

# How long a move waits for what is under way to end, and how many effects are then made before the next try.
HELD_SECONDS = 10.0
EFFECTS_UNHELD = 100
# After so many tasks without an effect the run rests for a moment: a worker that is not heard of for two
# seconds is taken for stuck by Temporal's SDK.
TASKS_IN_A_ROW = 250


class Machine:
    """One run of one document, without the knowledge of how a task is carried out.

    Args:
        raw: the document as it was written, for `$task.definition`.
        descriptor: `$workflow`: id, definition, input (raw), startedAt.
        tenant: for whom the run is.
        hops: how many runs in a row led to this one by events that they emitted.
        user: the person that the run acts for.
        nonce: what no one outside of the run knows; see `secrets`.
        documents, functions: what `run.workflow` and calls by name stand for.
        saved: where to go on; what `as_json` gave.
        observe: is told of every task.
    """

    def __init__(
        self,
        document: Document,
        effects: Effects,
        *,
        descriptor: dict[str, Json],
        raw: Mapping[str, Json] | None = None,
        tenant: str = "",
        hops: int = 0,
        user: str = "",
        nonce: str = "",
        documents: Mapping[str, dict[str, Json]] | None = None,
        functions: Mapping[str, Task] | None = None,
        saved: dict[str, Json] | None = None,
        observe: Observe | None = None,
    ) -> None:
        saved = saved or {}
        self.document = document
        self.effects = effects
        self.tenant = tenant
        self.run_id = str(descriptor.get("id", ""))
        self._hops = hops
        self._user = user
        self.documents = documents or {}
        self.functions = functions or {}
        self.raw = raw or {}
        self.constants: dict[str, Json] = {
            "workflow": descriptor,
            "runtime": {"name": "factotum", "version": "1", "metadata": {}},
        }
        nonce = saved.get("nonce", nonce)
        if document.use.secrets:
            self.constants["secrets"] = marks(self.raw, document.use.secrets, nonce)
        self.secrets = SecretMarks(nonce=nonce, names=list(document.use.secrets))
        self.context: Json = saved.get("context")
        self.journal = Journal.of(saved["journal"]) if "journal" in saved else Journal()
        self.inbox = Inbox(saved.get("inbox"))
        self.approvals = Approvals(saved.get("approvals"))
        self.frame: Frame = saved.get("frame") or {}
        self.gate = Gate()
        self._mode = document.evaluate.mode
        self._watching = [] if observe is None else [observe]
        self._abort = Abort()
        self._in_a_row = 0
        self._unheld = 0
        # Effects begun by this execution: a loop that makes none is endless.
        self.made = 0
        # What became of nested runs: an attempt that is made again asks for what was done, and does not do it again.
        self.nested: dict[str, Json] = saved.get("nested") or {}
        # From then on the run moves between two steps that it undoes, never within one.
        self.ending = False

    # -- what the handlers use ---------------------------------------------------------------------------

    async def shape(self, expression: Json, value: Json, arguments: Mapping[str, Json], pointer: str) -> Json:
        """The value transformed by `from`, `as`, `if` …; itself if there is no expression."""
        if expression is None:
            return value
        try:
            return await expressions.resolve_expression(expression, value, arguments, self.costly, self._mode)
        except expressions.ExpressionError as error:
            raise Problem(problem.EXPRESSION, 400, "expression", str(error), pointer) from error

    async def resolve(self, template: Json, value: Json, arguments: Mapping[str, Json], pointer: str) -> Json:
        """A template with every expression in it replaced by its value."""
        try:
            return await expressions.resolve(template, value, arguments, self.costly, self._mode)
        except expressions.ExpressionError as error:
            raise Problem(problem.EXPRESSION, 400, "expression", str(error), pointer) from error

    async def validate(self, holder: Any, value: Json, pointer: str) -> None:
        """Raises `Problem` if the value breaks the holder's schema."""
        if holder.schema_ is not None:
            shaping.validate(holder.schema_, value, pointer)

    async def seconds(self, lapse: Lapse, value: Json, arguments: Mapping[str, Json], pointer: str) -> float:
        """A duration from now, which may be an expression."""
        found = await self.resolve(lapse, value, arguments, pointer) if isinstance(lapse, str) else lapse
        return shaping.seconds(found, self.effects.now(), pointer)

    async def timeout_seconds(
        self, timeout: str | Timeout, value: Json, arguments: Mapping[str, Json], pointer: str
    ) -> float:
        named = self.document.use.timeouts.get(timeout) if isinstance(timeout, str) else timeout
        if named is None:
            raise Problem(problem.CONFIGURATION, 400, "configuration", f"there is no timeout {timeout!r}", pointer)
        return await self.seconds(named.after, value, arguments, f"{pointer}/after")

    async def within(
        self,
        work: Callable[[Scope], Awaitable[Json]],
        seconds: float,
        frame: Frame,
        pointer: str,
        scope: Scope,
    ) -> Any:
        """What the work gives, if it ends in time; else everything under way in it is ended, and `Problem`."""
        deadline = frame.setdefault("deadline", self.effects.now().timestamp() + seconds)
        below = replace(scope, abort=Abort(scope.abort))
        working = asyncio.ensure_future(work(below))
        timer = asyncio.ensure_future(self.effects.sleep(max(0.0, deadline - self.effects.now().timestamp())))
        try:
            await first_done((working, timer))
            if working.done():
                return working.result()
        finally:
            below.abort.set() if not working.done() else None
            await ended(working, timer)
        raise Problem(problem.TIMEOUT, 408, "timeout", f"not done within {seconds:g} seconds", pointer)

    def retry(self, catch: Catch) -> Retry | None:
        """The retry policy of a `catch`, which may be one of `use.retries`. Raises `Problem`."""
        if not isinstance(catch.retry, str):
            return catch.retry
        if catch.retry not in self.document.use.retries:
            detail = f"there is no retry policy {catch.retry!r}"
            raise Problem(problem.CONFIGURATION, 400, "configuration", detail)
        return self.document.use.retries[catch.retry]

    @asynccontextmanager
    async def effect(self, *, on_the_world: bool = True) -> AsyncIterator[None]:
        """Around every effect: it does not begin while the run is about to move to another execution."""
        await self.pass_gate()
        self._in_a_row = 0
        self.made += on_the_world
        self.gate.under_way += 1
        try:
            yield
        finally:
            self.gate.under_way -= 1

    async def pass_gate(self) -> None:
        """Returns at once, unless the run is about to move; then it does not, but for one case.

        What is under way may wait for what is held back: a nested run for an event that another branch
        emits. After a while the gate opens again, and the run moves later.
        """
        self._unheld -= 1
        if self._unheld <= 0 and self.effects.should_move() and not self.ending:
            self.gate.closed = True
        if self.gate.closed:
            self.gate.held += 1
            try:
                await self.effects.sleep(HELD_SECONDS)
            finally:
                self.gate.held -= 1
            self.gate.closed = False
            self._unheld = EFFECTS_UNHELD

    async def sleep_until(self, deadline: float) -> None:
        """Until a moment (POSIX seconds). Holds no move up: the moment is in a frame of the caller's."""
        self._in_a_row = 0
        self.made += 1
        await self.effects.sleep(max(0.0, deadline - self.effects.now().timestamp()))

    async def publish(self, with_: Mapping[str, Json], *, pointer: str, iteration: str, summary: str) -> Json:
        """Publishes an event of this run's tenant, once for a pointer and iteration; the whole event."""
        identity = hashlib.sha256(f"{self.run_id}|{pointer}|{iteration}".encode()).hexdigest()[:32]
        event: dict[str, Json] = {
            "specversion": "1.0",
            "id": identity,
            "time": self.effects.now().isoformat(),
            **{name: value for name, value in with_.items() if name != ACTS_FOR},
            "tenant": self.tenant,
            "factotumhops": self._hops + 1,
        }
        # What the event starts acts for whom this run acts for, whatever the document says.
        if self._user:
            event[ACTS_FOR] = self._user
        async with self.effect():
            await self.effects.emit(event, summary)
        return event

    def tell(self, pointer: str, scope: Scope, kind: str, phase: str, value: Json = None, branch: str = "") -> None:
        if self._watching:
            event = TaskEvent(pointer, ".".join(scope.iteration), kind, phase, value, branch)
            for observe in self._watching:
                observe(event)

    def watch(self, observe: Observe) -> None:
        """It is told of every task from now on, too."""
        self._watching.append(observe)

    async def costly(self, program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
        async with self.effect(on_the_world=False):
            return await self.effects.evaluate(program, value, arguments)

    async def rest(self, scope: Scope) -> None:
        if scope.abort.raised:
            raise Aborted
        self._in_a_row += 1
        if self._in_a_row > TASKS_IN_A_ROW:
            async with self.effect(on_the_world=False):
                await self.effects.rest()
