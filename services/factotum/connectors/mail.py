"""Mail over SMTP, with an archive to ask where there is one.

The Message-ID (RFC 5322 §3.6.4) is derived from tenant and idempotency key, so that the same effect always
has the same one. SMTP itself cannot be asked whether a message was taken; an archive can. One that records
every message *before* the server acknowledges it has `archive_seconds: 0`. Of any other, a message that it does not
have yet may have been sent: it is asked again for so long before the mail is sent a second time.
"""

from __future__ import annotations

import hashlib
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Annotated, Any, Self

import aiosmtplib
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Failed, InvalidArgument, NotPermitted, ToolError, Unavailable
from factotum.sdk.http import HTTP_ERRORS, asking, client, reaching, refusal
from factotum.sdk.lag import found_in_time
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.tool import Connector

_SYSTEM = "the mail server"
_ARCHIVE = "the mail archive"
_LIST = TypeAdapter(list[Any])
# More than the longest archive_seconds, with the conversation before and after.
_SEND_SECONDS = 690.0

MailAddress = Annotated[
    str,
    Field(
        pattern=r"^[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+$",
        max_length=254,
        description="One bare address.",
        examples=["ada@acme.example"],
    ),
]


class MailSettings(BaseModel):
    """One SMTP submission server. `use_tls` is TLS from the start, `start_tls` None upgrades where offered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    port: int = Field(gt=0, le=65535)
    sender: str = Field(examples=["People Team <people@acme.example>"])
    use_tls: bool = False
    start_tls: bool | None = None
    username: str | None = None
    password: str | None = Field(default=None, description="Reference of the secret.")
    archive_url: str | None = None
    archive_token: str | None = Field(default=None, description="Reference of the secret.")
    archive_seconds: float = Field(
        default=300.0,
        ge=0,
        le=600,
        description="After which a mail that was sent is certain to be in the archive; 0 if it is there before the "
        "mail server acknowledges it.",
    )
    timeout: float = Field(default=20.0, gt=0, description="Seconds, for each exchange with the server.")

    @field_validator("sender")
    @classmethod
    def _an_address(cls, value: str) -> str:
        local, at, domain = parseaddr(value)[1].partition("@")
        if not (local and at and domain) or "\r" in value or "\n" in value:
            raise ValueError("not a mail address")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.use_tls and self.start_tls:
            raise ValueError("use_tls and start_tls exclude each other")
        return self


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    to: MailAddress
    subject: str = Field(min_length=1, max_length=500, pattern=r"^[^\r\n]+$")
    text: str
    html: str | None = None


class Receipt(BaseModel):
    messageId: str = Field(description="With its angle brackets.")


connector = Connector("mail", settings=MailSettings)


class _Conversation(aiosmtplib.SMTP):
    """Knows whether the message itself was begun: before that a lost connection has no effect."""

    message_begun = False

    async def data(self, *args: Any, **kwargs: Any) -> aiosmtplib.SMTPResponse:
        self.message_begun = True
        return await super().data(*args, **kwargs)


def message_id(context: ToolContext[MailSettings]) -> str:
    """The Message-ID of the mail that a tenant's key stands for, at the sender's domain."""
    # 40 hex digits keep the header on one line: folding a Message-ID breaks it for many readers.
    digest = hashlib.sha256(f"{context.tenant}\n{context.idempotency_key}".encode()).hexdigest()[:40]
    return f"<{digest}@{parseaddr(context.settings.sender)[1].rpartition('@')[2]}>"


@connector.tool(
    effect=Effect.SEND,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=_SEND_SECONDS,
    errors=(*HTTP_ERRORS, Ambiguous),
    examples=[
        Example(
            title="A welcome",
            arguments={"to": "ada@acme.example", "subject": "Welcome, Ada!", "text": "We are glad that you are here."},
        )
    ],
)
async def send(arguments: Message, context: ToolContext[MailSettings]) -> Receipt:
    """Send a mail to one person."""
    settings = context.settings
    message = _compose(arguments, context)
    conversation = _Conversation(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.use_tls,
        start_tls=settings.start_tls,
        username=settings.username,
        password=context.secret(settings.password) if settings.password else None,
        timeout=settings.timeout,
    )
    try:
        async with conversation:
            await conversation.send_message(message)
    except (aiosmtplib.SMTPException, OSError) as error:
        raise _meaning(error, message_begun=conversation.message_begun) from error
    except ValueError as error:
        if conversation.message_begun:
            raise Unavailable(f"{_SYSTEM} sent an answer that cannot be read: {error}") from error
        raise InvalidArgument(f"the mail cannot be sent as it is: {error}") from error
    return Receipt(messageId=message["Message-ID"])


@send.reconcile
async def find_sent(arguments: Message, context: ToolContext[MailSettings]) -> Receipt | None:
    """The receipt if the archive holds the Message-ID; None where it has had its time and does not."""
    settings, wanted = context.settings, message_id(context)
    if settings.archive_url is None:
        raise Ambiguous(
            f"whether mail {wanted} was sent cannot be asked: no archive_url is set; look into the mail server's log"
        )
    address = settings.archive_url

    async def look() -> Receipt | None:
        with asking(_ARCHIVE):
            found = await _archived(address, wanted, context)
        return Receipt(messageId=wanted) if found else None

    doubt = f"whether mail {wanted} was sent shows in {_ARCHIVE} by and by"
    return await found_in_time(look, context, seconds=settings.archive_seconds, doubt=doubt)


@send.receipt
def receipt(arguments: Message, context: ToolContext[MailSettings]) -> Receipt:
    """The receipt of a mail that was sent."""
    return Receipt(messageId=message_id(context))


async def _archived(address: str, wanted: str, context: ToolContext[MailSettings]) -> list[Any]:
    settings = context.settings
    token = context.secret(settings.archive_token) if settings.archive_token else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with reaching(_ARCHIVE):
        async with client(address, timeout=settings.timeout, headers=headers) as http:
            response = await http.get("messages", params={"message_id": wanted})
    if not response.is_success:
        raise refusal(_ARCHIVE, response, response.text, now=context.now())
    return _as_list(response.content)


def _as_list(body: bytes) -> list[Any]:
    try:
        return _LIST.validate_json(body)
    except ValueError as error:
        raise Failed(f"{_ARCHIVE} did not answer with a JSON list") from error


def _compose(arguments: Message, context: ToolContext[MailSettings]) -> EmailMessage:
    name, address = parseaddr(context.settings.sender)
    message = EmailMessage(policy=SMTP_POLICY)
    try:
        message["From"] = Address(display_name=name, addr_spec=address)
        # By its parts: as a whole, the standard library takes no local part beyond ASCII (RFC 6531).
        local, _, domain = arguments.to.rpartition("@")
        message["To"] = Address(username=local, domain=domain)
        message["Subject"] = arguments.subject
        message["Date"] = format_datetime(context.now())
        message["Message-ID"] = message_id(context)
        # RFC 3834: asks auto-responders not to answer a machine.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(arguments.text)
        if arguments.html is not None:
            message.add_alternative(arguments.html, subtype="html")
    except (ValueError, MessageError) as error:
        raise InvalidArgument(f"the mail cannot be written: {error}") from error
    return message


def _meaning(error: Exception, *, message_begun: bool) -> ToolError:
    """A refusal by the server is definite; anything else only before the message."""
    if message_begun and isinstance(error, aiosmtplib.SMTPResponseException) and not 400 <= error.code < 600:
        # aiosmtplib's -1, a reply that is none, or a code that has no meaning here.
        return Unavailable(f"{_SYSTEM} sent an answer that cannot be read: {error.code} {error.message}")
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[refused, *_]):
            return _reply(refused.code, refused.message, permanent=InvalidArgument)
        case aiosmtplib.SMTPAuthenticationError():
            return _reply(error.code, error.message, permanent=NotPermitted)
        case aiosmtplib.SMTPSenderRefused():
            return _reply(error.code, error.message, permanent=NotPermitted)
        case aiosmtplib.SMTPResponseException():
            return _reply(error.code, error.message, permanent=Failed)
        case OSError():
            return Unavailable(f"{_SYSTEM} does not answer: {error}", effect_possible=message_begun)
        case _:
            # What the server does not offer: STARTTLS, AUTH, SMTPUTF8. The library finds out before it sends.
            return Failed(f"{_SYSTEM} cannot do what is asked: {error}", effect_possible=message_begun)


def _reply(code: int, words: str, *, permanent: type[ToolError]) -> ToolError:
    message = f"{_SYSTEM} answered {code}: {words}"
    if 400 <= code < 500:
        return Unavailable(message, effect_possible=False)
    return permanent(message, effect_possible=False)
