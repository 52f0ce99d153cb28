"""The tools `directory.find`, `create_entry`, `modify_entry`, `move`, `delete_entry`, `add_to_group`,
`remove_from_group` and `set_password`.

A tenant is held to one subtree: every name in a call is read, compared with it and written anew (`names`). Values get
into filters and names escaped (`filters`, `names`), so that they are values whatever is in them.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial

from factotum.connectors.directory import entries, filters
from factotum.connectors.directory.arguments import (
    Deleted,
    Deletion,
    EntryRef,
    Found,
    Membership,
    Modification,
    Modified,
    Move,
    Moved,
    NewEntry,
    Password,
    PasswordSet,
    Search,
)
from factotum.connectors.directory.names import Name, beneath, parsed, relative_text
from factotum.connectors.directory.settings import DirectorySettings
from factotum.connectors.directory.wire import Change, Directory
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    Unavailable,
)
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency
from factotum.sdk.tool import Connector

# How far the directory's clock may be behind ours; it tells whole seconds.
CLOCK_SKEW = timedelta(seconds=5)

_READ_ERRORS = (InvalidArgument, NotPermitted, NotFound, Unavailable, Failed)
_ERRORS = (*_READ_ERRORS, Conflict)
_MEMBERS = frozenset({"member", "memberuid", "uniquemember"})
_TIMEOUT = 150.0
_AT_ONCE = 4
_ADA = "uid=ada,ou=people,dc=acme,dc=example"
_UUID = "5a1e8a1c-5d0f-103f-8d9e-9b1c6a3c2d4e"

connector = Connector("directory", settings=DirectorySettings)
_tool = partial(connector.tool, timeout_seconds=_TIMEOUT, concurrency=_AT_ONCE, errors=_ERRORS)


@_tool(
    effect=Effect.NONE,
    permissions=("directory.read",),
    errors=_READ_ERRORS,
    examples=[
        Example(
            title="A person by mail",
            arguments={
                "conditions": [{"attribute": "mail", "operator": "equals", "value": "ada@acme.example"}],
                "attributes": ["cn", "mail"],
            },
            output={
                "entries": [
                    {
                        "dn": _ADA,
                        "uuid": _UUID,
                        "attributes": {"cn": ["Ada Lovelace"], "mail": ["ada@acme.example"]},
                        "binary": {},
                    }
                ],
                "truncated": False,
            },
        )
    ],
)
async def find(arguments: Search, context: ToolContext[DirectorySettings]) -> Found:
    """Find entries by what is true of their attributes."""
    under = _beneath(arguments.under, context)
    filters.refuse_secrets(*arguments.attributes)
    matching = filters.expression(arguments.conditions, match=arguments.match)
    limit = min(arguments.limit, context.settings.max_entries)

    def work(directory: Directory) -> Found:
        found, truncated = directory.search(
            str(under),
            matching,
            scope=arguments.scope,
            attributes=[*(arguments.attributes or ["*"]), "entryUUID"],
            limit=limit,
        )
        return Found(entries=[entries.entry(dn, values) for dn, values in found], truncated=truncated)

    return await entries.bound(context, work)


@_tool(
    effect=Effect.CREATE,
    idempotency=Idempotency.RECONCILE,
    permissions=("directory.write",),
    compensation=Compensation(call="directory.delete_entry", arguments={"dn": "${ .dn }", "uuid": "${ .uuid }"}),
    examples=[
        Example(
            title="A person",
            arguments={
                "under": "ou=people,dc=acme,dc=example",
                "name": {"uid": "ada"},
                "object_classes": ["inetOrgPerson"],
                "attributes": {"cn": ["Ada Lovelace"], "sn": ["Lovelace"]},
            },
            output={"dn": _ADA, "uuid": _UUID},
        )
    ],
)
async def create_entry(arguments: NewEntry, context: ToolContext[DirectorySettings]) -> EntryRef:
    """Make an entry, such as a person or a group."""
    name = _beneath(arguments.under, context).child(arguments.name)
    filters.refuse_secrets(*arguments.attributes, *arguments.name)
    given = {attribute: values for attribute, values in arguments.attributes.items() if values}
    for attribute, value in arguments.name.items():
        given[attribute] = [value, *(other for other in given.get(attribute, []) if other != value)]

    def work(directory: Directory) -> EntryRef:
        directory.add(str(name), arguments.object_classes, given)
        return EntryRef(dn=str(name), uuid=entries.uuid(directory, name))

    return await entries.bound(context, work)


@create_entry.reconcile
async def find_created(arguments: NewEntry, context: ToolContext[DirectorySettings]) -> EntryRef | None:
    """The entry of this name if it was made since this effect was begun, by whom the settings name.

    More than `CLOCK_SKEW` behind, the directory's clock makes it look older, and the call ends in a conflict.
    """
    name = _beneath(arguments.under, context).child(arguments.name)

    def work(directory: Directory) -> EntryRef | None:
        found = entries.look(directory, name, "entryUUID", "createTimestamp", "creatorsName")
        if found is None:
            return None
        created, creator = entries.one(found, "createTimestamp"), entries.one(found, "creatorsName")
        if created is None:
            raise Ambiguous(f"the directory has {name} and does not say when it was made: whether by this call is open")
        if entries.moment(created) < context.started_at - CLOCK_SKEW:
            return None
        bound = context.settings.bind_dn
        if creator and bound is not None and not parsed(creator).same(parsed(bound)):
            return None
        return EntryRef(dn=str(name), uuid=entries.one(found, "entryUUID"))

    return await entries.asked(context, work)


@_tool(
    effect=Effect.UPDATE,
    permissions=("directory.write",),
    examples=[
        Example(
            title="A new number, no fax",
            arguments={"dn": _ADA, "replace": {"telephoneNumber": ["+44 20 1"], "facsimileTelephoneNumber": []}},
            output={"dn": _ADA, "replaced": ["facsimileTelephoneNumber", "telephoneNumber"]},
        )
    ],
)
async def modify_entry(arguments: Modification, context: ToolContext[DirectorySettings]) -> Modified:
    """Replace all values of an entry's attributes; other attributes stay as they are."""
    name = _beneath(arguments.dn, context)
    filters.refuse_secrets(*arguments.replace)
    for attribute in arguments.replace:
        # Who may change a person's number may not for that make anybody an administrator.
        if attribute.lower() in _MEMBERS | {context.settings.member.lower()}:
            raise NotPermitted(f"{attribute} is changed by directory.add_to_group and directory.remove_from_group only")
    changes: dict[str, tuple[Change, list[str]]] = {
        attribute: ("replace", values) for attribute, values in arguments.replace.items()
    }

    def work(directory: Directory) -> Modified:
        directory.modify(str(name), changes)
        return Modified(dn=str(name), replaced=sorted(changes))

    return await entries.bound(context, work)


