"""Cases as packed columns, for the figures over many of them; filled from what is there."""

import sqlalchemy as sa
from alembic import op

from node.storage.case_blocks import refresh_all

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
rewrites = ("comparisons",)


def upgrade() -> None:
    op.create_table(
        "case_blocks",
        sa.Column("block", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("oldest", sa.DateTime(timezone=True), nullable=False),
        sa.Column("newest", sa.DateTime(timezone=True), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("cases", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("block", name="pk_case_blocks"),
    )
    refresh_all(op.get_bind())
