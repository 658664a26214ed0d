"""Settings of how human reads come in."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from model.lesions import Vessel
from node.intake.code_map import CodeMap
from node.intake.hl7_message import knows_charset

_COLOUR: Final = re.compile(r"#[0-9A-Fa-f]{6}")


class ReadsSettings(BaseModel):
    """What holds for reads by every door."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: str = Field(default="UTC", description="Time zone of times that come without one, such as `Europe/Berlin`.")
    capture_colours: Mapping[str, str] = Field(
        default={},
        description='Colours of vessels in annotated secondary captures, as `LAD = "#FFD600"`; '
        "empty: captures are not read.",
    )

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone != "UTC":
            try:
                ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"{zone!r} is no time zone that is known here") from None
        return zone

    @field_validator("capture_colours")
    @classmethod
    def _colours(cls, colours: Mapping[str, str]) -> Mapping[str, str]:
        vessels = [str(one) for one in Vessel]
        wrong = sorted(name for name, text in colours.items() if name not in vessels or not _COLOUR.fullmatch(text))
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: vessels are {', '.join(vessels)}, a colour is six digits as #FFD600")
        return colours

    def tzinfo(self) -> tzinfo:
        """The zone."""
        return UTC if self.zone == "UTC" else ZoneInfo(self.zone)

    def rgb(self) -> Mapping[str, tuple[int, int, int]]:
        """Red, green and blue (0 to 255) by vessel."""
        bytes_of = {name: bytes.fromhex(text[1:]) for name, text in self.capture_colours.items()}
        return {name: (part[0], part[1], part[2]) for name, part in bytes_of.items()}


class FhirSettings(BaseModel):
    """What FHIR resources that are posted to the API mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codes: Mapping[str, str] = Field(
        default={},
        description='Meaning of the site\'s Observation codes by system and code, as `"urn:ris:codes|LAD" = "LAD"`.',
    )
    issuer: str = Field(
        default="", description="Identifier system of the patient ids that are wanted, where a patient has several."
    )

    @field_validator("codes")
    @classmethod
    def _meanings(cls, codes: Mapping[str, str]) -> Mapping[str, str]:
        CodeMap.of(codes)
        return codes


class Hl7Settings(BaseModel):
    """The listener for HL7 v2 results (MLLP)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=False, description="Whether `serve` listens for HL7 v2 results (ORU^R01).")
    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104 - results come from outside
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=2575, description="Port to listen on.")
    allow: tuple[str, ...] = Field(
        default=(), description="Addresses or networks (CIDR) that may connect; empty: any (said at start)."
    )
    codes: Mapping[str, str] = Field(
        default={},
        description='Meaning of the site\'s OBX-3 codes, as `CALC_LAD = "LAD"` or `"99RIS|17" = "RCA volume"`.',
    )
    issuer: str = Field(default="", description="Assigning authority of the patient ids, where a message names none.")
    charset: str = Field(default="", description="Character set of messages without MSH-18, such as `8859/1`.")
    read_text: bool = Field(default=True, description="Search free text where nothing is coded (low confidence).")
    processing_id: Literal["P", "T", "D"] = Field(
        default="P",
        description="What this node is: P (production), T (training), D (debugging). "
        "Messages meant for another (MSH-11) are rejected; one that does not say is for P.",
    )

    @field_validator("allow")
    @classmethod
    def _networks(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for network in allow:
            ipaddress.ip_network(network, strict=False)
        return allow

    @field_validator("codes")
    @classmethod
    def _meanings(cls, codes: Mapping[str, str]) -> Mapping[str, str]:
        CodeMap.of(codes)
        return codes

    @field_validator("charset")
    @classmethod
    def _readable(cls, charset: str) -> str:
        if not knows_charset(charset):
            raise ValueError(f"messages in {charset!r} cannot be read")
        return charset
