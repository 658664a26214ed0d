"""Reading volumes: one anatomy in many encodings, and everything that must be refused with its reasons."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import gdcm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from model.volume import CtVolume
from node.dicom.pixels import codestream_size
from node.dicom.volumes import read_volume
from node.domain.errors import Malformed, Unreadable
from tests.dicom_series import (
    PADDED_HU,
    Style,
    ct_series,
    encapsulated,
    enhanced_ct,
    file_bytes,
    thorax,
    turned,
    write_series,
)

ANATOMY = thorax()


def read(images: list[Dataset], folder: Path):
    return read_volume(write_series(images, folder))


def same_in_patient_space(found: CtVolume, expected: CtVolume = ANATOMY) -> None:
    """Every voxel of the expected volume is at the same place in the patient with the same HU."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in expected.grid.shape), indexing="ij"), axis=-1)
    there = found.grid.to_index(expected.grid.to_lps(index))
    rounded = np.rint(there).astype(int)
    np.testing.assert_allclose(there, rounded, atol=1e-3)
    assert found.hu.size == expected.hu.size
    np.testing.assert_array_equal(found.hu[tuple(np.moveaxis(rounded, -1, 0))], expected.hu)


STYLES = {
    "explicit": Style(),
    "implicit": Style(syntax=ImplicitVRLittleEndian),
    "deflated": Style(syntax=DeflatedExplicitVRLittleEndian),
    "unsigned": Style(signed=False),
    "unsigned 12 bit": Style(signed=False, bits_stored=12),
    "unsigned 12 bit under an overlay": Style(signed=False, bits_stored=12, overlay_bits=True),
    "signed 13 bit": Style(intercept=0, bits_stored=13),
    "signed 13 bit under dirt": Style(intercept=0, bits_stored=13, overlay_bits=True),
    "no offset": Style(intercept=0),
    "per-slice intercept": Style(intercepts=(-1024, -1000, -1024, 0, -500, -1024)),
    "slope 2, even values lost to nothing": Style(slope=0.5),
    "padding signed": Style(padding=-2000),
    "padding unsigned": Style(signed=False, padding=63536),
    "padding within 12 bits": Style(signed=False, bits_stored=12, padding=4095),
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_every_encoding_reads_to_the_same_hounsfield_units(style: Style, tmp_path: Path):
    found = read(ct_series(ANATOMY, style), tmp_path)
    same_in_patient_space(found.volume)
    np.testing.assert_array_equal(found.volume.hu, ANATOMY.hu)
    assert found.sop_uids == tuple(style.sop_uid(index) for index in range(6))
    assert found.frames == (1,) * 6


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize("legacy", [False, True])
def test_enhanced_ct_reads_to_the_same_hounsfield_units(style: Style, legacy: bool, tmp_path: Path):  # noqa: FBT001 - a parameter
    found = read([enhanced_ct(ANATOMY, style, legacy=legacy)], tmp_path)
    same_in_patient_space(found.volume)
    assert found.frames == tuple(range(1, 7))
    assert set(found.sop_uids) == {style.sop_uid(0)}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_every_orientation_reads_to_the_same_place(order, flips, tmp_path: Path):
    found = read(ct_series(turned(ANATOMY, order, flips)), tmp_path)
    same_in_patient_space(found.volume)
    slice_axis, down, along = np.asarray(found.volume.grid.directions)
    np.testing.assert_allclose(np.cross(along, down), slice_axis, atol=1e-9)


def test_an_oblique_stack_keeps_its_place(tmp_path: Path):
    angle = np.deg2rad(20)
    axes = ((0.0, -np.sin(angle), np.cos(angle)), (0.0, np.cos(angle), np.sin(angle)), (1.0, 0.0, 0.0))
    grid = type(ANATOMY.grid)(
        shape=ANATOMY.grid.shape, spacing_mm=(2.5, 0.6, 0.6), origin_lps_mm=(1.0, 2.0, 3.0), directions=axes
    )
    tilted = CtVolume(hu=ANATOMY.hu, grid=grid, slice_thickness_mm=2.5)
    same_in_patient_space(read(ct_series(tilted), tmp_path).volume, tilted)


def test_the_order_of_files_does_not_matter(tmp_path: Path):
    images = ct_series(ANATOMY)
    found = read(images[::-1], tmp_path / "a").volume, read(images[3:] + images[:3], tmp_path / "b").volume
    for volume in found:
        np.testing.assert_array_equal(volume.hu, ANATOMY.hu)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("style", [Style(), Style(signed=False, bits_stored=12), Style(intercept=0, bits_stored=13)])
def test_compressed_slices(syntax, style, tmp_path: Path):
    images = ct_series(ANATOMY, style)
    for image in images:
        image.compress(
            syntax, encoding_plugin="pydicom" if syntax == RLELossless else "pyjpegls", generate_instance_uid=False
        )
    assert images[0].file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read(images, tmp_path).volume.hu, ANATOMY.hu)


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, JPEG2000])
@pytest.mark.parametrize("style", [Style(), Style(signed=False, bits_stored=12), Style(intercept=0, bits_stored=13)])
def test_slices_that_gdcm_compressed(syntax, style, tmp_path: Path):
    paths = write_series(ct_series(ANATOMY, style), tmp_path)
    for path in paths:
        compressed_by_gdcm(path, syntax)
    np.testing.assert_array_equal(read_volume(paths).volume.hu, ANATOMY.hu)