@_tool(
    effect=Effect.DELETE,
    permissions=("directory.delete",),
    examples=[Example(title="This one", arguments={"dn": _ADA, "uuid": _UUID}, output={"dn": _ADA})],
)
async def delete_entry(arguments: Deletion, context: ToolContext[DirectorySettings]) -> Deleted:
    """Delete an entry that has none beneath it; one that is gone already is deleted."""
    name = _beneath(arguments.dn, context)

    def work(directory: Directory) -> Deleted:
        if arguments.uuid is not None:
            found = entries.look(directory, name, "entryUUID")
            if found is None:
                return Deleted(dn=str(name))
            if entries.one(found, "entryUUID") != arguments.uuid:
                raise Conflict(f"{name} is another entry now: its uuid is {entries.one(found, 'entryUUID')}")
        # One that is gone is what is asked.
        with suppress(NotFound):
            directory.delete(str(name))
        return Deleted(dn=str(name))

    return await entries.bound(context, work)


@_tool(
    effect=Effect.UPDATE,
    permissions=("directory.membership",),
    compensation=Compensation(
        call="directory.remove_from_group", arguments={"group": "${ .group }", "member": "${ .member }"}
    ),
    examples=[Example(title="One more", arguments={"group": "cn=staff,ou=groups,dc=acme,dc=example", "member": _ADA})],
)
async def add_to_group(arguments: Membership, context: ToolContext[DirectorySettings]) -> Membership:
    """Make an entry a member of a group; one that is a member stays one."""
    return await _membership(arguments, "add", context)


@_tool(
    effect=Effect.UPDATE,
    permissions=("directory.membership",),
    compensation=Compensation(
        call="directory.add_to_group", arguments={"group": "${ .group }", "member": "${ .member }"}
    ),
    examples=[Example(title="One less", arguments={"group": "cn=staff,ou=groups,dc=acme,dc=example", "member": _ADA})],
)
async def remove_from_group(arguments: Membership, context: ToolContext[DirectorySettings]) -> Membership:
    """End an entry's membership of a group; one that is no member stays none."""
    return await _membership(arguments, "delete", context)


