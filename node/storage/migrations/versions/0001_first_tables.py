"""First tables: instances, series, work, results."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "associations",
        sa.Column("association", sa.String(), nullable=False),
        sa.Column("ae_title", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("association", name="pk_associations"),
    )
    op.create_table(
        "quarantined",
        sa.Column("sop_uid", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ae_title", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sop_uid", "sha256", name="pk_quarantined"),
    )
    op.create_index("ix_quarantined_series_uid", "quarantined", ["series_uid"], unique=False)
    op.create_table(
        "senders",
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("association", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("series_uid", "association", name="pk_senders"),
    )
    op.create_index("ix_senders_association", "senders", ["association"], unique=False)
    op.create_table(
        "series",
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("study_uid", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("first_received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_ae_title", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("conflicts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("series_uid", name="pk_series"),
    )
    op.create_index("ix_series_last_received", "series", ["last_received"], unique=False)
    op.create_index("ix_series_state", "series", ["state"], unique=False)
    op.create_index("ix_series_study_uid", "series", ["study_uid"], unique=False)
    op.create_table(
        "instances",
        sa.Column("sop_uid", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ae_title", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("association", sa.String(), nullable=False),
        sa.Column("conflicted", sa.Boolean(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["series_uid"], ["series.series_uid"], name="fk_instances_series_uid"),
        sa.PrimaryKeyConstraint("sop_uid", name="pk_instances"),
    )
    op.create_index("ix_instances_series_uid_generation", "instances", ["series_uid", "generation"], unique=False)
    op.create_table(
        "objects",
        sa.Column("sop_uid", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("sop_class_uid", sa.String(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(), nullable=False),
        sa.Column("made_series_uid", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["series_uid"], ["series.series_uid"], name="fk_objects_series_uid"),
        sa.PrimaryKeyConstraint("sop_uid", name="pk_objects"),
    )
    op.create_index("ix_objects_series_uid_generation", "objects", ["series_uid", "generation"], unique=False)
    op.create_table(
        "readings",
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("mask", sa.Text(), nullable=True),
        sa.Column("model_sha256", sa.String(), nullable=False),
        sa.Column("settings_sha256", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["series_uid"], ["series.series_uid"], name="fk_readings_series_uid"),
        sa.PrimaryKeyConstraint("series_uid", "generation", name="pk_readings"),
    )
    op.create_table(
        "verdicts",
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("eligible", sa.Boolean(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["series_uid"], ["series.series_uid"], name="fk_verdicts_series_uid"),
        sa.PrimaryKeyConstraint("series_uid", "generation", name="pk_verdicts"),
    )
    op.create_table(
        "work",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("object_uid", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["series_uid"], ["series.series_uid"], name="fk_work_series_uid"),
        sa.PrimaryKeyConstraint("id", name="pk_work"),
        sa.UniqueConstraint("stage", "series_uid", "generation", "object_uid", "destination", name="uq_work_subject"),
    )
    op.create_index("ix_work_series_uid_generation", "work", ["series_uid", "generation"], unique=False)
    op.create_index("ix_work_state_stage_not_before", "work", ["state", "stage", "not_before"], unique=False)
