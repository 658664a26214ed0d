"""What is sent and what became of it, whichever way it went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from node.dicom.files import content_of
from node.domain.errors import Malformed, NodeError, PeerDown, Permanent


@dataclass(frozen=True, slots=True, kw_only=True)
class SendItem:
    """One stored object.

    ``content`` is the path of a DICOM file, or the bytes of one. What goes out is the data set as it stands there.
    """

    sop_class_uid: str
    sop_uid: str
    transfer_syntax_uid: str
    content: Path | bytes

    @classmethod
    def of_file(cls, content: Path | bytes) -> SendItem:
        """An item named by its own file meta information.

        Raises
        ------
        Malformed
            If it is no DICOM file, or one that does not say what it holds.

        """
        file = content_of(content.read_bytes() if isinstance(content, Path) else content)
        if not file.sop_class_uid or not file.sop_uid:
            raise Malformed("the file meta information does not name the object")
        return cls(
            sop_class_uid=file.sop_class_uid,
            sop_uid=file.sop_uid,
            transfer_syntax_uid=file.transfer_syntax_uid,
            content=content,
        )

    def file_bytes(self) -> bytes:
        """The whole file."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content

    def dataset_bytes(self) -> memoryview:
        """The data set without what a file puts before it."""
        return content_of(self.file_bytes()).dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one item.

    Attributes
    ----------
    sop_uid
        Of the item.
    error
        None: delivered. PeerDown: may go through later. Permanent: will not.
    note
        What the peer remarked though it took the object.

    """

    sop_uid: str
    error: PeerDown | Permanent | None = None
    note: str = ""

    @property
    def delivered(self) -> bool:
        """Whether the peer has it."""
        return self.error is None

    def require(self) -> str:
        """The note, if delivered; else raises the error."""
        if self.error is not None:
            raise self.error
        return self.note


def all_failed(items: list[SendItem], error: PeerDown | Permanent) -> list[Outcome]:
    """The same end for every item."""
    return [Outcome(sop_uid=item.sop_uid, error=error) for item in items]


def unreadable(item: SendItem, fault: OSError | NodeError) -> Outcome:
    """Outcome of an item whose own bytes cannot be read."""
    return Outcome(sop_uid=item.sop_uid, error=Malformed(f"the stored object cannot be read: {type(fault).__name__}"))
