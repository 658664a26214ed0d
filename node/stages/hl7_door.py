"""HL7 results into the ledger: what the listener calls for every message. 'Accepted' means kept."""

from __future__ import annotations

from node.domain.read_history import ReadArrival, ReadState
from node.intake.hl7_reads import Hl7Site, read_hl7
from node.intake.mllp import MllpPeer, Reply
from node.stages.intake import Intake


class Hl7Door:
    """Called from many threads at once."""

    def __init__(self, intake: Intake, site: Hl7Site) -> None:
        self._intake = intake
        self._site = site

    def __call__(self, message: bytes, peer: MllpPeer) -> Reply:
        """Keep the reads of a message; one that says nothing of calcium is accepted and left aside.

        Raises
        ------
        Malformed, Refused
            Nothing was taken; the message says why.
        StorageFull, LedgerBusy
            Not now.

        """
        parsed = read_hl7(message, self._site)
        if not parsed.reads:
            return Reply(text="; ".join(parsed.notes))
        recorded = self._intake.take_all(message, parsed.reads, f"hl7:{peer.host}")
        waiting = [one.reason for one in recorded if one.state is ReadState.QUARANTINED]
        known = all(one.arrival is ReadArrival.SAME for one in recorded)
        said = [f"{len(recorded)} taken" if not known else "known already"]
        said += [f"in quarantine: {reason}" for reason in dict.fromkeys(waiting)]
        said += parsed.notes
        return Reply(text="; ".join(said))
