"""Settings of TLS: certificates of the node, and whom it trusts."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from node.setting_sources import secret_from
from node.setting_types import Part, Port


class CertificateSettings(Part):
    """A certificate of the node's own, in files."""

    certificate: Path | None = Field(default=None, description="PEM file of the node's certificate and its chain.")
    key: Path | None = Field(default=None, description="PEM file of its private key; empty: in the same file.")
    key_password_file: Path | None = Field(default=None, description="File that holds the password of the key.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.certificate is None and (self.key or self.key_password_file):
            raise ValueError("a key needs its certificate")
        return self

    def password(self) -> str | None:
        """The password of the key. Raises SettingsError if its file cannot be read."""
        return None if self.key_password_file is None else secret_from(self.key_password_file)


class OwnTls(CertificateSettings):
    """TLS on a port of the node."""

    enabled: bool = Field(default=False, description="Whether to speak TLS.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.enabled and self.certificate is None:
            raise ValueError("TLS needs a certificate")
        return self


class ScpTls(OwnTls):
    """TLS of the DICOM listener, on a port of its own (BCP 195 profile)."""

    port: Port = Field(default=2762, description="Port of DICOM over TLS.")
    authority: Path | None = Field(
        default=None, description="PEM file of the authorities whose client certificates are taken; empty: none asked."
    )
    require_certificate: bool = Field(
        default=True, description="Turn away clients without a certificate; needs `authority`."
    )

    @model_validator(mode="after")
    def _mutual(self) -> Self:
        if self.enabled and self.require_certificate and self.authority is None:
            raise ValueError("require_certificate needs the authority of the clients' certificates; or set it to false")
        return self


class DestinationTls(CertificateSettings):
    """TLS towards a destination (dimse); DICOMweb has it by its URL."""

    enabled: bool = Field(default=False, description="Whether to send over TLS (dimse).")
    authority: Path | None = Field(
        default=None, description="PEM file of the authorities to trust; empty: those of the system."
    )
    verify_name: bool = Field(default=True, description="Its certificate must hold the name it is called by.")
    name: str | None = Field(default=None, description="Name that its certificate must hold; empty: `host`.")
