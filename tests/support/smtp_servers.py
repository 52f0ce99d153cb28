"""SMTP servers on loopback: a real one that keeps what it is sent, and one that says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(slots=True)
class Mailbox:
    """The messages a server took, and the answers it gives in place of its own, by SMTP verb."""

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    credentials: tuple[str, str] | None = None

    @property
    def messages(self) -> list[EmailMessage]:
        parser = BytesParser(policy=default)
        contents = [envelope.content for envelope in self.envelopes]
        return [parser.parsebytes(content) for content in contents if isinstance(content, bytes)]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" not in self.answers:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "DATA" not in self.answers:
            self.envelopes.append(envelope)
        return self.answers.get("DATA", "250 OK")

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.credentials, handled=False)


@asynccontextmanager
async def mailbox(
    answers: dict[str, str] | None = None, *, credentials: tuple[str, str] | None = None
) -> AsyncIterator[Mailbox]:
    """A real SMTP server; `answers` such as `{"RCPT": "550 no such user"}` are given in place of its own."""
    box = Mailbox(answers=answers or {}, credentials=credentials)

    def protocol() -> SMTP:
        return SMTP(
            box,
            enable_SMTPUTF8=True,
            authenticator=box.authenticate if credentials else None,
            auth_required=credentials is not None,
            auth_require_tls=False,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


@asynccontextmanager
async def scripted_smtp(answer: Callable[[str], str | None]) -> AsyncIterator[int]:
    """A server whose every reply is `answer(line)`, the greeting that of an empty line, the message's that
    of a dot; None closes the connection without a reply. Gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = ""
        while not reader.at_eof() and (reply := answer(line)) is not None:
            writer.write(f"{reply}\r\n".encode())
            await writer.drain()
            line = (await reader.readline()).decode().strip()
            if reply.startswith("354"):
                while line != "." and not reader.at_eof():
                    line = (await reader.readline()).decode().strip()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
