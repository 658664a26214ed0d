"""Everything a hospital network can send by mistake: each gets its status or its reason, and the node goes on."""

from __future__ import annotations

import gc
import socket

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_context

from node.dicom.files import file_head
from node.dicom.outgoing import SendItem
from node.domain.errors import Refused
from node.domain.work import WorkState
from tests.dicom_series import Style, ct_series, uid, wire_bytes
from tests.flow.site import (
    AE_TITLE,
    SR,
    Study,
    a_study,
    agatston_total,
    deliver,
    items_of,
    reasons_of,
    scanner,
)
from tests.heart_scan import heart_scan

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def an_image(name):
    return ct_series(heart_scan(), Style(name=name))[0]


def raw_item(dataset: bytes, sop_uid: str) -> SendItem:
    """Whatever bytes, announced as a CT image."""
    head = file_head(sop_class_uid=CT, sop_uid=sop_uid, transfer_syntax_uid=EXPLICIT)
    return SendItem(sop_class_uid=CT, sop_uid=sop_uid, transfer_syntax_uid=EXPLICIT, content=head + dataset)


def without(image: Dataset, keyword: str) -> bytes:
    del image[keyword]
    return wire_bytes(image)


def two_gigabytes(image: Dataset) -> bytes:
    """The pixel data claim 2 GiB, of which 32 KiB follow."""
    data = wire_bytes(image)
    at = data.index(b"\xe0\x7f\x10\x00OW\0\0") + 8
    return data[:at] + (2**31 - 2).to_bytes(4, "little") + data[at + 4 :]


NOT_UNDERSTOOD = {
    "cut off in the pixels": lambda image: wire_bytes(image)[:-1000],
    "cut off in the header": lambda image: wire_bytes(image)[:301],
    "two bytes": lambda _: b"\x08\x00",
    "not DICOM": lambda _: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
    "no study UID": lambda image: without(image, "StudyInstanceUID"),
    "no series UID": lambda image: without(image, "SeriesInstanceUID"),
    "no instance UID": lambda image: without(image, "SOPInstanceUID"),
    "no pixel data": lambda image: without(image, "PixelData"),
    "an element of 2 GB": two_gigabytes,
    "a UID that is none": lambda image: wire_bytes(image).replace(b"2.25.", b"2/25/"),
}


@pytest.mark.parametrize("fault", NOT_UNDERSTOOD)
def test_bytes_that_are_no_instance_are_refused_and_nothing_is_kept(fault, site):
    image = an_image(fault)
    sop_uid, series_uid = str(image.SOPInstanceUID), str(image.SeriesInstanceUID)
    before = site.node.storage.ledger.status()["instances"]
    (outcome,) = scanner(site.node.port).send([raw_item(NOT_UNDERSTOOD[fault](image), sop_uid)])
    assert isinstance(outcome.error, Refused)
    assert str(outcome.error) in {"the peer answered C000", "the peer answered A900"}
    assert site.node.storage.ledger.status()["instances"] == before
    assert site.node.storage.ledger.find_series(series_uid) is None
    assert site.node.storage.ledger.find_instance(sop_uid) is None


def test_good_images_of_the_same_association_are_kept_and_answered(site):
    study = a_study("one bad among good")
    items = items_of(study.images)
    bad = raw_item(b"nothing", uid("bad one"))
    outcomes = scanner(site.node.port).send([*items[:15], bad, *items[15:]])
    assert [outcome.delivered for outcome in outcomes] == [True] * 15 + [False] + [True] * 15
    site.answers(study)


def test_the_node_goes_on_after_all_that(site):
    site.still_works("refused bytes")


KEPT_AND_DECLINED = {
    "no rows": ({"Rows": 0}, "usable position, orientation or pixel spacing"),
    "a spacing of zero": ({"PixelSpacing": [0, 0]}, "usable position, orientation or pixel spacing"),
    "a pixel of a kilometre": ({"PixelSpacing": [1e6, 1e6]}, "usable position, orientation or pixel spacing"),
    "a pixel of a centimetre": ({"PixelSpacing": [10, 10]}, "field of view"),
    "no position": ({"ImagePositionPatient": None}, "usable position, orientation or pixel spacing"),
    "an orientation that is none": (
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        "usable position, orientation or pixel spacing",
    ),
    "all in one place": ({"ImagePositionPatient": [0, 0, 0]}, "more than one slice at"),
    "sagittal": ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "degrees from axial"),
    "not CT": ({"Modality": "OT"}, "modality is OT"),
}


@pytest.mark.parametrize("fault", KEPT_AND_DECLINED)
def test_an_absurd_geometry_is_kept_and_declined_with_a_reason(fault, site):
    tags, reason = KEPT_AND_DECLINED[fault]
    study = Study(images=ct_series(heart_scan(), Style(name=f"absurd {fault}", tags=tags)))
    site.send(study)
    site.settle()
    assert any(reason in one for one in reasons_of(site.node, study.series_uid)), reasons_of(
        site.node, study.series_uid
    )
    assert site.archive.of(study) == []


