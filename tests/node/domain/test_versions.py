from datetime import UTC, datetime, timedelta, timezone

from node.domain.versions import version_at


def test_a_second_later_is_a_higher_version_in_any_zone():
    time = datetime(2026, 3, 4, tzinfo=UTC)
    later = (time + timedelta(seconds=1)).astimezone(timezone(timedelta(hours=-5)))
    assert version_at(later) == version_at(time) + 1
    assert version_at(datetime(1980, 1, 1, tzinfo=UTC)) == 1
    assert version_at(datetime(2068, 1, 1, tzinfo=UTC)) < 1 << 31
