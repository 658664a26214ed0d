"""What is counted as it happens, in the terms of Prometheus.

Every label has few values, all from this program or from its settings: no AE title of a peer, no UID, no text out of
a data set. Counters begin at 0 when the process does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from node.domain.errors import Retryable
from node.domain.records import Outcome
from node.domain.work import Stage, Work, WorkState

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_STATUSES: Final = {
    0x0000: "success",
    0x0110: "processing-failure",
    0x0124: "not-authorized",
    0xA700: "out-of-resources",
    0xA900: "not-the-class",
    0xC000: "cannot-understand",
}
_REFUSALS: Final = {(1, 1, 7): "called-ae-title", (1, 1, 3): "not-allowed", (2, 3, 2): "limit"}
_PREFIX: Final = "second_reader_"

_DECLINING: Final = (Stage.QUALIFY, Stage.READ)

Request = TypeVar("Request")
Handler = Callable[[Work], Outcome]
Result = Outcome | Exception
Carrier = Callable[[Sequence[Work]], Sequence[Result]]


class Meters:
    """Counters and histograms of one process. Any thread may call anything here at any time; nothing waits."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.changing = threading.Lock()  # held while gauges that belong together are set anew
        self._instances = self._counter("instances", "C-STOREs answered, by status.", ["status"])
        self._associations = self._counter("associations", "Associations asked for, by what came of it.", ["outcome"])
        self._readings = self._counter("readings", "Scans that were read.")
        self._declined = self._counter(
            "declined", "Reasons for which series were declined; one series can have several.", ["stage", "reason"]
        )
        self._deliveries = self._counter(
            "deliveries", "Attempts to deliver an object, by what came of it.", ["destination", "outcome"]
        )
        self._notices = self._counter(
            "notices", "Attempts to tell a channel, by what came of it.", ["channel", "outcome"]
        )
        self._reads = self._counter("reads", "Human reads that came in, by door and state.", ["door", "state"])
        self._cases = self._counter("cases", "Comparisons of two reads, by tier.", ["tier"])
        self._stage = Histogram(
            f"{_PREFIX}stage_seconds",
            "How long one attempt at a stage took; receive: one instance.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._ledger = Histogram(
            f"{_PREFIX}ledger_seconds",
            "How long a transaction of the ledger took, with its wait for its turn.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        for status in _STATUSES.values():
            self._instances.labels(status)
        for outcome in ("accepted", *_REFUSALS.values()):
            self._associations.labels(outcome)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """A new gauge of this process."""
        return Gauge(_PREFIX + name, text, labels, registry=self.registry)

    def exposition(self) -> bytes:
        """Everything in the text format of Prometheus, version 1.0.0."""
        with self.changing:
            return generate_latest(self.registry)

    def association(self, refusal: tuple[int, int, int] | None) -> None:
        """An association was asked for, and rejected unless None."""
        self._associations.labels("accepted" if refusal is None else _REFUSALS.get(refusal, "fault")).inc()

    def answered(self, status: int) -> None:
        """A C-STORE was answered."""
        self._instances.labels(_STATUSES.get(status, "other")).inc()

    def ledger(self, kind: str, seconds: float) -> None:
        """A transaction ended."""
        self._ledger.labels(kind).observe(seconds)

    def read_came(self, door: str, state: str) -> None:
        """A human read came in."""
        self._reads.labels(door, state).inc()

    def receiving(self, store: Callable[[bytes, Request], None]) -> Callable[[bytes, Request], None]:
        """``store``, its durations measured."""

        def measured(data: bytes, request: Request) -> None:
            with self._stage.labels("receive").time():
                store(data, request)

        return measured

    def working(self, handlers: Mapping[Stage, Handler]) -> Mapping[Stage, Handler]:
        """The handlers, measured and counted."""
        return {stage: self._measured(stage, handler) for stage, handler in handlers.items()}

    def carrying(self, stage: Stage, name: str, carry: Carrier) -> Carrier:
        """``carry``, which takes work of ``stage`` to ``name``, measured and counted."""
        attempts = self._notices if stage is Stage.NOTIFY else self._deliveries

        def measured(works: Sequence[Work]) -> Sequence[Result]:
            with self._stage.labels(stage).time():
                results = carry(works)
            for one in results:
                attempts.labels(name, _end_of(one)).inc()
            return results

        return measured

    def _measured(self, stage: Stage, handler: Handler) -> Handler:
        def measured(work: Work) -> Outcome:
            with self._stage.labels(stage).time():
                outcome = handler(work)
            self._count(stage, outcome)
            return outcome

        return measured

    def _count(self, stage: Stage, outcome: Outcome) -> None:
        if outcome.reading is not None:
            self._readings.inc()
        if outcome.comparison is not None:
            self._cases.labels(outcome.comparison.comparison.tier).inc()
        if stage in _DECLINING and outcome.state is WorkState.DECLINED:
            for kind in dict.fromkeys(outcome.kinds or ("content",)):
                self._declined.labels(stage, kind).inc()

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(_PREFIX + name, text, labels, registry=self.registry)


def _end_of(result: Result) -> str:
    if isinstance(result, Outcome):
        return "done" if result.state is WorkState.DONE else "not-needed"
    return "retried" if isinstance(result, Retryable) else "refused"
