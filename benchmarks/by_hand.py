"""Onboarding as one would write it by hand for Temporal: the same calls, nothing around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from factotum.connectors import calendar, hr, identity, mail
    from factotum.runtime import clock
    from factotum.runtime.secrets import names
    from factotum.runtime.secrets.files import SecretFiles
    from factotum.sdk.context import ToolContext

TASK_QUEUE = "by-hand"
TENANT = "acme"
CONNECTORS = {module.connector.system: module.connector for module in (hr, identity, mail, calendar)}
GROUPS = {"Engineering": ["everyone", "engineering"]}
TRAININGS = [("Welcome", "09:30", 90), ("Security", "10:00", 60), ("Your tools", "14:00", 120)]


class Activities:
    """Each tool of the connectors as an activity that calls it directly."""

    def __init__(self, connectors_file: Path, secrets: Path) -> None:
        self._settings = yaml.safe_load(connectors_file.read_text())["tenants"][TENANT]
        self._secrets = SecretFiles(secrets)

    def all(self) -> list[Callable[..., Any]]:
        return [self._activity(name) for connector in CONNECTORS.values() for name in connector.tools]

    def _activity(self, name: str) -> Callable[..., Any]:
        connector = CONNECTORS[name.partition(".")[0]]
        tool = connector.tools[name]
        settings = connector.settings.model_validate(self._settings.get(connector.system, {}))

        async def call(arguments: dict[str, Any]) -> Any:
            info = activity.info()
            context = ToolContext(
                tenant=TENANT,
                idempotency_key=f"{info.workflow_id}:{info.activity_id}",
                run_id=info.workflow_id or "",
                started_at=info.scheduled_time,
                settings=settings,
                secret=lambda reference: self._secrets.read(TENANT, names.name_of(reference)),
                now=clock.now,
            )
            output = await tool.function(tool.arguments.model_validate(arguments), context)
            return output.model_dump(mode="json", by_alias=True)

        return activity.defn(name=name)(call)


async def _do(tool: str, **arguments: Any) -> Any:
    return await workflow.execute_activity(tool, arguments, start_to_close_timeout=timedelta(seconds=60))


@workflow.defn(name="onboarding-by-hand")
class Onboarding:
    """The steps of procedures/employee-onboarding.yaml."""

    @workflow.run
    async def run(self, employee_id: str) -> str:
        person = await _do("hr.get_employee", id=employee_id)
        account = await _do(
            "identity.create_user",
            userName=person["workEmail"],
            externalId=person["id"],
            givenName=person["firstName"],
            familyName=person["lastName"],
            email=person["workEmail"],
        )
        await asyncio.gather(self._groups(person, account), self._welcome(person), self._trainings(person))
        await _do("hr.update_employee", id=employee_id, fields={"onboardingStatus": "Completed"})
        return str(account["id"])

    async def _groups(self, person: dict[str, Any], account: dict[str, Any]) -> None:
        for group in GROUPS[person["department"]]:
            await _do("identity.add_to_group", userId=account["id"], group=group)

    async def _welcome(self, person: dict[str, Any]) -> None:
        await _do("mail.send", to=person["workEmail"], subject="Welcome!", text="Welcome on board.\n")

    async def _trainings(self, person: dict[str, Any]) -> None:
        days = (await _do("calendar.working_days", **{"from": person["hireDate"], "count": 3}))["days"]
        for day, (summary, at, minutes) in zip(days, TRAININGS, strict=True):
            await _do(
                "calendar.schedule",
                summary=summary,
                start=f"{day}T{at}:00",
                durationMinutes=minutes,
                timeZone=person["timezone"],
                attendees=[person["workEmail"]],
            )
