"""Search attributes of a run. They are not encrypted, so they hold no personal data."""

from temporalio.common import SearchAttributeKey

TENANT = SearchAttributeKey.for_keyword("FactotumTenant")
PROCEDURE = SearchAttributeKey.for_keyword("FactotumProcedure")
EVENT_TYPE = SearchAttributeKey.for_keyword("FactotumEventType")

ALL = (TENANT, PROCEDURE, EVENT_TYPE)
