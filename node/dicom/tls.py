"""TLS by BCP 195 (RFC 9325), the profile that DICOM names (PS3.15 B.9).

1.2 and 1.3 alone, forward secrecy, authenticated ciphers; certificates always verified, and failures told in words.
"""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK"
"""Of TLS 1.2 (RFC 9325 4.2); those of 1.3 are all good."""
_REFUSED_US: Final = ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_REQUIRED", "ALERT_CERTIFICATE", "ALERT_ACCESS")
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "HTTPS_PROXY_REQUEST")
_TOO_OLD: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW", "NO_SHARED_CIPHER", "HANDSHAKE_FAIL")
_EXPIRED, _NOT_YET, _WRONG_NAMES, _UNKNOWN_ISSUER = 10, 9, (62, 64), (18, 19, 20, 21)  # OpenSSL's x509_vfy.h
_NAMES: Final = frozenset({"DNS", "IP Address", "URI", "email"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCertificate:
    """Files with a certificate (with its chain) and its private key, both PEM; the key's password, if it has one."""

    certificate: Path
    key: Path
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """The verified certificate of a peer: what it is named (CN and alternative names), SHA-256 of it in hex."""

    names: frozenset[str]
    sha256: str

    def is_bound_to(self, wanted: str) -> bool:
        """Whether it is the certificate that a setting names: by fingerprint, or by a name, case aside."""
        return fingerprint_in(wanted) == self.sha256 or wanted.strip().casefold() in self.names


def fingerprint_in(text: str) -> str:
    """The SHA-256 fingerprint that a setting spells, colons and prefix aside, in lower-case hex; "" if it is a name."""
    plain = text.strip().lower().removeprefix("sha256:").replace(":", "")
    return plain if len(plain) == 64 and not plain.strip("0123456789abcdef") else ""


def presented_by(connection: object) -> Presented | None:
    """The certificate that the peer of a connection has proven to hold; None without TLS or without one."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    whole = connection.getpeercert(binary_form=True)
    told = cast("dict[str, Any] | None", connection.getpeercert())
    if not whole or not told:  # ``told`` is empty unless the certificate was verified
        return None
    subject = [pair for part in told.get("subject", ()) for pair in part]
    common = [value for name, value in subject if name == "commonName"]
    others = [value for kind, value in told.get("subjectAltName", ()) if kind in _NAMES]
    return Presented(
        names=frozenset(str(name).casefold() for name in (*common, *others)), sha256=hashlib.sha256(whole).hexdigest()
    )


def server_context(own: OwnCertificate, authority: Path | None = None, *, required: bool = True) -> ssl.SSLContext:
    """For those who are called.

    Parameters
    ----------
    own
        The certificate to show.
    authority
        Certificates of the authorities whose clients are known; without it no client is asked for a certificate.
    required
        Whether a client without a certificate is turned away; a certificate of another authority always is.

    Raises
    ------
    ValueError
        If a file cannot be used; the message names it.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # nobody resumes, and some clients wait for data behind a ticket
    _set_up(context, own)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        _trust(context, authority)
    return context


def client_context(
    authority: Path | None = None, own: OwnCertificate | None = None, *, check_name: bool = True, pinned: bool = False
) -> ssl.SSLContext:
    """For those who call.

    Parameters
    ----------
    authority
        Certificates of the authorities to trust; None: those of the system.
    own
        The certificate to show where one is asked for.
    check_name
        Whether the peer's certificate has to hold the name it was called by.
    pinned
        Whether ``authority`` may hold the peer's own certificate, its issuer unknown.

    Raises
    ------
    ValueError
        If a file cannot be used; the message names it.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_name
    _set_up(context, own)
    if pinned:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if authority is None:
        context.load_default_certs()
    else:
        _trust(context, authority)
    return context


def shake_hands(connection: ssl.SSLSocket, seconds: float) -> None:
    """The handshake of a wrapped connection, within ``seconds`` in all however slowly its bytes trickle.

    Raises
    ------
    OSError
        ``ssl.SSLError`` if it fails, ``TimeoutError`` if it takes too long; :func:`why` says it in words.

    """
    connection.settimeout(0)
    until = time.monotonic() + seconds
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            wanted = select.POLLIN
        except ssl.SSLWantWriteError:
            wanted = select.POLLOUT
        else:
            break
        waiting = select.poll()
        waiting.register(connection, wanted)
        left = until - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            raise TimeoutError("the handshake took too long")
    connection.settimeout(seconds)


def speaks(connection: ssl.SSLSocket, seconds: float) -> bool:
    """Whether the peer of a connection says something within ``seconds``, its end included; nothing is read."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(connection.pending() or waiting.poll(seconds * 1000))


def why(error: OSError) -> str:
    """What went wrong with TLS, and whose certificate it was; nothing of what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _why_not_trusted(error)
    if isinstance(error, ssl.SSLError):
        return _why_not_shaken(error)
    if isinstance(error, TimeoutError):
        return "no TLS handshake in time"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return f"the connection ended during TLS ({type(error).__name__})"


def _why_not_trusted(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "the peer's certificate has expired"
    if code == _NOT_YET:
        return "the peer's certificate is not valid yet; do both clocks tell the same time?"
    if code in _WRONG_NAMES:
        return "the peer's certificate is for another host"
    if code in _UNKNOWN_ISSUER:
        return "the peer's certificate comes from an authority that is not trusted here"
    return f"the peer's certificate is not good: {error.verify_message}"


def _why_not_shaken(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    said = reason.lower().replace("_", " ") or type(error).__name__
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        words = "the peer showed no certificate, and one is required"
    elif "EXPIRED" in reason:
        words = "the peer says that our certificate has expired"
    elif any(part in reason for part in _REFUSED_US):
        words = f"the peer does not accept our certificate, or asks for one ({said})"
    elif reason in _NOT_TLS:
        words = "the peer does not speak TLS on this port"
    elif any(part in reason for part in _TOO_OLD):
        words = f"no TLS version and cipher that both sides take ({said}); this node takes TLS 1.2 and 1.3 (BCP 195)"
    elif isinstance(error, ssl.SSLEOFError):
        words = "the peer hung up during the TLS handshake"
    else:
        words = f"TLS failed ({said})"
    return words


def _set_up(context: ssl.SSLContext, own: OwnCertificate | None) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if own is None:
        return
    for file in (own.certificate, own.key):
        _readable(file)
    try:
        # A function, also where there is no password: OpenSSL would ask for one on the terminal.
        context.load_cert_chain(own.certificate, own.key, password=lambda: own.password or "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"{own.key} is not the key of the certificate in {own.certificate}") from None
        raise ValueError(
            f"{own.certificate} and {own.key} cannot be used: not PEM, or the key's password is missing or wrong"
        ) from None
    except (OSError, ValueError):
        raise ValueError(f"{own.certificate} and {own.key} cannot be used") from None


def _trust(context: ssl.SSLContext, authority: Path) -> None:
    _readable(authority)
    try:
        context.load_verify_locations(cafile=authority)
    except (ssl.SSLError, OSError):
        raise ValueError(f"{authority} holds no certificate (PEM)") from None


def _readable(file: Path) -> None:
    try:
        with file.open("rb"):
            return
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None


def cut(connection: socket.socket) -> None:
    """End a connection under whoever waits for it, TLS or not."""
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # that of SSLSocket would take TLS away from the waiter
    except OSError:
        return
