"""Settings of what whoever runs the node can measure, and of the alarm on silent scanners."""

from __future__ import annotations

import ipaddress
from datetime import timedelta, tzinfo

from pydantic import Field, field_validator

from node.domain.silence import SilenceRule
from node.setting_types import Part


class MonitorSettings(Part):
    """`/metrics`, `/healthz` and `/readyz` on the page's port; silent scanners."""

    allow: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Addresses or networks that may ask for `/metrics`, `/healthz` and `/readyz`, which know no "
        "log-in; empty: nobody.",
    )
    silence: bool = Field(
        default=True, description="Whether scanners that are silent for longer than is usual for them are shown."
    )
    silence_factor: float = Field(
        default=3, ge=1, le=100, description="Unusual is silence of so many times a scanner's usual longest gap."
    )
    silence_hours: float = Field(
        default=4, gt=0, le=1000, description="Shorter silence, in hours in which the scanner usually sends, is usual."
    )
    silence_weeks: int = Field(default=8, ge=2, le=52, description="How much of the past makes the habit.")
    silence_notices: bool = Field(
        default=True, description="Whether every channel of `notify` is told of silent scanners."
    )

    @field_validator("allow")
    @classmethod
    def _networks(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for one in allow:
            try:
                ipaddress.ip_network(one, strict=False)
            except ValueError:
                raise ValueError(f"{one} is neither an address nor a network") from None
        return allow

    def rule(self, zone: tzinfo) -> SilenceRule | None:
        """When silence is unusual, in the domain's terms; None: never."""
        if not self.silence:
            return None
        least = timedelta(hours=self.silence_hours)
        return SilenceRule(factor=self.silence_factor, least=least, weeks=self.silence_weeks, zone=zone)
