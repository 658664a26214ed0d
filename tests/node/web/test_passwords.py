from __future__ import annotations

from datetime import timedelta

import pytest

from node.domain.errors import Refused
from node.web import passwords
from node.web.attempts import FREE_FAILURES, AddressBudget, lock_after
from tests.web_site import NOW


def test_a_password_is_right_only_as_it_was_given():
    kept = passwords.hashed("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert "correct" not in kept
    assert passwords.verify("correct horse battery", kept)
    assert not passwords.verify("correct horse battery ", kept)
    assert kept != passwords.hashed("correct horse battery")


def test_an_initial_password_is_marked_and_works():
    kept = passwords.hashed("correct horse battery", initial=True)
    assert passwords.is_initial(kept)
    assert passwords.verify("correct horse battery", kept)
    assert not passwords.is_initial(passwords.hashed("correct horse battery"))


@pytest.mark.parametrize("password", ["", "x", "x" * 100_000])
def test_nobody_has_no_password(password: str):
    assert not passwords.verify(password, "")


def test_a_password_as_long_as_a_book_is_not_hashed():
    kept = passwords.hashed("x" * 300)
    assert not passwords.verify("x" * 300, kept)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 12"),
        ("            ", "at least 12"),
        ("  abcdefgh  ", "at least 12"),
        ("a" * 201, "at most 200"),
        ("aaaaaaaaaaaaaa", "guessed"),
        ("123456789012", "guessed"),
        ("PasswordPassword", "guessed"),
        ("Password1234!", "guessed"),
        ("P@ssw0rd2026!!", "guessed"),
        ("Administrator1", "guessed"),
        ("WelcomeHospital#7", "guessed"),
        ("calcium second reader", "guessed"),
        ("qwertyuiopas", "guessed"),
        ("0987654321098", "guessed"),
        ("lmnopqrstuvwxyz", "guessed"),
        ("annalena1234", "user name"),
        ("annalenaannalena", "user name"),
    ],
)
def test_what_a_password_may_not_be(password: str, why: str):
    with pytest.raises(Refused, match=why):
        passwords.check_rules(password, "annalena")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "Ungewöhnlich längeres",
        "x7!kQ2#mP9$w",
        "my password is a heron",
        "8361-9274.5510",
        "hello 8361 9274 5510",
    ],
)
def test_what_it_may_be(password: str):
    passwords.check_rules(password, "anna")


def test_random_passwords_differ():
    made = {passwords.random_password() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        passwords.check_rules(password, "anna")


def test_the_delay_grows_and_has_an_end():
    delays = [lock_after(failures) for failures in range(FREE_FAILURES, FREE_FAILURES + 20)]
    assert all(lock_after(failures) is None for failures in range(FREE_FAILURES))
    assert delays == sorted(delays)
    assert delays[0] == timedelta(minutes=1)
    assert delays[-1] == timedelta(minutes=15)


def test_an_address_has_so_many_tries_and_gets_them_back_with_time():
    budget = AddressBudget(tries=3, refill=timedelta(seconds=10))
    assert [budget.spend("a", NOW) for _ in range(4)] == [True, True, True, False]
    assert budget.spend("b", NOW)
    assert not budget.spend("a", NOW + timedelta(seconds=9))
    assert budget.spend("a", NOW + timedelta(seconds=10))
    assert not budget.spend("a", NOW + timedelta(seconds=10))
    budget.forgive("a")
    assert budget.spend("a", NOW + timedelta(seconds=10))


def test_all_addresses_of_an_ipv6_host_have_one_budget():
    budget = AddressBudget(tries=1)
    assert budget.spend("2001:db8::1", NOW)
    assert not budget.spend("2001:db8::ffff:2", NOW)
    assert budget.spend("2001:db8:0:1::1", NOW)
    assert budget.spend("::ffff:10.0.0.1", NOW)
    assert not budget.spend("10.0.0.1", NOW)
    assert budget.spend("::ffff:10.0.0.2", NOW)
    budget.forgive("2001:db8::3")
    assert budget.spend("2001:db8::4", NOW)


def test_a_clock_that_goes_back_gives_nothing_away():
    budget = AddressBudget(tries=1)
    assert budget.spend("a", NOW)
    assert not budget.spend("a", NOW - timedelta(days=1))
