"""`factotum tools add|remove|refresh`: where tools come from, beside the connectors that are installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from factotum.cli.errors import BadInput, CommandError
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

# An executor gives reading a source a minute; making tools of a large document comes on top.
ADD_SECONDS = 180.0
MOST_SHOWN = 20

adding = typer.Typer(
    help="Add a source of tools, or put another one in its place: all its tools, or none.",
    no_args_is_help=True,
    invoke_without_command=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The system that its tools belong to: NAME.tool; a-z, 0-9 and _.")
]
ConfigOption = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="JSON|@FILE",
        help="The whole configuration, or @ and a file with it; the options add to it.",
    ),
]
BearerOption = Annotated[str, typer.Option("--bearer", metavar="secret://NAME", help="The secret that is its token.")]


@adding.command("openapi")
def add_openapi(
    name: NameArgument,
    document: Annotated[
        str,
        typer.Option("--document", metavar="FILE|URL", help="OpenAPI 3.0 or 3.1; an address is read by the executor."),
    ] = "",
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="PATTERN", help="issues/*, tag:issues, 'GET /repos/**'; may be repeated."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="PATTERN", help="Of those, the ones that are not taken.")
    ] = None,
    auth: Annotated[
        list[str] | None,
        typer.Option(
            "--auth",
            metavar="SCHEME=secret://NAME",
            help="For a security scheme of the document; or USER:secret://NAME.",
        ),
    ] = None,
    bearer: BearerOption = "",
    base_url: Annotated[
        str,
        typer.Option(
            "--base-url", metavar="URL", help="In place of the document's servers, but not of an operation's own."
        ),
    ] = "",
    reach: Annotated[
        list[str] | None,
        typer.Option(
            "--reach", metavar="ORIGIN", help="A server of the document that may be reached; may be repeated."
        ),
    ] = None,
    config: ConfigOption = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Operations of an API that an OpenAPI document describes. JSON: AddSourceResponse."""
    from factotum.cli import source_config

    made, body = source_config.openapi(
        source_config.given(config, "--config"),
        document=document,
        base_url=base_url,
        reach=reach or [],
        allow=allow or [],
        without=without or [],
        auth=auth or [],
        bearer=bearer,
    )
    _add("openapi", name, made, body, as_json=as_json, data=data, tenant=tenant)


@adding.command("mcp")
def add_mcp(
    name: NameArgument,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Of a server that speaks streamable HTTP.")] = "",
    command: Annotated[
        str,
        typer.Option(
            "--command", metavar="TEXT", help="A program and its arguments that is a server: it speaks stdio."
        ),
    ] = "",
    environment: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME=VALUE", help="For --command; a value may be secret://NAME."),
    ] = None,
    unsandboxed: Annotated[
        bool, typer.Option("--unsandboxed", help="The command may read and reach all that the executor may.")
    ] = False,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="TOOL", help="Of the server; '*' for all; may be repeated.")
    ] = None,
    reads: Annotated[
        list[str] | None, typer.Option("--reads", metavar="TOOL", help="One that only reads; may be repeated.")
    ] = None,
    bearer: BearerOption = "",
    config: ConfigOption = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Tools of an MCP server. JSON: AddSourceResponse."""
    from factotum.cli import source_config

    made = source_config.mcp(
        source_config.given(config, "--config"),
        url=url,
        command=command,
        environment=environment or [],
        unsandboxed=unsandboxed,
        allow=allow or [],
        reads=reads or [],
        bearer=bearer,
    )
    _add("mcp", name, made, b"", as_json=as_json, data=data, tenant=tenant)


@adding.command("grpc")
def add_grpc(
    name: NameArgument,
    address: Annotated[
        str, typer.Option("--address", metavar="ADDRESS", help="grpcs://host:port, or grpc://host:port without TLS.")
    ] = "",
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow", metavar="METHOD", help="library.v1.Library/Borrow, * for any letters; may be repeated."
        ),
    ] = None,
    reads: Annotated[
        list[str] | None, typer.Option("--reads", metavar="METHOD", help="One that only reads; may be repeated.")
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="KEY=VALUE", help="Sent with each call; a value may be secret://NAME."),
    ] = None,
    bearer: BearerOption = "",
    ca_file: Annotated[
        str, typer.Option("--ca-file", metavar="FILE", help="PEM certificates to trust in place of the public ones.")
    ] = "",
    descriptors: Annotated[
        str,
        typer.Option(
            "--descriptors", metavar="FILE", help="What protoc --descriptor_set_out wrote, without reflection."
        ),
    ] = "",
    config: ConfigOption = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Methods of a gRPC service that has server reflection. JSON: AddSourceResponse."""
    from factotum.cli import source_config

    made, document = source_config.grpc(
        source_config.given(config, "--config"),
        address=address,
        allow=allow or [],
        reads=reads or [],
        metadata=metadata or [],
        bearer=bearer,
        ca_file=ca_file,
        descriptors=descriptors,
    )
    _add("grpc", name, made, document, as_json=as_json, data=data, tenant=tenant)


