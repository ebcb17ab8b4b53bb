"""Everything the appliance protects: sessions, resources, policies, repositories, and why a point vanished.

Deletions that earlier versions found get their row, unexplained: the next run looks for what explains them.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

SESSION = {
    "session_type": sa.Text,
    "localized_type": sa.Text,
    "status": sa.Text,
    "policy_id": sa.Text,
    "policy_name": sa.Text,
    "policy_type": sa.Text,
    "is_policy_removed": sa.Boolean,
    "started_at": INSTANT,
    "stopped_at": INSTANT,
    "duration_seconds": sa.Double,
    "protected_instances_count": sa.BigInteger,
    "deleted_restore_points_count": sa.BigInteger,
    "checked_instances_count": sa.BigInteger,
}
RESOURCE = {
    "azure_id": sa.Text,
    "resource_name": sa.Text,
    "region_id": sa.Text,
    "region_name": sa.Text,
    "subscription_id": sa.Text,
    "subscription_name": sa.Text,
    "resource_group": sa.Text,
    "exists_in_azure": sa.Boolean,
}
POLICY = {
    "policy_name": sa.Text,
    "is_enabled": sa.Boolean,
    "priority": sa.BigInteger,
    "schedule": sa.Text,
    "expected_snapshots_per_day": sa.Double,
    "expected_backups_per_day": sa.Double,
    "snapshots_to_keep": sa.BigInteger,
    "snapshot_retention_days": sa.BigInteger,
    "backup_retention_days": sa.BigInteger,
    "archive_retention_days": sa.BigInteger,
    "sla_template_id": sa.Text,
    "sla_template_name": sa.Text,
}
REPOSITORY = {
    "repository_name": sa.Text,
    "region_id": sa.Text,
    "region_name": sa.Text,
    "storage_tier": sa.Text,
    "is_immutable": sa.Boolean,
    "is_encrypted": sa.Boolean,
    "repository_type": sa.Text,
    "status": sa.Text,
}
#: Facts with their versions: table, table of versions, key, columns, untracked columns, whether they have a workload.
HISTORIES = (
    (
        "protected_resources",
        "protected_resource_versions",
        ("resource_id",),
        RESOURCE,
        {"last_backup_at": INSTANT},
        True,
    ),
    ("policies", "policy_versions", ("policy_id",), POLICY, {"next_run_at": INSTANT}, True),
    (
        "policy_resources",
        "policy_resource_versions",
        ("policy_id", "resource_id"),
        {"subscription_id": sa.Text},
        {},
        True,
    ),
    ("repositories", "repository_versions", ("repository_id",), REPOSITORY, {}, False),
)


def upgrade() -> None:
    op.add_column("sync_run_collections", sa.Column("error", sa.Text))
    op.add_column("rejected_records", sa.Column("item_id", sa.Text))
    op.execute("update rejected_records set item_id = restore_point_id")
    _make_ledger()
    _make_facts("job_sessions", ("job_session_id",), SESSION, {})
    for table, versions, key, columns, untracked, has_workload in HISTORIES:
        _make_facts(table, key, columns, untracked, has_workload=has_workload)
        _make_versions(versions, key, columns, has_workload=has_workload)
    _make_deletions()
    _tell_known_deletions()


def downgrade() -> None:
    for table in ("deleted_items", "session_evidence", "deletions", "job_sessions"):
        op.drop_table(table)
    for table, versions, *_ in HISTORIES:
        op.drop_table(versions)
        op.drop_table(table)
    op.drop_table("storage_counts")
    op.drop_table("sync_run_inventory")
    op.drop_column("rejected_records", "item_id")
    op.drop_column("sync_run_collections", "error")


def _key(name: str, kind: type[sa.types.TypeEngine]) -> sa.Column:
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def _count(name: str) -> sa.Column:
    return sa.Column(name, sa.Integer, server_default=sa.text("0"), nullable=False)


def _columns(kinds: dict[str, sa.types.TypeEngine]) -> list[sa.Column]:
    return [sa.Column(name, kind) for name, kind in kinds.items()]


def _of_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["appliance_id", "run_number"],
        ["sync_runs.appliance_id", "sync_runs.run_number"],
        name=f"fk_{table}_appliance_id_run_number_sync_runs",
    )


def _make_ledger() -> None:
    op.create_table(
        "sync_run_inventory",
        _key("appliance_id", sa.Integer),
        _key("run_number", sa.Integer),
        _key("collection", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("proven", sa.Boolean, nullable=False),
        sa.Column("evidence", sa.Text),
        sa.Column("error", sa.Text),
        _count("crawls"),
        _count("pages"),
        sa.Column("api_total", sa.Integer),
        *map(_count, ("extracted", "inserted", "updated", "unchanged", "deleted", "reappeared")),
        *map(_count, ("unconfirmed", "rejected", "field_errors")),
        sa.PrimaryKeyConstraint("appliance_id", "run_number", "collection", name="pk_sync_run_inventory"),
        _of_run("sync_run_inventory"),
        sa.CheckConstraint(
            "status in ('complete', 'partial', 'forbidden', 'not_served', 'failed')",
            name=op.f("ck_sync_run_inventory_status"),
        ),
        sa.CheckConstraint(
            "evidence in ('single_page', 'order', 'totals', 'two_crawls')",
            name=op.f("ck_sync_run_inventory_evidence"),
        ),
    )
    op.create_table(
        "storage_counts",
        _key("appliance_id", sa.Integer),
        _key("run_number", sa.Integer),
        sa.Column("snapshots_told", sa.Integer),
        sa.Column("snapshots_held", sa.Integer, nullable=False),
        sa.Column("backups_told", sa.Integer),
        sa.Column("backups_held", sa.Integer, nullable=False),
        sa.Column("archives_told", sa.Integer),
        sa.Column("archives_held", sa.Integer, nullable=False),
        sa.Column("told", JSON, nullable=False),
        sa.PrimaryKeyConstraint("appliance_id", "run_number", name="pk_storage_counts"),
        _of_run("storage_counts"),
    )


def _make_facts(
    table: str,
    key: tuple[str, ...],
    columns: dict[str, sa.types.TypeEngine],
    untracked: dict[str, sa.types.TypeEngine],
    *,
    has_workload: bool = False,
) -> None:
    op.create_table(
        table,
        _key("appliance_id", sa.Integer),
        *(_key(name, sa.Text) for name in key),
        *([sa.Column("workload", sa.Text, nullable=False)] if has_workload else []),
        *_columns(columns),
        *_columns(untracked),
        sa.Column("extra", JSON, nullable=False),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("source_hash", sa.BigInteger),
        sa.Column("first_seen_at", INSTANT, nullable=False),
        sa.Column("last_changed_at", INSTANT, nullable=False),
        sa.Column("last_confirmed_at", INSTANT),
        sa.Column("deleted_at", INSTANT),
        sa.Column("first_run", sa.Integer, nullable=False),
        sa.Column("last_changed_run", sa.Integer, nullable=False),
        sa.Column("deleted_run", sa.Integer),
        sa.PrimaryKeyConstraint("appliance_id", *key, name=f"pk_{table}"),
        sa.CheckConstraint("last_confirmed_at <= deleted_at", name=op.f(f"ck_{table}_deletion_interval")),
    )


def _make_versions(
    table: str, key: tuple[str, ...], columns: dict[str, sa.types.TypeEngine], *, has_workload: bool
) -> None:
    op.create_table(
        table,
        _key("appliance_id", sa.Integer),
        *(_key(name, sa.Text) for name in key),
        _key("run_number", sa.Integer),
        sa.Column("valid_from", INSTANT, nullable=False),
        sa.Column("valid_to", INSTANT),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("closed_run", sa.Integer),
        sa.Column("closed_by", sa.Text),
        *([sa.Column("workload", sa.Text, nullable=False)] if has_workload else []),
        *_columns(columns),
        sa.PrimaryKeyConstraint("appliance_id", *key, "run_number", name=f"pk_{table}"),
        sa.CheckConstraint("valid_from < valid_to", name=op.f(f"ck_{table}_validity")),
        sa.CheckConstraint(
            "change in ('appeared', 'changed', 'restated', 'reappeared')", name=op.f(f"ck_{table}_change")
        ),
        sa.CheckConstraint("closed_by in ('changed', 'deleted')", name=op.f(f"ck_{table}_closed_by")),
    )
    op.create_index(
        f"uq_{table}_open",
        table,
        ["appliance_id", *key],
        unique=True,
        postgresql_where=sa.text("valid_to is null"),
        sqlite_where=sa.text("valid_to is null"),
    )


def _make_deletions() -> None:
    op.create_table(
        "deletions",
        _key("appliance_id", sa.Integer),
        _key("restore_point_id", sa.Text),
        _key("run_number", sa.Integer),
        sa.Column("last_confirmed_at", INSTANT, nullable=False),
        sa.Column("observed_gone_at", INSTANT, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("job_session_id", sa.Text),
        sa.Column("match_kind", sa.Text),
        sa.Column("explained_run", sa.Integer),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("appliance_id", "restore_point_id", "run_number", name="pk_deletions"),
        sa.CheckConstraint(
            "cause in ('retention', 'manual', 'policy_removed', 'orphaned', 'unexplained')",
            name=op.f("ck_deletions_cause"),
        ),
        sa.CheckConstraint(
            "match_kind in ('item', 'resource_and_time', 'session_only')", name=op.f("ck_deletions_match_kind")
        ),
        sa.CheckConstraint("last_confirmed_at <= observed_gone_at", name=op.f("ck_deletions_interval")),
        sa.CheckConstraint("(cause = 'unexplained') = (explained_run is null)", name=op.f("ck_deletions_explained")),
    )
    op.create_table(
        "session_evidence",
        _key("appliance_id", sa.Integer),
        _key("job_session_id", sa.Text),
        sa.Column("read_run", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("resource_ids", JSON, nullable=False),
        sa.PrimaryKeyConstraint("appliance_id", "job_session_id", name="pk_session_evidence"),
    )
    op.create_table(
        "deleted_items",
        _key("appliance_id", sa.Integer),
        _key("job_session_id", sa.Text),
        _key("item_number", sa.Integer),
        sa.Column("item_id", sa.Text),
        sa.Column("resource_id", sa.Text),
        sa.Column("resource_name", sa.Text),
        sa.Column("snapshot_time", INSTANT),
        sa.Column("backup_size_bytes", sa.BigInteger),
        sa.Column("repository_id", sa.Text),
        sa.Column("repository_name", sa.Text),
        sa.PrimaryKeyConstraint("appliance_id", "job_session_id", "item_number", name="pk_deleted_items"),
    )


def _tell_known_deletions() -> None:
    # of a point that came back and went again, only the last deletion kept its interval
    op.execute(
        """
        insert into deletions (
            appliance_id, restore_point_id, run_number, last_confirmed_at, observed_gone_at, cause, note
        )
        select
            versions.appliance_id,
            versions.restore_point_id,
            versions.closed_run,
            case
                when points.deleted_run = versions.closed_run then points.last_confirmed_at
                else versions.valid_from
            end,
            versions.valid_to,
            'unexplained',
            'found gone before causes were looked for'
        from restore_point_versions as versions
        inner join restore_points as points
            on
                versions.appliance_id = points.appliance_id
                and versions.restore_point_id = points.restore_point_id
        where versions.closed_by = 'deleted'
        """
    )
