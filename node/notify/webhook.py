"""Notices by webhook: one POST of JSON to an address, signed as Standard Webhooks has it.

The body, UTF-8::

    {"schema": 1, "event": "case", "id": "<key>", "tier": "priority", "case": 17,
     "compared_at": "2026-03-01T08:00:00+00:00", "link": "https://..."}

``link`` is there where the settings have a template for it, ``accession`` where they ask for it; a test has the event
``test`` and neither ``tier`` nor ``case``; ``silent-scanner`` has ``ae_title`` and ``last_study_at`` instead. Fields
may be added; they are never taken away under the same ``schema``.

Headers: ``Webhook-Id`` and ``Idempotency-Key`` are the key, the same at every attempt; ``Webhook-Timestamp`` is the
time of the attempt in seconds since 1970; ``Webhook-Signature``, if there is a secret, is ``v1,`` and the base64 of
the HMAC-SHA256 of ``id.timestamp.body`` under it.

==========================================  ===============================================
2xx                                         told; the body is not read
408, 409, 425, 429, 5xx                     PeerDown (409: the attempt before is being taken)
no connection, connection lost, no time     PeerDown
3xx, other 4xx, certificate not trusted     Refused
==========================================  ===============================================
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from node.domain.errors import PeerDown, Permanent, Refused
from node.domain.notices import Notice, Told
from node.notify.deadline import Deadline

SCHEMA: Final = 1
_PREFIX: Final = "whsec_"
_LEAST_SECRET: Final = 16  # bytes
_LATER: Final = frozenset((408, 409, 425, 429))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAddress:
    """Where notices are posted to.

    Attributes
    ----------
    url
        http or https. It may hold a secret of its own, and is repeated nowhere.
    secret
        To sign with, from :func:`signing_key`; b"" signs nothing.
    tls
        Verifies the server of an https address.
    seconds
        How long one message may take in all.

    """

    url: str = field(repr=False)
    secret: bytes = field(default=b"", repr=False)
    tls: ssl.SSLContext
    seconds: float = 30.0


class WebhookChannel:
    """Posts notices. Holds no connection between calls; goes by the proxies of the environment, as deliveries do."""

    def __init__(self, address: WebhookAddress, clock: Callable[[], datetime]) -> None:
        if not address.url.startswith(("http://", "https://")):
            raise ValueError("the address of a webhook begins with http:// or https://")
        self._address = address
        self._clock = clock

    def send(self, notice: Notice, only: str = "") -> Told:  # noqa: ARG002 - there is one recipient
        """Post a notice.

        Raises
        ------
        PeerDown, Refused
            As the module says.

        """
        body = body_of(notice)
        headers = headers_of(notice.key, body, self._address.secret, self._clock())
        request = urllib.request.Request(  # noqa: S310 - only http and https come past __init__
            self._address.url, data=body, headers=dict(headers), method="POST"
        )
        with Deadline(self._address.seconds) as deadline:
            try:
                with self._opener(deadline).open(request, timeout=self._address.seconds) as response:
                    return Told(note="" if response.status == http.HTTPStatus.OK else f"answered {response.status}")
            except urllib.error.HTTPError as error:
                error.close()
                raise _judged(error.code) from None
            except (OSError, http.client.HTTPException) as error:
                raise _meaning(error, deadline) from None  # its text may quote the address

    def _opener(self, deadline: Deadline) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(_NoRedirect, _Http(deadline), _Https(deadline, self._address.tls))


def body_of(notice: Notice) -> bytes:
    """The JSON of a notice, the same bytes at every attempt."""
    content: dict[str, object] = {
        "schema": SCHEMA,
        "event": "silent-scanner" if notice.silent else "test" if notice.case is None else "case",
        "id": notice.key,
    }
    if notice.case is not None:
        content |= {"tier": str(notice.tier), "case": notice.case, "compared_at": notice.made_at.isoformat()}
    if notice.silent and notice.silent_since is not None:
        content |= {"ae_title": notice.silent, "last_study_at": notice.silent_since.isoformat()}
    if notice.link:
        content["link"] = notice.link
    if notice.accession:
        content["accession"] = notice.accession
    return json.dumps(content).encode("ascii")


def headers_of(key: str, body: bytes, secret: bytes, now: datetime) -> Mapping[str, str]:
    """The headers of one attempt at ``now``."""
    timestamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "calcium-second-reader",
        "Idempotency-Key": key,
        "Webhook-Id": key,
        "Webhook-Timestamp": timestamp,
    }
    if secret:
        signed = hmac.digest(secret, b".".join((key.encode("ascii"), timestamp.encode("ascii"), body)), hashlib.sha256)
        headers["Webhook-Signature"] = f"v1,{base64.b64encode(signed).decode('ascii')}"
    return headers


def signing_key(secret: str) -> bytes:
    """The bytes to sign with: base64 behind ``whsec_``, any other text as it is.

    Raises
    ------
    ValueError
        It is too short to be a secret, or no base64.

    """
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("what follows whsec_ in the secret is not base64") from None
    else:
        key = secret.encode("utf-8")
    if len(key) < _LEAST_SECRET:
        raise ValueError(f"the secret is shorter than {_LEAST_SECRET} bytes")
    return key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the message to where nobody said it should go."""

    def redirect_request(self, *_: object) -> None:
        """Follow none: it is answered as the error it then is."""
        return


class _Plain(http.client.HTTPConnection):
    """A connection that is watched by a deadline."""

    deadline: Deadline

    def connect(self) -> None:
        """As the library does."""
        super().connect()
        self.deadline.watch(self.sock)


class _Secure(http.client.HTTPSConnection, _Plain):
    """The same over TLS: the library's ``connect`` calls that of :class:`_Plain`, then shakes hands."""


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._connect = partial(_watched, _Plain, deadline)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline, tls: ssl.SSLContext) -> None:
        super().__init__(context=tls)
        self._connect = partial(_watched, _Secure, deadline, context=tls)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)


def _watched(kind: type[_Plain], deadline: Deadline, host: str, **named: Any) -> _Plain:  # noqa: ANN401 - the library's
    made = kind(host, **named)
    made.deadline = deadline
    return made


def _judged(status: int) -> PeerDown | Refused:
    if status >= 500 or status in _LATER:
        return PeerDown(f"the webhook answered {status}")
    if 300 <= status < 400:
        return Refused(f"the webhook answered with a redirect ({status}), which is not followed: set the new address")
    if status in (401, 403):
        return Refused(f"the webhook does not accept the address or the signature ({status})")
    return Refused(f"the webhook answered {status}")


def _meaning(error: OSError | http.client.HTTPException, deadline: Deadline) -> PeerDown | Permanent:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if deadline.passed or isinstance(cause, TimeoutError):
        return PeerDown(f"the webhook gave {deadline.words}")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Refused("the certificate of the webhook is not trusted, or is for another name")
    return PeerDown(f"the webhook cannot be reached, or hung up ({type(cause).__name__})")
