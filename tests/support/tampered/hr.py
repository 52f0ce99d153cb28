"""The `hr` connector with levers."""

from factotum.connectors import hr
from tests.support.tampered.levers import tampered

connector = tampered(hr.connector)
