"""Which object tells of a decision."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outcomes",
        sa.Column("decision_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("sop_uid", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_outcomes_decision_id"),
        sa.PrimaryKeyConstraint("decision_id", name="pk_outcomes"),
    )
    op.create_index("ix_outcomes_series_uid_generation", "outcomes", ["series_uid", "generation"], unique=False)
