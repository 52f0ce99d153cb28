"""What a tool says when the system is away or refuses it, and that it tells no secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from factotum.sdk.conformance.trial import Trial
from factotum.sdk.conformance.world import Check, Fault
from factotum.sdk.errors import Ambiguous, Cancelled, ToolError, Unavailable
from factotum.sdk.secret_forms import forms


async def a_system_that_is_away(trial: Trial[Any]) -> Check:
    name = "a system that is away"
    if trial.world.away is None:
        return Check(name, None, "give World.away")
    arguments = await trial.arguments()
    context = replace(trial.context(), settings=trial.world.away)
    try:
        await trial.call(trial.read(arguments), context)
    except ToolError as error:
        if not isinstance(error, Unavailable):
            raise Fault(f"it raised {error.kind} instead of Unavailable: {error.message}") from error
        if not error.effect_possible:
            await trial.stands(arguments, 0, "after an answer that says so")
    else:
        raise Fault("it answered")
    if trial.asks:
        try:
            found = await trial.asked(arguments, context)
        except (Unavailable, Ambiguous):
            return Check(name, True)
        raise Fault(f"reconcile said {found!r} of a system that it cannot have asked")
    return Check(name, True)


async def refused_credentials(trial: Trial[Any]) -> Check:
    name = "refused credentials"
    if not trial.world.secrets:
        return Check(name, None, "it has none")
    arguments = await trial.arguments()
    wrong = {secret: f"wrong-{value[::-1]}-wrong" for secret, value in trial.world.secrets.items()}
    try:
        await trial.call(trial.read(arguments), trial.context(wrong))
    except ToolError as error:
        if error.retryable and not isinstance(error, Unavailable):
            raise Fault(f"wrong credentials were answered as if a retry could help: {error.kind}") from error
    else:
        return Check(name, None, "the system takes any")
    return Check(name, True)


def told_secrets(trial: Trial[Any], heard: str) -> Check:
    """No secret, a refused one neither, in what the tool answered, raised, reported, logged or printed."""
    told = "\n".join([*trial.told, heard])
    for name, value in sorted(trial.given):
        if any(form in told for form in forms(value)):
            where = "an output, an error, a report of progress, a log or what is printed"
            return Check("redaction", False, f"the value of the secret {name!r} is in {where}")
    return Check("redaction", True if trial.world.secrets else None, "" if trial.world.secrets else "no secrets")


def declared_errors(trial: Trial[Any]) -> Check:
    """Every error that was met is one of those that the tool declares, if it declares any."""
    name = "declared errors"
    if not trial.spec.errors:
        return Check(name, None, "it declares none")
    # What the executor makes of a call that it ended is everybody's.
    unknown = trial.kinds - {*trial.spec.errors, Cancelled.kind}
    if unknown:
        return Check(name, False, f"it raised what it does not declare: {', '.join(sorted(unknown))}")
    return Check(name, True, ", ".join(sorted(trial.kinds)))
