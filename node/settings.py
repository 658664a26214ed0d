"""Settings: one frozen value, read once from TOML and the environment, handed down in parts.

Every setting can also be given by environment: ``SECOND_READER_SCP__PORT=11112``; lists as JSON. A name that ends in
``_FILE`` names a file holding the value (``SECOND_READER_STORAGE__DATABASE_FILE``), so that secrets need not stand in
the environment itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as NoJson

from node.domain.policy import Policy, SeriesPolicy
from node.domain.release import ReleasePolicy
from node.domain.tiers import Limits
from node.notify_settings import NotifySettings, apart_from_destinations
from node.outcome_settings import OutcomeSettings
from node.reads_settings import FhirSettings, Hl7Settings, ReadsSettings
from node.setting_sources import (
    PREFIX,
    Environment,
    SettingsError,
    in_words,
    only_known,
    own_environment,
    read_toml,
    secret_from,
    unknown_names,
)

__all__ = ["Settings", "SettingsError"]

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]*$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AllowedPeer(_Part):
    """A sender that may open an association: its AE title, and the addresses it may come from."""

    ae_title: AeTitle = Field(description="Calling AE title of the sender.")
    host: str | None = Field(default=None, description="Address or network (CIDR) it may come from; empty: any.")

    @field_validator("host")
    @classmethod
    def _network(cls, host: str | None) -> str | None:
        if host is not None:
            ipaddress.ip_network(host, strict=False)
        return host


class ScpSettings(_Part):
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
    idle_seconds: Seconds = Field(default=60, description="An association idle for so long is aborted.")


class StorageSettings(_Part):
    """Where files and the ledger are."""

    root: Path = Field(
        default=Path("/var/lib/second-reader"), description="Spool, outbox and quarantine; the default ledger too."
    )
    database: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL of the ledger; default: `ledger.sqlite` under the root."
    )
    reserve_gib: float = Field(default=5, ge=0, description="Disk space that is never filled: below it, A700.")

    @property
    def database_url(self) -> str:
        """URL of the ledger."""
        if self.database is not None:
            return self.database.get_secret_value()
        return f"sqlite:///{self.root.absolute() / 'ledger.sqlite'}"


class SeriesSettings(_Part):
    """When a series counts as complete."""

    quiet_seconds: Seconds = Field(
        default=10, description="Without evidence of completeness, go on after so long without a new slice."
    )
    hold_seconds: Seconds = Field(
        default=60, description="An association that stays open holds its series back for so long at most."
    )

    def policy(self) -> SeriesPolicy:
        """The same in the domain's terms."""
        return SeriesPolicy(
            quiet=timedelta(seconds=self.quiet_seconds), association_hold=timedelta(seconds=self.hold_seconds)
        )


class ReaderSettings(_Part):
    """How scans are read."""

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where the network runs.")
    profile: str = Field(default="agatston-1990", description="Scoring definition.")
    bundle: Path | None = Field(default=None, description="Weights to use; default: those that came with the node.")
    threads: int = Field(default=0, ge=0, le=256, description="CPU threads of the network; 0: as many as cores.")


Role = Literal["seg", "sr", "report", "summary"]


class Destination(_Part):
    """One place that answers are sent to."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = Field(description="Its name in status and logs.")
    kind: Literal["dimse", "dicomweb"] = Field(default="dimse", description="C-STORE or STOW-RS.")
    ae_title: AeTitle | None = Field(default=None, description="Called AE title (dimse).")
    host: str | None = Field(default=None, description="Host name or address (dimse).")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(default=None, description="Port (dimse).")
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


class SiteSettings(_Part):
    """How the node names itself in what it sends."""

    qualification: Literal["RESEARCH", "PRODUCT"] = Field(
        default="RESEARCH", description="ContentQualification; PRODUCT only after the site has validated the node."
    )
    station_name: Annotated[str, Field(max_length=16)] = Field(default="", description="Station name in the objects.")


class WebSettings(_Part):
    """The page for people: worklist, cases, statistics, the node's state."""

    enabled: bool = Field(default=True, description="Whether `serve` serves the page.")
    host: str = Field(default="127.0.0.1", description="Address the page listens on.")
    port: Port = Field(default=8042, description="Port of the page.")
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


class LogSettings(_Part):
    """What is logged, and how."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level; DEBUG shows UIDs in the clear."
    )
    format: Literal["console", "json"] = Field(default="console", description="For people or for machines.")


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", case_sensitive=False
    )

    scp: ScpSettings = ScpSettings()
    storage: StorageSettings = StorageSettings()
    series: SeriesSettings = SeriesSettings()
    eligibility: Annotated[Policy, BeforeValidator(only_known(Policy))] = Policy()
    reader: ReaderSettings = ReaderSettings()
    comparison: Annotated[Limits, BeforeValidator(only_known(Limits))] = Limits()
    reads: ReadsSettings = ReadsSettings()
    hl7: Hl7Settings = Hl7Settings()
    fhir: FhirSettings = FhirSettings()
    destinations: tuple[Destination, ...] = ()
    notify: NotifySettings = NotifySettings()
    outcome: OutcomeSettings = OutcomeSettings()
    site: SiteSettings = SiteSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @field_validator("destinations")
    @classmethod
    def _distinct(cls, destinations: tuple[Destination, ...]) -> tuple[Destination, ...]:
        names = [destination.name for destination in destinations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two destinations are named {', '.join(twice)}")
        return destinations

    _apart = field_validator("notify")(apart_from_destinations)

    @classmethod
    def load(cls, path: Path | None, environ: Mapping[str, str]) -> Settings:
        """Settings from a TOML file (if any), overlaid by the environment. Raises SettingsError with every fault."""
        values = read_toml(path) if path is not None else {}
        environment = own_environment(environ)
        unknown = unknown_names(environment, cls.model_fields)

        class Loaded(cls):  # type: ignore[misc, valid-type]  # sources are given per class; this one is for this call
            @classmethod
            def settings_customise_sources(
                cls, settings_cls: type[BaseSettings], **_: PydanticBaseSettingsSource
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return Environment(settings_cls, environment), InitSettingsSource(settings_cls, init_kwargs=values)

        try:
            loaded = Loaded()
        except ValidationError as error:
            raise SettingsError("\n".join([*unknown, in_words(error, path)])) from None
        except NoJson as error:  # its message names the setting, and not the value
            raise SettingsError("\n".join([*unknown, f"{error}: not JSON"])) from None
        if unknown:
            raise SettingsError("\n".join(unknown))
        return cls.model_construct(**dict(loaded))
