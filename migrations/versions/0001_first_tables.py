"""The first tables: appliances, the ledger, restore points with their versions, rejected records.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
JSON_OBJECT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def key(name: str, kind: type[sa.types.TypeEngine]) -> sa.Column:
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def counts() -> list[sa.Column]:
    def count(name: str) -> sa.Column:
        return sa.Column(name, sa.Integer, server_default=sa.text("0"), nullable=False)

    return [
        count("crawls"),
        count("pages"),
        sa.Column("api_total", sa.Integer),
        *map(count, ("extracted", "inserted", "updated", "unchanged", "deleted", "reappeared")),
        *map(count, ("unconfirmed", "rejected", "field_errors")),
    ]


def tracked() -> list[sa.Column]:
    return [
        sa.Column("workload", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text),
        sa.Column("resource_name", sa.Text),
        sa.Column("region_id", sa.Text),
        sa.Column("region_name", sa.Text),
        sa.Column("point_in_time", INSTANT, nullable=False),
        sa.Column("backup_size_bytes", sa.BigInteger),
        sa.Column("backup_destination", sa.Text),
        sa.Column("restore_point_type", sa.Text),
        sa.Column("state", sa.Text),
        sa.Column("is_corrupted", sa.Boolean),
        sa.Column("gfs_flags", sa.Text),
        sa.Column("job_session_id", sa.Text),
        sa.Column("vbr_id", sa.Text),
        sa.Column("access_tier", sa.Text),
        sa.Column("immutable_until", INSTANT),
    ]


def upgrade() -> None:
    op.create_table(
        "appliances",
        key("appliance_id", sa.Integer),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("base_url", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text),
        sa.Column("identity", JSON_OBJECT),
        sa.Column("api_version", sa.Text),
        sa.Column("time_zone", sa.Text, server_default="UTC", nullable=False),
        sa.Column("first_synced_at", INSTANT),
        sa.PrimaryKeyConstraint("appliance_id", name="pk_appliances"),
        sa.UniqueConstraint("name", name="uq_appliances_name"),
    )
    op.create_table(
        "sync_runs",
        key("appliance_id", sa.Integer),
        key("run_number", sa.Integer),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("observed_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
        sa.Column("api_version", sa.Text),
        sa.Column("base_url", sa.Text, nullable=False),
        sa.Column("clock_skew_seconds", sa.Double),
        *counts(),
        sa.Column("snapshot_proven", sa.Boolean),
        sa.Column("accepted_mass_deletion", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("tool_version", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("appliance_id", "run_number", name="pk_sync_runs"),
        sa.ForeignKeyConstraint(
            ["appliance_id"], ["appliances.appliance_id"], name="fk_sync_runs_appliance_id_appliances"
        ),
        sa.CheckConstraint(
            "status in ('running', 'succeeded', 'partial', 'failed', 'abandoned')",
            name=op.f("ck_sync_runs_status"),
        ),
    )
    op.create_index(
        "uq_sync_runs_running",
        "sync_runs",
        ["appliance_id"],
        unique=True,
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )
    op.create_table(
        "sync_run_collections",
        key("appliance_id", sa.Integer),
        key("run_number", sa.Integer),
        key("collection", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("proven", sa.Boolean, nullable=False),
        sa.Column("evidence", sa.Text),
        *counts(),
        sa.PrimaryKeyConstraint("appliance_id", "run_number", "collection", name="pk_sync_run_collections"),
        sa.ForeignKeyConstraint(
            ["appliance_id", "run_number"],
            ["sync_runs.appliance_id", "sync_runs.run_number"],
            name="fk_sync_run_collections_appliance_id_run_number_sync_runs",
        ),
        sa.CheckConstraint(
            "status in ('complete', 'partial', 'forbidden', 'not_served', 'failed')",
            name=op.f("ck_sync_run_collections_status"),
        ),
        sa.CheckConstraint(
            "evidence in ('single_page', 'order', 'totals', 'two_crawls')",
            name=op.f("ck_sync_run_collections_evidence"),
        ),
    )
    op.create_table(
        "restore_points",
        key("appliance_id", sa.Integer),
        key("restore_point_id", sa.Text),
        *tracked(),
        sa.Column("latest_chain_size_bytes", sa.BigInteger),
        sa.Column("data_retrieval_status", sa.Text),
        sa.Column("retrieved_data_expires_at", INSTANT),
        sa.Column("extra", JSON_OBJECT, nullable=False),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("source_hash", sa.BigInteger),
        sa.Column("point_in_time_offset_minutes", sa.Integer),
        sa.Column("first_seen_at", INSTANT, nullable=False),
        sa.Column("last_changed_at", INSTANT, nullable=False),
        sa.Column("last_confirmed_at", INSTANT),
        sa.Column("deleted_at", INSTANT),
        sa.Column("first_run", sa.Integer, nullable=False),
        sa.Column("last_changed_run", sa.Integer, nullable=False),
        sa.Column("deleted_run", sa.Integer),
        sa.PrimaryKeyConstraint("appliance_id", "restore_point_id", name="pk_restore_points"),
        sa.CheckConstraint("last_confirmed_at <= deleted_at", name=op.f("ck_restore_points_deletion_interval")),
    )
    op.create_table(
        "restore_point_versions",
        key("appliance_id", sa.Integer),
        key("restore_point_id", sa.Text),
        key("run_number", sa.Integer),
        sa.Column("valid_from", INSTANT, nullable=False),
        sa.Column("valid_to", INSTANT),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("closed_run", sa.Integer),
        sa.Column("closed_by", sa.Text),
        *tracked(),
        sa.PrimaryKeyConstraint("appliance_id", "restore_point_id", "run_number", name="pk_restore_point_versions"),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_restore_point_versions_validity")),
        sa.CheckConstraint(
            "change in ('appeared', 'changed', 'restated', 'reappeared')",
            name=op.f("ck_restore_point_versions_change"),
        ),
        sa.CheckConstraint("closed_by in ('changed', 'deleted')", name=op.f("ck_restore_point_versions_closed_by")),
    )
    op.create_index(
        "uq_restore_point_versions_open",
        "restore_point_versions",
        ["appliance_id", "restore_point_id"],
        unique=True,
        postgresql_where=sa.text("valid_to is null"),
        sqlite_where=sa.text("valid_to is null"),
    )
    op.create_table(
        "rejected_records",
        key("appliance_id", sa.Integer),
        key("record_hash", sa.Text),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("field", sa.Text),
        sa.Column("restore_point_id", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("first_run", sa.Integer, nullable=False),
        sa.Column("last_run", sa.Integer, nullable=False),
        sa.Column("resolved_run", sa.Integer),
        sa.PrimaryKeyConstraint("appliance_id", "record_hash", name="pk_rejected_records"),
    )


def downgrade() -> None:
    for table in (
        "rejected_records",
        "restore_point_versions",
        "restore_points",
        "sync_run_collections",
        "sync_runs",
        "appliances",
    ):
        op.drop_table(table)
