"""`factotum demo`: the whole way of the data, once."""

from __future__ import annotations

from typing import Annotated

import typer

from factotum.cli.options import (
    DEFAULT_DATA,
    DEFAULT_TENANT,
    DEFAULT_TIMEOUT,
    DataOption,
    JsonOption,
    TenantOption,
    TimeoutOption,
)


def demo(
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    start_timeout: Annotated[
        float, typer.Option("--start-timeout", min=1.0, help="Seconds that the stack has to become ready.")
    ] = 600.0,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Start the local stack if it does not run, hire somebody in its HR system, and show what came of it.

    Exit status: 0 only if the run is completed and everything stands in every system; 1 if not; 3 if
    the run had not ended after --timeout.

    JSON: `{employee, run: Run, findings: [{system, protocol, there, found}], ok}`.
    """
    from factotum.cli import demonstration, output
    from factotum.cli.connection import run
    from factotum.cli.starting import ensure_stack

    ensure_stack(data, timeout=start_timeout, say=output.note if as_json else output.say)
    raise typer.Exit(run(demonstration.demonstrate(data, tenant, timeout=timeout, as_json=as_json)))
