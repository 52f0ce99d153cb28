"""One transaction in a thread that can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from factotum.connectors.sql.effects import Effects
from factotum.connectors.sql.kinds import Kind, kind_of, signed_in
from factotum.connectors.sql.refusals import refusal
from factotum.connectors.sql.settings import Database
from factotum.connectors.threads import in_thread
from factotum.sdk.errors import Cancelled, Failed, InvalidArgument, Unavailable

T = TypeVar("T")

# Between two attempts to end a statement: one that comes between two statements ends none.
_AGAIN_SECONDS = 0.2


class Transaction:
    """A call's transaction: for the thread that carries it out, and for whoever stops it.

    Attributes:
        tenant: whose it is.
        committing: the database was asked to keep the changes, and may have.
    """

    def __init__(self, name: str, database: Database, password: str | None, *, tenant: str, reading: bool) -> None:
        self.tenant = tenant
        self._name = name
        self._max_bytes = database.max_bytes
        self._kept = database.effects_table
        self._reading = reading
        self._seconds = database.seconds
        self._deadline = float("inf")
        self._url = database.parsed
        self._password = password
        self._kind: Kind = kind_of(self._url)
        self._driver: Any = None
        self._asked_to_stop = False
        self.committing = False

    def run(self, work: Callable[[Connection, Transaction], T]) -> T:
        """What `work` gives, with its changes kept; nothing is where it raises. Raises `ToolError`."""
        self._deadline = time.monotonic() + self._seconds
        engine = self._engine()
        try:
            with self._watched(), signed_in(self._password), engine.connect() as connection:
                self._driver = connection.connection.driver_connection
                self.check()
                self._kind.begin(connection, reading=self._reading, seconds=self._seconds, stopped=self._stopped)
                result = work(connection, self)
                if not self._reading:
                    self.check()
                    self.committing = True
                    connection.commit()
                return result
        except SQLAlchemyError as error:
            self.check_if_before_commit()
            raise refusal(self._name, error, committing=self.committing, timed_out=self._late()) from error
        # A driver's own refusal of a value: an integer of 100 digits, a character that is none.
        except (OverflowError, UnicodeError, ValueError) as error:
            raise InvalidArgument(f"a value is none that the database {self._name} takes: {error}") from error
        finally:
            self._driver = None

    def _engine(self) -> Engine:
        try:
            return self._kind.engine(self._url, reading=self._reading, seconds=self._seconds, max_bytes=self._max_bytes)
        except (ArgumentError, ImportError) as error:
            message = f"the database {self._name} cannot be reached as its settings say: {error}"
            raise Failed(message, effect_possible=False) from error

    @contextmanager
    def callers(self, connection: Connection) -> Iterator[None]:
        """Around the caller's own statements."""
        self.check()
        with self._kind.guarded(connection, reading=self._reading, kept=self._kept):
            yield

    def tally(self, connection: Connection, effects: Effects) -> tuple[int, ...] | None:
        """What this transaction has done to the table of effects, to tell whether the caller's statements have done
        anything to it; None where they cannot. Raises `Failed` where the database does not count it."""
        counted = self._kind.tally(connection, effects.written(connection))
        # Its own row is one that it has inserted.
        if counted is not None and not counted[0]:
            message = f"the database {self._name} does not count what happens to {effects.name}: see track_counts"
            raise Failed(message, effect_possible=False)
        return counted

    def check(self) -> None:
        """Raises if no further statement is to be carried out."""
        if self._asked_to_stop:
            raise Cancelled(f"the database {self._name} was stopped", effect_possible=False)
        if self._late():
            raise Unavailable(f"the database {self._name} took longer than its settings allow", effect_possible=False)

    def check_if_before_commit(self) -> None:
        if self._asked_to_stop and not self.committing:
            raise Cancelled(f"the database {self._name} was stopped", effect_possible=False)

    def stop(self) -> None:
        """Asks the server to end what it does. Blocks; to be repeated until `run` has ended."""
        self._asked_to_stop = True
        self._interrupt()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Whatever a statement has made of the database's own clock, it ends by ours."""
        ended = threading.Event()

        def watch() -> None:
            left = self._seconds
            while not ended.wait(left):
                self._interrupt()
                left = _AGAIN_SECONDS

        threading.Thread(target=watch, name="sql clock", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _interrupt(self) -> None:
        if (driver := self._driver) is not None and not self.committing:
            # The connection may be gone by now, by which all is said; what is not heard is said again.
            with suppress(Exception):
                self._kind.interrupt(driver)

    def _late(self) -> bool:
        return time.monotonic() > self._deadline

    def _stopped(self) -> bool:
        return self._asked_to_stop or self._late()


async def carried_out(transaction: Transaction, work: Callable[[Connection, Transaction], T]) -> T:
    """What `Transaction.run` gives. If this is cancelled, so is the statement, in the server; a change that was kept
    by then is told as done. Raises `ToolError`."""
    return await in_thread(lambda: transaction.run(work), lane=f"sql/{transaction.tenant}", stop=transaction.stop)
