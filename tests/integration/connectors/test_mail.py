"""The mail connector on a real SMTP server, and on one that hangs up at the worst moment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from factotum.connectors.mail import MailSettings, Message, connector, message_id, send
from factotum.sdk import lag
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Failed, InvalidArgument, NotPermitted, ToolError, Unavailable
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.scripted_http import Answer, scripted_http
from tests.support.smtp_servers import mailbox, scripted_smtp
from tests.support.tool_calls import closed_port, tool_context

HELLO = Message(to="ada@acme.example", subject="Hello", text="Welcome!\n")
SENDER = "People Team <people@acme.example>"


def mail(port: int, *, key: str = "run:/do/1:0", tenant: str = "acme", **settings: Any) -> ToolContext[MailSettings]:
    given = {"host": "127.0.0.1", "port": port, "sender": SENDER, "timeout": 5.0} | settings
    return tool_context(
        MailSettings.model_validate(given),
        key=key,
        tenant=tenant,
        **{"archive-token": "arch1ve", "smtp-password": "pässword"},
    )


async def test_sends_a_mail() -> None:
    arguments = Message(
        to="ada@acme.example",
        subject='Willkommen, Zoë — 你好 "quoted"; and a subject that is much longer than seventy-eight characters',
        text="Grüße\n.\n.leading dots\n" + "x" * 2000 + "\n",
        html="<p>Grüße</p>",
    )
    async with mailbox() as box:
        receipt = await send.function(arguments, mail(box.port))
    [message], [envelope] = box.messages, box.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("people@acme.example", ["ada@acme.example"])
    assert message["Message-ID"] == receipt.messageId == message_id(mail(1))
    assert message["Subject"] == arguments.subject
    assert message["From"] == SENDER
    assert message["To"] == "ada@acme.example"
    assert message["Date"].datetime.isoformat() == "2026-11-24T09:00:00+00:00"
    assert message["Auto-Submitted"] == "auto-generated"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == arguments.text
    assert html.get_content().strip() == "<p>Grüße</p>"


def test_message_id_is_the_tenants_and_keys_own_and_on_one_line() -> None:
    assert message_id(mail(1, key="k")) == message_id(mail(1, key="k", sender="people@acme.example"))
    assert message_id(mail(1, key="k")) != message_id(mail(1, key="l"))
    assert message_id(mail(1, key="k")) != message_id(mail(1, key="k", tenant="globex"))
    assert re.fullmatch(r"<[0-9a-f]{40}@acme\.example>", message_id(mail(1, key="k:ü/ <>\n")))


async def test_the_receipt_of_a_mail_that_a_person_found() -> None:
    assert send.receipt_maker is not None
    async with mailbox() as box:
        sent = await send.function(HELLO, mail(box.port))
        assert send.receipt_maker(HELLO, mail(box.port)) == sent


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\nBcc: everyone@acme.example"},
        {"subject": "Hello\r\n\r\nBody"},
        {"subject": "Hello\n"},
        {"to": "ada@acme.example\n"},
        {"to": "ada@acme.example\nBcc: eve@evil.example"},
        {"to": "ada@acme.example, eve@evil.example"},
        {"to": "Ada <ada@acme.example>"},
        {"to": "ada"},
        {"to": "ada@acme.example> SIZE=1"},
    ],
)
def test_headers_cannot_be_injected(changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Message.model_validate(HELLO.model_dump() | changes)


async def test_headers_cannot_be_injected_past_the_schema() -> None:
    """Not every caller validates; the message itself refuses too."""
    async with mailbox() as box:
        for changes in ({"subject": "Hello\nBcc: eve@evil.example"}, {"to": "a@b.c\nBcc: eve@evil.example"}):
            with pytest.raises(InvalidArgument):
                await send.function(HELLO.model_copy(update=changes), mail(box.port))
    assert box.envelopes == []


@pytest.mark.parametrize("sender", ["nobody", "People\nBcc: x <p@acme.example>", "@acme.example"])
def test_a_sender_must_be_an_address(sender: str) -> None:
    with pytest.raises(ValidationError):
        MailSettings(host="h", port=25, sender=sender)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, InvalidArgument),
        ({"RCPT": "450 4.2.1 greylisted"}, Unavailable),
        ({"MAIL": "553 5.7.1 not your address"}, NotPermitted),
        ({"MAIL": "451 4.3.0 try later"}, Unavailable),
        ({"DATA": "554 5.7.1 looks like spam"}, Failed),
        ({"DATA": "452 4.3.1 disk full"}, Unavailable),
    ],
)
async def test_a_reply_is_definite(answers: dict[str, str], kind: type[ToolError]) -> None:
    async with mailbox(answers) as box:
        with pytest.raises(ToolError) as caught:
            await send.function(HELLO, mail(box.port))
    [answer] = answers.values()
    assert type(caught.value) is kind
    assert f"answered {answer[:3]}: {answer[4:]}" in caught.value.message
    assert caught.value.effect_possible is False


@pytest.mark.parametrize(
    ("last_verb", "effect_possible"),
    [("", False), ("EHLO", False), ("MAIL", False), ("RCPT", False), (".", True)],
)
async def test_a_lost_connection_has_an_effect_only_after_the_message(last_verb: str, effect_possible: bool) -> None:
    def answer(line: str) -> str | None:
        verb = line.partition(" ")[0].upper()
        if verb == last_verb:
            return None
        return {"": "220 hello", "DATA": "354 go on"}.get(verb, "250 OK")

    async with scripted_smtp(answer) as port:
        with pytest.raises(Unavailable) as caught:
            await send.function(HELLO, mail(port))
    assert caught.value.effect_possible is effect_possible


@pytest.mark.parametrize("reply", ["OK", "2x0 taken", "354 go on", "199 hm", "600 hm", "250-" + "x" * 20_000])
@pytest.mark.parametrize("begun", [False, True])
async def test_a_reply_that_is_no_refusal_says_nothing_of_the_message(reply: str, begun: bool) -> None:
    def answer(line: str) -> str | None:
        verb = line.partition(" ")[0].upper()
        if verb == ("." if begun else "RCPT"):
            return reply
        return {"": "220 hello", "DATA": "354 go on"}.get(verb, "250 OK")

    async with scripted_smtp(answer) as port:
        with pytest.raises(ToolError) as caught:
            await send.function(HELLO, mail(port, timeout=1.0))
    assert caught.value.effect_possible is begun
    assert caught.value.retryable or not begun


async def test_an_accepted_mail_is_sent_even_if_the_goodbye_is_lost() -> None:
    def answer(line: str) -> str | None:
        verb = line.partition(" ")[0].upper()
        return None if verb == "QUIT" else {"": "220 hello", "DATA": "354 go on"}.get(verb, "250 OK")

    async with scripted_smtp(answer) as port:
        assert (await send.function(HELLO, mail(port))).messageId


async def test_a_server_that_is_down_has_no_effect() -> None:
    with pytest.raises(Unavailable) as caught:
        await send.function(HELLO, mail(closed_port()))
    assert caught.value.effect_possible is False


async def test_a_silent_server_is_unavailable() -> None:
    async with scripted_http(Answer(delay=5)) as silent:
        port = int(silent.url.rpartition(":")[2])
        with pytest.raises(Unavailable) as caught:
            await send.function(HELLO, mail(port, timeout=0.3))
    assert caught.value.effect_possible is False


async def test_logs_in_where_asked() -> None:
    async with mailbox(credentials=("acme", "pässword")) as box:
        await send.function(HELLO, mail(box.port, username="acme", password="secret://smtp-password"))
        assert len(box.messages) == 1
        with pytest.raises(NotPermitted, match="535") as caught:
            await send.function(HELLO, mail(box.port, username="eve", password="secret://smtp-password"))
    assert "pässword" not in caught.value.message


async def test_tls_that_the_server_cannot_is_no_reason_to_go_without() -> None:
    async with mailbox() as box:
        with pytest.raises(Failed) as caught:
            await send.function(HELLO, mail(box.port, start_tls=True))
        assert box.envelopes == []
    assert caught.value.effect_possible is False


async def test_a_recipient_beyond_ascii() -> None:
    async with mailbox() as box:
        await send.function(HELLO.model_copy(update={"to": "zoë@acme.example"}), mail(box.port))
    assert box.envelopes[0].rcpt_tos == ["zoë@acme.example"]


async def test_reconciles_by_the_archive() -> None:
    assert send.reconciler is not None
    wanted = message_id(mail(1))
    async with scripted_http(Answer(body=b"[]"), Answer(body=b'[{"message_id": "..."}]')) as archive:
        reached = {"archive_url": f"{archive.url}/acme", "archive_token": "secret://archive-token"}
        context = mail(1, **reached, archive_seconds=0)
        assert await send.reconciler(HELLO, context) is None
        receipt = await send.reconciler(HELLO, context)
    assert receipt is not None
    assert receipt.messageId == wanted
    method, target, headers, _ = archive.requests[0]
    assert method == "GET"
    assert target == "/acme/messages?message_id=" + wanted.replace("<", "%3C").replace(">", "%3E").replace("@", "%40")
    assert headers["authorization"] == "Bearer arch1ve"


async def test_an_archive_that_lags_behind_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the answer, with an archive that has the mail only after a while: it is sent once."""
    monkeypatch.setattr(lag, "INTERVAL_SECONDS", 0.02)
    answers = (Answer(body=b"[]"), Answer(body=b"[]"), Answer(body=b'[{"message_id": "..."}]'))
    async with mailbox() as box, scripted_http(*answers) as archive:
        settings = mail(box.port, archive_url=archive.url).settings
        house = House(connector, settings, tmp_path, {})
        answer = await killed_and_called_again(house, "mail.send", HELLO.model_dump(), KillPoint.BEFORE_THE_ANSWER)
    assert answer.error is None and len(box.envelopes) == 1


