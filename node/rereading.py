"""The settings read again by a running node: what may change changes, the rest waits for the next start."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from pydantic import BaseModel, ValidationError

from model.reader import Reader
from node import parts
from node.destination_settings import Destination
from node.dicom.listener import Listener, ListenerConfig
from node.dispatch.local import LocalDispatcher
from node.dispatch.worker import StageWorker, Worker
from node.domain.errors import NodeError
from node.domain.settings_read import SettingsRead
from node.intake.mllp import MllpListener
from node.scp_settings import ScpSettings
from node.settings import Settings, SettingsError
from node.stages.deliver import Transport
from node.workers import Staff

LIVE: Final = ("scp.allow", "scp.accept_any_called", "hl7.allow", "destinations", "outcome")
"""Settings that change while the node runs."""
_ACTOR: Final = "node"
_SUBJECT: Final = "settings"
TAKEN: Final = "settings.reload"
"""The action that the audit trail has for settings that were read again."""
NOT_TAKEN: Final = "settings.reload-failed"
_LONGEST: Final = 2000

_log = structlog.get_logger(__name__)


def differences(running: BaseModel, given: BaseModel, under: str = "") -> Iterator[str]:
    """Names of the settings that differ."""
    for name in type(running).model_fields:
        before, after = getattr(running, name), getattr(given, name)
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            yield from differences(before, after, f"{under}{name}.")
        elif before != after:
            yield f"{under}{name}"


def is_live(name: str) -> bool:
    """Whether a setting, by its dotted name, changes while the node runs."""
    return any(name == one or name.startswith(f"{one}.") for one in LIVE)


def merged(running: Settings, given: Settings) -> Settings:
    """The running settings with what may change taken from the given ones.

    Raises
    ------
    SettingsError
        What is taken does not go with what stays.

    """
    taken = {"allow": given.scp.allow, "accept_any_called": given.scp.accept_any_called}
    try:
        scp = ScpSettings.model_validate(dict(running.scp) | taken)
    except ValidationError as error:
        said = "; ".join(fault["msg"] for fault in error.errors(include_input=False, include_url=False))
        raise SettingsError(f"scp: not while the node runs: {said}") from None
    both = sorted({one.name for one in given.destinations} & {one.name for one in running.notify.channels})
    if both:
        raise SettingsError(f"destinations: a channel of the running node has this name: {', '.join(both)}")
    hl7 = running.hl7.model_copy(update={"allow": given.hl7.allow})
    return running.model_copy(
        update={"scp": scp, "hl7": hl7, "destinations": given.destinations, "outcome": given.outcome}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """What settings come to: the listener's rules and certificate, and a way to every destination."""

    listener: ListenerConfig
    ways: Mapping[str, Transport]


def usable(settings: Settings) -> Usable:
    """What changes with the settings, made of them. Raises SettingsError with every fault."""
    faults: list[str] = []
    ways: dict[str, Transport] = {}
    listener = ListenerConfig(ae_title=settings.scp.ae_title)
    try:
        listener = parts.listener_config(settings.scp)
    except SettingsError as error:
        faults.append(str(error))
    for one in settings.destinations:
        try:
            ways[one.name] = parts.transport_to(one, settings.scp.ae_title)
        except SettingsError as error:
            faults.append(f"destination {one.name}: {error}")
    if faults:
        raise SettingsError("\n".join(faults))
    return Usable(listener=listener, ways=ways)


def changes(before: Settings, after: Settings) -> Iterator[str]:
    """What a change comes to, in words, without values but names."""
    for kind, old, new in (
        ("destination", _named(before.destinations), _named(after.destinations)),
        ("allowed peer", _peers(before.scp), _peers(after.scp)),
    ):
        yield from (f"{kind} {name} removed" for name in old if name not in new)
        yield from (f"{kind} {name} added" for name in new if name not in old)
        yield from (f"{kind} {name} changed" for name in new if name in old and new[name] != old[name])
    if _order(before) != _order(after) and set(_order(before)) == set(_order(after)):
        yield "order of the destinations"
    for name in ("scp.accept_any_called", "hl7.allow", "outcome"):
        if any(found == name or found.startswith(f"{name}.") for found in differences(before, after)):
            yield name


