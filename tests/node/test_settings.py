from __future__ import annotations

import math
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from node.domain.policy import Policy
from node.domain.settlement import Disclosure
from node.domain.tiers import Limits
from node.intake.code_map import Target
from node.parts import disclosure, fhir_site, hl7_site, mllp_config, release_rules, told_of_outcomes
from node.settings import Settings, SettingsError

ROOT = Path(__file__).resolve().parents[2]
PACS = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 4242\n'
WEB = '[[destinations]]\nname = "web"\nkind = "dicomweb"\nurl = "https://pacs.example/dicom-web"\n'


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "node.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def fault_of(path: Path | None, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(path, environ)
    return str(caught.value)


def test_without_anything_every_setting_has_its_default():
    settings = Settings.load(None, {})
    assert (settings.scp.ae_title, settings.scp.host, settings.scp.port) == ("CALCIUM2R", "0.0.0.0", 11112)  # noqa: S104 - what is asserted
    assert settings.scp.allow == ()
    assert settings.scp.accept_any_called is False
    assert settings.storage.root == Path("/var/lib/second-reader")
    assert settings.storage.database_url == "sqlite:////var/lib/second-reader/ledger.sqlite"
    assert settings.storage.reserve_gib == 5
    assert settings.series.policy().quiet == timedelta(seconds=10)
    assert settings.series.policy().association_hold == timedelta(seconds=60)
    assert (settings.reader.device, settings.reader.profile) == ("auto", "agatston-1990")
    assert settings.destinations == ()
    assert settings.eligibility == Policy()
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8042)
    assert (settings.log.level, settings.log.format) == ("INFO", "console")


def test_toml_is_read(toml):
    settings = Settings.load(
        toml(
            '[scp]\nport = 104\nallow = [{ ae_title = "CT01", host = "10.1.0.0/16" }]\n'
            "[eligibility]\nminimum_slices = 30\nspacing_mm = [2.0, 3.0]\nsame_acquisition = 7\n"
            "[eligibility.weights]\norder = 0.9\n" + PACS
        ),
        {},
    )
    assert settings.scp.port == 104
    assert settings.scp.ae_title == "CALCIUM2R"
    assert [(peer.ae_title, peer.host) for peer in settings.scp.allow] == [("CT01", "10.1.0.0/16")]
    policy = settings.eligibility
    assert (policy.minimum_slices, policy.spacing_mm, policy.weights.order) == (30, (2.0, 3.0), 0.9)
    assert policy.same_acquisition == timedelta(seconds=7)
    assert policy.weights.body_part == Policy().weights.body_part
    (pacs,) = settings.destinations
    assert (pacs.name, pacs.kind, pacs.send, pacs.release) == ("pacs", "dimse", ("seg", "sr", "summary"), "immediate")


def test_the_environment_comes_on_top_of_toml_and_leaves_the_rest(toml):
    path = toml('[scp]\nport = 104\nae_title = "FROMFILE"\n[eligibility]\nminimum_slices = 30\nthreshold = 2.0\n')
    settings = Settings.load(
        path,
        {
            "SECOND_READER_SCP__PORT": "11113",
            "SECOND_READER_ELIGIBILITY__MINIMUM_SLICES": "25",
            "SECOND_READER_ELIGIBILITY__WEIGHTS__ORDER": "0.7",
            "second_reader_log__level": "ERROR",
            "HOME": "/somewhere",
        },
    )
    assert (settings.scp.port, settings.scp.ae_title) == (11113, "FROMFILE")
    assert (settings.eligibility.minimum_slices, settings.eligibility.threshold) == (25, 2.0)
    assert settings.eligibility.weights.order == 0.7
    assert settings.log.level == "ERROR"


def test_the_process_environment_is_not_looked_at(monkeypatch):
    monkeypatch.setenv("SECOND_READER_SCP__PORT", "1234")
    assert Settings.load(None, {}).scp.port == 11112


def test_lists_come_as_json():
    given = '[{"name": "pacs", "ae_title": "PACS", "host": "h", "port": 1}]'
    (pacs,) = Settings.load(None, {"SECOND_READER_DESTINATIONS": given}).destinations
    assert (pacs.name, pacs.port) == ("pacs", 1)


