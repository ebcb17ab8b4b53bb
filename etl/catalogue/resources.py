"""What an appliance protects, by its own ids, and the repositories that backups go to."""

from __future__ import annotations

from etl.catalogue.description import Collection, Column, Companion, Entity, fields

PROTECTED_RESOURCES = Entity(
    table="protected_resources",
    versions="protected_resource_versions",
    one="protected resource",
    many="protected resources",
    key=("resource_id",),
    columns=(
        Column("workload", "fixed"),
        Column("azure_id", "identifier"),
        Column("resource_name", "name"),
        Column("region_id", "identifier"),
        Column("region_name", "name"),
        Column("subscription_id", "identifier"),
        Column("subscription_name", "name"),
        Column("resource_group", "name"),
        Column("exists_in_azure", "negated_flag"),
        Column("last_backup_at", "instant", tracked=False),
    ),
)

_COMMON = fields(
    "resource_id:id azure_id:azureId resource_name:name region_id:region.id",
    region_name=("region.name", "regionName"),
    subscription_id=("subscription.id", "subscriptionId"),
    subscription_name=("subscription.name", "subscriptionName"),
    resource_group=("resourceGroup.name", "resourceGroupName"),
    last_backup_at="lastBackup",
)


def _resources(workload: str, *paths: tuple[str, str], companion: Companion | None = None, **others: str) -> Collection:
    return Collection(
        name=f"{workload}_resources",
        entity=PROTECTED_RESOURCES,
        paths=paths,
        fields=_COMMON | fields("", **others),
        workload=workload,
        fixed={"workload": workload},
        companion=companion,
    )


RESOURCE_COLLECTIONS = (
    _resources(
        "vm",
        ("v3", "/protectedItem/vm"),
        ("v4", "/protectedItem/virtualMachines"),
        # without `ExistsState` a machine that is gone from Azure need not be listed
        companion=Companion("inventory", (("v3", "/virtualMachines"),), {"ExistsState": "All"}),
        exists_in_azure="inventory.isDeleted",
    ),
    _resources("sql", ("v3", "/protectedItem/sql")),
    _resources("file_share", ("v4", "/protectedItem/fileShares")),
    _resources("vnet", ("v6", "/protectedItem/vnet"), resource_name="subscriptionName"),
    Collection(
        name="cosmos_db_resources",
        entity=PROTECTED_RESOURCES,
        paths=(("v7", "/protectedItem/cosmosDb"),),
        fields=fields(
            "resource_id:id resource_name:name last_backup_at:latestBackup exists_in_azure:inventory.isDeleted",
            azure_id=("azureId", "inventory.azureId"),
            region_id=("region.id", "inventory.regionId"),
            region_name=("region.name", "inventory.regionName"),
            subscription_id=("subscription.id", "inventory.subscriptionId"),
            subscription_name=("subscription.name", "subscriptionName"),
            resource_group=("resourceGroup.name", "inventory.resourceGroupName"),
        ),
        workload="cosmos_db",
        fixed={"workload": "cosmos_db"},
        companion=Companion("inventory", (("v7", "/cosmosDb"),)),
    ),
)

REPOSITORIES = Entity(
    table="repositories",
    versions="repository_versions",
    one="repository",
    many="repositories",
    key=("repository_id",),
    columns=(
        Column("repository_name", "name"),
        Column("region_id", "identifier"),
        Column("region_name", "name"),
        Column("storage_tier", "enumeration"),
        Column("is_immutable", "flag"),
        Column("is_encrypted", "flag"),
        Column("repository_type", "enumeration"),
        Column("status", "enumeration"),
    ),
)

REPOSITORY_COLLECTION = Collection(
    name="repositories",
    entity=REPOSITORIES,
    paths=(("v1", "/repositories"),),
    fields=fields(
        "repository_id:id repository_name:name region_id:regionId region_name:regionName storage_tier:storageTier "
        "is_immutable:immutabilityEnabled is_encrypted:enableEncryption repository_type:repositoryType status:status"
    ),
)
