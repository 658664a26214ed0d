"""What changes while the node runs, and what waits: decided by the settings alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.destination_settings import Destination
from node.rereading import changes, differences, is_live, merged, usable
from node.settings import Settings, SettingsError


def toml(folder, text):
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return Settings.load(path, {})


ENVIRON = {  # a value for each that is not the default
    "SCP__PORT": "104",
    "SCP__ALLOW": '[{"ae_title": "CT01"}]',
    "SCP__ACCEPT_ANY_CALLED": "true",
    "SCP__TLS__PORT": "2763",
    "SERIES__QUIET_SECONDS": "5",
    "ELIGIBILITY__MINIMUM_SLICES": "7",
    "HL7__ALLOW": '["10.0.0.0/8"]',
    "HL7__PORT": "2576",
    "DESTINATIONS": '[{"name": "pacs", "ae_title": "PACS", "host": "pacs", "port": 104, "outcome": true}]',
    "OUTCOME__RADPEER": "true",
    "WEB__TITLE": "Another",
    "RETENTION__IMAGES_DAYS": "30",
}


def named(chosen):
    return Settings.load(None, {f"SECOND_READER_{name}": ENVIRON[name] for name in chosen})


CHOICES = st.sets(st.sampled_from(sorted(set(ENVIRON) - {"ELIGIBILITY__MINIMUM_SLICES"})))


@given(CHOICES, CHOICES)
@settings(max_examples=60, deadline=None)
def test_every_difference_is_taken_or_waits_and_nothing_else_changes(before, after):
    running, wanted = named(before), named(after)
    result = merged(running, wanted)
    found = set(differences(running, wanted))
    assert found == {name.lower().replace("__", ".") for name in before ^ after}
    live = {name for name in found if is_live(name)}
    assert set(differences(running, result)) == live
    assert set(differences(result, wanted)) == found - live
    assert bool(list(changes(running, result))) == bool(live)
    assert merged(result, wanted) == result


def destination(name, **more: object):
    return Destination(name=name, ae_title="A", host="h", port=1, **more)


def test_changes_are_told_by_name():
    one, two, three = destination("one"), destination("two"), destination("three")
    before = Settings(destinations=(one, two))
    assert list(changes(before, before.model_copy(update={"destinations": (two, three)}))) == [
        "destination one removed",
        "destination three added",
    ]
    assert list(changes(before, before.model_copy(update={"destinations": (two, one)}))) == [
        "order of the destinations"
    ]
    another = destination("one", send=("sr",))
    assert list(changes(before, before.model_copy(update={"destinations": (another, two)}))) == [
        "destination one changed"
    ]


def test_what_does_not_go_with_what_stays_is_refused(tmp_path):
    running = Settings(scp={}, storage={"root": tmp_path})
    bound = toml(
        tmp_path,
        '[scp]\nallow = [{ ae_title = "CT01", certificate = "ct01" }]\n'
        '[scp.tls]\nenabled = true\ncertificate = "a.pem"\nauthority = "b.pem"\n',
    )
    with pytest.raises(SettingsError, match=r"not while the node runs.*CT01"):
        merged(running, bound)
    channel = '[notify]\n[[notify.channels]]\nname = "desk"\nkind = "webhook"\nurl = "https://hub/"\n'
    with pytest.raises(SettingsError, match="desk"):
        merged(toml(tmp_path, channel), Settings(destinations=(destination("desk"),)))


def test_every_file_that_cannot_be_read_is_named(tmp_path):
    tls = {"enabled": True, "authority": tmp_path / "none.pem"}
    faulty = tuple(destination(name, tls=tls) for name in ("one", "two"))
    with pytest.raises(SettingsError) as error:
        usable(Settings(destinations=(*faulty, destination("good"))))
    said = str(error.value)
    assert "one" in said
    assert "two" in said
    assert "good" not in said
    assert set(usable(Settings(destinations=(destination("good"),))).ways) == {"good"}
