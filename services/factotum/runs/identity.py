"""The id of a run: one event and one procedure make one run, however often the event is delivered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

SEPARATOR = "."


def run_id(*, tenant: str, source: str, event_id: str, procedure: str) -> str:
    """`{tenant}.{name}.{20 hex digits}`, e.g. `acme.employee-onboarding.3f2a…`.

    The digits are of the sha256 over tenant, source, event id and procedure (namespace/name), joined
    so that no two different events have one text.
    """
    return _id(tenant, procedure, [tenant, source, event_id, procedure])


def run_id_of_all(*, tenant: str, events: Iterable[tuple[str, str]], procedure: str) -> str:
    """As `run_id`, of a run that several events start together: each by source and id, in any order."""
    return _id(tenant, procedure, [tenant, sorted(map(list, events)), procedure])


def _id(tenant: str, procedure: str, parts: list[object]) -> str:
    digest = hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()[:20]
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
