"""The HL7 v2 listener: MLLP framing on TCP, one thread per connection, bytes to one handler, its errors as answers.

'Accepted' (AA) is answered only after the handler returned, and the handler keeps the message before it does. Whatever
it raises becomes an answer: AE for what is wrong with the message, AR for a type or version that is not read here, and
for what may go through later, which the text then says. A message that got no answer was not taken, and its sender has
it still.

Framing: <VT> message <FS><CR> (HL7 v2 transport specification, MLLP release 1). The <CR> may be missing: some senders
wait for the answer before they send it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Final

from node.domain.errors import Permanent, Retryable
from node.intake.hl7_message import AckCode, Unsupported, ack
from node.intake.mllp_wire import POLL_SECONDS, Closing, MllpLimits, Wire

__all__ = ["AckCode", "MllpConfig", "MllpLimits", "MllpListener", "MllpPeer", "Reply"]

log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpConfig:
    """Where to listen, and to which addresses or networks (CIDR); none is everyone. Port 0 takes a free one.

    Raises
    ------
    ValueError
        If an entry of ``allow`` is neither an address nor a network.

    """

    host: str = "0.0.0.0"  # noqa: S104 - results come from the hospital network; the settings say where
    port: int = 2575
    allow: tuple[str, ...] = ()
    limits: MllpLimits = field(default_factory=MllpLimits)

    def __post_init__(self) -> None:
        for network in self.allow:
            ip_network(network, strict=False)

    def admits(self, address: str) -> bool:
        """Whether a caller may connect."""
        caller = ip_address(address.partition("%")[0])
        caller = getattr(caller, "ipv4_mapped", None) or caller  # how a dual-stack socket shows IPv4
        return not self.allow or any(caller in ip_network(network, strict=False) for network in self.allow)


@dataclass(frozen=True, slots=True)
class MllpPeer:
    """Who sent a message."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What the handler says of a message that it has kept, or will not keep."""

    code: AckCode = AckCode.ACCEPT
    text: str = ""


class MllpListener:
    """MLLP server on its own threads.

    Parameters
    ----------
    on_message
        Called with the bytes of a message and who sent it; returning AA means: kept. Called from many threads at once.

    """

    def __init__(self, config: MllpConfig, on_message: Callable[[bytes, MllpPeer], Reply]) -> None:
        self._config = config
        self._on_message = on_message
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._stopping = threading.Event()
        self._socket: socket.socket | None = None
        self._accepting: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is bound; the configured one while not started."""
        bound = self._socket
        return self._config.port if bound is None else int(bound.getsockname()[1])

    @property
    def open_connections(self) -> int:
        """How many senders are connected."""
        with self._lock:
            return len(self._open)

    def start(self) -> None:
        """Bind and listen; returns at once.

        Raises
        ------
        OSError
            If the address cannot be bound.

        """
        self._stopping.clear()
        family = socket.AF_INET6 if ":" in self._config.host else socket.AF_INET
        self._socket = socket.create_server((self._config.host, self._config.port), family=family, backlog=64)
        self._socket.settimeout(POLL_SECONDS)
        if not self._config.allow:
            log.warning("any address may send HL7: the list of allowed ones is empty")
        self._accepting = threading.Thread(target=self._accept, args=(self._socket,), name="mllp-listener", daemon=True)
        self._accepting.start()
        log.info("listening for HL7 on %s:%d", self._config.host, self.port)

    def allow(self, networks: tuple[str, ...]) -> None:
        """Take connections from these addresses or networks from now on; those that are open go on.

        Raises
        ------
        ValueError
            If one of them is neither an address nor a network.

        """
        self._config = replace(self._config, allow=networks)

    def stop(self) -> None:
        """Take no more messages, let those be answered that are with the handler, close; within three seconds."""
        listening, self._socket = self._socket, None
        if listening is None:
            return
        until = time.monotonic() + _STOP_SECONDS
        self._stopping.set()
        listening.close()
        if self._accepting is not None:
            self._accepting.join(POLL_SECONDS * 2)
        with self._lock:
            left = dict(self._open)
        for thread in left.values():
            thread.join(max(0.0, until - time.monotonic()))
        for connection in left:
            _close(connection)
        log.info("no longer listening for HL7")

    def _accept(self, listening: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = listening.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if not self._stopping.wait(POLL_SECONDS):  # out of file handles, say: others will be given back
                    log.error("a connection could not be accepted: %s", error.strerror)  # noqa: TRY400 - no bug of ours
                continue
            self._take(connection, MllpPeer(str(address[0]), int(address[1])))

    def _take(self, connection: socket.socket, peer: MllpPeer) -> None:
        full = self.open_connections >= self._config.limits.connections
        if full or not self._config.admits(peer.host):
            why = "too many connections" if full else "not an allowed address"
            log.warning("HL7 connection of %s closed: %s", peer.host, why)
            _close(connection)
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(POLL_SECONDS)
        thread = threading.Thread(target=self._serve, args=(connection, peer), name="mllp-connection", daemon=True)
        with self._lock:
            self._open[connection] = thread
        thread.start()

    def _serve(self, connection: socket.socket, peer: MllpPeer) -> None:
        """One conversation from its first message to its end."""
        wire = Wire(connection, self._config.limits, self._stopping)
        try:
            while (message := wire.message()) is not None:
                wire.send(self._answer(message, peer))
        except Closing as end:
            log.warning("HL7 connection of %s closed: %s", peer.host, end)
            if end.answer:
                wire.send_last(end.answer)
        except OSError as error:
            log.warning("HL7 connection of %s broke: %s", peer.host, error.strerror or type(error).__name__)
        finally:
            _close(connection)
            with self._lock:
                self._open.pop(connection, None)

    def _answer(self, message: bytes, peer: MllpPeer) -> bytes:
        """One call of the handler, then exception to acknowledgement."""
        try:
            reply = self._on_message(message, peer)
        except Unsupported as error:
            log.warning("HL7 message of %s not taken: its type or version is not read", peer.host)
            return ack(message, AckCode.REJECT, str(error), problem=error.problem)
        except Permanent as error:
            log.warning("HL7 message of %s not taken: %s", peer.host, type(error).__name__)  # the text may quote it
            return ack(message, AckCode.ERROR, str(error))
        except Retryable as error:
            log.warning("HL7 message of %s not taken now: %s", peer.host, error)
            return ack(message, AckCode.REJECT, f"try again later: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender is told to keep its message
            log.error("HL7 message of %s could not be handled: %s", peer.host, type(error).__name__)  # noqa: TRY400
            return ack(message, AckCode.REJECT, "try again later: a fault in this software")
        return ack(message, reply.code, reply.text)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
