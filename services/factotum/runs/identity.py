"""The id of a run: one event and one procedure make one run, however often the event is delivered."""

from __future__ import annotations

import hashlib
import json

SEPARATOR = "."


def run_id(*, tenant: str, source: str, event_id: str, procedure: str) -> str:
    """`{tenant}.{name}.{20 hex digits}`, e.g. `acme.employee-onboarding.3f2a…`.

    The digits are of the sha256 over tenant, source, event id and procedure (namespace/name), joined
    so that no two different events have one text.
    """
    text = json.dumps([tenant, source, event_id, procedure], ensure_ascii=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    return SEPARATOR.join((tenant, procedure.rpartition("/")[2], digest))


def recurring_id(*, tenant: str, procedure: str) -> str:
    """`{tenant}.{name}.{8 hex digits}`: what the ids of runs begin with that the clock starts.

    Behind it stands the moment, `-2026-11-24T20:00:00Z`, which Temporal writes there itself.
    """
    digest = hashlib.sha256(procedure.encode()).hexdigest()[:8]
    return SEPARATOR.join((tenant, procedure.rpartition("/")[2], digest))


def schedule_id(*, tenant: str, procedure: str) -> str:
    """`{tenant}.{namespace}.{name}`."""
    return SEPARATOR.join((tenant, *procedure.split("/")))


def tenant_of(run: str) -> str:
    """The tenant in a run's id. A tenant's name holds no dot."""
    return run.partition(SEPARATOR)[0]
