"""Instances from bytes: what is read, what is kept though absurd, and what is malformed."""

from __future__ import annotations

import contextlib
import math
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from node.dicom.encoding import inflated
from node.dicom.files import content_of, file_head
from node.dicom.headers import SOFTWARE_NAME, identity_of, read_file_instance, read_instance
from node.domain.errors import Malformed
from node.domain.series import Instance
from tests.dicom_series import Style, ct_series, enhanced_ct, file_bytes, thorax, wire_bytes

SMALL = thorax(3, 4, 5)


def image(**tags: object) -> Dataset:
    found = ct_series(SMALL, Style(tags=tags))[0]
    assert found.SOPInstanceUID
    return found


def wire(found: Dataset | None = None, syntax: str = ExplicitVRLittleEndian) -> bytes:
    found = found or image()
    found.file_meta.TransferSyntaxUID = syntax
    if syntax == DeflatedExplicitVRLittleEndian:
        return bytes(content_of(file_bytes(found)).dataset)
    return wire_bytes(found)


def read(found: Dataset, syntax: str = ExplicitVRLittleEndian) -> Instance:
    return read_instance(wire(found, syntax), syntax)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_facts_of_a_ct_image(syntax):
    found = read(
        image(
            ScanOptions=["CARDIAC", "HELICAL"],
            ContrastBolusAgent="",
            GantryDetectorTilt=0,
            BodyPartExamined="CHEST",
            StationName="CT01",
            SoftwareVersions=["V1", "V2"],
            NominalPercentageOfCardiacPhase=75.0,
            CardiacSynchronizationTechnique="PROSPECTIVE",
        ),
        syntax,
    )
    style = Style()
    assert (found.sop_uid, found.series_uid, found.study_uid) == (
        style.sop_uid(0),
        style.series_uid(),
        style.study_uid(),
    )
    assert found.transfer_syntax_uid == syntax
    assert found.instance_number == 1
    assert not found.made_by_this_software
    said = found.acquisition
    assert (said.modality, said.image_type, said.kernel) == ("CT", ("ORIGINAL", "PRIMARY", "AXIAL"), "FC12")
    assert (said.kvp, said.slice_thickness_mm, said.gantry_tilt_deg) == (120.0, 3.0, 0.0)
    assert (said.series_description, said.protocol) == ("CaScore 3.0", "Calcium Score")
    assert (said.scan_options, said.contrast) == (("CARDIAC", "HELICAL"), "")
    assert said.gating == "PROSPECTIVE, phase 75 %"
    assert said.cardiac_phase_percent == 75.0
    assert said.acquisition_time == "20260105081512"
    assert (said.station, said.body_part, said.software, said.acquisition_number) == ("CT01", "CHEST", "V1 V2", 1)
    (plane,) = found.slices
    assert plane.position_lps_mm == (-12.5, -31.0, 88.25)
    assert plane.orientation == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert (plane.rows, plane.columns, plane.pixel_spacing_mm) == (4, 5, (0.7, 0.5))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_enhanced_ct_has_a_plane_per_frame(legacy, syntax):
    found = read(enhanced_ct(SMALL, legacy=legacy), syntax)
    assert [plane.position_lps_mm for plane in found.slices] == [(-12.5, -31.0, 88.25 + 3 * i) for i in range(3)]
    assert {plane.pixel_spacing_mm for plane in found.slices} == {(0.7, 0.5)}
    assert found.acquisition.slice_thickness_mm == 3.0
    assert found.acquisition.kvp == (None if legacy else 120.0)


def test_sequences_of_undefined_length_read_the_same():
    found = enhanced_ct(SMALL)
    counted = read(found)
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        found[keyword].is_undefined_length = True
        for item in found[keyword].value:
            item.is_undefined_length_sequence_item = True
            for element in item:
                element.is_undefined_length = True
    data = wire(found)
    assert data.count(b"\xfe\xff\xdd\xe0") > 2
    assert read_instance(data, ExplicitVRLittleEndian) == counted


def test_more_frames_than_a_ct_can_have():
    found = enhanced_ct(SMALL)
    found.PerFrameFunctionalGroupsSequence = Items([Dataset() for _ in range(5000)])
    with pytest.raises(Malformed, match="5000 items"):
        read(found)


def test_text_in_other_alphabets():
    assert read(
        image(SpecificCharacterSet="ISO_IR 192", SeriesDescription="冠動脈 CaSc")
    ).acquisition.series_description == ("冠動脈 CaSc")
    assert read(image(SeriesDescription="Kalzium für Ärzte")).acquisition.series_description == "Kalzium für Ärzte"


