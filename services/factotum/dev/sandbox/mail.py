"""Mail: an SMTP server and its archive over HTTP, `python -m factotum.dev.sandbox.mail`. See README.md."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from argparse import Namespace
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from datetime import datetime
from typing import Annotated, Any

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from factotum.dev.sandbox import process, tenants
from factotum.dev.sandbox.mail_store import Entry, MailStore, connect
from factotum.dev.sandbox.tenants import Tenant
from factotum.runtime import clock

log = structlog.get_logger(__name__)

_DOMAIN = ".example"


class Handler:
    """Takes mail from the domains of the tenants, for anybody."""

    def __init__(
        self, store: MailStore, names: Collection[str], *, now: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._store = store
        self._names = names
        self._now = now
        self._new_id = new_id

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._tenant(address) is None:
            return "550 5.7.1 this server sends for the domains of its tenants only"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        sender = envelope.mail_from or ""
        tenant = self._tenant(sender)
        content = envelope.original_content
        if tenant is None or content is None:
            return "503 5.5.1 there is no sender"
        id = self._new_id()
        try:
            self._store.add(
                tenant, content, sender=sender, recipients=envelope.rcpt_tos, received_at=self._now(), id=id
            )
        except OSError as error:
            log.error("mail not kept", tenant=tenant, reason=str(error))
            return "452 4.3.1 the message could not be kept"
        log.info("mail taken", tenant=tenant, id=id, recipients=len(envelope.rcpt_tos))
        return f"250 2.0.0 kept as {id}"

    def _tenant(self, address: str) -> str | None:
        domain = address.rpartition("@")[2].lower()
        name = domain.removesuffix(_DOMAIN)
        return name if name != domain and name in self._names else None


def archive(store: MailStore, known: Mapping[str, Tenant]) -> FastAPI:
    """The archive's API."""
    app = FastAPI(openapi_url=None)

    async def authorised(
        tenant: str, given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
    ) -> None:
        if tenant not in known:
            raise HTTPException(404, f"there is no tenant {tenant}")
        token = given.credentials if given else ""
        if not hmac.compare_digest(token.encode(), known[tenant].mail_archive_token.encode()):
            raise HTTPException(401, "this takes the tenant's archive token", {"WWW-Authenticate": "Bearer"})

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/{tenant}/messages", dependencies=[Depends(authorised)])
    async def find(tenant: str, message_id: str | None = None, to: str | None = None) -> list[dict[str, Any]]:
        return [_shown(entry) for entry in store.find(tenant, message_id=message_id, to=to)]

    @app.get("/{tenant}/messages/{id}", dependencies=[Depends(authorised)])
    async def message(tenant: str, id: str) -> Response:
        content = store.content(tenant, id)
        if content is None:
            raise HTTPException(404, f"there is no message {id}")
        return Response(content, media_type="message/rfc822")

    return app


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "message_id": entry.message_id,
        "from": entry.sender,
        "to": entry.recipients,
        "subject": entry.subject,
        "received_at": entry.received_at,
    }


async def serve(options: Namespace, stop: asyncio.Event) -> None:
    # aiosmtpd writes each command of a conversation, which names people, and each connection.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    known = tenants.load(options.tenants)
    smtp_listener = process.listen(options.host, options.port)
    http_listener = process.listen(options.host, options.archive_port)
    with closing(connect(options.data / "mail.sqlite3")) as connection:
        store = MailStore(connection, options.data / "mail")
        handler = Handler(store, known, now=clock.now, new_id=lambda: secrets.token_hex(16))
        smtp = await asyncio.get_running_loop().create_server(
            lambda: SMTP(handler, enable_SMTPUTF8=True, hostname="mail.example", ident="Factotum sandbox"),
            sock=smtp_listener,
        )
        log.info("mail listens", host=options.host, port=options.port, archive_port=options.archive_port)
        try:
            await process.serve_http(archive(store, known), http_listener, stop)
        finally:
            smtp.close()


def main() -> None:
    parser = process.options("mail", "SMTP server of the sandbox, with an archive over HTTP.", port=8025)
    parser.add_argument("--archive-port", type=int, default=8026)
    options = parser.parse_args()
    process.run("mail", options.data, lambda stop: serve(options, stop))


if __name__ == "__main__":
    main()
