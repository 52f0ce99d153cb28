"""The `mail` connector with levers."""

from factotum.connectors import mail
from tests.support.tampered.levers import tampered

connector = tampered(mail.connector)
