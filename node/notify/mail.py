"""Notices by e-mail: one message to all recipients of a channel, by SMTP (RFC 5321).

What an answer means:

==========================================================  ==========================================================
250 after the message                                       told
4yz, no connection, connection lost, no answer in time      PeerDown
5yz: user name or password, sender, message                 Refused
every recipient refused, one of them with 4yz               PeerDown
every recipient refused, all with 5yz                       Refused
some recipients refused                                     told; the others are named, to be tried alone
no STARTTLS or no log-in where the settings ask for it      Refused: a person must change a setting here or there
certificate not trusted                                     Refused
==========================================================  ==========================================================

Only codes are repeated: the text of an answer may quote the message or a person's address.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final, Literal

from node.domain.errors import PeerDown, Permanent, Refused
from node.domain.notices import Notice, Told, recipient_mark
from node.notify.deadline import Deadline
from node.notify.mail_text import message_of

Security = Literal["starttls", "tls", "none"]
_MOST_ANSWERED: Final = 1 << 16
_ENHANCED: Final = re.compile(rb"\A[245]\.\d{1,3}\.\d{1,3}(?!\d)")  # RFC 3463
_Answers = Mapping[str, tuple[int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAccount:
    """A mail server, and who is written to over it.

    Attributes
    ----------
    security
        ``starttls`` and ``tls`` need ``tls``, the context to verify the server by.
    username, password
        To log in with, or "".
    seconds
        How long one message may take in all.
    title
        What the node calls itself in the subject.

    """

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    security: Security = "starttls"
    tls: ssl.SSLContext | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    seconds: float = 30.0
    title: str = "Calcium second reader"


class MailChannel:
    """Sends notices by e-mail. Holds no connection between calls."""

    def __init__(self, account: MailAccount) -> None:
        if account.security != "none" and account.tls is None:
            raise ValueError("there is nothing to verify the mail server by")
        self._account = account

    def send(self, notice: Notice, only: str = "") -> Told:
        """Send a notice to all recipients, or to the one with the mark ``only``.

        Raises
        ------
        PeerDown, Refused
            As the module says: nobody got it, as far as is known.

        """
        account = self._account
        to = [one for one in account.to if only in ("", recipient_mark(one))]
        if not to:
            return Told(note="the recipient is no longer in the settings")
        message = message_of(notice, sender=account.sender, to=account.to, title=account.title).as_bytes()
        with Deadline(account.seconds) as deadline:
            try:
                with self._session(deadline) as session:
                    refused = session.sendmail(account.sender, to, message)
            except (OSError, smtplib.SMTPException) as error:
                raise self._meaning(error, deadline) from None  # its text may quote people and messages
        return _told(refused, to)

    @contextlib.contextmanager
    def _session(self, deadline: Deadline) -> Iterator[_Session]:
        account = self._account
        session = _Session(account, deadline)
        try:
            self._enter(session)
            yield session
            with contextlib.suppress(OSError, smtplib.SMTPException):  # the message is taken, whatever comes now
                session.quit()
        finally:
            session.close()

    def _enter(self, session: _Session) -> None:
        """Encrypt and log in, as the settings ask."""
        account = self._account
        session.ehlo_or_helo_if_needed()
        if account.security == "starttls":
            if not session.has_extn("starttls"):
                raise Refused("the mail server offers no STARTTLS")
            session.starttls(context=account.tls)
            session.ehlo_or_helo_if_needed()
        if account.username:
            if not session.has_extn("auth"):
                raise Refused("the mail server offers no log-in")
            session.login(account.username, account.password)

    def _meaning(self, error: OSError | smtplib.SMTPException, deadline: Deadline) -> PeerDown | Permanent:
        if deadline.passed or TimeoutError in (type(error), type(error.__context__)):  # the library wraps it
            return PeerDown(f"the mail server gave {deadline.words}")
        if isinstance(error, ssl.SSLCertVerificationError):
            return Refused("the certificate of the mail server is not trusted, or is for another name")
        if type(error) is smtplib.SMTPException:  # what the library raises where no way to log in is left
            return Refused("the mail server offers no way to log in that is known here")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return self._nobody(error.recipients)
        if isinstance(error, smtplib.SMTPResponseException):
            return _judged(error.smtp_code, _answer_of(error), _concerning(error))
        return PeerDown(f"the mail server cannot be reached, or hung up ({type(error).__name__})")

    def _nobody(self, refused: _Answers) -> PeerDown | Refused:
        """Every recipient was refused."""
        said = _places(refused, self._account.to)
        later = any(code < 500 for code, _ in refused.values())
        return (PeerDown if later else Refused)(f"the mail server refused {said}")


class _Session(smtplib.SMTP):
    """A connection that is watched by a deadline, over TLS from the start if so set, and reads no endless answers."""

    def __init__(self, account: MailAccount, deadline: Deadline) -> None:
        self._deadline = deadline
        self._from_the_start = account.tls if account.security == "tls" else None
        super().__init__(account.host, account.port, timeout=account.seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = socket.create_connection((host, port), timeout)
        self._deadline.watch(connected)
        if self._from_the_start is None:
            return connected
        try:
            return self._from_the_start.wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        """As the library's, with an end to what a server may say."""
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _Bounded:
    """The answers of a server, up to a length; after it, as if the connection had ended."""

    def __init__(self, answers: IO[bytes]) -> None:
        self._answers = answers
        self._left = _MOST_ANSWERED

    def readline(self, most: int) -> bytes:
        line = self._answers.readline(min(most, self._left))
        self._left -= len(line)
        return line

    def close(self) -> None:
        self._answers.close()


def _told(refused: _Answers, to: Sequence[str]) -> Told:
    if not refused:
        return Told()
    failed = tuple(recipient_mark(one) for one in to if one in refused)
    return Told(note=f"the mail server refused {_places(refused, to)}", failed=failed)


def _places(refused: _Answers, to: Sequence[str]) -> str:
    """Which of the recipients in the settings, and by which codes."""
    found = [f"recipient {to.index(one) + 1} ({_code(*answer)})" for one, answer in refused.items() if one in to]
    return ", ".join(found) or "the recipients"


def _concerning(error: smtplib.SMTPResponseException) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "the user name or password"
    if isinstance(error, smtplib.SMTPSenderRefused):
        return "the sender"
    if isinstance(error, smtplib.SMTPDataError):
        return "the message"
    return "the connection"


def _judged(code: int, answer: bytes, concerning: str) -> PeerDown | Refused:
    """By the first digit of the code (RFC 5321 section 4.2.1); what is no code at all may be a passing fault."""
    kind = Refused if 500 <= code < 600 else PeerDown
    return kind(f"the mail server refused {concerning} ({_code(code, answer)})")


def _answer_of(error: smtplib.SMTPResponseException) -> bytes:
    said: Any = error.smtp_error
    return said if isinstance(said, bytes) else str(said).encode("ascii", "replace")


def _code(code: int, answer: bytes) -> str:
    enhanced = _ENHANCED.match(answer)
    return f"{code} {enhanced.group().decode('ascii')}" if enhanced else str(code)
