"""The parts that settings describe, made one by one; ``node.service`` and the command line put them to use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from model.bundle import default_bundle, load_bundle
from model.reader import Reader, use_threads
from node import trust
from node.destination_settings import Destination
from node.dicom.commitment_door import CommitmentDoor
from node.dicom.listener import AllowedPeer, Limits, Listener, ListenerConfig
from node.dicom.request import NodeIdentity, Role
from node.dicom.sender import PeerAddress, Sender, Timeouts
from node.dicom.web import WebSender
from node.domain.errors import Refused
from node.domain.identity import hashed
from node.domain.settlement import Disclosure
from node.domain.work import Backoff
from node.intake.code_map import CodeMap
from node.intake.fhir_reads import FhirSite
from node.intake.hl7_reads import Hl7Site
from node.intake.mllp import MllpConfig
from node.notify_settings import ChannelSettings
from node.offline import OfflineReader
from node.scp_settings import ScpSettings
from node.settings import Settings, SettingsError
from node.stages.deliver import Transport
from node.stages.human_objects import ObjectRules
from node.stages.release import ReleaseRule

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of a running node."""
    return datetime.now(UTC)


def software_version() -> str:
    """Version of this software."""
    return version("calcium-second-reader")


def node_identity(settings: Settings) -> NodeIdentity:
    """How this installation signs what it makes."""
    return NodeIdentity(
        device_serial=hashed(f"{settings.scp.ae_title}:{settings.site.station_name}")[:16],
        software_version=software_version(),
        station_name=settings.site.station_name or settings.scp.ae_title,
        qualification=settings.site.qualification,
    )


def settings_sha256(settings: Settings) -> str:
    """Hash of what shapes an answer: another profile, limit or station makes other objects, with other UIDs."""
    shaping = {
        "profile": settings.reader.profile,
        "site": settings.site.model_dump(mode="json"),
        "eligibility": settings.model_dump(mode="json")["eligibility"],
        "software": software_version(),
    }
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode("utf-8")).hexdigest()


def make_reader(settings: Settings) -> Reader:
    """The reader the settings ask for, warmed up. Raises BundleError, or SettingsError for a device or profile."""
    chosen = settings.reader
    if chosen.threads:
        use_threads(chosen.threads)
    bundle = load_bundle(chosen.bundle) if chosen.bundle is not None else default_bundle()
    try:
        reader = Reader(bundle, device=chosen.device, profile=chosen.profile)
    except ValueError as error:
        raise SettingsError(f"reader: {error}") from None
    reader.warm_up()
    return reader


def offline_reader(settings: Settings, *, load: bool = True) -> OfflineReader:
    """Reading without a node. ``load`` False leaves the network out: nothing will be eligible."""
    return OfflineReader(
        reader=make_reader(settings) if load else None,
        policy=settings.eligibility,
        identity=node_identity(settings),
        settings_sha256=settings_sha256(settings),
    )


def transport_to(destination: Destination, ae_title: str) -> Transport:
    """The way to a destination. Raises SettingsError if its password file or a certificate cannot be used."""
    return web_to(destination) if destination.kind == "dicomweb" else dimse_to(destination, ae_title)


def web_to(destination: Destination) -> WebSender:
    """The STOW-RS client of a DICOMweb destination."""
    return WebSender(
        destination.url or "",
        username=destination.username,
        password=destination.secret(),
        timeout=destination.timeout_seconds,
    )


def dimse_to(destination: Destination, ae_title: str) -> Sender:
    """The Storage SCU towards a DIMSE destination."""
    seconds = destination.timeout_seconds
    peer = PeerAddress(
        ae_title=destination.ae_title or "",
        host=destination.host or "",
        port=destination.port or 0,
        tls=trust.peer_tls(destination),
    )
    return Sender(ae_title, peer, Timeouts(connect=min(seconds, 10.0), association=seconds, response=seconds))


def echo(destination: Destination, ae_title: str) -> None:
    """Ask a destination whether it is there. Raises NodeError or SettingsError if not."""
    answers(destination, ae_title)


def answers(destination: Destination, ae_title: str) -> datetime | None:
    """Ask a destination whether it is there; until when its certificate is good (dimse over TLS).

    Raises
    ------
    NodeError, SettingsError
        If it is not, or cannot be asked.

    """
    if destination.kind == "dicomweb":
        web_to(destination).echo()
        return None
    return dimse_to(destination, ae_title).echo()


def own_echo(settings: Settings) -> None:
    """Ask the node that runs with these settings for a C-ECHO. Raises NodeError if it does not answer."""
    host = "127.0.0.1" if settings.scp.host in ("0.0.0.0", "::", "") else settings.scp.host  # noqa: S104 - any address
    calling = settings.scp.allow[0].ae_title if settings.scp.allow else settings.scp.ae_title
    tls = None if settings.scp.plain else trust.own_peer_tls(settings.scp)
    port = settings.scp.port if tls is None else settings.scp.tls.port
    peer = PeerAddress(ae_title=settings.scp.ae_title, host=host, port=port, tls=tls)
    try:
        Sender(calling, peer, Timeouts(connect=5.0, association=5.0, response=5.0)).echo()
    except Refused:  # which is an answer, where nobody gets in without a certificate that we have not
        if not any(each.certificate for each in settings.scp.allow):
            raise


