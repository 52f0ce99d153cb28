"""HR: employees behind BambooHR's API, with its webhooks, `python -m factotum.dev.sandbox.hr`. See README.md."""

from __future__ import annotations

import asyncio
import contextlib
from argparse import Namespace

import httpx2
import structlog

from factotum.dev.sandbox import process, tenants
from factotum.dev.sandbox.hr_api import create_app
from factotum.dev.sandbox.hr_store import HrStore, connect
from factotum.dev.sandbox.hr_webhooks import Deliveries
from factotum.runtime import clock

log = structlog.get_logger(__name__)


async def serve(options: Namespace, stop: asyncio.Event) -> None:
    known = tenants.load(options.tenants)
    listener = process.listen(options.host, options.port)
    webhooks = {(name, webhook.name): webhook for name, tenant in known.items() for webhook in tenant.webhooks}
    names = {name: [webhook.name for webhook in tenant.webhooks] for name, tenant in known.items()}
    with contextlib.closing(connect(options.data / "hr.sqlite3")) as connection:
        store = HrStore(connection, names, clock.now)
        async with httpx2.AsyncClient(trust_env=False) as http:
            deliveries = Deliveries(store, http, webhooks, clock.now)
            keys = {name: tenant.hr_api_key for name, tenant in known.items()}
            log.info("hr listens", host=options.host, port=options.port, companies=sorted(known))
            serving = asyncio.create_task(process.serve_http(create_app(store, keys, deliveries.wake), listener, stop))
            delivering = asyncio.create_task(deliveries.run())
            try:
                # Deliveries never end by themselves, but by a fault: then the process must not seem well.
                await asyncio.wait((serving, delivering), return_when=asyncio.FIRST_COMPLETED)
            finally:
                stop.set()
                await serving
                delivering.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await delivering


def main() -> None:
    options = process.options(
        "hr", "HR system of the sandbox, with BambooHR's API and webhooks.", port=8090
    ).parse_args()
    process.run("hr", options.data, lambda stop: serve(options, stop))


if __name__ == "__main__":
    main()
