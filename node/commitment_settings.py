"""Settings of storage commitment."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from node.setting_types import AeTitle, Part, Seconds
from node.tls_settings import DestinationTls


class CommitmentPeer(Part):
    """A peer that may ask whether its instances are kept."""

    ae_title: AeTitle = Field(description="Its AE title: the calling one when it asks, the called one of the answer.")
    host: str | None = Field(default=None, min_length=1, description="Host name or address that the answer goes to.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="Port that the answer goes to."
    )
    same_association: bool = Field(
        default=False,
        description="Answer over the association that asked while it is open; `host` and `port` may then be left out.",
    )
    tls: DestinationTls = DestinationTls()

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if (self.host is None) != (self.port is None):
            raise ValueError("host and port belong together")
        if self.host is None and not self.same_association:
            raise ValueError("an answer needs host and port, or same_association = true")
        return self

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.ae_title


class CommitmentSettings(Part):
    """Storage commitment (PS3.4 annex J), as SCP. What is committed is kept as long as `retention` says, no longer."""

    peers: tuple[CommitmentPeer, ...] = Field(
        default=(), description="Who may ask, and where the answer goes; empty: nobody, and it is not offered."
    )
    attempts: int = Field(default=30, ge=1, description="Attempts to tell an answer before it is given up.")
    first_retry_seconds: Seconds = Field(default=5, description="Delay after the first failed attempt; then doubled.")
    most_retry_seconds: Seconds = Field(default=1800, description="Longest delay between attempts.")
    timeout_seconds: Seconds = Field(default=15, description="How long to wait for the other side.")

    @field_validator("peers")
    @classmethod
    def _distinct(cls, peers: tuple[CommitmentPeer, ...]) -> tuple[CommitmentPeer, ...]:
        names = [one.ae_title for one in peers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two peers have the AE title {', '.join(twice)}")
        return peers
