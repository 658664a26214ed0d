"""Settings of how long data is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from node.domain.retention import RetentionRule
from node.setting_types import Part

Days = Annotated[float, Field(gt=0, le=36500)]
_GIB = 1 << 30


class RetentionSettings(Part):
    """How long data is kept. Whatever its age, nothing goes that is still to be read, compared, reviewed or sent."""

    images_days: Days | None = Field(default=None, description="Days that received images are kept; empty: for ever.")
    answers_days: Days | None = Field(
        default=None,
        description="Days that answers and all else of a series are kept, as long as its images at least; "
        "empty: for ever.",
    )
    reads_days: Days | None = Field(
        default=None, description="Days that originals of human reads are kept; empty: for ever."
    )
    free_gib: float = Field(
        default=0,
        ge=0,
        description="With less free than this, images nobody needs go before their time, oldest first; 0: never.",
    )
    await_read: bool = Field(
        default=True, description="Keep a scan until a human read of it was compared; `false` where none are fed in."
    )
    await_read_days: Days | None = Field(
        default=None,
        description="No longer than so many days; then a scan goes as if read, but never undelivered or flagged. "
        "Empty: for ever.",
    )
    hour: int = Field(default=3, ge=0, le=23, description="Hour of the day, in `reads.zone`, at which data goes.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.answers_days is not None and (self.images_days is None or self.answers_days < self.images_days):
            raise ValueError("answers_days cannot be shorter than images_days: answers are kept as long as images")
        if self.await_read_days is not None and not self.await_read:
            raise ValueError("await_read_days belongs to await_read = true")
        return self

    def rule(self) -> RetentionRule:
        """The same in the domain's terms."""
        return RetentionRule(
            images=_span(self.images_days),
            answers=_span(self.answers_days),
            reads=_span(self.reads_days),
            free_bytes=int(self.free_gib * _GIB),
            awaits_read=self.await_read,
            read_wait=_span(self.await_read_days),
        )


def _span(days: float | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)
