"""The options that the commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[
    Path, typer.Option("--data", envvar="FACTOTUM_DATA", help="The local stack's folder.", metavar="DIR")
]
TenantOption = Annotated[str, typer.Option("--tenant", envvar="FACTOTUM_TENANT", help="Whose data it is.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.0, help="Seconds to wait at the longest.")]

DEFAULT_DATA = Path(".factotum")
DEFAULT_TENANT = "acme"
DEFAULT_TIMEOUT = 300.0
