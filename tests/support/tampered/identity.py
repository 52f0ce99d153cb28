"""The `identity` connector with levers."""

from factotum.connectors import identity
from tests.support.tampered.levers import tampered

connector = tampered(identity.connector)
