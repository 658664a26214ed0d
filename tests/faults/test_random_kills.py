"""The short, seeded version of ``random_kills``, whose long one is a program; ``make faults`` runs both."""

from __future__ import annotations

import pytest

from tests.faults.random_kills import Load, random_kills


@pytest.mark.timeout(900)
def test_killed_at_random_times_under_load_nothing_is_lost(tmp_path, bundle):
    found = random_kills(tmp_path, bundle, Load(rounds=3, senders=2, studies=1, seed=20261123))
    assert found.lost == []
    assert found.wrong == []
    assert (found.kills, found.studies, found.acknowledged) == (3, 6, 180)
    assert found.versions >= 6
