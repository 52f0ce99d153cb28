"""Accounts and group memberships over SCIM 2.0 (RFC 7643, RFC 7644).

An account carries the employee's id as `externalId`; by that the system is asked whether an
interrupted creation had its effect. Where its searches lag behind, it is asked again for `index_seconds` before an
account is taken for not created.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, Self, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scim2_client import RequestNetworkException, SCIMClientException
from scim2_client.engines.httpx2 import AsyncSCIMClient
from scim2_models import (
    Email,
    Group,
    ListResponse,
    Name,
    NoTargetException,
    PatchOp,
    PatchOperation,
    Resource,
    SCIMException,
    ScimProvider,
    SearchRequest,
    User,
)
from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Conflict, Failed, InvalidArgument, NotFound, ToolError
from factotum.sdk.http import HTTP_ERRORS, asking, client, reaching, refusal, unreachable
from factotum.sdk.lag import found_in_time
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency
from factotum.sdk.tool import Connector

_SYSTEM = "the identity system"
_PAGE = 100
# More than the longest index_seconds, with the requests before and after.
_CREATE_SECONDS = 660.0
# How far the identity system's clock may be behind ours.
CLOCK_SKEW = timedelta(seconds=5)

R = TypeVar("R", bound=Resource[Any])

ScimId = Annotated[str, Field(min_length=1, max_length=256, description="The id the identity system gave.")]
GroupName = Annotated[str, Field(min_length=1, max_length=256, description="The group's displayName.")]


class IdentitySettings(BaseModel):
    """`base_url` ends in the SCIM version, e.g. https://idp.example/acme/v2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    token: str = Field(description="Reference of the secret, e.g. secret://identity-token.")
    index_seconds: float = Field(
        default=60.0,
        ge=0,
        le=600,
        description="After which an account that was created is certain to be found; 0 if it is found at once.",
    )
    timeout: float = Field(default=15.0, gt=0, description="Seconds, of one request.")


class NewUser(BaseModel):
    model_config = ConfigDict(extra="forbid")

    userName: str = Field(min_length=1, max_length=256)
    externalId: str = Field(min_length=1, max_length=256, description="The employee's id.")
    givenName: str
    familyName: str
    displayName: str | None = None
    email: str | None = Field(default=None, description="Work address.")
    active: bool = True


