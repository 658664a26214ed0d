"""How many associations there are, and from where."""

from __future__ import annotations

import threading

from pynetdicom.association import Association

from node.dicom.limits import Limits


class Places:
    """Counts associations from the moment they are let in, for as long as their threads live."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: dict[Association, str] = {}
        self._lock = threading.Lock()

    def take(self, association: Association) -> bool:
        """Let an association in; whether there is room for it, in all and from its address."""
        address = association.requestor.address
        with self._lock:
            for gone in [one for one in self._taken if not one.is_alive()]:
                del self._taken[gone]
            taken = list(self._taken.values())
            if len(taken) >= self._limits.associations or taken.count(address) >= self._limits.per_address:
                return False
            self._taken[association] = address
            return True

    def leave(self, association: Association) -> None:
        """An association has ended: there is room for another."""
        with self._lock:
            self._taken.pop(association, None)