def test_unknown_character_sets_do_no_harm():
    data = wire(image(SeriesDescription="CaScore")).replace(b"ISO_IR 100", b"ISO_IR 999")
    assert read_instance(data, ExplicitVRLittleEndian).acquisition.series_description == "CaScore"


def test_coded_contrast_agent():
    agent = Dataset()
    agent.CodeValue, agent.CodingSchemeDesignator, agent.CodeMeaning = "C-B0322", "SRT", "Iohexol"
    assert read(image(ContrastBolusAgentSequence=Items([agent]))).acquisition.contrast == "Iohexol"


def test_objects_that_are_no_slices_have_none():
    found = image(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.34", Modality="SR", ImagePositionPatient=None)
    assert read(found).slices == ()


@pytest.mark.parametrize("where", ["itself", "contributing"])
def test_our_own_objects_are_recognised(where):
    found = image()
    if where == "itself":
        found.ManufacturerModelName = SOFTWARE_NAME
    else:
        scanner, node = Dataset(), Dataset()
        scanner.ManufacturerModelName, node.ManufacturerModelName = "Phantom CT", SOFTWARE_NAME
        found.ContributingEquipmentSequence = Items([scanner, node])
    assert read(found).made_by_this_software


ABSURD = {
    "no spacing": ({"PixelSpacing": None}, lambda plane: plane.pixel_spacing_mm is None),
    "no rows": ({"Rows": 0}, lambda plane: plane.rows == 0),
    "missing rows": ({"Rows": None}, lambda plane: plane.rows == 0),
    "no position": ({"ImagePositionPatient": None}, lambda plane: plane.position_lps_mm is None),
}


@pytest.mark.parametrize(("tags", "kept"), ABSURD.values(), ids=ABSURD.keys())
def test_absurd_geometry_is_kept_for_eligibility_to_name(tags, kept):
    (plane,) = read(image(**tags)).slices
    assert kept(plane)


@pytest.mark.parametrize(
    ("text", "first"),
    [(b"NaN\\0.5 ", math.nan), (b"inf\\0.50", math.inf), (b"-1 \\0.50", -1.0)],
)
def test_numbers_that_are_none_are_kept(text, first):
    data = wire(image(PixelSpacing=[0.75, 0.5]))
    assert data.count(b"0.75\\0.5") == 1
    (plane,) = read_instance(data.replace(b"0.75\\0.5", text), ExplicitVRLittleEndian).slices
    assert plane.pixel_spacing_mm is not None
    assert plane.pixel_spacing_mm[0] == first or (math.isnan(first) and math.isnan(plane.pixel_spacing_mm[0]))


@pytest.mark.parametrize("text", [b"a.75\\0.5", b"0_75\\0.5", b"0.75,0.5"])
def test_numbers_that_cannot_be_read_are_not_said(text):
    data = wire(image(PixelSpacing=[0.75, 0.5])).replace(b"0.75\\0.5", text)
    assert read_instance(data, ExplicitVRLittleEndian).slices[0].pixel_spacing_mm is None


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("how", ["missing", "empty", "letters", "long", "path", "dots"])
def test_uids_that_name_nothing(keyword, how):
    found = image(ImagePositionPatient=[0, 0, 0])
    if how == "missing":
        del found[keyword]
        data, reason = wire_bytes(found), "missing or empty"
    else:
        paths = {"path": b"../../etc/passwd", "dots": b".."}
        value = {"empty": b"", "letters": b"1.2.ABC.", "long": b"1." * 33, **paths}[how]
        marker = b"9.8.7.6.5.4.3.2.1.10"
        setattr(found, keyword, marker.decode())
        header = struct.pack("<H", len(marker))
        data = wire_bytes(found).replace(header + marker, struct.pack("<H", len(value)) + value)
        reason = "missing or empty" if how == "empty" else "not a valid UID"
    with pytest.raises(Malformed, match=f"{keyword}.*{reason}"):
        read_instance(data, ExplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_truncated_data(syntax, share):
    data = wire(syntax=syntax)
    with pytest.raises(Malformed):
        read_instance(data[: int(len(data) * share)], syntax)


def test_pixel_data_shorter_than_declared_are_cut_off():
    with pytest.raises(Malformed, match=r"\(7FE0,0010\) says it has 40 bytes, but 38 are left"):
        read_instance(wire()[:-2], ExplicitVRLittleEndian)


def test_a_ct_image_cut_off_before_its_pixel_data():
    data = wire()
    with pytest.raises(Malformed, match="a CT image without pixel data"):
        read_instance(data[: data.index(b"\xe0\x7f\x10\x00")], ExplicitVRLittleEndian)


def test_encapsulated_pixel_data_without_their_end():
    found = image()
    found.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    data = wire_bytes(found)
    assert read_instance(data, JPEGLSLossless).slices
    with pytest.raises(Malformed, match="data end inside"):
        read_instance(data[:-8], JPEGLSLossless)


@pytest.mark.parametrize(("vr", "length"), [(b"OW", 0x7FFFFFFE), (b"OB", 0xFFFFFFFE), (b"UN", 0x80000000)])
def test_two_gigabytes_are_not_allocated(vr, length):
    data = wire() + struct.pack("<HH2sHI", 0x7FE1, 0x0010, vr, 0, length) + b"\0" * 64
    tracemalloc.start()
    try:
        with pytest.raises(Malformed, match="but 64 are left"):
            read_instance(data, ExplicitVRLittleEndian)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_deflate_bomb_is_not_inflated():
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = packer.compress(b"\0" * 5_000_000) + packer.flush()
    with pytest.raises(Malformed, match="more than 1000000 bytes"):
        inflated(bomb, DeflatedExplicitVRLittleEndian, most=1_000_000)


def test_what_is_hardly_anything_does_not_become_much():
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(70)) + packer.flush()
    with pytest.raises(Malformed, match=f"more than {64 << 20} bytes"):
        inflated(bomb, DeflatedExplicitVRLittleEndian)
    assert len(inflated(bomb + b"\0" * (2 << 20), DeflatedExplicitVRLittleEndian)) == 70 << 20


def test_nesting_has_an_end():
    head = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    with pytest.raises(Malformed, match="nested too deep"):
        read_instance(head * 5000, ExplicitVRLittleEndian)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff" * 500, b"DICM" * 100, bytes(range(256))]
)
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_bytes_that_are_no_dicom(data, syntax):
    with pytest.raises(Malformed):
        read_instance(data, syntax)


