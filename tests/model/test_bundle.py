import hashlib
import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from model import bundle as bundles
from model.bundle import CARD, MANIFEST, WEIGHTS, BundleError, Calibration, default_bundle, load_bundle, write_bundle
from tests.tiny_bundle import tiny_bundle


@pytest.fixture
def folder(tmp_path):
    write_bundle(tmp_path / "b", tiny_bundle(3), "# card\n")
    return tmp_path / "b"


def rewrite(folder, changes):
    values = json.loads((folder / MANIFEST).read_text()) | changes
    (folder / MANIFEST).write_text(json.dumps(values))


def rehash(folder):
    rewrite(folder, {"sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()})


def test_what_is_written_is_what_is_read(folder):
    ours, theirs = tiny_bundle(3), load_bundle(folder)
    assert theirs.identity.name == "tiny"
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    assert json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"] == digest
    assert (theirs.released_for, theirs.calibration) == (ours.released_for, ours.calibration)
    assert theirs.experiment == {"seed": 3}
    for name in ("coarse", "fine"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert mine.config == other.config
        assert not other.training
        for key, value in mine.state_dict().items():
            torch.testing.assert_close(other.state_dict()[key], value, atol=1e-3, rtol=1e-3)


def test_another_limit_beside_the_weights_is_another_model(folder):
    before = load_bundle(folder).identity
    calibration = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["calibration"]
    rewrite(folder, {"calibration": calibration | {"background_prior": 0.5}})
    after = load_bundle(folder).identity
    assert after.sha256 != before.sha256
    assert (after.name, after.version) == (before.name, before.version)


def test_weights_are_used_as_float32_though_stored_as_float16(folder):
    assert {v.dtype for v in load_file(folder / WEIGHTS).values()} == {torch.float16, torch.int64}
    assert all(p.dtype == torch.float32 for p in load_bundle(folder).fine.parameters())


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST, CARD])
def test_every_file_is_needed(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(BundleError, match="no bundle"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["weights.pt", "old.PTH", "x.pkl", "pytorch_model.bin"])
def test_pickled_weights_are_refused_even_beside_good_ones(folder, name):
    (folder / name).write_bytes(pickle.dumps({}))
    with pytest.raises(BundleError, match="pickled"):
        load_bundle(folder)


def test_one_changed_byte_is_noticed(folder):
    packed = bytearray((folder / WEIGHTS).read_bytes())
    packed[-1] ^= 1
    (folder / WEIGHTS).write_bytes(packed)
    with pytest.raises(BundleError, match="not the file the manifest describes"):
        load_bundle(folder)


def test_a_pickle_under_the_right_name_is_refused(folder):
    (folder / WEIGHTS).write_bytes(pickle.dumps({"fine.out.weight": 1}))
    rehash(folder)
    with pytest.raises(BundleError, match="not a safetensors file"):
        load_bundle(folder)


def edit(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    rehash(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("fine.out.bias"), "lacks 1 tensors"),
        (lambda t: t.update(extra=torch.zeros(1)), "has 1 more"),
        (lambda t: t.update({"fine.out.bias": torch.zeros(3)}), "has shape"),
        (lambda t: t["fine.out.bias"].fill_(float("nan")), "not finite"),
        (lambda t: t["coarse.out.bias"].fill_(float("inf")), "not finite"),
        (lambda t: t.update({"fine.out.bias": t["fine.out.bias"].long()}), "int64"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(folder, change, says):
    edit(folder, change)
    with pytest.raises(BundleError, match=says):
        load_bundle(folder)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "", "{}"])
def test_a_manifest_that_is_no_manifest(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=MANIFEST):
        load_bundle(folder)


def test_a_manifest_that_is_no_text(folder):
    (folder / MANIFEST).write_bytes(b"\xff\xfe{}")
    with pytest.raises(BundleError, match="UTF-8"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 4}, "format 4"),
        ({"name": ""}, "name must say something"),
        ({"trained_on": 3}, "trained_on"),
        ({"networks": {}}, "coarse"),
        ({"networks": {"coarse": {"dimensions": 9}, "fine": {}}}, "incomplete or wrong"),
        ({"calibration": {"temperature": -1.0}}, "positive"),
        ({"calibration": {"mood": 1.0}}, "mood"),
    ],
)
def test_a_manifest_that_says_the_wrong_thing(folder, change, says):
    rewrite(folder, change)
    with pytest.raises(BundleError, match=says):
        load_bundle(folder)


def test_weights_too_large_for_half_precision_are_not_written(tmp_path):
    bundle = tiny_bundle()
    with torch.no_grad():
        bundle.fine.out.bias.fill_(1e6)
    with pytest.raises(BundleError, match="float16"):
        write_bundle(tmp_path, bundle, "")


def test_calibration_must_be_positive():
    with pytest.raises(ValueError, match="positive"):
        Calibration(background_prior=0.0)


def test_the_shipped_bundle_is_whole_small_and_says_what_it_is_for():
    bundle = default_bundle()
    assert "synthetic" in bundle.identity.trained_on
    assert "esearch" in bundle.released_for
    folder = bundles.SHIPPED / bundles.DEFAULT_NAME
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10e6
    assert "esearch use only" in (folder / CARD).read_text(encoding="utf-8")
