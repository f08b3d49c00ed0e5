"""Every style loss by the command line."""

import json

import numpy as np
import pytest

from helpers import MATCHING, QUICK, interrupted, pixels, same_files
from nst.style_losses import STYLE_LOSSES

RESULT = "photo__painting/generated_image.png"


def options_of(loss):
    return (
        (*MATCHING, "--style_loss", loss) if STYLE_LOSSES[loss].matches else ("--style_loss", loss)
    )


@pytest.mark.parametrize("loss", ["gram", "moments", "wasserstein"])
def test_a_run_records_its_loss_and_tiles_make_the_same_picture(nst, pair, tmp_path, loss):
    options = (*pair, *QUICK, "--style_loss", loss)
    done = nst(*options)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "output/photo__painting/run.json").read_text())
    assert found["settings"]["style_loss"] == found["identity"]["style_loss"] == loss
    tiled = nst(*options, "--tile_size", 16, "--output_dir", "tiled")
    assert tiled.code == 0, tiled.err
    assert "tiles, the first with a halo" in tiled.err
    one, other = (pixels(tmp_path / folder / RESULT).astype(int) for folder in ("output", "tiled"))
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("loss", ["moments", "wasserstein", "neighbours"])
def test_a_stopped_run_goes_on_bit_for_bit(nst, pair, tmp_path, monkeypatch, loss):
    options = (*pair, *QUICK, *options_of(loss), "--epochs", 12, "--optimizer", "lbfgs")
    assert nst(*options, "--output_dir", "whole").code == 0
    interrupted(nst, monkeypatch, 7, *options, "--output_dir", "stopped")
    again = nst(*options, "--output_dir", "stopped")
    assert again.code == 0, again.err
    assert "going on after iteration 7" in again.err
    same_files(tmp_path / "whole", tmp_path / "stopped")


def test_losses_make_different_pictures_in_folders_of_their_own(nst, pair, tmp_path):
    results = []
    for number, loss in enumerate(STYLE_LOSSES, 1):
        assert nst(*pair, *QUICK, *options_of(loss)).code == 0
        folder = tmp_path / f"output/photo__painting{f'-{number}' if number > 1 else ''}"
        results.append(pixels(folder / "generated_image.png").tobytes())
    assert len(set(results)) == len(STYLE_LOSSES)


def test_other_words_are_refused(nst, pair):
    done = nst(*pair, "--style_loss", "histogram")
    assert done.code == 2
    assert "must be gram, moments, wasserstein or neighbours, not 'histogram'" in done.err