class UserQuery(BaseModel):
    """What both name must be true of the account."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    userName: str | None = Field(default=None, min_length=1)
    externalId: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.userName is None and self.externalId is None:
            raise ValueError("give a userName or an externalId")
        return self


class UserRef(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: ScimId


class Account(BaseModel):
    id: str
    userName: str
    externalId: str | None = None
    displayName: str | None = None
    active: bool


class AccountWithGroups(Account):
    groups: list[str] = Field(description="The displayNames of the groups the account is a member of.")


class AccountState(BaseModel):
    id: str
    active: bool


class Membership(BaseModel):
    model_config = ConfigDict(extra="forbid")

    userId: ScimId
    group: GroupName


connector = Connector("identity", settings=IdentitySettings)


@connector.tool(
    effect=Effect.CREATE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=_CREATE_SECONDS,
    compensation=Compensation(call="identity.deactivate_user", arguments={"id": "${ .id }"}),
    errors=(*HTTP_ERRORS, Ambiguous),
    examples=[
        Example(
            title="An account for a new employee",
            arguments={
                "userName": "ada@acme.example",
                "externalId": "123",
                "givenName": "Ada",
                "familyName": "Lovelace",
            },
            output={"id": "2819c223", "userName": "ada@acme.example", "externalId": "123", "active": True},
        )
    ],
)
async def create_user(arguments: NewUser, context: ToolContext[IdentitySettings]) -> Account:
    """Create an account for an employee.

    A userName that is taken is a `Conflict`, whoever holds it: it is not for a tool to decide that
    an account it did not make is the one wanted.
    """
    user = _new(arguments)
    async with _scim(context) as scim:
        created = await scim.create(user)
    if not isinstance(created, User):
        raise Failed(f"{_SYSTEM} did not answer with the account it created")
    return _account(created)


@create_user.reconcile
async def find_created(arguments: NewUser, context: ToolContext[IdentitySettings]) -> Account | None:
    """The account with this externalId and this userName; None where the system has had its time and has none.

    An account of another userName under the same externalId is not what this call would have made, nor
    is one that the system had before this effect was begun; more than `CLOCK_SKEW` behind, the system's
    clock makes its own look like one of those, and the call ends in the system's conflict.
    """

    async def search() -> Account | None:
        with asking(_SYSTEM):
            async with _scim(context) as scim:
                found = await _search(scim, User, _equals("externalId", arguments.externalId))
        for user in found:
            # RFC 7643 §4.1.1: userName is case-insensitive.
            if (user.user_name or "").casefold() == arguments.userName.casefold() and _made_since(user, context):
                return _account(user)
        return None

    doubt = f"whether the account was created shows in {_SYSTEM} by and by"
    return await found_in_time(search, context, seconds=context.settings.index_seconds, doubt=doubt)


@connector.tool(
    effect=Effect.NONE,
    errors=HTTP_ERRORS,
    examples=[Example(title="By the employee's id", arguments={"externalId": "123"})],
)
async def find_user(arguments: UserQuery, context: ToolContext[IdentitySettings]) -> AccountWithGroups:
    """Find one account by its userName, by its externalId or by both, with its groups."""
    wanted = {"userName": arguments.userName, "externalId": arguments.externalId}
    terms = [_equals(name, value) for name, value in wanted.items() if value is not None]
    words = " and ".join(str(term) for term in terms)
    async with _scim(context) as scim:
        user = _only(await _search(scim, User, *terms), f"an account with {words}")
        groups = await _search(scim, Group, _equals("members.value", user.id))
    names = sorted(group.display_name for group in groups if group.display_name)
    return AccountWithGroups(**_account(user).model_dump(), groups=names)


@connector.tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.NATIVE,
    compensation=Compensation(call="identity.activate_user", arguments={"id": "${ .id }"}),
    errors=HTTP_ERRORS,
    examples=[Example(title="Somebody leaves", arguments={"id": "2819c223"})],
)
async def deactivate_user(arguments: UserRef, context: ToolContext[IdentitySettings]) -> AccountState:
    """Bar an account from signing in; it and its data stay."""
    return await _set_active(arguments.id, False, context)


@connector.tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.NATIVE,
    compensation=Compensation(call="identity.deactivate_user", arguments={"id": "${ .id }"}),
    errors=HTTP_ERRORS,
    examples=[Example(title="Somebody comes back", arguments={"id": "2819c223"})],
)
async def activate_user(arguments: UserRef, context: ToolContext[IdentitySettings]) -> AccountState:
    """Let a deactivated account sign in again."""
    return await _set_active(arguments.id, True, context)


@connector.tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.NATIVE,
    compensation=Compensation(
        call="identity.remove_from_group", arguments={"userId": "${ .userId }", "group": "${ .group }"}
    ),
    errors=HTTP_ERRORS,
    examples=[Example(title="An engineer", arguments={"userId": "2819c223", "group": "engineering"})],
)
async def add_to_group(arguments: Membership, context: ToolContext[IdentitySettings]) -> Membership:
    """Make an account a member of a group; one that is a member stays one."""
    async with _scim(context) as scim:
        group = await _group(scim, arguments.group)
        # RFC 7644 §3.5.2.1: adding a value that is there changes nothing.
        operation = PatchOperation[Group](op=PatchOperation.Op.add, path="members", value=[{"value": arguments.userId}])
        await scim.modify(Group, group.id, PatchOp[Group](operations=[operation]))
    return Membership(userId=arguments.userId, group=arguments.group)


@connector.tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.NATIVE,
    compensation=Compensation(
        call="identity.add_to_group", arguments={"userId": "${ .userId }", "group": "${ .group }"}
    ),
    errors=HTTP_ERRORS,
    examples=[Example(title="An engineer leaves", arguments={"userId": "2819c223", "group": "engineering"})],
)
async def remove_from_group(arguments: Membership, context: ToolContext[IdentitySettings]) -> Membership:
    """End an account's membership of a group; one that is no member stays none."""
    path = f"members[{_equals('value', arguments.userId)}]"
    async with _scim(context) as scim:
        group = await _group(scim, arguments.group)
        operation = PatchOperation[Group](op=PatchOperation.Op.remove, path=path)
        # Some servers answer noTarget where nobody matches; the member is gone, which is what is asked.
        with suppress(NoTargetException):
            await scim.modify(Group, group.id, PatchOp[Group](operations=[operation]))
    return Membership(userId=arguments.userId, group=arguments.group)


