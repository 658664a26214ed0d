"""What the DICOM libraries may say in the log: no UIDs, no names, no values out of data sets."""

from __future__ import annotations

import logging
import re

from pynetdicom import _config

from node.domain.identity import short

_UID = re.compile(r"\b\d+(?:\.\d+){4,}\b")


class _Discreet(logging.Handler):
    """Hands records on with UIDs hashed and exceptions reduced to their kind."""

    def __init__(self, target: logging.Logger) -> None:
        super().__init__(logging.INFO)
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record's message again, cleaned, under the target's name."""
        if record.exc_info and record.exc_info[0] is not None:
            said = record.exc_info[0].__name__  # the text of an exception may quote a data set
        elif isinstance(record.msg, BaseException):
            said = type(record.msg).__name__
        else:
            said = _UID.sub(lambda found: short(found[0]), record.getMessage().splitlines()[0][:200])
        # The library's own news are of use to a developer at most; its errors are for everyone.
        level = record.levelno if record.levelno >= logging.WARNING else logging.DEBUG
        self._target.log(level, "pynetdicom: %s", said)


def keep_libraries_discreet() -> None:
    """Route pynetdicom's log through a filter; calling it again changes nothing."""
    _config.LOG_HANDLER_LEVEL = "none"  # its per-message summaries cost time and hold UIDs
    library = logging.getLogger("pynetdicom")
    if not any(isinstance(handler, _Discreet) for handler in library.handlers):
        library.addHandler(_Discreet(logging.getLogger("node.dicom.pynetdicom")))
        library.propagate = False