async def test_an_archive_that_had_its_time_is(tmp_path: Path) -> None:
    async with mailbox() as box, scripted_http(Answer(body=b"[]")) as archive:
        house = House(connector, mail(box.port, archive_url=archive.url, archive_seconds=0).settings, tmp_path, {})
        await killed_and_called_again(house, "mail.send", HELLO.model_dump(), KillPoint.BEFORE_THE_CALL)
        assert len(box.envelopes) == 1
        at = mail(1, archive_url=archive.url, archive_seconds=0.05)
        assert send.reconciler is not None and await send.reconciler(HELLO, at) is None
        assert len(archive.requests) == 3


@pytest.mark.parametrize(
    "answer",
    [Answer(401), Answer(404), Answer(429), Answer(500), Answer(drop=True), Answer(body=b"{}"), Answer(body=b"<html>")],
)
async def test_an_archive_that_cannot_be_asked_decides_nothing(answer: Answer) -> None:
    assert send.reconciler is not None
    async with scripted_http(answer) as archive:
        with pytest.raises(Unavailable) as caught:
            await send.reconciler(HELLO, mail(1, archive_url=archive.url, archive_token="secret://archive-token"))
    assert caught.value.effect_possible is True
    with pytest.raises(Unavailable) as caught:
        await send.reconciler(HELLO, mail(1, archive_url=f"http://127.0.0.1:{closed_port()}"))
    assert caught.value.effect_possible is True


async def test_without_an_archive_a_person_decides() -> None:
    assert send.reconciler is not None
    with pytest.raises(Ambiguous, match=r"archive_url"):
        await send.reconciler(HELLO, mail(1))
