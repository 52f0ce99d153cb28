"""What only Factotum's own parts may say of an event: nobody else's document or request can pretend to it."""

from __future__ import annotations

from factotum.events.envelope import Event

# What the source of every signed webhook's events starts with.
HOOKS = "/hooks/"
# The types of Factotum's own events: dev.factotum.outcome.v1.
OWN_TYPES = "dev.factotum."
# The sources of Factotum's own events, each the name of the process that makes them.
OWN_SOURCES = frozenset({"/cli", "/gateway", "/memory", "/planner", "/tool-executor", "/worker"})
# The extension attribute that names the person for whom the runs that the event starts act.
ACTS_FOR = "factotumuser"


def why_reserved(event: Event) -> str | None:
    """Why the event cannot be what it says it is; None if it can."""
    if event.source.startswith(HOOKS):
        return f"a source that starts with {HOOKS} is that of signed webhooks: name another one"
    if any(event.source == own or event.source.startswith(f"{own}/") for own in OWN_SOURCES):
        return f"the source {event.source} is Factotum's own: name another one"
    if event.type.startswith(OWN_TYPES):
        return f"a type that starts with {OWN_TYPES} is Factotum's own: name another one"
    return None
