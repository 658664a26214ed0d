"""Settings of the listener."""

from __future__ import annotations

import ipaddress

from pydantic import Field, field_validator

from node.setting_types import AeTitle, Part, Port, Seconds


class AllowedPeer(Part):
    """A sender that may open an association: its AE title, and the addresses it may come from."""

    ae_title: AeTitle = Field(description="Calling AE title of the sender.")
    host: str | None = Field(default=None, description="Address or network (CIDR) it may come from; empty: any.")

    @field_validator("host")
    @classmethod
    def _network(cls, host: str | None) -> str | None:
        if host is not None:
            ipaddress.ip_network(host, strict=False)
        return host


class ScpSettings(Part):
    """The listener that scanners and PACS send to."""

    ae_title: AeTitle = Field(default="CALCIUM2R", description="AE title of the node.")
    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104 - scanners are other hosts
    port: Port = Field(default=11112, description="Port to listen on.")
    allow: tuple[AllowedPeer, ...] = Field(
        default=(),
        description="Senders that may connect, each an AE title and an address or network; empty: any (said at start).",
    )
    accept_any_called: bool = Field(default=False, description="Answer to any called AE title, not only the node's.")
    maximum_associations: int = Field(default=32, ge=1, le=1000, description="Associations served at once.")
    maximum_per_address: int = Field(
        default=16, ge=1, le=1000, description="Of these, from one address; the rest stays for others."
    )
    maximum_waiting: int = Field(
        default=64, ge=1, le=1000, description="Connections that have not asked for an association yet."
    )
    maximum_pdu_bytes: int = Field(
        default=131072, ge=16384, le=1048576, description="Longest PDU that is negotiated with senders."
    )
    request_seconds: Seconds = Field(default=15, description="A connection has so long to ask for an association.")
    idle_seconds: Seconds = Field(
        default=60, description="An association idle for so long is aborted, also within a PDU."
    )
