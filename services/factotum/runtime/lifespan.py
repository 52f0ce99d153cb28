"""The life of a process: its settings, its work until it is told to stop, and how it says why it cannot go on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import structlog
from pydantic import ValidationError
from pydantic_settings import SettingsError

from factotum.runtime import logs
from factotum.runtime.event_loop import EventLoop
from factotum.runtime.settings import ProcessSettings, TelemetrySettings

# Seconds that a process has to end by itself; then what it still waits for is cancelled.
GRACE_SECONDS = 8.0

S = TypeVar("S", bound=ProcessSettings)

log = structlog.get_logger(__name__)


class SettingsInvalid(ValueError):
    """The environment holds what the process cannot be set up with. The message names each variable."""


def read(settings: type[S]) -> S:
    """The settings of this process, from its environment. Raises `SettingsInvalid`, without any value."""
    prefix = settings.model_config["env_prefix"]
    try:
        return settings()
    except ValidationError as error:
        raise SettingsInvalid(
            "; ".join(f"{prefix}{'__'.join(map(str, it['loc'])).upper()}: {it['msg']}" for it in error.errors())
        ) from None
    except SettingsError as error:
        raise SettingsInvalid(f"a variable {prefix}… is not JSON where it has to be: {error}") from None


@contextlib.contextmanager
def boundary(service: str, *refusals: type[Exception]) -> Iterator[None]:
    """What a process's `main` does stands in it: what ends it is one line of its log, and exit status 1.

    Args:
        refusals: errors of which the message says all that somebody needs to start it again; of any
            other, as of a fault of ours, the line holds the traceback too.
    """
    understood: tuple[type[Exception], ...] = (SettingsInvalid, *refusals)
    logs.setup(service, TelemetrySettings())  # until its own settings are known
    try:
        yield
    except understood as error:
        log.error(f"{service} cannot start", reason=str(error))
        sys.exit(1)
    except Exception:  # nobody is left to handle it, and a bare traceback would be lost among lines of JSON
        log.exception(f"{service} ends")
        sys.exit(1)


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `main(stop)`; `stop` is set by SIGTERM or SIGINT, after which `main` is expected to return.

    A `main` that is still waiting for something else, such as a server that does not answer, is
    cancelled after `GRACE_SECONDS`, or at once by a second signal.
    """

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        work = asyncio.ensure_future(main(stop))

        def stop_now() -> None:
            if stop.is_set():
                work.cancel()
            stop.set()
            loop.call_later(GRACE_SECONDS, work.cancel)

        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop_now)
        with contextlib.suppress(asyncio.CancelledError):
            await work

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(supervised())
