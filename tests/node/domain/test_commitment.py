from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.domain.commitment import CommitmentRequest, Failure, Reference, judge

CLASSES, UIDS = ("1.1", "1.2"), tuple(f"2.{number}" for number in range(6))
REFERENCES = st.lists(st.builds(Reference, st.sampled_from(CLASSES), st.sampled_from(UIDS)), unique=True, max_size=12)


@given(REFERENCES, st.dictionaries(st.sampled_from(UIDS), st.sampled_from(CLASSES)))
def test_every_instance_is_answered_once_and_only_what_is_here_is_committed(references, here):
    request = CommitmentRequest(transaction_uid="9", ae_title="CT", host="h", references=tuple(references))
    result = judge(request, here.get)
    assert result.transaction_uid == "9"
    assert set(result.kept) | {one for one, _ in result.failed} == set(references)
    assert len(result.kept) + len(result.failed) == len(references)
    assert all(here[one.sop_uid] == one.sop_class_uid for one in result.kept)
    for one, reason in result.failed:
        assert reason is (Failure.OTHER_CLASS if one.sop_uid in here else Failure.NOT_HERE)
        assert here.get(one.sop_uid) != one.sop_class_uid
