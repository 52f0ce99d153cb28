"""What of processes a tenant may use. All is denied that is not set.

process: {shell: true, script: true, limits: {seconds: 30}}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from factotum.connectors.protocols.egress import EgressSettings
from factotum.sdk.sandbox import Limits

# The longest that the settings can allow, in seconds; the tools' own time limits lie beyond.
LONGEST_COMMAND = 300.0
LONGEST_CONTAINER = 1800.0


class CommandLimits(Limits):
    """As long as the tools' own time limits allow."""

    seconds: float = Field(default=60.0, gt=0, le=LONGEST_COMMAND)


class ProcessSettings(EgressSettings):
    """`allow` are the origins that a script's `source` may be fetched from. `images` are the references of the images
    that may run, letter by letter; `volumes` the folders of the container runtime's machine that a container may
    see; `network` lets a container have one."""

    shell: bool = False
    script: bool = False
    container: bool = False
    images: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]")]] = Field(default=[])
    volumes: list[Annotated[str, StringConstraints(pattern=r"^/[^:]*$")]] = Field(default=[])
    network: bool = False
    container_seconds: float = Field(default=600.0, gt=0, le=LONGEST_CONTAINER)
    limits: CommandLimits = CommandLimits()
