"""The rules: what each policy promises, and which resources it protects."""

from __future__ import annotations

from etl.catalogue.description import Collection, Column, Companion, Entity, fields

POLICIES = Entity(
    table="policies",
    versions="policy_versions",
    one="policy",
    many="policies",
    key=("policy_id",),
    columns=(
        Column("workload", "fixed"),
        Column("policy_name", "name"),
        Column("is_enabled", "flag"),
        Column("priority", "whole"),
        Column("schedule", "schedule"),
        Column("expected_snapshots_per_day", "schedule"),
        Column("expected_backups_per_day", "schedule"),
        Column("snapshots_to_keep", "schedule"),
        Column("snapshot_retention_days", "schedule"),
        Column("backup_retention_days", "schedule"),
        Column("archive_retention_days", "schedule"),
        Column("sla_template_id", "identifier"),
        Column("sla_template_name", "name"),
        Column("next_run_at", "instant", tracked=False),
    ),
)

POLICY_RESOURCES = Entity(
    table="policy_resources",
    versions="policy_resource_versions",
    one="protected item of a policy",
    many="protected items of policies",
    key=("policy_id", "resource_id"),
    columns=(
        Column("workload", "fixed"),
        Column("subscription_id", "identifier"),
    ),
)

_COMMON = fields(
    "policy_id:id policy_name:name is_enabled:isEnabled priority:priority next_run_at:nextExecutionTime "
    "sla_template_id:slaPolicyTemplateId sla_template_name:slaTemplate.name"
)


def _policies(
    name: str,
    workload: str,
    *paths: tuple[str, str],
    is_page: bool = True,
    companion: Companion | None = None,
) -> Collection:
    return Collection(
        name=name,
        entity=POLICIES,
        paths=paths,
        fields=_COMMON,
        workload=workload,
        fixed={"workload": workload},
        is_page=is_page,
        companion=companion,
    )


def _assigned(workload: str, *paths: tuple[str, str]) -> Collection:
    return Collection(
        name=f"{workload}_policy_resources",
        entity=POLICY_RESOURCES,
        paths=paths,
        fields=fields("policy_id:policyId resource_id:resourceId subscription_id:subscriptionId"),
        workload=workload,
        fixed={"workload": workload},
    )


POLICY_COLLECTIONS = (
    _policies("vm_policies", "vm", ("v1", "/policies"), ("v4", "/policies/virtualMachines")),
    _policies(
        "vm_sla_policies",
        "vm",
        ("v8", "/policy/slaBased/virtualMachines"),
        companion=Companion("slaTemplate", (("v8", "/policyTemplates/slaTemplate"),), on="slaPolicyTemplateId"),
    ),
    _policies("sql_policies", "sql", ("v3", "/policies/sql")),
    _policies("file_share_policies", "file_share", ("v4", "/policies/fileShares")),
    _policies("vnet_policy", "vnet", ("v6", "/policy/vnet"), is_page=False),
    _policies("cosmos_db_policies", "cosmos_db", ("v7", "/policies/cosmosDb")),
)

# seen in v8.1's reference; earlier versions answer 404 or 400 where they have none
POLICY_RESOURCE_COLLECTIONS = (
    _assigned("vm", ("v4", "/policies/virtualMachines/protectedItems")),
    _assigned("sql", ("v4", "/policies/sql/protectedItems")),
    _assigned("file_share", ("v4", "/policies/fileShares/protectedItems")),
    _assigned("cosmos_db", ("v7", "/policies/cosmosDb/protectedItems")),
)
