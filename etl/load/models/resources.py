"""What is protected, by which rules, and where it goes: each with its versions."""

from __future__ import annotations

from sqlalchemy.orm import Mapped

from etl.load.models.base import (
    Base,
    BigInt,
    FactKey,
    Json,
    Life,
    Moment,
    TextKey,
    Validity,
    life_checks,
    validity_checks,
)


class _Resource:
    workload: Mapped[str]
    azure_id: Mapped[str | None]
    resource_name: Mapped[str | None]
    region_id: Mapped[str | None]
    region_name: Mapped[str | None]
    subscription_id: Mapped[str | None]
    subscription_name: Mapped[str | None]
    resource_group: Mapped[str | None]
    exists_in_azure: Mapped[bool | None]


class ProtectedResource(_Resource, Life, Base):
    """A machine, database, file share, Cosmos DB account or network by the appliance's own id."""

    __tablename__ = "protected_resources"

    appliance_id: Mapped[FactKey]
    resource_id: Mapped[TextKey]
    last_backup_at: Mapped[Moment | None]
    extra: Mapped[Json]

    __table_args__ = life_checks()


class ProtectedResourceVersion(_Resource, Validity, Base):
    """What a resource looked like, and when."""

    __tablename__ = "protected_resource_versions"

    appliance_id: Mapped[FactKey]
    resource_id: Mapped[TextKey]

    __table_args__ = validity_checks("protected_resource_versions", "resource_id")


class _Policy:
    workload: Mapped[str]
    policy_name: Mapped[str | None]
    is_enabled: Mapped[bool | None]
    priority: Mapped[BigInt | None]
    schedule: Mapped[str | None]
    expected_snapshots_per_day: Mapped[float | None]
    expected_backups_per_day: Mapped[float | None]
    snapshots_to_keep: Mapped[BigInt | None]
    snapshot_retention_days: Mapped[BigInt | None]
    backup_retention_days: Mapped[BigInt | None]
    archive_retention_days: Mapped[BigInt | None]
    sla_template_id: Mapped[str | None]
    sla_template_name: Mapped[str | None]


class Policy(_Policy, Life, Base):
    """A backup policy; what it promises is null where it cannot be told."""

    __tablename__ = "policies"

    appliance_id: Mapped[FactKey]
    policy_id: Mapped[TextKey]
    next_run_at: Mapped[Moment | None]
    extra: Mapped[Json]

    __table_args__ = life_checks()


class PolicyVersion(_Policy, Validity, Base):
    """What a policy looked like, and when."""

    __tablename__ = "policy_versions"

    appliance_id: Mapped[FactKey]
    policy_id: Mapped[TextKey]

    __table_args__ = validity_checks("policy_versions", "policy_id")


class _PolicyResource:
    workload: Mapped[str]
    subscription_id: Mapped[str | None]


class PolicyResource(_PolicyResource, Life, Base):
    """Which policy protects which resource."""

    __tablename__ = "policy_resources"

    appliance_id: Mapped[FactKey]
    policy_id: Mapped[TextKey]
    resource_id: Mapped[TextKey]
    extra: Mapped[Json]

    __table_args__ = life_checks()


class PolicyResourceVersion(_PolicyResource, Validity, Base):
    """From when to when a policy protected a resource."""

    __tablename__ = "policy_resource_versions"

    appliance_id: Mapped[FactKey]
    policy_id: Mapped[TextKey]
    resource_id: Mapped[TextKey]

    __table_args__ = validity_checks("policy_resource_versions", "policy_id", "resource_id")


class _Repository:
    repository_name: Mapped[str | None]
    region_id: Mapped[str | None]
    region_name: Mapped[str | None]
    storage_tier: Mapped[str | None]
    is_immutable: Mapped[bool | None]
    is_encrypted: Mapped[bool | None]
    repository_type: Mapped[str | None]
    status: Mapped[str | None]


class Repository(_Repository, Life, Base):
    """Where backups and archives are kept."""

    __tablename__ = "repositories"

    appliance_id: Mapped[FactKey]
    repository_id: Mapped[TextKey]
    extra: Mapped[Json]

    __table_args__ = life_checks()


class RepositoryVersion(_Repository, Validity, Base):
    """What a repository looked like, and when."""

    __tablename__ = "repository_versions"

    appliance_id: Mapped[FactKey]
    repository_id: Mapped[TextKey]

    __table_args__ = validity_checks("repository_versions", "repository_id")
