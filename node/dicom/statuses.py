"""Errors as C-STORE statuses, and statuses as errors (PS3.7 annex C, PS3.4 table B.2-1)."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pydicom.dataset import Dataset

from node.domain.errors import Permanent, Refused, Retryable

log = logging.getLogger(__name__)

_COMMENT_LENGTH: Final = 64


class Status(IntEnum):
    """What this node answers to a C-STORE."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NOT_AUTHORIZED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    NOT_THE_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, with an Error Comment (0000,0902) of at most 64 characters that holds no value out of a data set."""

    status: Status
    comment: str = ""

    def dataset(self) -> Dataset:
        """As the library wants it."""
        answer = Dataset()
        answer.Status = int(self.status)
        if self.comment:
            answer.ErrorComment = self.comment
        return answer


def answer_of(status: Status, comment: str) -> Answer:
    """The answer, with as much of the comment as has room."""
    return Answer(status, comment[:_COMMENT_LENGTH])


def status_of(error: Exception, *, subject: str) -> Answer:
    """The status that says what happened.

    Parameters
    ----------
    error
        What the handler raised.
    subject
        Hash that stands for the instance in the log.

    """
    if isinstance(error, Retryable):
        log.warning("instance %s not kept, may be sent again: %s", subject, error)
        return answer_of(Status.OUT_OF_RESOURCES, "out of resources, send again later")
    if isinstance(error, Refused):
        log.warning("instance %s refused: %s", subject, error)
        return answer_of(Status.NOT_AUTHORIZED, str(error))
    if isinstance(error, Permanent):
        log.warning("instance %s cannot be understood: %s", subject, error)
        return answer_of(Status.CANNOT_UNDERSTAND, str(error))
    where = "".join(traceback.format_tb(error.__traceback__))  # not the text: it may quote the data set
    log.error("instance %s not kept for an unforeseen reason: %s\n%s", subject, type(error).__name__, where)
    return answer_of(Status.PROCESSING_FAILURE, "internal error, see the receiver's log")


def mismatch(named: tuple[str, str], requested: tuple[str, str]) -> Answer | None:
    """A900 if the (SOP class, SOP instance) that a data set names are not the requested ones; missing ones pass."""
    for kind, there, asked in zip(("class", "instance"), named, requested, strict=True):
        if there and there != asked:
            return answer_of(Status.NOT_THE_CLASS, f"SOP {kind} differs between request and data set")
    return None
