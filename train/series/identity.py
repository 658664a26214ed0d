"""Who a phantom series claims to be: plainly nobody."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

_FIRST_DAY: Final = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - DICOM dates and times are local and name no zone
_DAYS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesIdentity:
    """Names, dates and UIDs of one phantom series.

    Attributes
    ----------
    content
        Digest of recipe and voxels: the same seed with other voxels is another series, since no UID may stand for two
        contents.

    """

    seed: int
    content: str

    def uid(self, role: str) -> str:
        """A UID of this series under the root 2.25 (PS3.5 B.2); the same for the same seed, content and role."""
        digest = hashlib.sha256(f"calcium-second-reader phantom/{self.seed}/{self.content}/{role}".encode()).digest()
        return f"2.25.{UUID(bytes=digest[:16], version=5).int}"

    @property
    def patient_id(self) -> str:
        """Patient ID."""
        return f"PHANTOM-{self.seed:07d}"

    @property
    def patient_name(self) -> str:
        """Patient's Name."""
        return f"PHANTOM^{self.seed:07d}"

    @property
    def accession_number(self) -> str:
        """Accession Number."""
        return f"PHANTOM{self.seed:07d}"

    @property
    def made_at(self) -> datetime:
        """When the scan claims to have been made: two a working hour, from January 2026 on."""
        day, turn = (self.seed // 20) % _DAYS, self.seed % 20
        return _FIRST_DAY + timedelta(days=day, minutes=30 * turn)
