"""`factotum trace`: the way of one event, from the webhook to the memory record."""

from __future__ import annotations

import os

from factotum.cli.errors import CommandError
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption
from factotum.cli.runs import RunArgument


def trace(
    run_id: RunArgument,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Print the trace of a run as a tree with durations, as the local stack's collector has it.

    JSON: `{spans: [...]}`, as `factotum.dev.trace_store.Span` describes them, earliest first.
    """
    from urllib.parse import quote

    from factotum.cli import output
    from factotum.cli.connection import Connection, run
    from factotum.cli.http import request
    from factotum.cli.span_tree import spans_of, tree

    address = Connection(data, tenant, os.environ).address("traces")
    url = f"{address}/v1/runs/{quote(run_id, safe='')}/trace"
    found = run(request("trace collector", "GET", url, params={"tenant": tenant})).json()
    if not found["spans"]:
        raise CommandError(f"the trace collector knows nothing of run {run_id}; spans come some seconds after the fact")
    if as_json:
        output.print_json(found)
        return
    output.console().print(tree(run_id, spans_of(found)))