def _new(arguments: NewUser) -> User[Any]:
    full_name = f"{arguments.givenName} {arguments.familyName}".strip()
    try:
        return User(
            user_name=arguments.userName,
            external_id=arguments.externalId,
            name=Name(given_name=arguments.givenName, family_name=arguments.familyName, formatted=full_name),
            display_name=arguments.displayName or full_name,
            emails=[Email(value=arguments.email, type="work", primary=True)] if arguments.email else None,
            active=arguments.active,
        )
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        words = "; ".join(f"{error.title} {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
        raise InvalidArgument(f"{_SYSTEM} takes no such account: {words}") from error


def _made_since(user: User[Any], context: ToolContext[IdentitySettings]) -> bool:
    """Whether the system made the account after the effect was begun. Raises `Ambiguous`."""
    created = user.meta.created if user.meta else None
    if created is None or created.tzinfo is None:
        raise Ambiguous(
            f"{_SYSTEM} has an account {user.user_name} and does not say when it was made: "
            "whether this call made it cannot be told"
        )
    return created >= context.started_at - CLOCK_SKEW


async def _set_active(user_id: str, active: bool, context: ToolContext[IdentitySettings]) -> AccountState:
    operation = PatchOperation[User[Any]](op=PatchOperation.Op.replace_, path="active", value=active)
    async with _scim(context) as scim:
        await scim.modify(User, user_id, PatchOp[User[Any]](operations=[operation]))
    return AccountState(id=user_id, active=active)


async def _group(scim: AsyncSCIMClient, name: str) -> Group:
    # displayName of a group is not unique by RFC 7643, so that more than one may answer.
    return _only(await _search(scim, Group, _equals("displayName", name)), f"a group named {name!r}")


def _only(found: list[R], what: str) -> R:
    if not found:
        raise NotFound(f"{_SYSTEM} does not know {what}")
    if len(found) > 1:
        raise Conflict(f"{_SYSTEM} knows {what} {len(found)} times")
    return found[0]


def _equals(attribute: str, value: str | None) -> FilterNode:
    name, _, sub = attribute.partition(".")
    return Comparison(AttrPath(name, sub or None), CompareOperator.eq, value)


async def _search(scim: AsyncSCIMClient, model: type[R], *terms: FilterNode) -> list[R]:
    """Every resource for which all terms hold, over all pages (RFC 7644 §3.4.2.4)."""
    expression = " and ".join(str(term) for term in terms)
    found: list[R] = []
    while True:
        request = SearchRequest[model](filter=expression, start_index=len(found) + 1, count=_PAGE)  # type: ignore[valid-type]
        page = await scim.query(model, query_parameters=request)
        if not isinstance(page, ListResponse):
            raise Failed(f"{_SYSTEM} did not answer a query with a list")
        found += page.resources or []
        if not page.resources or len(found) >= (page.total_results or 0):
            return found


def _account(user: User[Any]) -> Account:
    if user.id is None or user.user_name is None:
        raise Failed(f"{_SYSTEM} sent an account without id or userName")
    return Account(
        id=user.id,
        userName=user.user_name,
        externalId=user.external_id,
        displayName=user.display_name,
        # Absent means active: RFC 7643 §4.1.1 makes the attribute optional.
        active=user.active is not False,
    )


@asynccontextmanager
async def _scim(context: ToolContext[IdentitySettings]) -> AsyncIterator[AsyncSCIMClient]:
    settings = context.settings
    headers = {"Authorization": f"Bearer {context.secret(settings.token)}"}
    with reaching(_SYSTEM), _translated(context.now()):
        async with client(settings.base_url, timeout=settings.timeout, headers=headers) as http:
            yield AsyncSCIMClient(http, provider=ScimProvider(models=[User, Group]))


@contextmanager
def _translated(now: datetime) -> Iterator[None]:
    """Turns the SCIM library's exceptions into tool errors with the server's own detail."""
    try:
        yield
    except RequestNetworkException as error:
        if isinstance(error.__cause__, httpx2.RequestError):
            raise unreachable(_SYSTEM, error.__cause__) from error
        raise
    except SCIMException as error:
        raise _refused(error, error.detail, now) from error
    except SCIMClientException as error:
        raise _refused(error, "", now) from error


def _refused(error: SCIMException | SCIMClientException, detail: str, now: datetime) -> ToolError:
    response = getattr(error, "source", None)
    if not isinstance(response, httpx2.Response):
        # Nothing was sent: the request itself does not keep to the schema.
        return InvalidArgument(f"this is no valid request to {_SYSTEM}: {error}")
    if response.is_success:
        return Failed(f"{_SYSTEM} sent an answer that cannot be read: {error}")
    return refusal(_SYSTEM, response, detail, now=now)
