"""A stand-in scanner and a stand-in PACS around a real node."""