def _named(destinations: tuple[Destination, ...]) -> dict[str, object]:
    return {one.name: one for one in destinations}


def _order(settings: Settings) -> tuple[str, ...]:
    return tuple(one.name for one in settings.destinations)


def _peers(scp: ScpSettings) -> dict[str, object]:
    """By AE title, from where and by which certificates it may come."""
    return {peer.ae_title: [one for one in scp.allow if one.ae_title == peer.ae_title] for peer in scp.allow}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing:
    """The parts of a running node that change."""

    staff: Staff
    reader: Reader
    dispatcher: LocalDispatcher
    stages: StageWorker
    deliveries: dict[str, Worker]
    listener: Listener
    hl7: MllpListener | None


class Rereading:
    """Reads the settings again, for a running node. A fault changes nothing."""

    def __init__(self, settings: Settings, changing: Changing) -> None:
        self.settings = settings
        self.last: SettingsRead | None = None
        self._node = changing
        self._turn = threading.Lock()

    def read(self, load: Callable[[], Settings], source: str) -> SettingsRead:
        """Take over what may change of the settings that ``load`` gives; raises nothing.

        Logged in one line, and entered in the audit trail; ``source`` is the file they come from.
        """
        with self._turn:
            now = self._node.staff.clock()
            try:
                self.last = self._read(load(), now)
            except SettingsError as error:
                self.last = SettingsRead(at=now, faults=tuple(str(error).splitlines()))
                _log.error("the settings cannot be used, nothing is changed", faults=list(self.last.faults))
            except Exception as error:  # noqa: BLE001 - a node that runs does not end over its settings
                self.last = SettingsRead(at=now, faults=(f"a fault of this program: {type(error).__name__}",))
                _log.exception("a fault of this program: the settings could not be read again")
            self._enter(self.last, source)
            return self.last

    def _read(self, given: Settings, now: datetime) -> SettingsRead:
        settings = merged(self.settings, given)
        found = usable(settings)
        waiting = tuple(name for name in differences(self.settings, given) if not is_live(name))
        changed = tuple(changes(self.settings, settings))
        self._take(settings, found)
        _log.info("settings read again", changed=list(changed), waits_for_restart=list(waiting))
        return SettingsRead(at=now, changed=changed, waiting=waiting)

    def _take(self, settings: Settings, found: Usable) -> None:
        before, self.settings = self.settings, settings
        self._node.listener.change(found.listener)
        if self._node.hl7 is not None:
            self._node.hl7.allow(settings.hl7.allow)
        self._exchange_deliveries(before, settings, found.ways)
        releaser = self._node.staff.releaser(settings)
        handlers = self._node.staff.handlers(settings, self._node.reader, releaser)
        self._node.stages.hand_over(handlers, lambda: releaser.reconsider(self._node.staff.clock()))
        self._node.staff.wake()

    def _exchange_deliveries(self, before: Settings, after: Settings, ways: Mapping[str, Transport]) -> None:
        """Workers of destinations that are gone or have changed go; whoever has files with secrets has them anew."""
        kept = {one.name for one in after.destinations if one in before.destinations and not _has_files(one)}
        deliveries = self._node.deliveries
        leaving = [deliveries.pop(name) for name in tuple(deliveries) if name not in kept]
        joining = {
            one.name: self._node.staff.delivery(one, ways[one.name])
            for one in after.destinations
            if one.name not in kept
        }
        deliveries.update(joining)
        self._node.dispatcher.exchange(leaving, tuple(joining.values()))

    def _enter(self, read: SettingsRead, source: str) -> None:
        detail = {
            "file": source,
            "changed": "; ".join(read.changed)[:_LONGEST],
            "waits_for_restart": ", ".join(read.waiting)[:_LONGEST],
            "faults": "; ".join(read.faults)[:_LONGEST],
        }
        action = NOT_TAKEN if read.faults else TAKEN
        try:
            self._node.staff.storage.ledger.add_audit(
                _ACTOR, action, _SUBJECT, read.at, {name: value for name, value in detail.items() if value}
            )
        except NodeError as error:
            _log.error("the audit trail could not take that the settings were read", error=str(error))


def _has_files(destination: Destination) -> bool:
    return destination.tls.enabled or destination.password_file is not None
