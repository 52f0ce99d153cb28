"""Calls of the operations of an OpenAPI document: the answer is checked by what the document says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from factotum.connectors.protocols.egress import Egress, EgressSettings
from factotum.connectors.protocols.exchange import Sending, checked_headers, exchange
from factotum.connectors.protocols.external_resource import nothing_begun
from factotum.connectors.protocols.openapi_interface import Interface
from factotum.connectors.protocols.openapi_paging import Paging, next_link
from factotum.connectors.protocols.openapi_security import Proof, proved
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Failed, ToolError
from factotum.sdk.spec import Effect

_LARGE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Answered:
    """`has_body` tells null from nothing; `complete` is False where pages were left unread."""

    status: int
    headers: Mapping[str, str]
    body: Any = None
    has_body: bool = False
    complete: bool = True

    def output(self, *, paged: bool = False, located: bool = True) -> dict[str, Any]:
        made: dict[str, Any] = {"status": self.status}
        if self.has_body:
            made["body"] = self.body
        if located and "location" in self.headers:
            made["location"] = self.headers["location"]
        return {**made, "complete": self.complete} if paged else made


@dataclass(frozen=True, slots=True)
class Caller:
    """How an operation is called.

    Attributes:
        lenient: take answers that are not as described.
        redirects: follow those of reads, to other origins than the first without credentials.
    """

    interface: Interface
    effect: Effect
    proofs: tuple[Proof, ...] = ()
    lenient: bool = False
    redirects: bool = False

    async def call(
        self,
        arguments: Mapping[str, Any],
        context: ToolContext[Any],
        *,
        egress: Egress,
        settings: EgressSettings,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answered:
        """The success that the operation answers with these arguments, which are valid.

        `headers` are sent besides, but for those that are a parameter which is given.

        Raises the error that a refusal means, `Failed` for a success that is not as described: its effect is there.
        """
        with nothing_begun():
            sending = _headed(self.interface.sending(arguments), headers)
        return await self._sent(sending, context, egress, settings)

    async def all_pages(
        self,
        arguments: Mapping[str, Any],
        paging: Paging,
        context: ToolContext[Any],
        *,
        egress: Egress,
        settings: EgressSettings,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answered:
        """The answers of all pages as one, within the paging's bounds."""
        given: dict[str, Any] | None = paging.first(arguments)
        with nothing_begun():
            sending = _headed(self.interface.sending(given or {}), headers)
        items: list[Any] = []
        for _ in range(paging.pages):
            answer = await self._sent(sending, context, egress, settings)
            items += paging.found(answer.body)
            following: Sending | None = None
            if paging.style == "link":
                url = next_link(answer.headers.get("link", ""), sending.url)
                following = None if url is None else replace(sending, url=url)
            else:
                given = paging.following(given or {}, answer.body)
                following = None if given is None else _headed(self.interface.sending(given), headers)
            if following is None or len(items) >= paging.most_items:
                complete = following is None and len(items) <= paging.most_items
                break
            sending = following
        else:
            complete = False
        return replace(answer, body=paging.merged(answer.body, items[: paging.most_items]), complete=complete)

    async def _sent(
        self, sending: Sending, context: ToolContext[Any], egress: Egress, settings: EgressSettings
    ) -> Answered:
        with nothing_begun():
            sending, auth = await proved(sending, self.proofs, context, egress, timeout=settings.timeout)
        result = await exchange(
            sending,
            auth=auth,
            egress=egress,
            settings=settings,
            output="response",
            redirect=self.redirects and self.effect is Effect.NONE and self._bare,
            now=context.now(),
        )
        told: dict[str, Any] = result.root
        headers = {name.lower(): value for name, value in told["headers"].items()}
        body = told["content"]
        has_body = body is not None or headers.get("content-length", "") not in ("", "0")
        answer = Answered(told["statusCode"], headers, body, has_body and sending.method != "HEAD")
        if not self.lenient and (faults := await self._faults(answer)):
            raise self._undescribed(answer.status, "; ".join(fault.strip() for fault in faults))
        return answer

    @property
    def _bare(self) -> bool:
        """Whether a client takes the credentials off where it is sent elsewhere: it knows no headers but its own."""
        return all(proof.kind in ("basic", "bearer", "oauth2") for proof in self.proofs)

    async def _faults(self, answer: Answered) -> list[str]:
        given = (answer.status, answer.headers.get("content-type", ""), answer.body, answer.has_body)
        length = answer.headers.get("content-length", "")
        if length.isdecimal() and int(length) < _LARGE:
            return self.interface.faults(*given)
        # Which takes some tenths of a second a megabyte, in which other calls go on.
        return await asyncio.to_thread(self.interface.faults, *given)

    def _undescribed(self, status: int, words: str) -> ToolError:
        return Failed(
            f"{self.interface.name} answered {status}, and not as its document describes it: {words}",
            effect_possible=self.effect is not Effect.NONE,
            status=status,
        )


def _headed(sending: Sending, headers: Mapping[str, str]) -> Sending:
    # What the caller of the operation gave counts; the client's own Accept does not.
    given = {name.lower() for name, _ in sending.headers} - {"accept"}
    added = {name: value for name, value in headers.items() if name.lower() not in given}
    replaced = {name.lower() for name in added}
    kept = [pair for pair in sending.headers if pair[0].lower() not in replaced]
    return replace(sending, headers=[*kept, *checked_headers(added)])
