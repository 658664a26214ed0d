"""Settings of the page for people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from node.setting_types import Part, Port
from node.tls_settings import OwnTls


class WebSettings(Part):
    """The page for people: worklist, cases, statistics, the node's state."""

    enabled: bool = Field(default=True, description="Whether `serve` serves the page.")
    host: str = Field(default="127.0.0.1", description="Address the page listens on.")
    port: Port = Field(default=8042, description="Port of the page.")
    tls: OwnTls = OwnTls()
    title: Annotated[str, Field(min_length=1, max_length=60)] = Field(
        default="Calcium second reader", description="What the page calls itself."
    )
    viewer_url: str = Field(
        default="",
        description="Where a study opens in the site's viewer, with `{study_uid}` or `{accession}` in it; "
        "empty: no link.",
    )
    session_hours: float = Field(default=10, gt=0, le=168, description="A log-in ends after so long.")
    idle_minutes: float = Field(default=30, gt=0, le=1440, description="A log-in ends when unused for so long.")
    secure_cookies: bool = Field(
        default=False, description="Cookies travel over TLS only, whatever the request came by; set it behind a proxy."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses of proxies whose word on client and scheme is taken; empty: none."
    )

    @field_validator("viewer_url")
    @classmethod
    def _template(cls, url: str) -> str:
        if not url:
            return url
        if not url.startswith(("http://", "https://")):
            raise ValueError("it must start with http:// or https://")
        try:
            filled = url.format(study_uid="1.2.3", accession="A1")
        except (KeyError, IndexError, ValueError, AttributeError):
            raise ValueError("only {study_uid} and {accession} can stand in braces") from None
        if filled == url:
            raise ValueError("it names no study: {study_uid} or {accession} is needed")
        return url
