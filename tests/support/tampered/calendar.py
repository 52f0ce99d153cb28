"""The `calendar` connector with levers."""

from factotum.connectors import calendar
from tests.support.tampered.levers import tampered

connector = tampered(calendar.connector)
