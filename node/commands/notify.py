"""`notify test`: whether the channels that are told of cases work, before there is a case."""

from __future__ import annotations

from typing import Annotated

import typer

from node import parts
from node.channels import trial, way_to
from node.commands.options import FAILED, USAGE, ConfigFile, complain, load_settings, out
from node.domain.errors import NodeError
from node.notify_settings import ChannelSettings
from node.settings import Settings, SettingsError

notify = typer.Typer(help="Notices of cases by e-mail and webhook.", no_args_is_help=True)


@notify.callback()
def _about() -> None:
    """Notices of cases by e-mail and webhook."""


@notify.command("test")
def try_channels(
    channel: Annotated[str | None, typer.Option(help="Only over this channel; without it, over every one.")] = None,
    config: ConfigFile = None,
) -> None:
    """Send a test notice now, over every channel of the settings or one of them.

    It goes to the very people and addresses that are told of cases, says that it is a test, and is tried once. Exits
    with 0 if every channel took it, 1 if not, 2 if the settings cannot be used or name no such channel.
    """
    settings = load_settings(config)
    chosen = [one for one in settings.notify.channels if channel in (None, one.name)]
    if not chosen:
        names = ", ".join(one.name for one in settings.notify.channels)
        complain(f"there is no channel {channel}; there are {names}" if names else "the settings name no channel")
        raise typer.Exit(USAGE)
    results = [_tried(settings, one) for one in chosen]
    for words, fine in results:
        out.print(f"{'ok  ' if fine else 'FAIL'}  {words}", style=None if fine else "red", markup=False, soft_wrap=True)
    if not all(fine for _, fine in results):
        raise typer.Exit(FAILED)


def _tried(settings: Settings, channel: ChannelSettings) -> tuple[str, bool]:
    """What became of a test over a channel, in words, and whether everybody has it."""
    notice = trial(parts.utc_now())
    name = f"channel {channel.name}"
    try:
        told = way_to(channel, settings.web.title, parts.utc_now).send(notice)
    except SettingsError as error:
        return str(error), False  # it names the channel itself
    except NodeError as error:
        return f"{name}: {error}", False
    if told.failed:
        return f"{name}: sent to some, but {told.note}", False
    return f"{name}: taken" + (f" for {len(channel.to)} recipient(s)" if channel.kind == "email" else ""), True
