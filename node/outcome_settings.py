"""Settings of what is told of settled cases."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class OutcomeSettings(BaseModel):
    """What destinations with `outcome = true` are told beside the outcome and the scores that hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radpeer: bool = Field(
        default=False,
        description="Tell the RADPEER score of the human read; peer review is privileged in many places.",
    )
    name_reviewer: bool = Field(default=False, description="Tell the reviewer's user name, not the role alone.")
    verified_for: Annotated[str, Field(max_length=64)] = Field(
        default="",
        description="Organization in whose name the reviewer verifies a report that was found right "
        "(VerificationFlag VERIFIED; needs `name_reviewer`); empty: nothing is ever verified.",
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.verified_for.strip() and not self.name_reviewer:
            raise ValueError("a verified report names who verified it: verified_for needs name_reviewer = true")
        return self
