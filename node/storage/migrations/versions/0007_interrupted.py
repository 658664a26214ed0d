"""Whether the association that brought a series was cut off."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("series", sa.Column("interrupted", sa.Boolean(), server_default=sa.false(), nullable=False))