@pytest.mark.parametrize("name", ["SECOND_READER_DESTINATIONS", "SECOND_READER_SCP__ALLOW"])
def test_a_list_that_is_no_json_is_a_fault_of_the_settings(name):
    said = fault_of(None, **{name: '[{"password": "hunter2"'})
    assert name.removeprefix("SECOND_READER_").split("__")[0].lower() in said
    assert "hunter2" not in said


def test_a_secret_may_stand_in_a_file(tmp_path):
    secret = tmp_path / "url"
    secret.write_text("postgresql+psycopg://node:hunter2@db/ledger\n", encoding="utf-8")
    settings = Settings.load(None, {"SECOND_READER_STORAGE__DATABASE_FILE": str(secret)})
    assert settings.storage.database_url == "postgresql+psycopg://node:hunter2@db/ledger"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path):
    assert "nowhere" in fault_of(None, SECOND_READER_STORAGE__DATABASE_FILE=str(tmp_path / "nowhere"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "binary" in fault_of(None, SECOND_READER_STORAGE__DATABASE_FILE=str(tmp_path / "binary"))


def test_a_password_comes_from_its_file_and_shows_nowhere(toml, tmp_path):
    (tmp_path / "secret").write_text("hunter2\r\n", encoding="utf-8")
    settings = Settings.load(toml(WEB + f'username = "u"\npassword_file = "{tmp_path}/secret"\n'), {})
    assert settings.destinations[0].secret() == "hunter2"
    plain = Settings.load(toml(WEB + 'username = "u"\npassword = "hunter2"\n'), {})
    assert plain.destinations[0].secret() == "hunter2"
    assert "hunter2" not in repr(plain)
    without = Settings.load(toml(WEB), {})
    assert without.destinations[0].secret() is None


def test_a_password_file_that_cannot_be_read_is_said_when_it_is_asked_for(toml, tmp_path):
    settings = Settings.load(toml(WEB + f'password_file = "{tmp_path}/nowhere"\n'), {})
    with pytest.raises(SettingsError, match="nowhere"):
        settings.destinations[0].secret()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[nonsense]\nx = 1\n", "nonsense"),
        ("[scp]\nprot = 1\n", "scp.prot"),
        ('[scp]\nallow = [{ ae_title = "A", hots = "x" }]\n', "scp.allow.0.hots"),
        ("[storage]\nroots = 1\n", "storage.roots"),
        ("[series]\nquiet = 1\n", "series.quiet"),
        ("[reader]\ngpu = 1\n", "reader.gpu"),
        ("[site]\nname = 1\n", "site.name"),
        ("[web]\nhots = 1\n", "web.hots"),
        ("[log]\nlevle = 1\n", "log.levle"),
        (PACS + "prot = 1\n", "destinations.0.prot"),
        ("[eligibility]\nminimum_slice = 30\n", "minimum_slice"),
        ("[eligibility.weights]\nordr = 0.9\n", "ordr"),
        ("[eligibility.kernel]\nsoft = []\n", "soft"),
        ("[eligibility.content]\ncontrast = 1\n", "contrast"),
        ("[eligibility.text]\ncalcum = []\n", "calcum"),
    ],
)
def test_an_unknown_key_is_refused_at_every_level(toml, text, named):
    assert named in fault_of(toml(text))


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("SECOND_READER_SPC__PORT", "SECOND_READER_SPC"),
        ("SECOND_READER_SCP__PROT", "scp.prot"),
        ("SECOND_READER_ELIGIBILITY__WEIGHTS__ORDR", "ordr"),
    ],
)
def test_an_unknown_name_in_the_environment_is_refused(name, named):
    assert named.lower() in fault_of(None, **{name: "1"}).lower()


