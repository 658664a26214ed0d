"""The channels that settings describe, made one by one; ``node.service`` and the command line put them to use."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime

from node import parts
from node.domain.notices import Notice
from node.domain.tiers import Tier
from node.notify.mail import MailAccount, MailChannel
from node.notify.trust import tls_context
from node.notify.webhook import WebhookAddress, WebhookChannel, signing_key
from node.notify_settings import ChannelSettings, NotifySettings
from node.settings import Settings, SettingsError
from node.stages.notify import Channel, NoticeRules


def told_tiers(notify: NotifySettings) -> Mapping[str, frozenset[Tier]]:
    """For each channel, the tiers it is told of."""
    return {one.name: frozenset(one.tiers) for one in notify.channels}


def notice_rules(settings: Settings) -> NoticeRules:
    """What all notices of this installation share."""
    return NoticeRules(
        node=parts.node_identity(settings).device_serial,
        link=settings.notify.link,
        accession=settings.notify.accession,
    )


def trial(now: datetime) -> Notice:
    """A notice of no case, to see whether a channel works; another one each time."""
    return Notice(key=uuid.uuid4().hex, made_at=now)


def way_to(channel: ChannelSettings, title: str, clock: parts.Clock) -> Channel:
    """The way to a channel.

    Raises
    ------
    SettingsError
        A file with its password, secret or certificates cannot be read or used.

    """
    try:
        return _mail(channel, title) if channel.kind == "email" else _webhook(channel, clock)
    except (ValueError, SettingsError) as error:
        raise SettingsError(f"channel {channel.name}: {error}") from None


def _mail(channel: ChannelSettings, title: str) -> MailChannel:
    password = channel.login_password()
    if channel.username is not None and not password:
        raise ValueError("the password is empty")
    return MailChannel(
        MailAccount(
            host=channel.host or "",
            port=channel.mail_port,
            sender=channel.sender or "",
            to=channel.to,
            security=channel.security,
            tls=None if channel.security == "none" else tls_context(channel.ca_file),
            username=channel.username or "",
            password=password,
            seconds=channel.timeout_seconds,
            title=title,
        )
    )


def _webhook(channel: ChannelSettings, clock: parts.Clock) -> WebhookChannel:
    secret = channel.signing_secret()
    if channel.secret_file is not None and not secret:
        raise ValueError("the secret is empty")
    address = WebhookAddress(
        url=channel.url.get_secret_value() if channel.url is not None else "",
        secret=signing_key(secret) if secret else b"",
        tls=tls_context(channel.ca_file),
        seconds=channel.timeout_seconds,
    )
    return WebhookChannel(address, clock)
