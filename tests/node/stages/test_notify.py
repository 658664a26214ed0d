"""A case is told to each channel by itself, once, and only while it needs somebody."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from node.domain.errors import PeerDown, Unreadable
from node.domain.notices import NoticeSubject, Told, notice_key
from node.domain.records import Outcome
from node.domain.review import Decision, Radpeer, ReviewOutcome
from node.domain.tiers import Tier
from node.domain.work import Stage, Work, WorkState
from node.stages.notify import NoticeRules, Notifier
from tests.told_cases import told_case

LINK = "https://reader.example/cases/{case}"


class Heard:
    """A channel that keeps what it is told; ``answers`` are given or raised in order."""

    def __init__(self, *answers) -> None:
        self.notices = []
        self.answers = list(answers)

    def send(self, notice, only=""):
        self.notices.append((notice, only))
        answer = self.answers.pop(0) if self.answers else Told()
        if isinstance(answer, Exception):
            raise answer
        return answer


def notifier(rig, channel, name="mail", **rules: object) -> Notifier:
    return Notifier(name=name, ledger=rig.ledger, channel=channel, rules=NoticeRules(node="SN-1", **rules))


def told(rig, channel, **rules: object) -> Outcome | Exception:
    (result,) = notifier(rig, channel, **rules)([rig.claim(Stage.NOTIFY, "mail")])
    return result


def decide(rig, case) -> None:
    rig.ledger.add_decision(
        case.id,
        Decision(
            version=1,
            outcome=ReviewOutcome.NODE_RIGHT,
            radpeer=Radpeer.MISS,
            comment="",
            reviewer="anna",
            decided_at=rig.clock.now,
            blind=True,
        ),
    )


def test_tier_number_and_link_are_told_and_nothing_of_the_patient(rig):
    case = told_case(rig.ledger, rig.clock.now, ("mail",))
    heard = Heard()
    with capture_logs() as logs:
        assert told(rig, heard, link=LINK) == Outcome()
    ((notice, only),) = heard.notices
    assert (notice.tier, notice.case, notice.link, only) == (Tier.PRIORITY, case.id, LINK.format(case=case.id), "")
    assert notice.key == notice_key(node="SN-1", channel="mail", case=case.id, made_at=case.made_at)
    assert notice.accession == ""
    for secret in ("ACC", "PAT", "1.5"):
        assert secret not in repr(notice)
        assert secret not in str(logs)


def test_the_accession_number_goes_out_where_the_settings_say_so_on_one_line(rig):
    told_case(rig.ledger, rig.clock.now, ("mail",))
    heard = Heard()
    told(rig, heard, accession=True)
    assert heard.notices[0][0].accession == "ACC 1 Bcc: x"


def test_each_channel_has_work_of_its_own_and_a_known_comparison_is_told_to_nobody_again(rig):
    for _ in range(2):
        told_case(rig.ledger, rig.clock.now, ("mail", "hook"))
    works = [rig.claim(Stage.NOTIFY, name) for name in ("mail", "hook")]
    assert {one.object_uid for one in works} == {"1"}
    assert rig.ledger.claim(rig.clock.now, rig.clock.now - rig.clock.now, (Stage.NOTIFY,)) is None
    assert rig.ledger.deliveries(Stage.NOTIFY) == {"mail": {"claimed": 1}, "hook": {"claimed": 1}}
    assert rig.ledger.awaited_destinations(Stage.NOTIFY) == {"mail", "hook"}
    assert rig.ledger.awaited_destinations() == rig.ledger.deliveries().keys() == set()


def test_a_notice_whose_end_was_not_recorded_goes_out_again_under_the_same_key(rig):
    told_case(rig.ledger, rig.clock.now, ("mail",))
    heard = Heard()
    told(rig, heard)
    rig.ledger.release_claims(rig.clock.now)
    told(rig, heard)
    first, second = heard.notices
    assert first == second


def test_a_case_that_was_decided_is_told_to_nobody_any_more(rig):
    case = told_case(rig.ledger, rig.clock.now, ("mail",))
    decide(rig, case)
    heard = Heard()
    outcome = told(rig, heard)
    assert (outcome.state, heard.notices) == (WorkState.DECLINED, [])
    assert "was decided before" in outcome.reasons[0]


def test_of_two_comparisons_the_latest_alone_is_told(rig):
    told_case(rig.ledger, rig.clock.now, ("mail",))
    newer = told_case(rig.ledger, rig.clock.now, ("mail",), version=2)
    heard = Heard()
    assert "compared anew" in told(rig, heard).reasons[0]
    assert told(rig, heard) == Outcome()
    assert [notice.case for notice, _ in heard.notices] == [newer.id]


def test_who_was_refused_is_told_alone(rig):
    told_case(rig.ledger, rig.clock.now, ("mail",))
    heard = Heard(Told(note="the mail server refused recipient 2 (450)", failed=("aa", "bb")))
    work = rig.claim(Stage.NOTIFY, "mail")
    (outcome,) = notifier(rig, heard)([work])
    assert outcome.reasons == ("the mail server refused recipient 2 (450)",)
    assert [one.object_uid for one in outcome.followers] == ["1/aa", "1/bb"]
    rig.finish(work, outcome)
    told(rig, heard)
    told(rig, heard)
    assert [only for _, only in heard.notices] == ["", "aa", "bb"]
    assert len({notice.key for notice, _ in heard.notices}) == 1


def test_what_went_wrong_is_handed_on(rig):
    told_case(rig.ledger, rig.clock.now, ("mail",))
    error = PeerDown("nobody answers")
    assert told(rig, Heard(error)) is error


def test_a_case_that_is_not_there_is_a_dead_letter(rig):
    work = Work(id=1, stage=Stage.NOTIFY, series_uid="1", generation=1, object_uid=str(NoticeSubject(9)))
    (error,) = notifier(rig, Heard())([work])
    assert isinstance(error, Unreadable)


@pytest.mark.parametrize("object_uid", ["", "x"])
def test_work_about_nothing_is_a_fault_of_this_program(rig, object_uid):
    work = Work(id=1, stage=Stage.NOTIFY, series_uid="1", generation=1, object_uid=object_uid)
    with pytest.raises(ValueError, match="invalid literal"):
        notifier(rig, Heard())([work])
