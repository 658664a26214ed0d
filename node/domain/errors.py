"""The node's one error tree. The class says what happens to the work; the message is in the user's terms.

NodeError
├── Permanent        parked with its reason; a person decides
│   ├── Malformed    bytes that are not the DICOM they claim to be
│   ├── Refused      understood, and not accepted (by us or by the peer)
│   └── Unreadable   kept, but no volume can be made of it
├── Retryable        tried again later, with back-off and jitter
│   ├── StorageFull  no room in the spool, the outbox or the database
│   ├── StorageAway  files cannot be written or read: the disk is read-only, failing or away
│   ├── LedgerBusy   the database is locked, read-only or away
│   ├── PeerDown     the other side does not answer or is out of resources
│   └── NotYet       something else has to happen first; no attempt is counted against it
└── LeaseLost        somebody else has the work now: drop the result, record nothing
"""

from __future__ import annotations


class NodeError(Exception):
    """Anything this node foresees going wrong."""


class Permanent(NodeError):
    """Trying again would give the same answer."""


class Malformed(Permanent):
    """The bytes are not the DICOM object they claim to be."""


class Refused(Permanent):
    """The request was understood and is not accepted."""


class Unreadable(Permanent):
    """The instances were kept, but no CT volume can be made of them."""


class Retryable(NodeError):
    """May go through later."""


class StorageFull(Retryable):
    """There is no room left for files."""


class StorageAway(Retryable):
    """The disk under the storage root cannot be used just now: it is read-only, failing or away."""


class LedgerBusy(Retryable):
    """The ledger cannot take a write just now."""


class PeerDown(Retryable):
    """The other side does not answer, or says it is out of resources."""


class LeaseLost(NodeError):
    """The claim on a piece of work ended before its outcome was recorded; whoever holds it now records its own."""


class NotYet(Retryable):
    """Something that is under way has to end first."""
