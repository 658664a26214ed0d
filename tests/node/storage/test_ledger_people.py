"""Users, sessions, tokens, pseudonyms and the audit trail in the ledger."""

from __future__ import annotations

import pytest

from node.domain.errors import Refused
from node.domain.people import Role
from node.storage.ledger import Ledger
from tests.node.storage.builders import NOW, after


def test_users(ledger: Ledger) -> None:
    anna = ledger.add_user("anna", Role.REVIEWER, "$argon2id$x", NOW)
    assert ledger.user("anna") == anna
    assert (anna.role, anna.password_hash, anna.active, anna.failed_logins) == (Role.REVIEWER, "$argon2id$x", True, 0)
    with pytest.raises(Refused, match="already"):
        ledger.add_user("anna", Role.ADMIN, "y", NOW)
    changed = ledger.change_user("anna", NOW, role=Role.VIEWER, active=False)
    assert (changed.role, changed.active, changed.password_hash) == (Role.VIEWER, False, "$argon2id$x")
    assert ledger.users() == (changed,)
    assert ledger.user("bert") is None
    with pytest.raises(Refused, match="no such user"):
        ledger.change_user("bert", NOW, role=Role.ADMIN)


def test_failed_logins_are_counted_and_forgotten(ledger: Ledger) -> None:
    ledger.add_user("anna", Role.REVIEWER, "x", NOW)
    ledger.login_failed("anna", None)
    ledger.login_failed("anna", after(60))
    ledger.login_failed("nobody", after(60))
    anna = ledger.user("anna")
    assert anna is not None
    assert (anna.failed_logins, anna.locked_until) == (2, after(60))
    ledger.login_succeeded("anna")
    anna = ledger.user("anna")
    assert anna is not None
    assert (anna.failed_logins, anna.locked_until) == (0, None)


def test_sessions_end(ledger: Ledger) -> None:
    anna = ledger.add_user("anna", Role.REVIEWER, "x", NOW)
    for name in ("s1", "s2", "s3"):
        ledger.open_session(name, anna.id, NOW, after(60))
    assert ledger.session_user("s1", NOW) == anna
    assert ledger.session_user("other", NOW) is None
    ledger.extend_session("s1", after(90))
    assert (ledger.session_user("s1", after(60)), ledger.session_user("s2", after(60))) == (anna, None)
    ledger.close_session("s1")
    assert ledger.session_user("s1", NOW) is None
    ledger.change_user("anna", NOW, password_hash="$argon2id$y")  # noqa: S106 - a hash
    assert ledger.session_user("s3", NOW) is None  # whoever stole it is out
    ledger.open_session("s4", anna.id, NOW, after(60))
    ledger.change_user("anna", NOW, active=False)
    ledger.open_session("s5", anna.id, NOW, after(60))
    assert ledger.session_user("s5", NOW) is None


def test_tokens_open_until_they_are_revoked_or_their_user_leaves(ledger: Ledger) -> None:
    anna = ledger.add_user("anna", Role.REVIEWER, "x", NOW)
    token = ledger.add_token(anna, "ris", "hash", Role.VIEWER, now=NOW, expires_at=after(60))
    assert ledger.use_token("hash", after(1)) == (token, anna)
    assert ledger.tokens()[0].last_used_at == after(1)
    assert ledger.use_token("hash", after(60)) is None
    assert ledger.use_token("other", NOW) is None
    second = ledger.add_token(anna, "script", "hash2", Role.REVIEWER, now=NOW)
    ledger.revoke_token(second.id, NOW)
    assert ledger.use_token("hash2", NOW) is None
    ledger.change_user("anna", NOW, active=False)
    assert ledger.use_token("hash", NOW) is None
    with pytest.raises(Refused, match="cannot give out"):
        ledger.add_token(anna, "root", "hash3", Role.ADMIN, now=NOW)
    assert [one.name for one in ledger.tokens()] == ["script", "ris"]


def test_pseudonyms_stay_and_users_share_them_with_readers(ledger: Ledger) -> None:
    first = ledger.pseudonym("Dr. No")
    anna = ledger.add_user("anna", Role.REVIEWER, "x", NOW)
    assert (ledger.pseudonym("Dr. No"), ledger.pseudonym("anna")) == (first, anna.pseudonym)
    assert first != anna.pseudonym


def test_the_audit_trail_is_a_chain(ledger: Ledger) -> None:
    assert (ledger.verify_audit(), ledger.audit_head()[0]) == ((), 0)
    for number in range(5):
        ledger.add_audit("anna", "settings.change", f"part:{number}", after(number + 0.123456), {"to": number})
    assert ledger.verify_audit() == ()
    entries = ledger.audit_entries(limit=2, offset=1)
    assert [entry.number for entry in entries] == [4, 3]
    assert (entries[0].sha256, entries[0].at) == (ledger.audit_entries(limit=1)[0].previous, after(3.123456))
    assert ledger.audit_head() == (5, ledger.audit_entries()[0].sha256)
    assert ledger.audit_entries(subject="part:2")[0].detail == {"to": 2}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("UPDATE audit SET actor = 'bert' WHERE number = 3", "entry 3 was changed"),
        ("UPDATE audit SET detail = '{}' WHERE number = 1", "entry 1 was changed"),
        ("UPDATE audit SET sha256 = previous WHERE number = 2", "entry 3 does not follow"),
        ("DELETE FROM audit WHERE number = 2", "entries 2 to 2 are missing"),
        ("DELETE FROM audit WHERE number = 1", "entry 2 does not follow"),
    ],
)
def test_whoever_changes_the_trail_is_found_out(ledger: Ledger, harm: str, words: str) -> None:
    for number in range(5):
        ledger.add_audit("anna", "settings.change", f"part:{number}", after(number), {"to": number})
    with ledger._database.writing() as connection:
        connection.exec_driver_sql(harm)
    assert any(words in fault for fault in ledger.verify_audit())
