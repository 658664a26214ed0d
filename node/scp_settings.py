"""Settings of the listener."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from node.setting_types import AeTitle, Part, Port, Seconds
from node.tls_settings import ScpTls


class AllowedPeer(Part):
    """A sender that may open an association: its AE title, and the addresses it may come from."""

    ae_title: AeTitle = Field(description="Calling AE title of the sender.")
    host: str | None = Field(default=None, description="Address or network (CIDR) it may come from; empty: any.")
    certificate: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="Its certificate, by a name (CN or alternative) or SHA-256 fingerprint; then it comes by TLS only.",
    )

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
    plain: bool = Field(default=True, description="Whether to listen without TLS at all.")
    tls: ScpTls = ScpTls()
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

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not (self.plain or self.tls.enabled):
            raise ValueError("nobody could send: plain is false and tls is not enabled")
        if self.plain and self.tls.enabled and self.port == self.tls.port != 0:
            raise ValueError("port and tls.port are the same")
        bound = [peer.ae_title for peer in self.allow if peer.certificate is not None]
        if bound and not (self.tls.enabled and self.tls.authority is not None):
            raise ValueError(f"the certificate of {', '.join(bound)} in allow takes tls.enabled and tls.authority")
        return self
