"""Search attributes of a run. They are not encrypted, so they hold no personal data."""

from temporalio.common import SearchAttributeKey

TENANT = SearchAttributeKey.for_keyword("FactotumTenant")
PROCEDURE = SearchAttributeKey.for_keyword("FactotumProcedure")
EVENT_TYPE = SearchAttributeKey.for_keyword("FactotumEventType")
# What a run waits for, or left to people when it ended: `APPROVAL` or `TASK`; none for most.
WAITING = SearchAttributeKey.for_keyword("FactotumWaiting")
APPROVAL, TASK = "approval", "task"

ALL = (TENANT, PROCEDURE, EVENT_TYPE, WAITING)