def trial_echo(scp: ScpSettings) -> None:
    """A C-ECHO over TLS to a listener of one's own, which shows the settings' certificate and asks for none.

    Raises
    ------
    NodeError, SettingsError, OSError
        If it is not answered.

    """
    context = trust.scp_context(scp, for_self=True)
    if context is None:
        raise SettingsError("scp.tls is not enabled")
    config = ListenerConfig(ae_title=scp.ae_title, host="127.0.0.1", port=None, tls=(0, context))
    listener = Listener(config, lambda *_: None)
    listener.start()
    try:
        peer = PeerAddress(ae_title=scp.ae_title, host="127.0.0.1", port=listener.port, tls=trust.own_peer_tls(scp))
        Sender(scp.ae_title, peer, Timeouts(connect=5.0, association=5.0, response=5.0)).echo()
    finally:
        listener.stop(grace_seconds=1.0)


def ledger_exists(settings: Settings) -> bool:
    """Whether there is a ledger to open; asking must not make an empty one."""
    url = settings.storage.database_url
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).is_file()


def listener_config(
    scp: ScpSettings,
    has_room: Callable[[], bool] = lambda: True,
    commitment: CommitmentDoor | None = None,
) -> ListenerConfig:
    """The listener's part of the settings in its own terms. Raises SettingsError if a certificate cannot be used."""
    context = trust.scp_context(scp)
    return ListenerConfig(
        ae_title=scp.ae_title,
        host=scp.host,
        port=scp.port if scp.plain else None,
        tls=None if context is None else (scp.tls.port, context),
        allow=tuple(
            AllowedPeer(ae_title=peer.ae_title, host=peer.host or "", certificate=peer.certificate or "")
            for peer in scp.allow
        ),
        accept_any_called=scp.accept_any_called,
        has_room=has_room,
        commitment=commitment,
        limits=Limits(
            associations=scp.maximum_associations,
            per_address=scp.maximum_per_address,
            strangers=scp.maximum_waiting,
            pdu_bytes=scp.maximum_pdu_bytes,
            acse_seconds=scp.request_seconds,
            idle_seconds=scp.idle_seconds,
        ),
    )


def mllp_config(settings: Settings) -> MllpConfig:
    """The HL7 listener's part of the settings in its own terms."""
    return MllpConfig(host=settings.hl7.host, port=settings.hl7.port, allow=settings.hl7.allow)


def hl7_site(settings: Settings) -> Hl7Site:
    """What this site's messages mean."""
    hl7 = settings.hl7
    return Hl7Site(
        codes=CodeMap.of(hl7.codes),
        zone=settings.reads.tzinfo(),
        assumed_charset=hl7.charset,
        issuer=hl7.issuer,
        read_text=hl7.read_text,
        processing=hl7.processing_id,
    )


def fhir_site(settings: Settings) -> FhirSite:
    """What resources posted to this site's API mean."""
    fhir = settings.fhir
    return FhirSite(codes=CodeMap.of(fhir.codes), zone=settings.reads.tzinfo(), issuer=fhir.issuer)


def object_rules(settings: Settings) -> ObjectRules:
    """How reads that come as DICOM objects are understood."""
    return ObjectRules(profile=settings.reader.profile, zone=settings.reads.tzinfo(), colours=settings.reads.rgb())


def release_rules(settings: Settings) -> Mapping[str, ReleaseRule]:
    """For each destination, when it gets what was made."""
    return {one.name: _release_rule(one) for one in settings.destinations}


def _release_rule(destination: Destination) -> ReleaseRule:
    hours = destination.release_after_hours
    return ReleaseRule(policy=destination.release, longest=None if hours is None else timedelta(hours=hours))


def backoff(other: Destination | ChannelSettings) -> Backoff:
    """When something that failed is tried again."""
    return Backoff(
        first=timedelta(seconds=other.first_retry_seconds),
        most=timedelta(seconds=other.most_retry_seconds),
        attempts=other.attempts,
    )


def wanted_roles(settings: Settings) -> Mapping[str, frozenset[Role]]:
    """For each destination, the roles it gets."""
    return {one.name: frozenset(Role(role) for role in one.send) for one in settings.destinations}


def told_of_outcomes(settings: Settings) -> frozenset[str]:
    """The destinations that are told how flagged cases were settled."""
    return frozenset(one.name for one in settings.destinations if one.outcome)


def disclosure(settings: Settings) -> Disclosure:
    """What they are told beside the outcome itself."""
    outcome = settings.outcome
    return Disclosure(
        radpeer=outcome.radpeer, reviewer=outcome.name_reviewer, organization=outcome.verified_for.strip()
    )
