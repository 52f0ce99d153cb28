"""Who decides on calls that wait for an approval, and how."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from factotum.workflows.approvals import GROUP
from factotum.workflows.contract import Decision, PendingApproval

BECAUSE = "refused in the simulation"


@dataclass(frozen=True, slots=True)
class People:
    """Agree to every call, but for those of the named steps.

    Attributes:
        refuse: steps whose calls are refused.
        ignore: steps on whose calls nobody decides.
    """

    refuse: Collection[str] = field(default=())
    ignore: Collection[str] = field(default=())

    def decision(self, pending: PendingApproval) -> Decision | None:
        """What the next of them decides; None: nobody does."""
        if pending.step in self.ignore:
            return None
        who = next((name for name in pending.by if name not in pending.approved_by and not name.startswith(GROUP)), "")
        groups: list[str] = []
        if not who:
            group = next((name.removeprefix(GROUP) for name in pending.by if name.startswith(GROUP)), "")
            who, groups = f"{group}-{len(pending.approved_by) + 1}", [group]
        refused = pending.step in self.refuse
        return Decision(
            step=pending.step,
            iteration=pending.iteration,
            call_sha256=pending.call_sha256,
            approve=not refused,
            by=who,
            groups=groups,
            because=BECAUSE if refused else "",
        )
