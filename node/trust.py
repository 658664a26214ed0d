"""The TLS that settings describe, and how long its certificates are good for."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from node.commitment_settings import CommitmentPeer
from node.destination_settings import Destination
from node.dicom.certificates import state
from node.dicom.tls import OwnCertificate, client_context, server_context
from node.dicom.tls_client import PeerTls
from node.scp_settings import ScpSettings
from node.setting_sources import SettingsError
from node.settings import Settings
from node.tls_settings import CertificateSettings
from node.web_settings import WebSettings


def own_certificate(given: CertificateSettings) -> OwnCertificate | None:
    """The certificate that a part of the settings names. Raises SettingsError if the key's password cannot be read."""
    if given.certificate is None:
        return None
    return OwnCertificate(certificate=given.certificate, key=given.key or given.certificate, password=given.password())


def scp_context(scp: ScpSettings, *, for_self: bool = False) -> ssl.SSLContext | None:
    """TLS of the DICOM listener; None if it speaks none. ``for_self`` asks no client for a certificate.

    Raises
    ------
    SettingsError
        If a file cannot be used.

    """
    own = own_certificate(scp.tls) if scp.tls.enabled else None
    if own is None:
        return None
    try:
        return server_context(own, None if for_self else scp.tls.authority, required=scp.tls.require_certificate)
    except ValueError as error:
        raise SettingsError(f"scp.tls: {error}") from None


def page_context(web: WebSettings) -> ssl.SSLContext | None:
    """TLS of the page; None if it speaks none. Raises SettingsError if a file cannot be used."""
    own = own_certificate(web.tls) if web.tls.enabled else None
    try:
        return None if own is None else server_context(own)
    except ValueError as error:
        raise SettingsError(f"web.tls: {error}") from None


def peer_tls(destination: Destination | CommitmentPeer) -> PeerTls | None:
    """TLS towards a destination, or towards who asks for storage commitment; None if it gets none.

    Raises
    ------
    SettingsError
        If a file cannot be used.

    """
    tls = destination.tls
    if not tls.enabled:
        return None
    try:
        context = client_context(tls.authority, own_certificate(tls), check_name=tls.verify_name)
    except ValueError as error:
        kind = "destination" if isinstance(destination, Destination) else "commitment.peers,"
        raise SettingsError(f"{kind} {destination.name}, tls: {error}") from None
    return PeerTls(context=context, name=tls.name or destination.host or "")


def own_peer_tls(scp: ScpSettings) -> PeerTls:
    """TLS towards this very node: exactly its own certificate is trusted, and shown.

    Raises
    ------
    SettingsError
        If a file cannot be used, or TLS has no certificate.

    """
    own = own_certificate(scp.tls)
    if own is None:
        raise SettingsError("scp.tls: TLS needs a certificate")
    try:
        context = client_context(own.certificate, own, check_name=False, pinned=True)
    except ValueError as error:
        raise SettingsError(f"scp.tls: {error}") from None
    return PeerTls(context=context, name="127.0.0.1")


def certificates(settings: Settings, now: datetime) -> Iterator[tuple[str, str, bool]]:
    """(whose, how it stands, whether it is good) of every certificate file that the settings use."""
    for whose, file in _files(settings):
        try:
            said, good = state(file, now)
        except ValueError as error:
            said, good = str(error), False
        yield whose, f"{file}: {said}" if str(file) not in said else said, good


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    scp, web = settings.scp.tls, settings.web.tls
    found = [
        ("scp.tls", "certificate", scp.certificate if scp.enabled else None),
        ("scp.tls", "authority", scp.authority if scp.enabled else None),
        ("web.tls", "certificate", web.certificate if web.enabled else None),
    ]
    for destination in settings.destinations:
        tls, name = destination.tls, f"destination {destination.name}, tls"
        found.append((name, "certificate", tls.certificate if tls.enabled else None))
        found.append((name, "authority", tls.authority if tls.enabled else None))
    for peer in settings.commitment.peers:
        name = f"commitment.peers, {peer.ae_title}, tls"
        found.append((name, "certificate", peer.tls.certificate if peer.tls.enabled else None))
        found.append((name, "authority", peer.tls.authority if peer.tls.enabled else None))
    for whose, kind, file in found:
        if file is not None:
            yield f"{whose} {kind}", file