def test_a_spacing_that_is_not_a_number_is_kept_and_declined(site):
    images = ct_series(heart_scan(), Style(name="nan", tags={"PixelSpacing": ["1.25", "1.25"]}))
    items = [
        raw_item(wire_bytes(image).replace(b"1.25\\1.25 ", b"NaN\\NaN   "), str(image.SOPInstanceUID))
        for image in images
    ]
    assert b"NaN" in items[0].content
    assert all(outcome.delivered for outcome in scanner(site.node.port).send(items))
    site.settle()
    series_uid = str(images[0].SeriesInstanceUID)
    assert any("usable position, orientation or pixel spacing" in one for one in reasons_of(site.node, series_uid))


def test_slices_of_two_sizes_in_one_series_are_declined(site):
    images = ct_series(heart_scan(), Style(name="two sizes"))
    for image in images[15:]:
        image.Rows, image.Columns = 64, 256
    study = Study(images=images)
    site.send(study)
    site.settle()
    assert any(
        "differ in orientation, matrix or pixel spacing" in one for one in reasons_of(site.node, study.series_uid)
    )


def test_pixels_that_cannot_be_decoded_are_declined_when_read(site):
    """The header promises more pixels than there are: only decoding shows it."""
    images = ct_series(heart_scan(), Style(name="short pixels"))
    images[7].PixelData = images[7].PixelData[:4096]
    study = Study(images=images)
    site.send(study)
    site.settle()
    assert reasons_of(site.node, study.series_uid)
    assert site.archive.of(study) == []


def test_the_node_goes_on_after_absurd_geometry(site):
    site.still_works("absurd geometry")


def test_a_wrong_called_ae_title_is_rejected_for_good(site):
    (outcome,) = scanner(site.node.port, called="SOMEONE").send(items_of([an_image("wrong title")]))
    assert isinstance(outcome.error, Refused)
    assert "Called AE title not recognised" in str(outcome.error)


def test_an_unknown_sop_class_is_not_accepted(site):
    image = an_image("magnetic")
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    (outcome,) = scanner(site.node.port).send(items_of([image]))
    assert isinstance(outcome.error, Refused)
    assert "does not accept MR Image Storage" in str(outcome.error)


def test_an_abort_in_mid_transfer_and_the_whole_study_again(site):
    study = a_study("aborted")
    entity = AE(ae_title="CT01")
    association = entity.associate(
        "127.0.0.1", site.node.port, contexts=[build_context(CT, EXPLICIT)], ae_title=AE_TITLE
    )
    for image in study.images[:10]:
        assert association.send_c_store(image).Status == 0
    association.abort()
    deliver(site.node.port, study.images)
    answers = site.answers(study)
    assert agatston_total(answers[SR]) > 0
    assert site.node.storage.ledger.find_series(study.series_uid).generation == 1


def test_an_abort_and_nothing_more_is_declined_after_the_quiet_time(site):
    study = a_study("aborted for good")
    entity = AE(ae_title="CT01")
    association = entity.associate(
        "127.0.0.1", site.node.port, contexts=[build_context(CT, EXPLICIT)], ae_title=AE_TITLE
    )
    for image in study.images[:10]:
        assert association.send_c_store(image).Status == 0
    association.abort()
    site.settle()
    assert any("number of slices 10" in one for one in reasons_of(site.node, study.series_uid))


def test_a_connection_cut_in_the_middle_of_an_image(site):
    """The socket is gone in the middle of the pixels: what was not acknowledged is not kept."""
    study = a_study("cut connection")
    entity = AE(ae_title="CT01")
    association = entity.associate(
        "127.0.0.1", site.node.port, contexts=[build_context(CT, EXPLICIT)], ae_title=AE_TITLE
    )
    assert association.send_c_store(study.images[0]).Status == 0
    raw = association.dul.socket.socket
    raw.sendall(b"\x04\x00" + (1 << 14).to_bytes(4, "big") + b"\x00" * 100)  # a P-DATA-TF of which most never comes
    raw.shutdown(socket.SHUT_RDWR)
    association.abort()
    site.settle()
    assert len(site.node.storage.ledger.instances(study.series_uid)) == 1


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\xff\xff\xff\xff", b""], ids=["http", "huge", "silent"]
)
def test_a_stranger_on_the_port(said, site):
    with socket.create_connection(("127.0.0.1", site.node.port)) as stranger:
        stranger.sendall(said)
        scanner(site.node.port).echo()
    scanner(site.node.port).echo()
    gc.collect()


def test_the_node_goes_on_after_broken_associations(site):
    site.still_works("broken associations")
    assert site.node.storage.ledger.integrity() == ()
    assert [row for row in site.node.storage.ledger.dead_letters() if row.state is WorkState.PARKED] == []
