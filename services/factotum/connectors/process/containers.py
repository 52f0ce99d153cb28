"""Containers by the command line of Docker or Podman, and what became of one.

A container is made, started and removed in steps of their own, and found by a label that is derived from the
tenant and the idempotency key: after a crash the runtime knows whether it ran and what it answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

from factotum.connectors.process.arguments import Container, Output
from factotum.connectors.process.outcome import output
from factotum.connectors.process.settings import ProcessSettings
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Ambiguous,
    Cancelled,
    Conflict,
    Failed,
    InvalidArgument,
    NotPermitted,
    ToolError,
    Unavailable,
)
from factotum.sdk.processes import SEARCH, Ended, run
from factotum.sdk.sandbox import MIB

RUNTIMES = ("docker", "podman")
_EFFECT = "factotum.effect"
_REMOVE_AFTER = "factotum.remove-after"
# 128 and the number of SIGKILL, SIGTERM.
_KILLED = (137, 143)
_ENDED = ("exited", "stopped", "dead")
_NEVER_RAN = ("created", "configured", "initialized")
# Seconds for a question to the runtime; making a container may fetch its image.
_QUESTION = 15.0
_PULL = {"ifNotPresent": "missing", "always": "always", "never": "never"}


async def execute(arguments: Container, context: ToolContext[ProcessSettings]) -> Output:
    """Runs the container to its end and gives what it answered.

    Raises `NotPermitted`; `Failed`, with an effect possible only if it was stopped while it could reach anything;
    `Cancelled` if this call is; `Conflict` for a name that is taken.
    """
    settings = context.settings
    _check(arguments, settings)
    runtime = await _runtime()
    await _sweep(runtime, context.now())
    # Of an attempt that is known to have failed: this one begins anew.
    for left in await _of_this_effect(runtime, context):
        await _call(runtime, ("rm", left), settings)
    await _make(runtime, arguments, context)
    name = _name(arguments, context)
    ended: Ended | None = None
    try:
        attach = ("start", "--attach", *(("--interactive",) if arguments.stdin is not None else ()), name)
        stdin = None if arguments.stdin is None else arguments.stdin.encode("utf-8", "replace")
        ended = await _call(runtime, attach, settings, stdin=stdin, seconds=settings.container_seconds)
    except asyncio.CancelledError:
        if _reaches(arguments, settings):
            raise
        raise Cancelled("the container was stopped", effect_possible=False) from None
    finally:
        if ended is None or ended.stopped:
            await _call(runtime, ("kill", name), settings)
    state, code = await _state(runtime, name, settings)
    if arguments.lifetime.cleanup == "always" or state in _NEVER_RAN:
        await _call(runtime, ("rm", "--force", name), settings)
    if state in _NEVER_RAN:
        raise Failed(f"the container cannot be started: {ended.stderr.last_lines}", effect_possible=False)
    if not ended.stopped:
        # The command's own code is the runtime's where that could not start the container.
        ended = replace(ended, code=code)
    stopped = bool(ended.stopped) and _reaches(arguments, settings)
    return output(ended, arguments.wanted, effect_possible=stopped)


async def find(arguments: Container, context: ToolContext[ProcessSettings]) -> Output | None:
    """As a reconciler: what the container answered; None if it did not run, or ran and failed, or reached nothing
    and was stopped. Raises `Ambiguous` for one that was stopped while it could reach something, `Unavailable` for
    one that still runs and has time left."""
    settings = context.settings
    try:
        runtime = await _runtime()
    except ToolError as error:
        raise Unavailable(error.message) from error
    reaches = _reaches(arguments, settings)
    if not (found := await _of_this_effect(runtime, context)):
        if arguments.lifetime.cleanup == "always" and reaches:
            raise Ambiguous("if the container ran it was removed at once, and nothing can be asked any more")
        return None
    state, code = await _state(runtime, found[0], settings)
    if state in _NEVER_RAN:
        return None
    if state not in _ENDED:
        return await _still_running(runtime, found[0], context, reaches)
    logs = await _call(runtime, ("logs", found[0]), settings)
    try:
        return output(Ended(code, logs.stdout, logs.stderr), arguments.wanted, effect_possible=reaches)
    except Failed as error:
        if code in _KILLED and reaches:
            raise Ambiguous(f"the container {found[0]} was stopped: {error.message}") from error
        return None


async def _still_running(
    runtime: str, container: str, context: ToolContext[ProcessSettings], reaches: bool
) -> Output | None:
    """Nobody waits for this container any more, nor ends it when its time is up."""
    if not reaches:
        await _call(runtime, ("rm", "--force", container))
        return None
    if context.now() - context.started_at < timedelta(seconds=context.settings.container_seconds):
        raise Unavailable(f"the container {container} of an earlier attempt still runs")
    await _call(runtime, ("kill", container))
    raise Ambiguous(f"the container {container} was stopped when its time was up")


def _reaches(arguments: Container, settings: ProcessSettings) -> bool:
    """Without a network and without folders a container is as sealed as the sandbox."""
    return settings.network or bool(arguments.volumes)


async def _of_this_effect(runtime: str, context: ToolContext[ProcessSettings]) -> list[str]:
    label = f"label={_EFFECT}={_effect(context)}"
    return (await _asked(runtime, ("ps", "--all", "--quiet", "--filter", label), context.settings)).split()


def _check(arguments: Container, settings: ProcessSettings) -> None:
    if arguments.image not in settings.images:
        raise NotPermitted(f"the image {arguments.image} may not run: add it to process.images of this tenant")
    if forbidden := sorted(set(arguments.volumes) - set(settings.volumes)):
        raise NotPermitted(f"no container may see {', '.join(forbidden)}: add it to process.volumes of this tenant")
    if arguments.ports and not settings.network:
        raise NotPermitted("no container may have ports: set process.network: true for this tenant")
    if any("\n" in value for value in arguments.whole_environment().values()):
        raise InvalidArgument("a container's environment cannot hold a line break: give it as stdin")


async def _runtime() -> str:
    """The command of a runtime that answers."""
    problems = []
    for name in RUNTIMES:
        if (path := shutil.which(name, path=SEARCH)) is None:
            continue
        answer = await run(
            [path, "version"], environment=_environment(), stdin=None, seconds=_QUESTION, output_bytes=MIB
        )
        if answer.code == 0 and not answer.stopped:
            return path
        problems.append(f"{name}: {answer.stopped or answer.stderr.last_lines}")
    why = "; ".join(problems) or f"{' and '.join(RUNTIMES)} are missing"
    reason = f"no container runtime answers ({why}): run `process.container` where Docker or Podman is"
    raise Failed(reason, effect_possible=False)


async def _make(runtime: str, arguments: Container, context: ToolContext[ProcessSettings]) -> None:
    settings = context.settings
    with ExitStack() as opened:
        # Not on the command line, which everyone may read, and not in the runtime's own environment.
        environment = os.memfd_create("environment")
        opened.callback(os.close, environment)
        lines = "".join(f"{name}={value}\n" for name, value in arguments.whole_environment().items())
        os.write(environment, lines.encode("utf-8", "replace"))
        os.lseek(environment, 0, os.SEEK_SET)
        options = _options(arguments, context, f"/dev/fd/{environment}")
        made = await _call(
            runtime, ("create", *options), settings, files=(environment,), seconds=settings.container_seconds
        )
    if made.stopped or made.code != 0:
        words = made.stopped or made.stderr.last_lines
        kind = Conflict if "already in use" in words else Failed
        raise kind(f"the container cannot be made: {words}", effect_possible=False)


def _options(arguments: Container, context: ToolContext[ProcessSettings], environment_file: str) -> list[str]:
    settings, lifetime = context.settings, arguments.lifetime
    options = ["--name", _name(arguments, context), "--label", f"{_EFFECT}={_effect(context)}"]
    if lifetime.cleanup == "eventually":
        # Counted from the latest moment at which it can have ended.
        until = context.now().timestamp() + settings.container_seconds + (lifetime.after or 0.0)
        options += ["--label", f"{_REMOVE_AFTER}={until:.0f}"]
    options += ["--pull", _PULL[arguments.pull_policy], "--env-file", environment_file]
    options += ["--cap-drop=ALL", "--security-opt=no-new-privileges"]
    options += [f"--memory={settings.limits.memory_mib}m", f"--pids-limit={settings.limits.processes}"]
    options += [] if settings.network else ["--network=none"]
    options += ["--interactive"] if arguments.stdin is not None else []
    for port, inside in arguments.ports.items():
        options += ["--publish", f"{port}:{inside}"]
    for folder, inside in arguments.volumes.items():
        options += ["--volume", f"{folder}:{inside}"]
    if arguments.command is None:
        return [*options, arguments.image, *arguments.argv]
    # As of a shell process: the arguments are $1, $2, …
    return [*options, "--entrypoint", "/bin/sh", arguments.image, "-c", arguments.command, "sh", *arguments.argv]


async def _sweep(runtime: str, now: datetime) -> None:
    """Removes the containers of earlier calls whose time to be kept is over."""
    ended = ("ps", "--all", "--quiet", "--filter", f"label={_REMOVE_AFTER}", "--filter", "status=exited")
    label = f'{{{{index .Config.Labels "{_REMOVE_AFTER}"}}}}'
    listed = await _call(runtime, ended)
    for name in listed.stdout.text.split():
        until = (await _call(runtime, ("inspect", "--format", label, name))).stdout.text.strip()
        if until.isdigit() and int(until) < now.timestamp():
            await _call(runtime, ("rm", name))


async def _call(
    runtime: str,
    arguments: Sequence[str],
    settings: ProcessSettings | None = None,
    *,
    stdin: bytes | None = None,
    files: Sequence[int] = (),
    seconds: float = _QUESTION,
) -> Ended:
    limits = (settings or ProcessSettings()).limits
    return await run(
        [runtime, *arguments],
        environment=_environment(),
        stdin=stdin,
        seconds=seconds,
        output_bytes=limits.output_kib * 1024,
        files=files,
    )


async def _asked(runtime: str, arguments: Sequence[str], settings: ProcessSettings) -> str:
    answer = await _call(runtime, arguments, settings)
    if answer.stopped or answer.code != 0:
        raise Unavailable(f"{runtime} cannot be asked now: {answer.stopped or answer.stderr.last_lines}")
    return answer.stdout.text.strip()


async def _state(runtime: str, name: str, settings: ProcessSettings) -> tuple[str, int]:
    """The runtime's word for the state of a container, and the exit code."""
    answer = await _asked(runtime, ("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name), settings)
    state, _, code = answer.partition(" ")
    return state, int(code)


def _environment() -> dict[str, str]:
    """What the runtime's command needs to find its server and its settings."""
    kept = ("HOME", "DOCKER_HOST", "CONTAINER_HOST", "XDG_RUNTIME_DIR")
    return {"PATH": f"{SEARCH}:/usr/sbin:/sbin", **{name: os.environ[name] for name in kept if name in os.environ}}


def _effect(context: ToolContext[ProcessSettings]) -> str:
    return hashlib.sha256(f"{context.tenant}\n{context.idempotency_key}".encode()).hexdigest()[:40]


def _name(arguments: Container, context: ToolContext[ProcessSettings]) -> str:
    return arguments.name or f"factotum-{_effect(context)}"