@_tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.RECONCILE,
    permissions=("directory.password",),
    examples=[Example(title="The first one", arguments={"dn": _ADA, "secret": "first-password"}, output={"dn": _ADA})],
)
async def set_password(arguments: Password, context: ToolContext[DirectorySettings]) -> PasswordSet:
    """Set an entry's password to the value of a secret (RFC 3062; not Active Directory's way)."""
    name, password = _beneath(arguments.dn, context), _password(arguments, context)

    def work(directory: Directory) -> PasswordSet:
        directory.set_password(str(name), password)
        return PasswordSet(dn=str(name))

    return await entries.bound(context, work)


@set_password.reconcile
async def find_password(arguments: Password, context: ToolContext[DirectorySettings]) -> PasswordSet | None:
    """Whether it is the entry's password now: by signing in with it."""
    name, password = _beneath(arguments.dn, context), _password(arguments, context)

    def work(_: Directory) -> PasswordSet | None:
        try:
            with Directory(context.settings).bound(str(name), password):
                return PasswordSet(dn=str(name))
        except NotPermitted:
            return None

    return await entries.asked(context, work)


@_tool(
    effect=Effect.UPDATE,
    permissions=("directory.write",),
    compensation=Compensation(
        call="directory.move",
        arguments={
            "dn": "${ .dn }",
            "uuid": "${ .uuid }",
            "name": "${ .previous_name }",
            "under": "${ .previous_under }",
        },
    ),
    examples=[
        Example(
            title="To those who have left",
            arguments={"dn": _ADA, "uuid": _UUID, "under": "ou=left,dc=acme,dc=example"},
            output={
                "dn": "uid=ada,ou=left,dc=acme,dc=example",
                "uuid": _UUID,
                "previous_name": {"uid": "ada"},
                "previous_under": "ou=people,dc=acme,dc=example",
            },
        )
    ],
)
async def move(arguments: Move, context: ToolContext[DirectorySettings]) -> Moved:
    """Give an entry another name, or put it beneath another entry, with all that is beneath it."""
    name = _beneath(arguments.dn, context)
    if name.same(context.settings.subtree):
        raise NotPermitted(f"{name} is the tenant's base and stays where it is")
    under = name.parent if arguments.under is None else _beneath(arguments.under, context)
    to = under.child(dict(name.parts[0]) if arguments.name is None else arguments.name)
    filters.refuse_secrets(*(arguments.name or {}))
    if to.same(name):
        raise InvalidArgument(f"{name} is to be moved to where it is")
    moved = Moved(dn=str(to), uuid=arguments.uuid, previous_name=dict(name.parts[0]), previous_under=str(name.parent))

    def work(directory: Directory) -> Moved:
        there = entries.look(directory, to, "entryUUID")
        if there is not None and entries.one(there, "entryUUID") == arguments.uuid:
            return moved
        here = entries.look(directory, name, "entryUUID")
        if here is None:
            raise NotFound(f"the directory has no {name}")
        if entries.one(here, "entryUUID") != arguments.uuid:
            raise Conflict(f"{name} is another entry now: its uuid is {entries.one(here, 'entryUUID')}")
        directory.move(str(name), relative_text(to.parts[0]), str(to.parent))
        return moved

    return await entries.bound(context, work)


async def _membership(arguments: Membership, change: Change, context: ToolContext[DirectorySettings]) -> Membership:
    group, member = _beneath(arguments.group, context), _beneath(arguments.member, context)

    def work(directory: Directory) -> Membership:
        attribute = context.settings.member
        try:
            directory.modify(str(group), {attribute: (change, [str(member)])})
        except (Conflict, NotFound):
            # attributeOrValueExists and noSuchAttribute say that it is as asked; what else they could be, the group
            # itself tells.
            if entries.is_member(directory, group, member, attribute) != (change == "add"):
                raise
        return Membership(group=str(group), member=str(member))

    return await entries.bound(context, work)


def _beneath(dn: str | None, context: ToolContext[DirectorySettings]) -> Name:
    base = context.settings.subtree
    return base if dn is None else beneath(dn, base)


def _password(arguments: Password, context: ToolContext[DirectorySettings]) -> str:
    password = context.declared_secret(arguments.secret)
    if not password:
        raise InvalidArgument(f"the secret {arguments.secret!r} is empty")
    return password
