"""Logging: structured, without patient data, with UIDs hashed above DEBUG."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Literal, TextIO

import structlog
from structlog.processors import ExceptionRenderer
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from node.dicom.discretion import keep_libraries_discreet
from node.domain.identity import short

_UID_KEYS = ("series", "study", "instance", "object")


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at that moment: a test or a progress bar may put another in its place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """Standard error."""
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """Nothing to set."""


def configure(level: Literal["DEBUG", "INFO", "WARNING", "ERROR"], style: Literal["console", "json"]) -> None:
    """Set up the process's logging once.

    Unless the level is DEBUG, values under UID keys are hashed, and faults say where they happened but quote nothing.
    """
    render: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if level == "DEBUG" else [_hash_uids]),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info if level == "DEBUG" else ExceptionRenderer(_place_of_fault),
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    keep_libraries_discreet()
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its warnings quote values out of data sets
    for name in ("alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _place_of_fault(exc_info: ExcInfo) -> str:
    """The traceback without what the exceptions say: their text may quote a data set."""
    lines: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        lines = [*traceback.format_tb(error.__traceback__), f"{type(error).__name__}\n", *lines]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "".join(lines).rstrip()


def _hash_uids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in _UID_KEYS:
        value = event.get(key)
        if isinstance(value, str) and "." in value:
            event[key] = short(value)
    return event
