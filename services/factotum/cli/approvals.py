"""`factotum approvals`, `approve`, `deny`: calls that wait for a person."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from factotum.cli.errors import BadInput, CommandError
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption
from factotum.cli.runs import RunArgument

Json = dict[str, Any]

StepArgument = Annotated[
    str, typer.Argument(metavar="STEP", help="Its JSON pointer, or the task's name; the beginning of either will do.")
]
IterationOption = Annotated[
    str, typer.Option("--iteration", help="Which round of its loops, where a step waits in several.")
]
BecauseOption = Annotated[str, typer.Option("--because", metavar="TEXT", help="The reason; kept with the run.")]
AsOption = Annotated[
    str, typer.Option("--as", metavar="NAME", help="Who decides. Without it, your name on this machine.")
]
HashOption = Annotated[
    str, typer.Option("--sha256", metavar="HEX", help="Only if the call's hash begins so, e.g. as you saw it earlier.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


def approvals(
    run_id: Annotated[str, typer.Option("--run", metavar="RUN", help="Only of this run.")] = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """List the calls that wait for a person, the oldest first.

    JSON: `{approvals: [PendingApproval], unanswered: [run id]}`; unanswered runs wait too, but no worker says for what.
    """
    from factotum.cli import output

    answer = _ask(run_id, data, tenant)
    if as_json:
        output.print_json(answer)
        return
    for unanswered in answer["unanswered"]:
        output.note(f"{unanswered} waits for a person too; no worker answers for it at present")
    if not answer["approvals"]:
        output.note("nothing waits for a person")
        return
    table = output.table("run", "step", "call", "who may decide", "agreed", "until", "sha256", whole=("run", "sha256"))
    for asked in answer["approvals"]:
        table.add_row(
            output.cell(asked["run_id"]),
            output.cell(place(asked)),
            output.cell(f"{asked['tool']} {output.excerpt(_arguments(asked), 120)}"),
            output.cell(", ".join(asked["by"])),
            output.cell(_agreed(asked)),
            output.local_time(asked["until"]),
            asked["call_sha256"][:12],
        )
    output.console().print(table)
    output.note("decide with: factotum approve|deny RUN STEP --because TEXT")


def approve(
    run_id: RunArgument,
    step: StepArgument,
    iteration: IterationOption = "",
    because: BecauseOption = "",
    by: AsOption = "",
    sha256: HashOption = "",
    yes: YesOption = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Agree to a call that waits: shows it, asks once more, and agrees to that very call and no other.

    JSON: `{approval: PendingApproval, approve, by, because, settled}`; settled is false while others must agree too.
    """
    _decide(True, run_id, step, iteration, because, by, sha256, yes, as_json, data, tenant)


def deny(
    run_id: RunArgument,
    step: StepArgument,
    iteration: IterationOption = "",
    because: BecauseOption = "",
    by: AsOption = "",
    sha256: HashOption = "",
    yes: YesOption = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Refuse a call that waits: its run goes on with the error of a refusal. One who refuses decides.

    JSON: as `factotum approve`.
    """
    _decide(False, run_id, step, iteration, because, by, sha256, yes, as_json, data, tenant)


def _decide(
    agree: bool,
    run_id: str,
    step: str,
    iteration: str,
    because: str,
    by: str,
    sha256: str,
    yes: bool,
    as_json: bool,
    data: Any,
    tenant: str,
) -> None:
    import getpass

    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    word = "approve" if agree else "deny"
    if not yes and not on_a_terminal():
        raise BadInput(f"nobody can confirm here: look with `factotum approvals --run {run_id}`, then add --yes")
    by = by or getpass.getuser()
    asked = matching(_ask(run_id, data, tenant)["approvals"], step, iteration)
    if not asked["call_sha256"].startswith(sha256.lower()):
        raise CommandError(f"the call is another one by now, its hash is {asked['call_sha256']}: look at it again")
    if not as_json or not yes:
        output.note(description(asked))
    if not yes and not typer.confirm(f"{word} this call as {by}?", err=True):
        raise CommandError("nothing was decided")

    async def bring() -> pb.DecideResponse:
        request = pb.DecideRequest(
            tenant=tenant,
            run_id=asked["run_id"],
            step=asked["step"],
            iteration=asked["iteration"],
            call_sha256=asked["call_sha256"],
            approve=agree,
            by=by,
            because=because,
        )
        async with Connection(data, tenant, os.environ).planner() as planner:
            return await planner.Decide(request, timeout=REQUEST_SECONDS)

    settled = run(bring()).settled
    if as_json:
        found = {"approval": asked, "approve": agree, "by": by, "because": because, "settled": settled}
        output.print_json(found)
        return
    then = "the run goes on" if settled else f"{asked['count']} must agree, so it waits for others"
    output.say(f"{asked['run_id']} {place(asked)} {'approved' if agree else 'denied'} by {by}: {then}")


def on_a_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(run_id: str, data: Any, tenant: str) -> Json:
    from factotum.api.planner.v1 import planner_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.ListApprovalsResponse:
        request = pb.ListApprovalsRequest(tenant=tenant, run_id=run_id)
        async with Connection(data, tenant, os.environ).planner() as planner:
            return await planner.ListApprovals(request, timeout=REQUEST_SECONDS)

    return output.to_json(run(ask()))


def matching(waiting: Sequence[Json], step: str, iteration: str) -> Json:
    """The one call that is meant. Raises `BadInput` if several could be, `CommandError` if none is."""

    def name(asked: Json) -> str:
        return str(asked["step"]).rpartition("/")[2]

    waiting = [asked for asked in waiting if iteration in ("", asked["iteration"])]
    for found in (
        [asked for asked in waiting if asked["step"] == step],
        [asked for asked in waiting if name(asked) == step],
        [asked for asked in waiting if asked["step"].startswith(step) or name(asked).startswith(step)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(
                f"{step} may be any of {', '.join(map(place, found))}: name one, with --iteration if need be"
            )
    there = ", ".join(map(place, waiting)) or "nothing"
    raise CommandError(f"nothing waits for a decision at {step}; what waits: {there}")


def place(asked: Json) -> str:
    """`/do/1/order [2]`: the step, with its round where it has one."""
    return f"{asked['step']} [{asked['iteration']}]" if asked["iteration"] else str(asked["step"])


def description(asked: Json) -> str:
    """The very call, whole, and who may decide on it."""
    import json

    from factotum.cli import output

    rows = [
        ("step", place(asked)),
        ("what", asked["summary"]),
        ("tool", asked["tool"]),
        ("arguments", json.dumps(asked["arguments"], indent=2, ensure_ascii=False).replace("\n", "\n" + 11 * " ")),
        ("sha256", asked["call_sha256"]),
        ("by", ", ".join(asked["by"])),
        ("agreed", _agreed(asked)),
        ("until", output.local_time(asked["until"])),
    ]
    return "\n".join(f"{name:<11}{value}" for name, value in rows if value)


def _arguments(asked: Json) -> str:
    import json

    return json.dumps(asked["arguments"], ensure_ascii=False)


def _agreed(asked: Json) -> str:
    """`1 of 2 (ada)`."""
    people = f" ({', '.join(asked['approved_by'])})" if asked["approved_by"] else ""
    return f"{len(asked['approved_by'])} of {asked['count']}{people}"
