"""The mail server of the sandbox, over SMTP, and its archive."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import aiosmtplib
import httpx2
import pytest

from tests.integration.sandbox.conftest import ENDINGS, Ending, Sandbox
from tests.support.processes import free_port


@pytest.fixture
def archive_port() -> int:
    return free_port()


def archive(port: int, tenant: str = "acme", token: str | None = None) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token or f'{tenant}-archive'}"}
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/{tenant}/", headers=headers)


def mail(**changes: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    given = {
        "From": "People Team <people@acme.example>",
        "To": "ada@acme.example",
        "Subject": "Willkommen, Zoë!",
        "Message-ID": "<first@acme.example>",
    }
    for name, value in (given | changes).items():
        message[name] = value
    message.set_content("Hello\n.\n.. dots\nZoë\n")
    return message


async def send(port: int, message: EmailMessage, *, sender: str = "people@acme.example", to: Any = None) -> None:
    recipients = to or ["ada@acme.example"]
    await aiosmtplib.send(message, hostname="127.0.0.1", port=port, sender=sender, recipients=recipients)


async def listed(http: httpx2.AsyncClient, **query: str) -> list[dict[str, Any]]:
    response = await http.get("messages", params=query)
    response.raise_for_status()
    found: list[dict[str, Any]] = response.json()
    return found


async def test_a_mail_is_kept_as_it_came(sandbox: Sandbox, port: int, archive_port: int) -> None:
    await sandbox.mail(port, archive_port)
    await send(port, mail())
    async with archive(archive_port) as http:
        [entry] = await listed(http)
        assert {key: entry[key] for key in ("message_id", "from", "to", "subject")} == {
            "message_id": "<first@acme.example>",
            "from": "people@acme.example",
            "to": ["ada@acme.example"],
            "subject": "Willkommen, Zoë!",
        }
        raw = await http.get(f"messages/{entry['id']}")
        assert raw.headers["Content-Type"] == "message/rfc822"
        assert raw.content == mail().as_bytes()
        assert (sandbox.data / "mail" / "acme" / f"{entry['id']}.eml").read_bytes() == mail().as_bytes()


async def test_two_sends_are_two_mails(sandbox: Sandbox, port: int, archive_port: int) -> None:
    await sandbox.mail(port, archive_port)
    for _ in range(2):
        await send(port, mail())
    await send(port, mail(**{"Message-ID": "<second@acme.example>"}), to=["Bob@acme.example", "eve@else.example"])
    async with archive(archive_port) as http:
        assert len(await listed(http)) == 3
        assert len(await listed(http, message_id="<first@acme.example>")) == 2
        assert len(await listed(http, message_id="<second@acme.example>")) == 1
        assert await listed(http, message_id="<third@acme.example>") == []
        assert len(await listed(http, to="bob@acme.example")) == 1
        assert len(await listed(http, to="eve@else.example")) == 1
        assert await listed(http, to="bob@acme.example", message_id="<first@acme.example>") == []


@pytest.mark.parametrize("end", ENDINGS)
async def test_what_was_acknowledged_outlives_the_process(
    sandbox: Sandbox, port: int, archive_port: int, end: Ending
) -> None:
    process = await sandbox.mail(port, archive_port)
    await send(port, mail())
    await end(process)
    await sandbox.mail(port, archive_port)
    await send(port, mail())
    async with archive(archive_port) as http:
        entries = await listed(http, message_id="<first@acme.example>")
        assert len(entries) == 2
        for entry in entries:
            assert (await http.get(f"messages/{entry['id']}")).content == mail().as_bytes()


async def test_the_senders_domain_decides_the_tenant(sandbox: Sandbox, port: int, archive_port: int) -> None:
    await sandbox.mail(port, archive_port)
    await send(port, mail(), sender="people@GLOBEX.example")
    async with archive(archive_port) as acme, archive(archive_port, "globex") as globex:
        assert await listed(acme) == []
        [entry] = await listed(globex)
        assert (await acme.get(f"messages/{entry['id']}")).status_code == 404
    for stranger in ("people@nobody.example", "people@acme.com", "people@xacme.example", "people@acme"):
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await send(port, mail(), sender=stranger)
        assert caught.value.code == 550


async def test_only_the_tenants_own_token_is_taken(sandbox: Sandbox, port: int, archive_port: int) -> None:
    await sandbox.mail(port, archive_port)
    await send(port, mail())
    async with archive(archive_port) as http:
        [entry] = await listed(http)
    for token in ("wrong", "globex-archive"):
        async with archive(archive_port, token=token) as http:
            assert (await http.get("messages")).status_code == 401
            assert (await http.get(f"messages/{entry['id']}")).status_code == 401
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{archive_port}") as http:
        assert (await http.get("/acme/messages")).status_code == 401
        assert (await http.get("/nobody/messages")).status_code == 404


def long_subject(message: EmailMessage) -> bytes:
    return b"Subject: =?x-unknown?b?!!!?= \xff\xfe\r\n" + message.as_bytes()


@pytest.mark.parametrize("spoil", [long_subject, lambda _: b"no header at all\r\n", lambda _: b""])
async def test_a_mail_that_is_none_is_kept_too(
    sandbox: Sandbox, port: int, archive_port: int, spoil: Callable[[EmailMessage], bytes]
) -> None:
    await sandbox.mail(port, archive_port)
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port) as smtp:
        await smtp.sendmail("people@acme.example", ["ada@acme.example"], spoil(mail()))
    async with archive(archive_port) as http:
        assert len(await listed(http)) == 1
