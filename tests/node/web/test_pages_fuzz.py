"""Whatever schemathesis draws for the queries and forms of the pages, no page meets a fault of the node."""

from __future__ import annotations

from starlette.requests import Request

from node.domain.people import Role
from node.web.pages import audit
from tests.fuzzed_site import PAGES, a_site, asked, operations_of

SINGLE = ("coverage", "fuzzing")  # no page hands values to another as the API's answers do


def test_no_page_and_no_form_breaks_and_the_log_in_lasts(tmp_path):
    site = a_site(tmp_path)
    told = asked(site, "administrator", 4, phases=SINGLE, document=PAGES)
    assert not told.faults
    assert set(told.answers) == operations_of(PAGES)
    assert len(told.answers) > 25
    shut = {name for name, counts in told.answers.items() if 200 not in counts}
    assert shut == {"POST /login"}  # its form carries a token that only its own page gives out
    anna = site.ledger.user("anna")
    assert (anna.active, anna.role) == (True, Role.ADMIN)
    site.ledger.close()


def test_a_page_that_breaks_is_found(tmp_path, monkeypatch):
    def broken(request: Request, *_: object, **__: object):
        raise RuntimeError("a bug")

    site = a_site(tmp_path)
    monkeypatch.setattr(audit, "render", broken)
    told = asked(site, "administrator", 3, phases=SINGLE, document=PAGES, only="/audit")
    assert {check for _, check, _ in told.faults} == {"not_a_server_error"}
    site.ledger.close()
