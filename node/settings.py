"""Settings: one frozen value, read once from TOML and the environment, handed down in parts.

Every setting can also be given by environment: ``SECOND_READER_SCP__PORT=11112``; lists as JSON. A name that ends in
``_FILE`` names a file holding the value (``SECOND_READER_STORAGE__DATABASE_FILE``), so that secrets need not stand in
the environment itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as NoJson

from node.commitment_settings import CommitmentSettings
from node.destination_settings import Destination
from node.domain.policy import Policy, SeriesPolicy
from node.domain.tiers import Limits
from node.monitor_settings import MonitorSettings
from node.notify_settings import NotifySettings, apart_from_destinations
from node.outcome_settings import OutcomeSettings
from node.reads_settings import FhirSettings, Hl7Settings, ReadsSettings
from node.retention_settings import RetentionSettings
from node.scp_settings import ScpSettings
from node.setting_sources import (
    PREFIX,
    Environment,
    SettingsError,
    in_words,
    only_known,
    own_environment,
    read_toml,
    unknown_names,
)
from node.setting_types import Part, Seconds
from node.web_settings import WebSettings

__all__ = ["Settings", "SettingsError"]


class StorageSettings(Part):
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


class SeriesSettings(Part):
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


class ReaderSettings(Part):
    """How scans are read."""

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where the network runs.")
    profile: str = Field(default="agatston-1990", description="Scoring definition.")
    bundle: Path | None = Field(default=None, description="Weights to use; default: those that came with the node.")
    threads: int = Field(default=0, ge=0, le=256, description="CPU threads of the network; 0: as many as cores.")


class SiteSettings(Part):
    """How the node names itself in what it sends."""

    qualification: Literal["RESEARCH", "PRODUCT"] = Field(
        default="RESEARCH", description="ContentQualification; PRODUCT only after the site has validated the node."
    )
    station_name: Annotated[str, Field(max_length=16)] = Field(default="", description="Station name in the objects.")


class LogSettings(Part):
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
    commitment: CommitmentSettings = CommitmentSettings()
    notify: NotifySettings = NotifySettings()
    outcome: OutcomeSettings = OutcomeSettings()
    retention: RetentionSettings = RetentionSettings()
    site: SiteSettings = SiteSettings()
    web: WebSettings = WebSettings()
    monitor: MonitorSettings = MonitorSettings()
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