def compressed_by_gdcm(path: Path, syntax: str) -> None:
    names = {
        JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
        JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
        JPEG2000Lossless: gdcm.TransferSyntax.JPEG2000Lossless,
        JPEG2000: gdcm.TransferSyntax.JPEG2000Lossless,  # the lossless stream, under the name that allows both
    }
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(names[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    image = dcmread(path)
    image.file_meta.TransferSyntaxUID = syntax
    image.save_as(path)


def test_compressed_enhanced_ct(tmp_path: Path):
    image = enhanced_ct(ANATOMY)
    image.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    np.testing.assert_array_equal(read([image], tmp_path).volume.hu, ANATOMY.hu)


def test_fractional_rescale_gives_float(tmp_path: Path):
    found = read(ct_series(ANATOMY, Style(slope=0.25, intercept=-1024)), tmp_path).volume
    assert found.hu.dtype == np.float32
    np.testing.assert_array_equal(found.hu, ANATOMY.hu)


def test_integer_rescale_gives_int16(tmp_path: Path):
    assert read(ct_series(ANATOMY), tmp_path).volume.hu.dtype == np.int16


def test_unsigned_words_of_16_bits_do_not_wrap(tmp_path: Path):
    images = ct_series(ANATOMY, Style(signed=False))
    images[0].PixelData = np.full(images[0].Rows * images[0].Columns, 60000, "<u2").tobytes()
    found = read(images, tmp_path)
    assert (found.volume.hu[0] == 32767).all()
    assert any("beyond 32767" in note for note in found.notes)


def test_slope_of_two(tmp_path: Path):
    even = CtVolume(hu=(ANATOMY.hu // 2 * 2).astype(np.int16), grid=ANATOMY.grid)
    found = read(ct_series(even, Style(slope=2, intercept=-1024)), tmp_path).volume
    assert found.hu.dtype == np.int16
    np.testing.assert_array_equal(found.hu, even.hu)


def test_padding_range(tmp_path: Path):
    style = Style(intercept=0, padding=-2000, tags={"PixelPaddingRangeLimit": -1990})
    images = ct_series(ANATOMY, style)
    words = np.frombuffer(images[0].PixelData, "<i2").copy()
    words[:3] = (-1990, -1995, -1989)
    images[0].PixelData = words.tobytes()
    first = read(images, tmp_path).volume.hu[0].ravel()[:3]
    assert first.tolist() == [PADDED_HU, PADDED_HU, -1989]


@pytest.mark.parametrize(
    ("tags", "factor", "note"),
    [
        ({}, None, ""),
        ({"CalciumScoringMassFactorPatient": 0.00078}, 0.78, ""),
        ({"CalciumScoringMassFactorPatient": 0.78}, 0.78, ""),
        ({"CalciumScoringMassFactorDevice": [0.0007, 0.0008, 0.0009]}, 0.8, "medium"),
        ({"CalciumScoringMassFactorDevice": [0.0008, 0.0008, 0.0008]}, 0.8, ""),
        ({"CalciumScoringMassFactorPatient": 17.0}, None, "makes no sense"),
        ({"CalciumScoringMassFactorPatient": -0.0008}, None, "makes no sense"),
    ],
)
def test_mass_factor(tags, factor, note, tmp_path: Path):
    found = read(ct_series(ANATOMY, Style(tags=tags)), tmp_path)
    assert found.volume.mass_factor == (None if factor is None else pytest.approx(factor, rel=1e-5))
    assert len(found.notes) == bool(note)
    assert note in " ".join(found.notes)


def test_header_values_and_overlapping_slices(tmp_path: Path):
    overlapping = CtVolume(hu=ANATOMY.hu, grid=thorax(spacing_mm=1.5).grid, kvp=100.0, slice_thickness_mm=3.0)
    found = read(ct_series(overlapping), tmp_path)
    assert found.volume.kvp == 100.0
    assert found.volume.slice_thickness_mm == 3.0
    assert found.volume.grid.slice_spacing_mm == pytest.approx(1.5)
    assert any("3 mm thick and 1.50 mm apart" in note for note in found.notes)


def test_an_unspecified_unit_is_taken_for_hu_and_said(tmp_path: Path):
    found = read(ct_series(ANATOMY, Style(tags={"RescaleType": "US"})), tmp_path)
    np.testing.assert_array_equal(found.volume.hu, ANATOMY.hu)
    assert any("unspecified" in note for note in found.notes)


def test_identical_copies_are_left_out(tmp_path: Path):
    found = read(ct_series(ANATOMY) + ct_series(ANATOMY, Style(name="again")), tmp_path / "a")
    np.testing.assert_array_equal(found.volume.hu, ANATOMY.hu)
    assert any("6 identical copies" in note for note in found.notes)


def test_only_some_frames(tmp_path: Path):
    style = Style()
    paths = write_series([enhanced_ct(ANATOMY, style)], tmp_path)
    found = read_volume(paths, only={(style.sop_uid(0), frame) for frame in (2, 3, 4)})
    assert found.frames == (2, 3, 4)
    np.testing.assert_array_equal(found.volume.hu, ANATOMY.hu[1:4])


def changed(index: int, **tags: object) -> list[Dataset]:
    images = ct_series(ANATOMY)
    for keyword, value in tags.items():
        if value is None:
            del images[index][keyword]
        else:
            setattr(images[index], keyword, value)
    return images


REFUSED = {
    "a missing slice": (lambda: [*ct_series(ANATOMY)[:2], *ct_series(ANATOMY)[3:]], r"not at 91\.25 to 97\.25 mm"),
    "one slice": (lambda: ct_series(ANATOMY)[:1], "at least two"),
    "no slices": (list, "at least two"),
    "other matrix": (lambda: [*ct_series(ANATOMY), *ct_series(thorax(2, 12, 12), Style(name="b"))], "rows or columns"),
    "two orientations": (
        lambda: [*ct_series(ANATOMY), *ct_series(turned(thorax(rows=6), (1, 0, 2)), Style(name="b"))],
        "differ in orientation",
    ),
    "other pixel spacing": (lambda: changed(1, PixelSpacing=[0.7, 0.6]), "differ in pixel spacing"),
    "other frame of reference": (lambda: changed(1, FrameOfReferenceUID="1.2.3"), "frames of reference"),
    "different images at one position": (
        lambda: ([*ct_series(ANATOMY), changed(2, SOPInstanceUID="1.2.3.4", RescaleIntercept=-1000)[2]]),
        r"different images at one position: 94\.25 mm",
    ),
    "no position": (lambda: changed(1, ImagePositionPatient=None), r"no usable image position \(1 of 6 slices\)"),
    "no orientation": (lambda: changed(1, ImageOrientationPatient=None), "no usable image orientation"),
    "skew orientation": (lambda: changed(1, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "no usable image orientation"),
    "zero spacing": (lambda: changed(1, PixelSpacing=[0, 0]), r"no usable pixel spacing \(0 x 0 mm\)"),
    "a position out of this world": (lambda: changed(1, ImagePositionPatient=[0, 0, 1e20]), "no usable image position"),
    "a slope out of this world": (lambda: changed(1, RescaleSlope=1e20), "rescale slope"),
    "no rescale": (lambda: changed(1, RescaleSlope=None), "rescale slope"),
    "slope zero": (lambda: changed(1, RescaleSlope=0), "rescale slope"),
    "not HU": (lambda: changed(1, RescaleType="ED"), "the values are ED, not Hounsfield units"),
    "colour": (lambda: changed(1, SamplesPerPixel=3, PhotometricInterpretation="RGB"), "3 samples per pixel"),
    "32 bits": (lambda: changed(1, BitsAllocated=32), "32 bits allocated"),
    "zero rows": (lambda: changed(1, Rows=0), "0 rows and 32 columns"),
    "more rows than pixels": (lambda: changed(1, Rows=25), "frame\\(s\\) of 1600 bytes are declared"),
    "a bomb in the header": (lambda: changed(1, Rows=65535, Columns=65535), "more than are read"),
    "no pixel data": (lambda: changed(1, PixelData=None), "the pixel data have 0 bytes"),
    "unknown transfer syntax": (
        lambda: [encapsulated(image, [b"\0" * 8], "1.2.840.10008.1.2.4.100") for image in ct_series(ANATOMY)],
        "no decoder for transfer syntax MPEG2",
    ),
    "too few functional groups": (
        lambda: [enhanced_ct(ANATOMY, Style(tags={"NumberOfFrames": 5}))],
        "5 frames, but functional groups for 6",
    ),
    "not CT": (lambda: changed(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), "not a CT image"),
}


@pytest.mark.parametrize(("images", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_its_reason(images, reason, tmp_path: Path):
    with pytest.raises(Unreadable, match=reason):
        read(images(), tmp_path)


def test_all_reasons_are_told_at_once(tmp_path: Path):
    images = changed(1, RescaleSlope=None, PixelSpacing=[0, 0], FrameOfReferenceUID="1.2.3")
    with pytest.raises(Unreadable) as told:
        read(images, tmp_path)
    for reason in ("rescale", "pixel spacing", "frames of reference"):
        assert reason in str(told.value)


def test_a_tilted_gantry_is_refused(tmp_path: Path):
    images = ct_series(ANATOMY)
    for index, image in enumerate(images):
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y + 0.8 * index, z]
    with pytest.raises(Unreadable, match="tilted gantry"):
        read(images, tmp_path)


def test_too_many_voxels_are_not_allocated(tmp_path: Path):
    paths = write_series(ct_series(ANATOMY), tmp_path)
    with pytest.raises(Unreadable, match="too many voxels"):
        read_volume(paths, most_voxels=ANATOMY.hu.size - 1)
    assert read_volume(paths, most_voxels=ANATOMY.hu.size).volume.hu.size == ANATOMY.hu.size


def test_bytes_that_are_no_dicom(tmp_path: Path):
    paths = write_series(ct_series(ANATOMY), tmp_path)
    paths[2].write_bytes(b"GIF89a" + b"\0" * 500)
    with pytest.raises(Malformed, match="not a DICOM file"):
        read_volume(paths)


def test_a_codestream_of_another_size_is_not_decoded(tmp_path: Path):
    images = ct_series(ANATOMY)
    big = np.zeros((512, 512), np.uint16)
    frame = get_encoder(JPEGLSLossless).encode(
        big.tobytes(), rows=512, columns=512, samples_per_pixel=1, number_of_frames=1, bits_allocated=16,
        bits_stored=16, pixel_representation=0, photometric_interpretation="MONOCHROME2", encoding_plugin="pyjpegls",
    )  # fmt: skip
    assert codestream_size(frame) == (512, 512, 1)
    for image in images:
        encapsulated(image, [frame], JPEGLSLossless)
    with pytest.raises(Unreadable, match="512 x 512 pixels of 1 sample"):
        read(images, tmp_path)


def test_a_later_frame_of_another_size_is_not_decoded(tmp_path: Path):
    def packed(rows: int, columns: int) -> bytes:
        return get_encoder(JPEGLSLossless).encode(
            np.zeros((rows, columns), np.uint16).tobytes(), rows=rows, columns=columns, samples_per_pixel=1,
            number_of_frames=1, bits_allocated=16, bits_stored=16, pixel_representation=0,
            photometric_interpretation="MONOCHROME2", encoding_plugin="pyjpegls",
        )  # fmt: skip

    image = enhanced_ct(ANATOMY)
    right = packed(image.Rows, image.Columns)
    frames = [right] * (image.NumberOfFrames - 1) + [packed(2048, 2048)]
    encapsulated(image, frames, JPEGLSLossless)
    image.PixelData = encapsulate(frames, fragments_per_frame=2)  # so that fragments are not frames
    image["PixelData"].is_undefined_length = True
    with pytest.raises(Unreadable, match="2048 x 2048 pixels of 1 sample"):
        read([image], tmp_path)


def test_a_frame_that_is_no_codestream_is_not_decoded(tmp_path: Path):
    images = [
        encapsulated(image, [b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40], JPEG2000Lossless)
        for image in ct_series(ANATOMY)
    ]
    with pytest.raises(Unreadable, match="does not begin with"):
        read(images, tmp_path)


def test_a_broken_codestream_is_unreadable(tmp_path: Path):
    images = ct_series(ANATOMY, Style(syntax=ExplicitVRLittleEndian))
    for image in images:
        image.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
        image.PixelData = image.PixelData[:200] + b"\xff" * (len(image.PixelData) - 208) + image.PixelData[-8:]
    with pytest.raises((Unreadable, Malformed)):
        read(images, tmp_path)


DAMAGED = [
    [file_bytes(image) for image in ct_series(thorax(3, 4, 5))],
    [
        file_bytes(image)
        for image in ct_series(thorax(3, 4, 5), Style(syntax=ImplicitVRLittleEndian, slope=0.5, padding=7))
    ],
    [file_bytes(enhanced_ct(thorax(3, 4, 5)))],
]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.sampled_from(DAMAGED),
    which=st.integers(0, 2),
    changes=st.lists(st.tuples(st.integers(132, 5000), st.binary(min_size=1, max_size=4)), max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 2000)),
)
def test_any_damage_is_read_or_named(seed, which, changes, cut, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    files = [bytearray(data) for data in seed]
    target = files[which % len(files)]
    for at, new in changes:
        start = at % len(target)
        target[start : start + len(new)] = new
    if cut is not None:
        del target[cut:]
    paths = []
    for number, data in enumerate(files):
        paths.append(folder / str(number))
        paths[-1].write_bytes(data)
    with contextlib.suppress(Malformed, Unreadable):
        read_volume(paths)
