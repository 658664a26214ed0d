"""What peers may ask of the listener, and who they may be."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from node.dicom.tls import Presented


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What peers may ask of the listener.

    Attributes
    ----------
    associations
        Established at one time; one more is rejected as 'local limit exceeded', transient.
    per_address
        Of these, from one address; one more is rejected likewise.
    strangers
        Connections at one time that have not asked for an association yet; one more closes the oldest one of the
        address that has the most.
    pdu_bytes
        Longest PDU, as negotiated (PS3.8 D.1).
    instance_bytes
        Longest data set; a longer one ends its association.
    acse_seconds
        Time a new connection has to ask for an association, in full (ARTIM, PS3.8 9.1.5). With TLS, that long each for
        its first message, for the rest of the handshake and for the request.
    idle_seconds
        Silence after which an association is aborted; a PDU that has begun must be whole after so long.

    """

    associations: int = 32
    per_address: int = 16
    strangers: int = 64
    pdu_bytes: int = 128 * 1024
    instance_bytes: int = 1 << 30
    acse_seconds: float = 15.0
    idle_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedPeer:
    """A peer that may associate: its AE title, where it calls from (CIDR or address), its certificate; "" is any.

    Raises
    ------
    ValueError
        If ``host`` is neither an address nor a network: a name could not be checked when it matters.

    """

    ae_title: str = ""
    host: str = ""
    certificate: str = ""

    def __post_init__(self) -> None:
        if self.host:
            ip_network(self.host, strict=False)

    def admits(self, calling: str, address: str, presented: Presented | None = None) -> bool:
        """Whether a caller is this peer."""
        if self.ae_title and self.ae_title != calling:
            return False
        if self.certificate and not (presented is not None and presented.is_bound_to(self.certificate)):
            return False
        from_where = ip_address(address)
        from_where = getattr(from_where, "ipv4_mapped", None) or from_where  # how a dual-stack socket shows IPv4
        return not self.host or from_where in ip_network(self.host, strict=False)
