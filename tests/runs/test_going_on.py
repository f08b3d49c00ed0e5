"""A run that goes on with one thing changed: frames, kind of file, epochs."""

import json

import numpy as np
import pytest

from helpers import QUICK, interrupted, pixels
from nst.engine.scales import is_extendable
from nst.settings import Settings

FOLDER = "photo__painting"
EVERY = ("--print_every", 5)
TEN = (*QUICK, "--epochs", 10, *EVERY)
OPTIMIZERS = [(), ("--optimizer", "lbfgs")]


def run_json(folder):
    return json.loads((folder / "run.json").read_text())


def folders(output):
    return sorted(path.name for path in output.iterdir() if path.is_dir())


def same_pixels(one, other):
    names = {path.name for path in one.glob("*.png")} - {"costs.png"}
    assert names == {path.name for path in other.glob("*.png")} - {"costs.png"}
    for name in names:
        assert np.array_equal(pixels(one / name), pixels(other / name)), name
    rows = [(folder / "style_costs.csv").read_text() for folder in (one, other)]
    assert rows[0] == rows[1]


CHANGES = [
    ("--print_every", 10),
    ("--output_format", "tif"),
    ("--animation", "gif"),
    ("--keep_metadata",),
    ("--keep_state",),
    ("--output_name", "{content} in {style}"),
    ("--tensorboard",),
    ("--threads", 1),
]


@pytest.mark.parametrize("more", CHANGES, ids=lambda more: more[0])
def test_an_unfinished_run_goes_on_whatever_changes_no_picture(
    nst, pair, tmp_path, monkeypatch, made_once, more
):
    command = (*pair, *TEN)
    interrupted(nst, monkeypatch, 7, *command)
    done = nst(*command, *more)
    assert done.code == 0, done.err
    assert "going on after iteration 7 of an unfinished run." in done.err
    assert folders(tmp_path / "output") == [FOLDER]
    folder = tmp_path / "output" / FOLDER
    whole = made_once(*TEN) / "output" / FOLDER
    if "tif" in more:
        kept = "generated_image.tif"
        assert (folder / kept).exists()
        return
    assert np.array_equal(
        pixels(folder / "generated_image.png"), pixels(whole / "generated_image.png")
    )
    assert (folder / "frame_00005.png").exists()  # of the first process
    assert not (folder / "frame_00007.png").exists()  # where it was stopped


@pytest.mark.parametrize("options", OPTIMIZERS)
@pytest.mark.parametrize(("stopped", "first", "then"), [(6, 40, 10), (6, 8, 10), (9, 40, 10)])
def test_an_unfinished_run_goes_on_to_other_epochs_bit_for_bit(
    nst, pair, tmp_path, monkeypatch, made_once, options, stopped, first, then
):
    interrupted(nst, monkeypatch, stopped, *pair, *TEN, "--epochs", first, *options)
    done = nst(*pair, *TEN, "--epochs", then, *options)
    assert done.code == 0, done.err
    went = f"going on after iteration {stopped} of an unfinished run with --epochs {first}."
    assert went in done.err
    assert folders(tmp_path / "output") == [FOLDER]
    same_pixels(made_once(*TEN, *options) / "output" / FOLDER, tmp_path / "output" / FOLDER)
    assert run_json(tmp_path / "output" / FOLDER)["settings"]["epochs"] == then
    assert "finished earlier" in nst(*pair, *TEN, "--epochs", then, *options).out


def test_as_many_epochs_as_were_done_end_there(nst, pair, tmp_path, monkeypatch, made_once):
    interrupted(nst, monkeypatch, 10, *pair, *TEN, "--epochs", 40)
    done = nst(*pair, *TEN)
    assert done.code == 0, done.err
    same_pixels(made_once(*TEN) / "output" / FOLDER, tmp_path / "output" / FOLDER)


@pytest.mark.parametrize("options", OPTIMIZERS)
def test_a_finished_run_whose_state_was_kept_goes_on_bit_for_bit(
    nst, pair, tmp_path, made_once, options
):
    kept = nst(*pair, *TEN, "--epochs", 6, "--keep_state", *options)
    assert "its state is kept, " in kept.err
    first = tmp_path / "output" / FOLDER
    assert run_json(first)["state_bytes"] >= (first / "checkpoint").stat().st_size
    before = {path: path.read_bytes() for path in first.iterdir()}
    assert "finished earlier" in nst(*pair, *TEN, "--epochs", 6, *options).out
    assert "it will go on after iteration 6" in nst(*pair, *TEN, *options, "--dry_run").err

    done = nst(*pair, *TEN, *options)
    assert done.code == 0, done.err
    assert f"{FOLDER}-2: going on after iteration 6, the end of output/{FOLDER}." in done.err
    second = tmp_path / "output" / f"{FOLDER}-2"
    same_pixels(made_once(*TEN, *options) / "output" / FOLDER, second)
    assert not list(second.glob("checkpoint*"))
    assert {path: path.read_bytes() for path in first.iterdir()} == before


