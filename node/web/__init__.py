"""The page for people: log-in, worklist, users, audit trail. The only importer of FastAPI."""
