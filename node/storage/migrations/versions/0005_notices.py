"""Notices are work of their own, with attempts and an end as all work has: the table that only counted them goes.

What stood in it was never sent and is not sent now. Its cases are in the worklist.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_notices_sent_at_not_before", table_name="notices")
    op.drop_table("notices")
