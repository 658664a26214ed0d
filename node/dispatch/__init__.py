"""Who runs which stage where. The ledger is the truth; this only decides."""