def test_names_for_tests_are_no_settings():
    environ = {"SECOND_READER_FAULT": "read.after-effect", "SECOND_READER_REFERENCE_DATA": "/data"}
    assert Settings.load(None, environ) == Settings.load(None, {})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[scp]\nport = "high"\n', "scp.port"),
        ("[scp]\nport = 70000\n", "scp.port"),
        ('[scp]\nae_title = "SEVENTEEN LETTERS"\n', "scp.ae_title"),
        ('[scp]\nae_title = " LEADING"\n', "scp.ae_title"),
        ('[scp]\nae_title = "BACK\\\\SLASH"\n', "scp.ae_title"),
        ("[scp]\nmaximum_associations = 0\n", "scp.maximum_associations"),
        ('[scp]\nallow = [{ ae_title = "A", host = "ct.example" }]\n', "scp.allow.0.host"),
        ("[storage]\nreserve_gib = -1\n", "storage.reserve_gib"),
        ("[series]\nquiet_seconds = 0\n", "series.quiet_seconds"),
        ('[reader]\ndevice = "tpu"\n', "reader.device"),
        ('[eligibility]\nminimum_slices = "many"\n', "eligibility"),
        ("[eligibility]\nspacing_mm = [3.0, 1.0]\n", "eligibility"),
        ("[eligibility]\nassume_kvp = 90.0\n", "eligibility"),
        ('[eligibility.text]\ncalcium = ["("]\n', "eligibility"),
        ('[eligibility]\nweights = "heavy"\n', "eligibility"),
        ("eligibility = 3\n", "eligibility"),
        ('[site]\nqualification = "CLINICAL"\n', "site.qualification"),
        ('[log]\nlevel = "LOUD"\n', "log.level"),
        ('[reads]\nzone = "Mars/Olympus"\n', "reads.zone"),
        ('[reads]\nzone = "../etc/passwd"\n', "reads.zone"),
        ('[reads.capture_colours]\nLAD = "yellow"\n', "reads.capture_colours"),
        ('[reads.capture_colours]\nHEART = "#FFD600"\n', "reads.capture_colours"),
        ('[hl7]\nallow = ["ris.example"]\n', "hl7.allow"),
        ('[hl7]\ncharset = "EBCDIC"\n', "hl7.charset"),
        ('[hl7.codes]\nX1 = "HEART"\n', "hl7.codes"),
        ('[fhir.codes]\n"urn:x|1" = "HEART"\n', "fhir.codes"),
        (PACS + 'send = ["pdf"]\n', "destinations.0.send.0"),
        (PACS.replace('"pacs"', '"a b"'), "destinations.0.name"),
        (PACS + "attempts = 0\n", "destinations.0.attempts"),
        (PACS.replace("4242", "0"), "destinations.0.port"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(toml, text, named):
    assert named in fault_of(toml(text))


def test_the_doors_of_human_reads_are_set(toml):
    text = (
        '[reads]\nzone = "Europe/Berlin"\ncapture_colours = { LAD = "#FFD600" }\n'
        '[hl7]\nenabled = true\nport = 0\nallow = ["10.1.0.0/16"]\nissuer = "HOSP"\ncharset = "8859/1"\n'
        'processing_id = "T"\n'
        'codes = { "99RIS|17" = "RCA volume" }\n'
        '[fhir]\nissuer = "urn:hosp"\ncodes = { "urn:ris:codes|7" = "LAD mass" }\n'
    )
    settings = Settings.load(toml(text), {})
    assert settings.reads.rgb() == {"LAD": (255, 214, 0)}
    site = hl7_site(settings)
    assert (str(site.zone), site.issuer, site.assumed_charset) == ("Europe/Berlin", "HOSP", "8859/1")
    assert site.processing == "T"
    assert site.codes.find([("99RIS", "17")]) == Target("RCA", "volume_mm3")
    posted = fhir_site(settings)
    assert (str(posted.zone), posted.issuer) == ("Europe/Berlin", "urn:hosp")
    assert posted.codes.find([("urn:ris:codes", "7")]) == Target("LAD", "mass_mg")
    assert mllp_config(settings).admits("10.1.2.3")
    assert not mllp_config(settings).admits("10.2.2.3")
    assert Settings.load(None, {}).reads.tzinfo() is UTC


def test_a_destination_says_what_it_lacks(toml):
    assert "a dimse destination needs ae_title, host, port" in fault_of(toml('[[destinations]]\nname = "a"\n'))
    web = fault_of(toml('[[destinations]]\nname = "a"\nkind = "dicomweb"\n'))
    assert "a dicomweb destination needs url" in web
    assert "http://" in fault_of(toml(WEB.replace("https://", "ftp://")))


@pytest.mark.parametrize("release", ["immediate", "after_human_read", "on_disagreement"])
def test_each_release_policy_is_understood(toml, release):
    pacs = Settings.load(toml(PACS + f'release = "{release}"\n'), {}).destinations[0]
    assert release_rules(Settings.load(toml(PACS + f'release = "{release}"\n'), {}))["pacs"].policy == release
    assert (pacs.release, pacs.release_after_hours) == (release, None)


def test_only_after_human_read_has_a_longest_wait(toml):
    settings = Settings.load(toml(PACS + 'release = "after_human_read"\nrelease_after_hours = 36\n'), {})
    assert release_rules(settings)["pacs"].longest == timedelta(hours=36)
    assert "belongs to release = 'after_human_read'" in fault_of(toml(PACS + "release_after_hours = 36\n"))
    assert "release" in fault_of(toml(PACS + 'release = "sometimes"\n'))


def test_every_limit_of_the_comparison_can_be_set(toml):
    text = "[comparison]\nsame_points = 2\nroot_factor = 3.5\ncategory_limits = [10, 100, 400]\nmissed_vessel = false\n"
    limits = Settings.load(toml(text), {"SECOND_READER_COMPARISON__SHIFT_POINTS": "20"}).comparison
    expected = Limits(
        same_points=2, root_factor=3.5, category_limits=(10, 100, 400), missed_vessel=False, shift_points=20
    )
    assert limits == expected
    assert "unknown: same_point" in fault_of(toml("[comparison]\nsame_point = 2\n"))
    assert "category limits rise" in fault_of(toml("[comparison]\ncategory_limits = [400, 100]\n"))


def test_two_destinations_cannot_share_a_name(toml):
    assert "two destinations are named pacs" in fault_of(toml(PACS + PACS))


def test_every_fault_is_listed_at_once(toml):
    said = fault_of(
        toml(
            '[scp]\nport = "high"\n[reader]\ndevice = "tpu"\n[[destinations]]\nname = "a"\n'
            "[eligibility.weights]\nordr = 1\n"
        ),
        SECOND_READER_SPC__PORT="1",
        SECOND_READER_SERIES__QUIET_SECONDS="soon",
    )
    for named in ("scp.port", "reader.device", "destinations.0", "ordr", "SECOND_READER_SPC", "series.quiet_seconds"):
        assert named in said


def test_a_fault_does_not_repeat_secrets(toml):
    text = WEB + 'password = ["hunter2"]\n[storage]\ndatabase = ["postgresql://u:hunter2@db"]\n'
    said = fault_of(toml(text))
    assert "destinations.0.password" in said
    assert "storage.database" in said
    assert "hunter2" not in said


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    assert "nowhere.toml" in fault_of(tmp_path / "nowhere.toml")
    assert str(tmp_path) in fault_of(tmp_path)


@pytest.mark.parametrize("content", [b"[scp\n", b"port = \n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_named(tmp_path, content):
    path = tmp_path / "node.toml"
    path.write_bytes(content)
    said = fault_of(path)
    assert "node.toml" in said
    assert "TOML" in said


def test_settings_do_not_change():
    settings = Settings.load(None, {})
    with pytest.raises(ValueError, match="frozen"):
        settings.scp.port = 1
    with pytest.raises(ValueError, match="frozen"):
        settings.scp = settings.scp


def test_the_example_loads():
    settings = Settings.load(ROOT / "deploy" / "node.example.toml", {})
    assert [one.name for one in settings.destinations] == ["pacs"]
    assert not math.isnan(settings.storage.reserve_gib)


def test_nobody_is_told_of_outcomes_by_default(toml):
    settings = Settings.load(toml(PACS), {})
    assert told_of_outcomes(settings) == frozenset()
    assert disclosure(settings) == Disclosure()


def test_what_is_told_of_outcomes_and_to_whom(toml):
    text = '[outcome]\nradpeer = true\nname_reviewer = true\nverified_for = " General Hospital "\n'
    settings = Settings.load(toml(text + PACS + "outcome = true\n" + WEB), {})
    assert told_of_outcomes(settings) == {"pacs"}
    assert disclosure(settings) == Disclosure(radpeer=True, reviewer=True, organization="General Hospital")


def test_an_outcome_without_the_report_it_is_a_version_of_is_refused(toml):
    said = fault_of(toml(PACS + 'send = ["seg"]\noutcome = true\n'))
    assert "outcome = true needs it in send" in said


def test_nobody_verifies_without_being_named(toml):
    assert "needs name_reviewer = true" in fault_of(toml('[outcome]\nverified_for = "General Hospital"\n'))
