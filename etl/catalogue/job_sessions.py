"""Job sessions: what made restore points, what removed them, and everything else that an appliance did."""

from __future__ import annotations

from etl.catalogue.description import Collection, Column, Entity, fields

UNDER_WAY = frozenset({"Running", "RunningWithError", "RunningWithWarning", "Pending", "Canceling"})
"""Statuses of a session that has not ended (the vendor's v8.1 reference)."""

JOB_SESSIONS = Entity(
    table="job_sessions",
    one="job session",
    many="job sessions",
    key=("job_session_id",),
    columns=(
        Column("session_type", "enumeration"),
        Column("localized_type", "name"),
        Column("status", "enumeration"),
        Column("policy_id", "identifier"),
        Column("policy_name", "name"),
        Column("policy_type", "enumeration"),
        Column("is_policy_removed", "flag"),
        Column("started_at", "instant"),
        Column("stopped_at", "ending"),
        Column("duration_seconds", "ending"),
        Column("protected_instances_count", "whole"),
        Column("deleted_restore_points_count", "whole"),
        Column("checked_instances_count", "whole"),
    ),
)

SESSIONS = Collection(
    name="job_sessions",
    entity=JOB_SESSIONS,
    paths=(("v1", "/jobSessions"),),
    fields=fields(
        "job_session_id:id session_type:type localized_type:localizedType status:status "
        "started_at:executionStartTime stopped_at:executionStopTime duration_seconds:executionDuration "
        "protected_instances_count:backupJobInfo.protectedInstancesCount "
        "deleted_restore_points_count:retentionJobInfo.deletedRestorePointsCount "
        "checked_instances_count:healthCheckJobInfo.checkedInstancesCount "
        "policy_type:backupJobInfo.policyType",
        policy_id=("backupJobInfo.policyId", "healthCheckJobInfo.policyId"),
        policy_name=("backupJobInfo.policyName", "healthCheckJobInfo.policyName"),
        is_policy_removed=("backupJobInfo.policyRemoved", "healthCheckJobInfo.policyRemoved"),
    ),
    is_purged=True,
)
