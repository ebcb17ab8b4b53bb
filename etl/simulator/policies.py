"""What the appliance tells of its rules: policies with their schedules, what they protect, SLA, repositories."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from etl.simulator.fleet import Policy
from etl.simulator.inventory import is_deleted, resources
from etl.simulator.rules import TIERS
from etl.simulator.schedule import Job, events
from etl.simulator.shapes.dotnet import maybe_instant
from etl.simulator.shapes.others import tenant_id
from etl.simulator.state import State

Item = dict[str, Any]
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def policies(state: State, workload: str) -> list[Item]:
    """Return the schedule-based policies of a workload, in order of priority."""
    return [_policy(state, policy) for policy in state.rules.of(workload)]


def protecting(state: State, workload: str) -> list[Item]:
    """Return which policy protects which resource of a workload."""
    found = []
    for held in resources(state, workload):
        policy = state.protecting(held)
        if policy is not None and not is_deleted(state, held):
            found.append(
                {
                    "resourceId": held.protected.resource.resource_id,
                    "policyId": state.rules.id(policy),
                    "subscriptionId": held.protected.resource.subscription_id,
                }
            )
    return found


def network_policy(state: State) -> Item:
    """Return `/policy/vnet`, which is one object; disabled where no network is protected."""
    policy = next(iter(state.rules.of("vnet")), None)
    item: Item = {
        "id": state.chance.uuid("network policy"),
        "name": "Network configuration",
        "isEnabled": policy is not None,
        "backupIntervalMinutes": None,
        "backupIntervalHours": 24,
        "retentionPeriodDays": 30 if policy is None else policy.backup_days,
        "retentionPeriodWeeks": None,
        "retentionPeriodMonths": None,
        "targetRepositoryId": None,
        "nextExecutionTime": policy and maybe_instant(_next_run(state, policy)),
    }
    if policy is not None:
        item |= {"id": state.rules.id(policy)} | state.rules.overrides.get(policy.name, {})
    return item


def sla_policies(state: State) -> list[Item]:
    """Return the SLA-based policies of machines: like the others, but with a template in place of schedules."""
    return [
        _common(state, one["id"], one["name"], priority)
        | {
            "slaPolicyTemplateId": one["template_id"],
            "storagePolicyTemplateId": state.chance.uuid("storage template"),
            "snapshotDestinations": None,
        }
        | state.rules.overrides.get(one["name"], {})
        for priority, one in enumerate(state.rules.sla, 1)
    ]


def sla_templates(state: State) -> list[Item]:
    """Return the SLA templates in use."""
    used: dict[str, list[str]] = {}
    names = {}
    for one in state.rules.sla:
        used.setdefault(one["template_id"], []).append(one["name"])
        names[one["template_id"]] = one["template_name"]
    return [
        {
            "id": template_id,
            "name": names[template_id],
            "description": "",
            "lastModifiedUtc": "2025-01-01T00:00:00Z",
            "assignedPolicies": len(assigned),
            "slaConfiguration": {
                "snapshot": {"daily": _every(12, "Hour", 3, "Day"), "weekly": None, "monthly": None},
                "backup": {
                    "daily": _every(1, "Day", 14, "Day"),
                    "weekly": _every(1, "Week", 4, "Week"),
                    "monthly": None,
                    "archive": None,
                },
                "executionWindow": {"windowOpening": "20:00", "windowClosing": "06:00"},
                "threshold": {"metTargetAbove": 95, "missedTargetBelow": 80},
            },
        }
        for template_id, assigned in used.items()
    ]


def repositories(state: State) -> list[Item]:
    """Return a repository for each access tier that is in use."""
    tiers = state.rules.tiers() | {point.access_tier for point in state.all_points() if point.access_tier}
    immutable = {policy.access_tier for policy in state.rules.policies if policy.immutable_days}
    return [_repository(state, tier, tier in immutable) for tier in TIERS if tier in tiers]


def _every(number: int, unit: str, kept: int, kept_unit: str) -> Item:
    return {
        "scheduleEnabled": True,
        "createEvery": number,
        "createUnit": unit,
        "storeFor": kept,
        "storeForUnit": kept_unit,
    }


def _repository(state: State, tier: str, immutable: bool) -> Item:
    repository, who = state.rules.repository(tier), state.identity
    return {
        "id": repository.id,
        "name": repository.name,
        "description": "",
        "storageTier": tier,
        "isStorageTierInferred": False,
        "enableEncryption": True,
        "immutabilityEnabled": immutable,
        "regionId": who.region.id,
        "regionName": who.region.name,
        "azureStorageAccountId": f"/subscriptions/{who.subscription_id}/resourceGroups/{who.resource_group}/providers"
        f"/Microsoft.Storage/storageAccounts/backups{tier.lower()}",
        "azureStorageAccountName": f"backups{tier.lower()}",
        "azureStorageContainer": {"name": "backups"},
        "azureStorageFolder": {"name": repository.name},
        "azureAccountId": state.chance.uuid("azure account"),
        "repositoryType": "Backup",
        "status": "Ready",
        "repositoryOwnership": {"hasAnotherOwner": False, "currentOwnerName": None},
        "concurrencyLimit": None,
        "storageConsumptionLimit": None,
        "veeamVaultId": None,
        "hint": None,
    }


def _common(state: State, policy_id: str, name: str, priority: int) -> Item:
    return {
        "id": policy_id,
        "name": name,
        "description": "",
        "priority": priority,
        "isEnabled": True,
        "tenantId": tenant_id(),
        "serviceAccountId": state.chance.uuid("azure account"),
        "backupType": "SelectedItems",
        "excludedItemsCount": 0,
        "snapshotStatus": "Success",
        "backupStatus": "Success",
        "archiveStatus": "NeverExecuted",
        "healthCheckStatus": "NeverExecuted",
        "nextExecutionTime": None,
        "retrySettings": {"retryCount": 3},
        "policyNotificationSettings": None,
    }


def _policy(state: State, policy: Policy) -> Item:
    backs_up = policy.backup_hour is not None
    takes_snapshots = bool(policy.snapshot_hours)
    siblings = state.rules.of(policy.workload)
    item = _common(state, state.rules.id(policy), policy.name, siblings.index(policy) + 1) | {
        "isBackupConfigured": backs_up,
        "isArchiveBackupConfigured": policy.archives,
        "isScheduleConfigured": True,
        "snapshotStatus": "Success" if takes_snapshots else "NeverExecuted",
        "backupStatus": "Success" if backs_up else "NeverExecuted",
        "archiveStatus": "Success" if policy.archives else "NeverExecuted",
        "nextExecutionTime": maybe_instant(_next_run(state, policy)),
        **_schedules(state, policy),
        "healthCheckSchedule": None,
    }
    if policy.workload == "vm":
        item |= {"convertedWithLoss": False, "cbtResetTimeUtc": None, "snapshotSettings": None}
    elif policy.workload == "file_share":
        item |= {"enableIndexing": True, "indexingStatus": "Success"}
    elif policy.workload == "cosmos_db":
        item |= {
            "backupWorkloads": ["PostgresSql", "MongoRU"],
            "continuousBackupType": "Continuous7Days",
            "configurationStatus": "Success",
        }
    return item | state.rules.overrides.get(policy.name, {})


def _schedules(state: State, policy: Policy) -> Item:
    """Return the four schedules; archives are what stands in all but the daily one."""
    return {
        "dailySchedule": {
            "dailyType": "Everyday",
            "selectedDays": None,
            "runsPerHour": 1,
            "snapshotSchedule": _snapshots(policy),
            "backupSchedule": _backups(state, policy),
        },
        "weeklySchedule": _weekly(state, policy) if policy.archive_weeks else None,
        "monthlySchedule": _monthly(state, policy) if policy.archive_months else None,
        "yearlySchedule": _yearly(state, policy) if policy.archive_years else None,
    }


def _snapshots(policy: Policy) -> Item | None:
    if not policy.snapshot_hours:
        return None
    return {"hours": list(policy.snapshot_hours), "snapshotsToKeep": policy.snapshots_to_keep}


def _backups(state: State, policy: Policy) -> Item | None:
    if policy.backup_hour is None:
        return None
    return {
        "hours": [policy.backup_hour],
        "retention": _kept(policy.backup_days, "Days"),
        "targetRepositoryId": state.rules.repository(policy.access_tier).id,
    }


def _weekly(state: State, policy: Policy) -> Item:
    return {
        "startTime": policy.backup_hour,
        "snapshotSchedule": None,
        "backupSchedule": {
            "selectedDays": ["Sunday"],
            "retention": _kept(7 * policy.archive_weeks, "Days"),
            "targetRepositoryId": state.rules.repository("Archive").id,
        },
    }


def _monthly(state: State, policy: Policy) -> Item:
    return _first_sunday(policy) | {
        "monthlyLastDay": False,
        "snapshotSchedule": None,
        "backupSchedule": {
            "selectedMonths": list(MONTHS),
            "retention": _kept(policy.archive_months, "Months"),
            "targetRepositoryId": state.rules.repository("Archive").id,
        },
    }


def _yearly(state: State, policy: Policy) -> Item:
    return _first_sunday(policy) | {
        "month": "January",
        "yearlyLastDay": False,
        "retentionYearsCount": policy.archive_years,
        "targetRepositoryId": state.rules.repository("Archive").id,
    }


def _first_sunday(policy: Policy) -> Item:
    return {"startTime": policy.backup_hour, "type": "First", "dayOfWeek": "Sunday", "dayOfMonth": None}


def _kept(duration: int, unit: str) -> Item:
    return {"timeRetentionDuration": duration, "retentionDurationType": unit}


def _next_run(state: State, policy: Policy) -> datetime | None:
    now = state.clock.now
    due = events([policy], state.clock.zone, now, now + timedelta(days=3))
    return min((event.started for event in due if isinstance(event, Job) and event.started > now), default=None)