@adding.command("command")
def add_command(
    name: NameArgument,
    file: Annotated[
        str,
        typer.Argument(metavar="[@FILE|JSON]", help="What the commands are, as JSON or YAML; the same as --config."),
    ] = "",
    config: ConfigOption = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Commands, run in a sandbox. JSON: AddSourceResponse."""
    from factotum.cli import source_config

    if bool(file) == bool(config):
        raise BadInput("say once what the commands are: @FILE, or --config @FILE")
    made = source_config.given(file or config, "the description of the commands")
    _add("command", name, made, b"", as_json=as_json, data=data, tenant=tenant)


@adding.command("python")
def add_python(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The system of a connector that is there as a module.")],
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """A connector of an installed package, or of a file in FACTOTUM_TOOLS_FOLDER. JSON: AddSourceResponse.

    Modules are looked for anew if it is not there yet. Code is never sent: it is put where the tool executor runs.
    """
    _add("python", name, {}, b"", as_json=as_json, data=data, tenant=tenant)


def remove(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Remove a source with its tools; calls under way go to their end. JSON: `{removed: name}`.

    A connector that is a module stays for other tenants: `factotum tools add python NAME` brings it back.
    """
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("say --yes: runs and procedures that call its tools will fail")
        if not typer.confirm(f"remove {name}, on which runs and procedures may rely?", err=True):
            raise CommandError("nothing was removed")

    async def ask() -> None:
        async with Connection(data, tenant, os.environ).tools() as tools:
            await tools.RemoveSource(pb.RemoveSourceRequest(tenant=tenant, system=name), timeout=REQUEST_SECONDS)

    run(ask())
    if as_json:
        output.print_json({"removed": name})
        return
    output.say(f"removed {name}")


def refresh(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="The source; without it, all modules of Python are looked for.")
    ] = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Read a source anew; its tools change only by this. JSON: RefreshSourceResponse.

    Modules of Python, of installed packages and of FACTOTUM_TOOLS_FOLDER, are looked for together, for all tenants.
    """
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import run

    request = pb.RefreshSourceRequest(tenant=tenant, system=name)
    output.note(f"reading {name or 'modules of Python'} …")
    answer = output.to_json(run(_asked("RefreshSource", request, name, data, tenant)))
    if as_json:
        output.print_json(answer)
        return
    for word in ("added", "removed", "changed"):
        for tool in answer[word]:
            output.say(f"{word:8} {tool}")
    if not any(answer[word] for word in ("added", "removed", "changed")):
        output.say(f"{name or 'modules of Python'}: nothing has changed")


def print_sources(data: Path, tenant: str, *, as_json: bool) -> None:
    """What `factotum tools list --sources` prints."""
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.ListSourcesResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.ListSources(pb.ListSourcesRequest(tenant=tenant), timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("source", "kind", "tools", "read", "what is wrong", whole=("source", "kind"))
    for source in answer["sources"]:
        table.add_row(
            output.cell(source["system"]),
            output.cell(source["kind"]),
            str(source["tools"]),
            output.local_time(source["read_at"]),
            output.cell(source["fault"]),
        )
    output.console().print(table)
    if not answer["sources"]:
        output.note("none was added yet: factotum tools add --help")


def _add(
    kind: str, name: str, config: dict[str, Any], document: bytes, *, as_json: bool, data: Path, tenant: str
) -> None:
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output, source_config
    from factotum.cli.connection import run

    request = pb.AddSourceRequest(
        tenant=tenant, system=name, kind=kind, config_json=source_config.text_of(config), document=document
    )
    output.note(f"reading {name} …")
    answer = output.to_json(run(_asked("AddSource", request, name, data, tenant)))
    if as_json:
        output.print_json(answer)
        return
    names = answer["tools"]
    for tool in names[:MOST_SHOWN]:
        output.say(tool)
    if len(names) > MOST_SHOWN:
        output.say(f"… and {len(names) - MOST_SHOWN} more: factotum tools list {name}")
    advice = f"; factotum tools test {names[0]}" if names else ""
    output.note(f"added {name}: {len(names)} {'tool' if len(names) == 1 else 'tools'}{advice}")


async def _asked(method: str, request: Any, name: str, data: Path, tenant: str) -> Any:
    """Raises `CommandError`: also where the source, and not the executor, is away."""
    import grpc

    from factotum.cli.connection import Connection

    async with Connection(data, tenant, os.environ).tools() as tools:
        try:
            return await getattr(tools, method)(request, timeout=ADD_SECONDS)
        except grpc.aio.AioRpcError as error:
            details = error.details() or ""
            if error.code() is grpc.StatusCode.UNAVAILABLE and details.startswith(f"{name}: "):
                raise CommandError(f"{details}. Nothing was changed: do it again when it answers") from error
            raise
