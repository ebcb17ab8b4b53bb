"""A job session, its log and what it deleted, as each API version writes them.

v1 to v3 and v8.1 follow the vendor's tables. v4 to v7 are inferred: links as before, what the session worked for and
what it deleted as v8.1 tells it. Cosmos sessions have the types that the version knows.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from etl.simulator.points import CosmosAccount, Resource, RestorePoint
from etl.simulator.rules import Repository
from etl.simulator.sessions import JobSession
from etl.simulator.shapes.dotnet import encode, instant, maybe_instant, time_span
from etl.simulator.versions import from_version
from etl.simulator.workloads import WORKLOADS

Item = dict[str, Any]

NOT_TOLD = (
    "healthCheckJobInfo",
    "restoreJobInfo",
    "fileLevelRestoreJobInfo",
    "fileShareFileLevelRestoreJobInfo",
    "repositoryJobInfo",
    "restorePointDataRetrievalJobInfo",
)
"""What a v8.1 session tells of jobs of other kinds: null in all that are simulated."""


def render_session(session: JobSession, version: str, host: str) -> bytes:
    """Return the JSON text of a session as `version` writes it."""
    kind = type_at(session.type, version)
    called = called_at(session, version)
    item: Item = {
        "id": called,
        "type": kind,
        "localizedType": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind),
        "executionStartTime": instant(session.started),
        "executionStopTime": maybe_instant(session.stopped),
        "executionDuration": _duration(session.started, session.stopped),
        "status": session.status,
    }
    if from_version("v4", version):
        item |= _job_info(session)
    else:
        item["usn"] = session.number
    if from_version("v8", version):
        item |= dict.fromkeys(NOT_TOLD) | {"_links": None}
    else:
        address = f"https://{host}/api/{version}/jobSessions/{called}"
        item["_links"] = {"self": {"href": address}, "log": {"href": f"{address}/log"}}
    if version == "v3":
        item["_embeddedResources"] = {}
    return encode({**item, **session.overrides})


def type_at(kind: str, version: str) -> str:
    """Return what `version` calls a type: v7 has one for all Cosmos accounts."""
    return kind if from_version("v8", version) else re.sub(r"^(Postgres|Mongo)Db", "CosmosDb", kind)


def called_at(session: JobSession, version: str) -> str:
    """Return the id of a session: digits at v1, a UUID later."""
    return str(session.number) if version == "v1" else session.id


def log(session: JobSession, version: str) -> Item:
    """Return a session's log: when it began, what it did to each resource or point, when it ended."""
    began, ended = session.started, session.stopped
    lines = [_line("The job has started.", "Success", began, ended, None)]
    if session.removed:
        lines += [
            _line(f"Deleting the restore point of {point.resource.name}.", session.status, began, ended, point.resource)
            for point in session.removed
        ]
    else:
        lines += [
            _line(f"Processing {resource.name}.", session.status, began, ended, resource)
            for resource in session.resources
        ]
    if ended is not None:
        lines.append(_line("The job has finished.", session.status, ended, ended, None))
    return {"jobSessionId": called_at(session, version), "log": lines}


def deleted_item(point: RestorePoint, repository: Repository | None, version: str) -> Item:
    """Return how a point that is gone is told; its own id is not among it."""
    item: Item = {
        "backupSizeBytes": point.backup_size_bytes,
        "snapshotTime": instant(point.point_in_time),
    }
    if not from_version("v4", version):
        return (
            {"id": str(uuid5(NAMESPACE_URL, f"deleted {point.id}"))}
            | item
            | {
                "repository": None if repository is None else {"id": repository.id, "name": repository.name},
                "virtualMachine": resource_told(point.resource, point.workload),
            }
        )
    return item | {
        "repositoryId": None if repository is None else repository.id,
        "repositoryName": None if repository is None else repository.name,
        "resource": resource_told(point.resource, point.workload),
        "_links": None,
    }


def resource_told(resource: Resource, workload: str) -> Item:
    """Return a resource as sessions tell it."""
    kind = WORKLOADS[workload].resource_type
    if isinstance(resource, CosmosAccount):
        types = {"PostgresSql": "Postgres", "MongoRU": "MongoDb"}
        kind = f"{types.get(resource.account_type, resource.account_type)}CosmosAccount"
    return {
        "id": resource.resource_id,
        "name": resource.name,
        "displayName": resource.name,
        "resourceGroupName": resource.resource_group,
        "resourceType": kind,
        "regionId": resource.region.id,
        "regionName": resource.region.name,
        "subscriptionId": resource.subscription_id,
        "subscriptionName": resource.subscription_name,
        "_links": None,
    }


def _job_info(session: JobSession) -> Item:
    policy = session.policy
    backup = policy and {
        "policyId": policy.id,
        "policyName": policy.name,
        "policyType": policy.type,
        "protectedInstancesCount": len(session.resources),
        "policyRemoved": policy.is_removed,
    }
    retention = {"deletedRestorePointsCount": len(session.removed)} if session.type.endswith("Retention") else None
    return {"backupJobInfo": backup, "retentionJobInfo": retention}


def _line(message: str, status: str, began: datetime, ended: datetime | None, resource: Resource | None) -> Item:
    return {
        "logTime": instant(began),
        "status": status,
        "message": message,
        "resourceHashId": None if resource is None else resource.resource_id,
        "executionStartTime": instant(began),
        "executionDuration": _duration(began, ended),
    }


def _duration(began: datetime, ended: datetime | None) -> str | None:
    return None if ended is None else time_span(ended - began)
