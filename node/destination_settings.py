"""Settings of the places that answers are sent to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from node.domain.release import ReleasePolicy
from node.setting_sources import secret_from
from node.setting_types import AeTitle, Part, Seconds
from node.tls_settings import DestinationTls

Role = Literal["seg", "sr", "report", "summary"]


class Destination(Part):
    """One place that answers are sent to."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = Field(description="Its name in status and logs.")
    kind: Literal["dimse", "dicomweb"] = Field(default="dimse", description="C-STORE or STOW-RS.")
    ae_title: AeTitle | None = Field(default=None, description="Called AE title (dimse).")
    host: str | None = Field(default=None, description="Host name or address (dimse).")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(default=None, description="Port (dimse).")
    tls: DestinationTls = DestinationTls()
    url: str | None = Field(default=None, description="Base URL of the DICOMweb service (dicomweb).")
    username: str | None = Field(default=None, description="User for HTTP basic authentication (dicomweb).")
    password: SecretStr | None = Field(default=None, description="Its password (dicomweb).")
    password_file: Path | None = Field(default=None, description="File that holds the password (dicomweb).")
    send: tuple[Role, ...] = Field(default=("seg", "sr", "summary"), description="What it gets; also `report`.")
    release: ReleasePolicy = Field(
        default=ReleasePolicy.IMMEDIATE,
        description="When it gets it: `immediate`, `after_human_read`, or `on_disagreement` (only what is flagged).",
    )
    release_after_hours: Annotated[float, Field(gt=0, le=8760)] | None = Field(
        default=None, description="`after_human_read` waits so long at most; empty: until a human read comes."
    )
    outcome: bool = Field(default=False, description="Told how flagged cases are settled, by a new version of `sr`.")
    attempts: int = Field(default=40, ge=1, description="Attempts before an object becomes a dead letter.")
    first_retry_seconds: Seconds = Field(default=2, description="Delay after the first failed attempt; then doubled.")
    most_retry_seconds: Seconds = Field(default=600, description="Longest delay between attempts.")
    timeout_seconds: Seconds = Field(default=30, description="How long to wait for the other side.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = ("ae_title", "host", "port") if self.kind == "dimse" else ("url",)
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a {self.kind} destination needs {', '.join(missing)}")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must start with http:// or https://")
        if self.tls.enabled and self.kind != "dimse":
            raise ValueError("tls is for dimse; DICOMweb has TLS by an https:// url")
        if self.release_after_hours is not None and self.release is not ReleasePolicy.AFTER_HUMAN_READ:
            raise ValueError("release_after_hours belongs to release = 'after_human_read'")
        if self.outcome and "sr" not in self.send:
            raise ValueError("the outcome is a new version of the sr: outcome = true needs it in send")
        return self

    def secret(self) -> str | None:
        """The password, from its file if one is named. Raises SettingsError if the file cannot be read."""
        if self.password_file is not None:
            return secret_from(self.password_file)
        return None if self.password is None else self.password.get_secret_value()
