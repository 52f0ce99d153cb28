"""One connection to a directory, by ldap3. All that touches the library, but for its result codes, is here."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, TypeAlias

from ldap3 import (
    BASE,
    DEREF_NEVER,
    LEVEL,
    MODIFY_ADD,
    MODIFY_DELETE,
    MODIFY_REPLACE,
    NONE,
    SAFE_SYNC,
    SIMPLE,
    SUBTREE,
    Connection,
    Server,
    Tls,
)
from ldap3.core.exceptions import LDAPException
from ldap3.core.results import RESULT_SIZE_LIMIT_EXCEEDED, RESULT_SUCCESS
from ldap3.extend.standard.modifyPassword import ModifyPassword

from factotum.connectors.directory.results import refusal, unreachable
from factotum.connectors.directory.settings import DirectorySettings
from factotum.sdk.errors import Failed, NotPermitted

Scope: TypeAlias = Literal["entry", "children", "subtree"]
Change: TypeAlias = Literal["add", "delete", "replace"]
Values: TypeAlias = Mapping[str, Sequence[str]]

_SCOPES = {"entry": BASE, "children": LEVEL, "subtree": SUBTREE}
_CHANGES = {"add": MODIFY_ADD, "delete": MODIFY_DELETE, "replace": MODIFY_REPLACE}
_PAGE = 200
_PAGED_RESULTS = "1.2.840.113556.1.4.319"


class _Verified(Tls):  # type: ignore[misc]
    """TLS as Python's own library checks it, the host's name too."""

    def __init__(self, ca: str | None, host: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = ssl.create_default_context(cafile=ca)
        self._host = host

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._host)


class Directory:
    """A bound connection. Every method raises `ToolError`; those that change something say of a lost answer that the
    effect is possible."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings = settings
        self._connection: Any = None

    @contextmanager
    def bound(self, dn: str | None, password: str | None) -> Iterator[Directory]:
        """Connected and bound until the block ends; nothing is said before TLS is there, where it is to be."""
        if dn is not None and not password:
            # RFC 4513 §5.1.2: a server takes a name without a password for nobody, and says success.
            raise NotPermitted("the password that the directory is to be given is empty", effect_possible=False)
        host, port, secure = self._settings.address
        try:
            # Reading the certificates takes a while.
            tls = _Verified(self._settings.ca, host) if secure or self._settings.start_tls else None
        except OSError as error:
            raise Failed(f"the certificates to trust cannot be read: {error}", effect_possible=False) from error
        with self._asked(sent=False):
            server = Server(host, port, use_ssl=secure, tls=tls, get_info=NONE, connect_timeout=self._settings.seconds)
            self._connection = Connection(
                server,
                user=dn,
                password=password,
                authentication=SIMPLE if dn is not None else None,
                client_strategy=SAFE_SYNC,
                receive_timeout=self._settings.seconds,
                auto_referrals=False,
                check_names=False,
                auto_encode=False,
                raise_exceptions=False,
            )
            self._connection.open(read_server_info=False)
        try:
            with self._asked(sent=False):
                if not secure and self._settings.start_tls:
                    self._connection.start_tls(read_server_info=False)
                self._succeeded(self._connection.bind(read_server_info=False))
            yield self
        finally:
            # It is going away, whatever it says to that.
            with suppress(LDAPException, OSError):
                self._connection.unbind()

    def stop(self) -> None:
        """Lets whoever waits for an answer wait no longer."""
        opened = getattr(self._connection, "socket", None)
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def search(
        self, base: str, matching: str, *, scope: Scope, attributes: Sequence[str], limit: int
    ) -> tuple[list[tuple[str, dict[str, list[bytes]]]], bool]:
        """Entries by DN with their raw values, and whether there are more than `limit`."""
        found: list[tuple[str, dict[str, list[bytes]]]] = []
        cookie: bytes | None = None
        with self._asked(sent=False):
            while True:
                _, result, response, _ = self._connection.search(
                    base,
                    matching,
                    search_scope=_SCOPES[scope],
                    dereference_aliases=DEREF_NEVER,
                    attributes=list(attributes),
                    time_limit=self._settings.seconds,
                    paged_size=None if scope == "entry" else min(_PAGE, limit + 1),
                    paged_cookie=cookie,
                )
                found += [
                    (entry["dn"], {name: list(values) for name, values in entry["raw_attributes"].items()})
                    for entry in response or ()
                    if entry["type"] == "searchResEntry"
                ]
                if len(found) > limit:
                    return found[:limit], True
                if result["result"] == RESULT_SIZE_LIMIT_EXCEEDED:
                    return found, True
                self._succeeded((None, result, response, None))
                page = (result.get("controls") or {}).get(_PAGED_RESULTS)
                cookie = page["value"]["cookie"] if page else None
                if not cookie:
                    return found, False

    def add(self, dn: str, object_classes: Sequence[str], attributes: Values) -> None:
        with self._asked(sent=True):
            self._succeeded(self._connection.add(dn, list(object_classes), _bytes(attributes)))

    def modify(self, dn: str, changes: Mapping[str, tuple[Change, Sequence[str]]]) -> None:
        made = {
            name: [(_CHANGES[change], [value.encode() for value in values])]
            for name, (change, values) in changes.items()
        }
        with self._asked(sent=True):
            self._succeeded(self._connection.modify(dn, made))

    def delete(self, dn: str) -> None:
        with self._asked(sent=True):
            self._succeeded(self._connection.delete(dn))

    def move(self, dn: str, relative: str, under: str) -> None:
        with self._asked(sent=True):
            self._succeeded(self._connection.modify_dn(dn, relative, delete_old_dn=True, new_superior=under))

    def set_password(self, dn: str, password: str) -> None:
        """By the extended operation of RFC 3062: how it is kept is the server's to say."""
        with self._asked(sent=True):
            operation = ModifyPassword(self._connection, dn, new_password=password.encode())
            operation.send()
            self._succeeded((None, operation.result))

    def _succeeded(self, answer: tuple[Any, ...]) -> None:
        result = answer[1]
        if result["result"] != RESULT_SUCCESS:
            raise refusal(result)

    @contextmanager
    def _asked(self, *, sent: bool) -> Iterator[None]:
        try:
            yield
        except LDAPException as error:
            raise unreachable(error, sent=sent) from error


def _bytes(attributes: Values) -> dict[str, list[bytes]]:
    return {name: [value.encode() for value in values] for name, values in attributes.items()}
