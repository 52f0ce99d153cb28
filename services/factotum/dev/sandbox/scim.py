"""Identity: a SCIM 2.0 server (RFC 7644), `python -m factotum.dev.sandbox.scim`. See README.md."""

from __future__ import annotations

import asyncio
import hmac
from argparse import Namespace
from contextlib import closing
from typing import Any, cast

import structlog
from fastapi import FastAPI
from scim2_models import (
    EnterpriseUser,
    Group,
    Resource,
    ResourceType,
    ScimProvider,
    SearchRequest,
    UnauthorizedException,
    User,
)
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME
from scim2_server.utils import load_default_service_provider_config
from starlette.types import ASGIApp

from factotum.dev.sandbox import process, tenants
from factotum.dev.sandbox.scim_storage import SqliteStorage, connect

log = structlog.get_logger(__name__)

GROUPS = ("everyone", "engineering", "sales", "people", "finance")


class BearerApplication(ASGIApplication):
    """One tenant's SCIM, for whoever has the tenant's token."""

    def __init__(self, storage: AsyncInMemoryStorage, provider: ScimProvider, token: str) -> None:
        super().__init__(storage, provider)
        self._token = token.encode()

    def check_auth(self, request: ScimRequest) -> None:
        scheme, _, token = (request.header("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), self._token):
            raise UnauthorizedException


GROUP = ResourceType.from_resource(Group)
USER = ResourceType.from_resource(User[EnterpriseUser])
MODELS: dict[str, type[Resource[Any]]] = {"User": User[EnterpriseUser], "Group": Group}


def describe() -> ScimProvider:
    """Users and groups as RFC 7643 has them, behind bearer tokens."""
    config = load_default_service_provider_config()
    config.authentication_schemes = [BEARER_TOKEN_SCHEME]
    return ScimProvider(models=[User, EnterpriseUser, Group], resource_types=[USER, GROUP], config=config)


def add_missing_groups(storage: SqliteStorage) -> None:
    """Makes the groups of a new tenant; one that somebody deleted comes back at the next start."""
    page = storage.search([GROUP], SearchRequest())
    present = {group.display_name for group in page.resources if isinstance(group, Group)}
    for name in GROUPS:
        if name not in present:
            storage.create(GROUP, Group(display_name=name))


async def serve(options: Namespace, stop: asyncio.Event) -> None:
    known = tenants.load(options.tenants)
    listener = process.listen(options.host, options.port)
    provider = describe()
    app = FastAPI(openapi_url=None)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    with closing(connect(options.data / "scim.sqlite3")) as connection:
        for name, tenant in known.items():
            storage = SqliteStorage(connection, name, MODELS)
            storage.restore()
            add_missing_groups(storage)
            application = BearerApplication(AsyncInMemoryStorage(storage), provider, tenant.identity_token)
            # The library types its messages as dict where ASGI says mapping.
            app.mount(f"/{name}", cast(ASGIApp, application))
        log.info("scim listens", host=options.host, port=options.port, tenants=sorted(known))
        await process.serve_http(app, listener, stop)


def main() -> None:
    options = process.options("scim", "SCIM 2.0 server of the sandbox.", port=8091).parse_args()
    process.run("scim", options.data, lambda stop: serve(options, stop))


if __name__ == "__main__":
    main()
