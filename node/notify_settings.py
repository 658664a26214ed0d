"""Settings of who is told of cases, and how."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from node.domain.notices import check_link
from node.domain.tiers import Tier
from node.setting_sources import secret_from

_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([^@]+)")
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")  # a name, or an IPv4 address
_USUAL_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_MAIL_ONLY: Final = frozenset(("host", "port", "security", "username", "password", "password_file", "sender", "to"))
_WEB_ONLY: Final = frozenset(("url", "secret", "secret_file"))


def _host(text: str) -> str:
    if ":" in text:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise ValueError("it is no host name or address") from None
    elif len(text) > 253 or not _HOST.fullmatch(text):
        raise ValueError("it is no host name or address")
    return text


def _mail_address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or len(text) > 254:
        raise ValueError("an e-mail address looks like name@example.org, with nothing around it")
    _host(found.group(2))
    return text


MailAddress = Annotated[str, AfterValidator(_mail_address)]
Host = Annotated[str, AfterValidator(_host)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class ChannelSettings(BaseModel):
    """One way to tell somebody: mail to some addresses, or a POST to one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = Field(description="Its name in status and logs.")
    kind: Literal["email", "webhook"] = Field(description="E-mail by SMTP, or a signed POST of JSON.")
    tiers: tuple[Tier, ...] = Field(default=(Tier.PRIORITY,), description="Cases of which tiers it is told of.")
    host: Host | None = Field(default=None, description="Mail server (email).")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="Its port (email); default: 587 with starttls, 465 with tls, 25 with none."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the way to the mail server is encrypted (email); `none` allows no log-in."
    )
    username: Annotated[str, Field(min_length=1)] | None = Field(default=None, description="User to log in as (email).")
    password: SecretStr | None = Field(default=None, description="Its password (email).")
    password_file: Path | None = Field(default=None, description="File that holds the password (email).")
    sender: MailAddress | None = Field(default=None, description="Address it comes from (email).")
    to: Annotated[tuple[MailAddress, ...], Field(max_length=50)] = Field(
        default=(), description="Addresses it goes to (email)."
    )
    url: SecretStr | None = Field(default=None, description="Address it is posted to (webhook).")
    secret: SecretStr | None = Field(default=None, description="Secret it is signed with (webhook); empty: unsigned.")
    secret_file: Path | None = Field(default=None, description="File that holds the secret (webhook).")
    ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) of authorities to trust beside those of the system."
    )
    attempts: int = Field(default=40, ge=1, description="Attempts before a notice becomes a dead letter.")
    first_retry_seconds: Seconds = Field(default=10, description="Delay after the first failed attempt; then doubled.")
    most_retry_seconds: Seconds = Field(default=900, description="Longest delay between attempts.")
    timeout_seconds: float = Field(default=30, gt=0, le=120, description="How long one message may take in all.")

    @field_validator("tiers")
    @classmethod
    def _some(cls, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
        if not tiers:
            raise ValueError("a channel for no tier would tell nobody anything: name one, or leave the channel out")
        return tiers

    @field_validator("to")
    @classmethod
    def _once(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        if len({one.lower() for one in to}) < len(to):
            raise ValueError("an address is named twice")
        return to

    @field_validator("url")
    @classmethod
    def _web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _check_url(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed, foreign = (("host", "sender", "to"), _WEB_ONLY) if self.kind == "email" else (("url",), _MAIL_ONLY)
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise ValueError(f"{_a(self.kind)} channel needs {', '.join(missing)}")
        misplaced = sorted(foreign & self.model_fields_set)
        if misplaced:
            raise ValueError(f"{', '.join(misplaced)}: not for {_a(self.kind)} channel")
        for name in ("password", "secret"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{name} and {name}_file are both given: one is enough")
        self._check_login()
        return self

    def _check_login(self) -> None:
        has_password = self.password is not None or self.password_file is not None
        if has_password != (self.username is not None):
            raise ValueError("to log in takes both: username, and password or password_file")
        if has_password and self.security == "none":
            raise ValueError("with security = 'none' the password would go over the network in the clear")

    @property
    def mail_port(self) -> int:
        """The port of the mail server."""
        return _USUAL_PORTS[self.security] if self.port is None else self.port

    def login_password(self) -> str:
        """The password, from its file if one is named; "" for none. Raises SettingsError if it cannot be read."""
        return _secret(self.password, self.password_file)

    def signing_secret(self) -> str:
        """The secret, from its file if one is named; "" for none. Raises SettingsError if it cannot be read."""
        return _secret(self.secret, self.secret_file)


class NotifySettings(BaseModel):
    """Who is told of cases. What was compared before a channel was set is not told to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    link: str = Field(
        default="",
        description="Where a case opens, as `https://second-reader.example/cases/{case}`; empty: no link.",
    )
    accession: bool = Field(
        default=False,
        description="Whether messages hold the accession number; never anything else of patients.",
    )
    channels: tuple[ChannelSettings, ...] = Field(default=(), description="Each is told by itself; empty: nobody is.")

    @field_validator("link")
    @classmethod
    def _template(cls, link: str) -> str:
        check_link(link)
        return link

    @field_validator("channels")
    @classmethod
    def _distinct(cls, channels: tuple[ChannelSettings, ...]) -> tuple[ChannelSettings, ...]:
        names = [one.name for one in channels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two channels are named {', '.join(twice)}")
        return channels


def apart_from_destinations(notify: NotifySettings, others: ValidationInfo) -> NotifySettings:
    """Raise ValueError if a channel has the name of a destination: `retry --destination` would mean both."""
    destinations = {one.name for one in others.data.get("destinations", ())}
    both = sorted({one.name for one in notify.channels} & destinations)
    if both:
        raise ValueError(f"a destination and a channel are both named {', '.join(both)}")
    return notify


def _a(kind: str) -> str:
    return "an email" if kind == "email" else f"a {kind}"


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ValueError("it must start with http:// or https://")
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise ValueError("an address has no spaces, line breaks or letters beyond ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("it is no web address") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("user name and password do not belong in it: the message is signed with secret_file")
    if parts.fragment:
        raise ValueError("what stands behind # is never sent: leave it out")
    if port == 0:
        raise ValueError("0 is no port to post to")
    _host(parts.hostname or "")


def _secret(value: SecretStr | None, file: Path | None) -> str:
    if file is not None:
        return secret_from(file)
    return "" if value is None else value.get_secret_value()
