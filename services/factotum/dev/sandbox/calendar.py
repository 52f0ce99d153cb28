"""Calendars: Radicale (CalDAV), `python -m factotum.dev.sandbox.calendar`. See README.md.

This process becomes Radicale's by exec, so that the id its parent holds is the server's. Radicale is
under the GPL: nothing of it is imported here.
"""

from __future__ import annotations

import configparser
import json
import os
import sys
from argparse import Namespace
from pathlib import Path

import structlog

from factotum.dev.sandbox import process, tenants
from factotum.dev.sandbox.tenants import Tenant

log = structlog.get_logger(__name__)

# The calendar that the connector uses unless it is told another.
CALENDAR = "training"
_PROPERTIES = {"tag": "VCALENDAR", "D:displayname": "Training", "C:supported-calendar-component-set": "VEVENT"}


def write_users(path: Path, known: dict[str, Tenant]) -> None:
    """An htpasswd file in plain text, for this user of the machine only."""
    lines = [f"{name}:{tenant.calendar_password}\n" for name, tenant in known.items()]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(lines)


def add_missing_calendars(storage: Path, names: list[str]) -> None:
    """Makes each tenant's calendar in the form of Radicale's storage (a folder with its properties in
    `.Radicale.props`), before anybody can ask for it. What is there stays."""
    for name in names:
        folder = storage / "collection-root" / name / CALENDAR
        folder.mkdir(parents=True, exist_ok=True)
        properties = folder / ".Radicale.props"
        if not properties.exists():
            draft = folder / ".Radicale.props.new"
            draft.write_text(json.dumps(_PROPERTIES), encoding="utf-8")
            draft.rename(properties)


def configuration(options: Namespace, users: Path, storage: Path) -> configparser.RawConfigParser:
    host = f"[{options.host}]" if ":" in options.host else options.host
    settings = configparser.RawConfigParser()
    settings.read_dict(
        {
            "server": {"hosts": f"{host}:{options.port}"},
            # A wrong password is answered at once: nobody guesses on loopback, and tests wait for it.
            "auth": {
                "type": "htpasswd",
                "htpasswd_filename": users,
                "htpasswd_encryption": "plain",
                "delay": "0",
            },
            "rights": {"type": "owner_only"},
            "storage": {"filesystem_folder": storage},
            "web": {"type": "none"},
        }
    )
    return settings


def prepare(options: Namespace) -> Path:
    """Writes what Radicale needs; gives the path of its configuration."""
    known = tenants.load(options.tenants)
    # Radicale's own words for a port that is taken do not name the reason.
    process.listen(options.host, options.port).close()
    folder: Path = (options.data / "calendar").resolve()
    folder.mkdir(exist_ok=True)
    users, storage, config = folder / "users", folder / "collections", folder / "config"
    write_users(users, known)
    add_missing_calendars(storage, sorted(known))
    with config.open("w", encoding="utf-8") as file:
        configuration(options, users, storage).write(file)
    return config


def main() -> None:
    options = process.options("calendar", "CalDAV server of the sandbox.", port=8092).parse_args()
    process.setup("calendar", options.data)
    with process.ending_on_bad_start("calendar"):
        config = prepare(options)
    log.info("calendar listens", host=options.host, port=options.port)
    os.execv(sys.executable, [sys.executable, "-m", "radicale", "--config", str(config)])  # noqa: S606


if __name__ == "__main__":
    main()
