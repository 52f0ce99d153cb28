"""What of processes a tenant may use. All is denied that is not set.

process: {shell: true, script: true, limits: {seconds: 30}}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from factotum.connectors.protocols.egress import EgressSettings

MIB = 1024 * 1024

# The longest that the settings can allow, in seconds; the tools' own time limits lie beyond.
LONGEST_COMMAND = 300.0
LONGEST_CONTAINER = 1800.0


class Limits(BaseModel):
    """Bounds of one command. What passes one is stopped, with all that it started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=60.0, gt=0, le=LONGEST_COMMAND)
    cpu_seconds: int = Field(default=60, gt=0, description="Of each process.")
    memory_mib: int = Field(default=512, ge=16, description="Of all its processes together.")
    processes: int = Field(default=64, ge=4, description="And threads.")
    file_mib: int = Field(default=32, gt=0, description="Of one file, and of all files together twice as much.")
    output_kib: int = Field(default=1024, gt=0, le=4096, description="Of standard output, and of standard error.")


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
    limits: Limits = Limits()
