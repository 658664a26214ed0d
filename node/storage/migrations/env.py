"""Run by Alembic for every upgrade; the connection comes from node.storage.migrations."""

from alembic import context

from node.storage import people_tables, review_tables, tables  # noqa: F401 - each adds its tables to the catalogue
from node.storage.columns import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