def test_memoryviews_are_read_too():
    data = wire()
    assert read_instance(memoryview(data), ExplicitVRLittleEndian) == read_instance(data, ExplicitVRLittleEndian)


def test_identity_needs_only_the_beginning():
    data = wire()
    end = data.index(Style().sop_uid(0).encode()) + 64
    assert identity_of(data[:end], ExplicitVRLittleEndian) == ("1.2.840.10008.5.1.4.1.1.2", Style().sop_uid(0))


@pytest.mark.parametrize("cut", [0, 128, 132], ids=["whole", "no preamble", "no prefix"])
def test_files_with_and_without_preamble(cut, tmp_path: Path):
    path = tmp_path / "image.dcm"
    path.write_bytes(file_bytes(image())[cut:])
    assert read_file_instance(path).sop_uid == Style().sop_uid(0)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_bare_data_set_is_read_as_a_file(syntax, tmp_path: Path):
    path = tmp_path / "bare.dcm"
    path.write_bytes(wire(syntax=syntax))
    found = read_file_instance(path)
    assert (found.sop_uid, found.transfer_syntax_uid) == (Style().sop_uid(0), syntax)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 300, b"\0" * 128 + b"DICM", b"\0" * 1000]
)
def test_files_that_are_no_dicom(data, tmp_path: Path):
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(Malformed):
        read_file_instance(path)


def test_a_file_head_and_a_data_set_make_a_file(tmp_path: Path):
    style = Style()
    head = file_head(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_uid=style.sop_uid(0),
        transfer_syntax_uid=ImplicitVRLittleEndian,
        source_ae="CT01",
    )
    data = wire(syntax=ImplicitVRLittleEndian)
    content = content_of(head + data)
    assert bytes(content.dataset) == data
    assert (content.sop_uid, content.transfer_syntax_uid) == (style.sop_uid(0), ImplicitVRLittleEndian)


SEEDS = [
    (wire(), ExplicitVRLittleEndian),
    (wire(syntax=ImplicitVRLittleEndian), ImplicitVRLittleEndian),
    (wire(enhanced_ct(SMALL)), ExplicitVRLittleEndian),
    (wire(syntax=DeflatedExplicitVRLittleEndian), DeflatedExplicitVRLittleEndian),
]


@settings(max_examples=200, deadline=None)
@given(seed=st.sampled_from(SEEDS), cut=st.integers(0, 4000), other=st.sampled_from([None, *(s for _, s in SEEDS)]))
def test_any_truncation_is_read_or_malformed(seed, cut, other):
    data, syntax = seed
    with contextlib.suppress(Malformed):
        read_instance(data[:cut], other or syntax)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=8),
)
def test_any_damage_is_read_or_malformed(seed, changes):
    data, syntax = bytearray(seed[0]), seed[1]
    for at, new in changes:
        at %= len(data)  # noqa: PLW2901 - into the data
        data[at : at + len(new)] = new
    with contextlib.suppress(Malformed):
        read_instance(bytes(data), syntax)
