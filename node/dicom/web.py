"""Objects to a DICOMweb server by STOW-RS (PS3.18 section 10.5), with the same outcomes as the Storage SCU.

The files go out as they are stored. dicomweb-client would encode each object anew, so the request is made here.

==========================================  ===============================================
200 or 202 naming the object as stored      delivered; with a note if there was a warning
object named as failed, reason A7xx         PeerDown
object named as failed, other reason        Refused
3xx and other 4xx                           Refused
408, 425, 429, 5xx, no connection, no time  PeerDown
==========================================  ===============================================
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from node.dicom.outgoing import Outcome, SendItem, all_failed, unreadable
from node.domain.errors import Malformed, PeerDown, Refused

_CREDENTIALS = frozenset((401, 403))
_LATER = frozenset((408, 425, 429))
_MOST_ANSWER = 1 << 24
_FAILED, _STORED, _SOP_UID = "00081198", "00081199", "00081155"
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"
_ALREADY_THERE = 0x0111


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry patient data and credentials to where nobody said they should go."""

    def redirect_request(self, *_: object) -> None:
        """Follow none: it is answered as the error it then is."""
        return


class WebSender:
    """STOW-RS client of one server; the counterpart of :class:`node.dicom.sender.Sender`.

    Parameters
    ----------
    url
        Base of the service, http or https; ``/studies`` is put behind it.
    username, password, token
        HTTP Basic credentials, or a bearer token; None or "": none.
    timeout
        Seconds to wait for the server.

    Raises
    ------
    ValueError
        If the address is of another kind.

    """

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        token: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError("a DICOMweb address begins with http:// or https://")
        self._url = url.rstrip("/")
        self._authorization = _authorization(username or "", password or "", token or "")
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, items: Sequence[SendItem]) -> list[Outcome]:
        """Store objects, one request each, so that one bad object spoils no other. Raises nothing foreseen."""
        return [self._store(item) for item in items]

    def echo(self) -> None:
        """Ask the server for a study list of at most one entry.

        Raises
        ------
        PeerDown, Refused
            As the module says.

        """
        self._request("/studies?limit=1", None, {"Accept": "application/dicom+json"})

    def _store(self, item: SendItem) -> Outcome:
        try:
            content = item.file_bytes()
            item.dataset_bytes()
        except (OSError, Malformed) as fault:
            return unreadable(item, fault)
        boundary = uuid.uuid4().hex
        part = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
        body = part + content + f"\r\n--{boundary}--\r\n".encode("ascii")
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
        }
        try:
            status, answer = self._request("/studies", body, headers)
            return Outcome(sop_uid=item.sop_uid, note=_verdict(status, answer, item.sop_uid))
        except (PeerDown, Refused) as error:
            return all_failed([item], error)[0]

    def _request(self, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        request = urllib.request.Request(  # noqa: S310 - only http and https come past __init__
            self._url + path, data=body, headers={**headers, **self._authorization}
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return int(response.status), bytes(response.read(_MOST_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 409:
                    return error.code, bytes(error.read(_MOST_ANSWER))  # it names the reason
            if error.code >= 500 or error.code in _LATER:
                raise PeerDown(f"the server answered {error.code}") from error
            if error.code in _CREDENTIALS:
                raise Refused(f"the server refused the user name, password or token ({error.code})") from error
            raise Refused(f"the server answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise PeerDown(f"the server cannot be reached ({type(error).__name__})") from error


def _authorization(username: str, password: str, token: str) -> dict[str, str]:
    if token:
        return {"Authorization": f"Bearer {token}"}
    if username:
        pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        return {"Authorization": f"Basic {pair}"}
    return {}


def _verdict(status: int, answer: bytes, sop_uid: str) -> str:
    """The note of a delivery, from a Store Instances Response (PS3.18 annex I).

    Raises
    ------
    PeerDown, Refused
        If the object is named as failed, or is not named at all.

    """
    try:
        said: dict[str, Any] = json.loads(answer)
        failed = _named(said, _FAILED).get(sop_uid)
        stored = _named(said, _STORED).get(sop_uid)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError) as fault:
        if status == 200:  # which says that everything was stored
            return "the server's answer cannot be read, but is 200"
        raise Refused("the server's answer to STOW-RS cannot be read") from fault
    if failed is not None:
        reason = _reason(failed, _FAILURE_REASON)
        if reason == _ALREADY_THERE:
            return "the server has it already (0111)"
        if reason & 0xFF00 == 0xA700:
            raise PeerDown(f"the server is out of resources ({reason:04X})")
        raise Refused(f"the server did not store it ({reason:04X})")
    if stored is None:
        raise Refused("the server does not say that it stored the object")
    warning = _reason(stored, _WARNING_REASON)
    return f"the server warned {warning:04X}" if warning else ""


def _named(said: dict[str, Any], sequence: str) -> dict[str, dict[str, Any]]:
    items = said.get(sequence, {}).get("Value", [])
    return {item[_SOP_UID]["Value"][0]: item for item in items}


def _reason(item: dict[str, Any], tag: str) -> int:
    values = item.get(tag, {}).get("Value") or [0]
    return int(values[0])