def test_going_on_from_a_kept_state_can_be_stopped_too(nst, pair, tmp_path, monkeypatch, made_once):
    options = ("--optimizer", "lbfgs")
    nst(*pair, *TEN, "--epochs", 4, "--keep_state", *options)
    interrupted(nst, monkeypatch, 7, *pair, *TEN, *options)
    done = nst(*pair, *TEN, *options)
    assert "going on after iteration 7 of an unfinished run." in done.err
    same_pixels(made_once(*TEN, *options) / "output" / FOLDER, tmp_path / "output" / f"{FOLDER}-2")


def test_a_damaged_state_that_was_kept_starts_anew(nst, pair, tmp_path):
    nst(*pair, *TEN, "--epochs", 4, "--keep_state")
    path = tmp_path / "output" / FOLDER / "checkpoint"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    done = nst(*pair, *TEN)
    assert done.code == 0, done.err
    assert run_json(tmp_path / "output" / f"{FOLDER}-2")["iterations"] == 10


NEAR = [
    (("--alpha", 20), "a finished run of the same pictures, with --alpha 10.0, not --alpha 20.0."),
    (("--seed", 3, "--tv_weight", 2), "with --seed 0, not --seed 3 and --tv_weight 0.0, not"),
    (("--style_layers", "conv1_1:1"), "not --style_layers conv1_1:1.0."),
    (("--style_weights", 2), "with no --style_weights, not --style_weights 2.0."),
    (("--network", "vgg16"), "with other weights."),
    (("--epochs", 6), "its state was not kept: after a run with --keep_state"),
    (("--epochs", 2), "not --epochs 2; it went further."),
    (("--scales", 2), "with --scales 1, not --scales 2."),
    (("--scales", 2, "--epochs", 6), "with --epochs 4, not --epochs 6 and --scales 1, not"),
    (("--scales", 2, "--epochs", 6, "--seed", 1), ""),
]


@pytest.mark.parametrize(("options", "words"), NEAR)
def test_a_near_miss_is_told_in_one_line(nst, pair, finished, options, words):
    done = nst(*pair, *QUICK, *options, "--dry_run")
    lines = [line for line in done.err.splitlines() if line.startswith(f"output/{FOLDER}: ")]
    assert [words in line for line in lines] == ([True] if words else []), done.err


def test_scales_share_the_epochs_and_start_anew(nst, pair, tmp_path, monkeypatch):
    interrupted(nst, monkeypatch, 7, *pair, *TEN, "--scales", 2)
    done = nst(*pair, *TEN, "--scales", 2, "--epochs", 12, "--dry_run")
    assert "an unfinished run of the same pictures, with --epochs 10, not --epochs 12" in done.err
    assert "several scales they share the epochs" in done.err


def test_a_run_that_went_further_is_told(nst, pair, monkeypatch):
    interrupted(nst, monkeypatch, 7, *pair, *TEN)
    done = nst(*pair, *TEN, "--epochs", 3, "--dry_run")
    assert "it is at iteration 7 already" in done.err


@pytest.mark.parametrize(
    ("settings", "size", "extendable"),
    [
        ({}, (300, 400), True),
        ({"scales": 2}, (300, 400), False),
        ({"scales": "auto"}, (300, 400), True),
        ({"scales": "auto"}, (1000, 900), False),
        ({"scales": "auto", "epochs": 1}, (1000, 900), True),  # only to 1 again
        ({"style_loss": "neighbours", "scales": 1}, (48, 48), False),
    ],
)
def test_what_more_epochs_begin_with(settings, size, extendable):
    assert is_extendable(Settings(**settings), size) == extendable


def test_a_forged_manifest_beside_is_passed_over(nst, pair, finished):
    found = run_json(finished)
    for number, changes in enumerate(
        ({"size": 5}, {"identity": {**found["identity"], "epochs": "many"}}, {"status": []}), 2
    ):
        folder = finished.with_name(f"{FOLDER}-{number}")
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({**found, **changes}))
        (folder / "checkpoint").write_bytes(b"no checkpoint")
    assert nst(*pair, *QUICK, "--epochs", 6, "--dry_run").code == 0
    assert "finished earlier" in nst(*pair, *QUICK).out


def test_from_run_of_a_newer_version_is_refused_with_the_setting(nst, finished, tmp_path):
    found = run_json(finished)
    found["settings"]["brush"] = "oil"
    path = tmp_path / "newer.json"
    path.write_text(json.dumps(found))
    done = nst("--from_run", path, "--output_dir", "again")
    assert done.code == 2
    assert "newer version, with settings that this one does not know (brush)" in done.err
    assert not (tmp_path / "again").exists()


def test_a_whole_batch_of_an_older_version_is_finished(nst, pair, finished):
    path = finished / "run.json"
    found = run_json(finished)
    for name in ("scales", "threads", "keep_state", "output_name"):
        found["settings"].pop(name)
        found["identity"].pop(name, None)
    found["identity"] |= {"print_every": 2, "output_format": "png"}  # as earlier versions have it
    del found["results"]
    path.write_text(json.dumps(found))
    assert "finished earlier" in nst(*pair, *QUICK).out
    assert folders(finished.parent) == [FOLDER]
