"""The worker's version, as Temporal's worker versioning has it: a run stays with the interpreter it began with."""

from __future__ import annotations

import asyncio

import structlog
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode

from factotum.workflows.version import INTERPRETER_VERSION

logger = structlog.get_logger(__name__)

RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 5.0
# Asking again cannot help: the server knows no deployments, or lets this worker decide nothing about them.
_LASTING = {RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.INVALID_ARGUMENT}


def deployment_version(task_queue: str, interpreter: int = INTERPRETER_VERSION) -> WorkerDeploymentVersion:
    """One deployment a task queue; its build id is the number of the interpreter."""
    # Temporal allows no dot in a deployment's name.
    return WorkerDeploymentVersion(deployment_name=task_queue.replace(".", "-"), build_id=str(interpreter))


async def make_current(client: Client, version: WorkerDeploymentVersion) -> bool:
    """New runs go to this version from now on; whether they do: not where a newer one is current.

    To be called while a worker of the version polls. Waits until Temporal knows of it, and for Temporal as long
    as it takes. Several workers may do it at one time.
    """
    wait = RETRY_SECONDS
    while True:
        try:
            return await _make_current(client, version)
        except RPCError as error:
            if error.status in _LASTING:
                logger.error(
                    "this version was not made current: somebody who may must do it, or no run goes on",
                    version=version.to_canonical_string(),
                    error=error.message,
                )
                return False
            # Not found: the worker has only begun to poll. Failed precondition: another worker was faster.
            if wait >= LONGEST_RETRY_SECONDS:
                logger.warning("waiting to be made current", error=error.message)
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, LONGEST_RETRY_SECONDS)


async def _make_current(client: Client, version: WorkerDeploymentVersion) -> bool:
    service = client.workflow_service
    described = await service.describe_worker_deployment(
        DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=version.deployment_name)
    )
    current = described.worker_deployment_info.routing_config.current_deployment_version.build_id
    if current == version.build_id:
        return True
    if current.isdecimal() and int(current) > int(version.build_id):
        logger.warning("a newer interpreter is current: only its own runs go on with this one", current=current)
        return False
    await service.set_worker_deployment_current_version(
        SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace,
            deployment_name=version.deployment_name,
            build_id=version.build_id,
            conflict_token=described.conflict_token,
            identity=client.identity,
        )
    )
    logger.info("new runs go to this interpreter", version=version.to_canonical_string())
    return True
