"""The ledger's tables of human reads, comparisons and decisions. They change by a migration only.

Comparisons outlive the images: nothing here hangs on a series, so that retention leaves the statistics whole.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from node.storage.columns import UtcDateTime, metadata, needed

studies = Table(
    "studies",
    metadata,
    Column("study_uid", String, primary_key=True),
    needed("accession", String),
    needed("patient_id", String),
    needed("facts", Text),  # JSON of StudyFacts
    needed("recorded_at", UtcDateTime),
    Index(None, "accession", "patient_id"),
    Index(None, "patient_id"),
)

human_reads = Table(
    "human_reads",
    metadata,
    Column("id", Integer, primary_key=True),
    needed("source", String),
    needed("source_id", String),
    needed("version", Integer),
    needed("variant", Integer),  # 0: the first content of this version; others contradict it
    needed("status", String),
    needed("content", Text),  # JSON of the HumanRead
    needed("content_sha256", String),
    needed("path", String),  # the original as it was received
    needed("sha256", String),
    needed("size", BigInteger),
    needed("received_at", UtcDateTime),
    needed("from_whom", String),
    needed("state", String),
    Column("study_uid", String),  # null until matched
    needed("named_study_uid", String),  # what it says it is about
    needed("accession", String),
    needed("patient_id", String),
    needed("cause", String),
    needed("reason", Text),
    UniqueConstraint("source", "source_id", "version", "variant", name="uq_human_reads_version"),
    Index(None, "study_uid"),
    Index(None, "state", "received_at"),
    Index(None, "named_study_uid"),
    Index(None, "accession", "patient_id"),
)

comparisons = Table(  # narrow: the worklist is a walk over this table
    "comparisons",
    metadata,
    Column("id", Integer, primary_key=True),
    needed("study_uid", String),
    needed("series_uid", String),
    needed("generation", Integer),
    needed("read_id", Integer, ForeignKey("human_reads.id")),
    needed("limits_sha256", String),
    needed("latest", Boolean),
    needed("tier", String),
    needed("weight", Integer),  # of the tier, for sorting
    needed("state", String),
    needed("outcome", String),
    needed("accession", String),
    needed("patient_id", String),
    needed("study_date", String),
    needed("scanner", String),
    needed("model_sha256", String),
    needed("model_version", String),
    needed("made_at", UtcDateTime),
    Column("ours", Float),
    Column("human", Float),
    Column("difference", Float),  # of the roots, signed
    needed("pairs", Text),  # JSON: region to (ours, human)
    UniqueConstraint("series_uid", "generation", "read_id", "limits_sha256", name="uq_comparisons_subject"),
    Index(None, "study_uid"),
    Index(None, "accession"),
    Index(None, "patient_id"),
    Index(None, "latest", "weight", "made_at"),
    Index(None, "latest", "state", "weight", "made_at"),
    Index(None, "latest", "made_at"),
    Index(None, "latest", "study_date"),
    Index(None, "latest", "accession"),
    Index(None, "latest", "scanner"),
    Index(None, "latest", "difference"),
)

comparison_contents = Table(
    "comparison_contents",
    metadata,
    Column("comparison_id", Integer, ForeignKey("comparisons.id"), primary_key=True),
    needed("content", Text),  # JSON of the Comparison
)

case_blocks = Table(  # a copy of what is charted of the cases: node.storage.case_blocks
    "case_blocks",
    metadata,
    Column("block", Integer, primary_key=True, autoincrement=False),  # number of the comparison by the block's size
    needed("oldest", UtcDateTime),
    needed("newest", UtcDateTime),
    needed("names", Text),  # JSON: scanners and model versions, by their number in the block
    needed("cases", LargeBinary),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    needed("comparison_id", Integer, ForeignKey("comparisons.id")),
    needed("version", Integer),
    needed("outcome", String),
    needed("radpeer", String),
    needed("comment", Text),
    needed("reviewer", String),
    needed("decided_at", UtcDateTime),
    needed("blind", Boolean),
    needed("withdrawn", Boolean),
    UniqueConstraint("comparison_id", "version", name="uq_decisions_version"),
    Index(None, "decided_at"),
)

outcomes = Table(  # which object tells of a decision
    "outcomes",
    metadata,
    Column("decision_id", Integer, ForeignKey("decisions.id"), primary_key=True, autoincrement=False),
    needed("series_uid", String),
    needed("generation", Integer),
    needed("sop_uid", String),
    needed("recorded_at", UtcDateTime),
    Index(None, "series_uid", "generation"),
)
