"""The audit trail as the pages write it: who did what to what, from which address, through one function."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from starlette.requests import Request

from node.web.house import house_of

LONGEST_SUBJECT: Final = 200


class Action(StrEnum):
    """What the pages record. Decisions and what is done to reads the ledger records by itself."""

    LOGGED_IN = "login"
    LOGIN_FAILED = "login.failed"
    LOGGED_OUT = "logout"
    PASSWORD_CHANGED = "password.change"  # noqa: S105 - a deed, not a secret
    USER_ADDED = "user.add"
    USER_ROLE = "user.role"
    USER_DISABLED = "user.disable"
    USER_ENABLED = "user.enable"
    USER_PASSWORD = "user.password"  # noqa: S105 - a deed, not a secret
    AUDIT_EXPORTED = "audit.export"
    CASE_VIEWED = "case.view"
    CASES_EXPORTED = "cases.export"
    SCAN_VIEWED = "scan.view"
    STUDY_VIEWED = "study.view"
    READ_ENTERED = "read.enter"
    READ_IMPORTED = "read.import"
    WORK_RETRIED = "work.retry"
    TOKEN_ADDED = "token.add"  # noqa: S105 - a deed, not a secret
    TOKEN_REVOKED = "token.revoke"  # noqa: S105 - a deed, not a secret


def record(
    request: Request, actor: str, action: Action, subject: str = "", **detail: str | float | bool | None
) -> None:
    """Add an entry to the audit trail; the address the request came from is added to the detail.

    Called for every view of a case, every change and every log-in. No patient's name or id belongs in here: a case is
    named by its number, a study by its accession number or not at all.
    """
    house = house_of(request)
    kept = {name: value for name, value in detail.items() if value is not None}
    house.ledger.add_audit(
        actor[:LONGEST_SUBJECT],
        action,
        subject[:LONGEST_SUBJECT],
        house.clock(),
        {**kept, "address": address_of(request)},
    )


def address_of(request: Request) -> str:
    """Where the request came from."""
    return request.client.host if request.client else ""
