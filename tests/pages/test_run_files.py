"""The files made of a finished run, with it or later: thumbnail, style costs, animations."""

import csv

import av
import numpy as np
import pytest
from PIL import Image

from helpers import QUICK, interrupted, pixels


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_an_animation_is_made_with_the_run_or_later(nst, pair, tmp_path, kind):
    assert nst(*pair, *QUICK, "--animation", kind).code == 0
    folder = tmp_path / "output/photo__painting"
    first = (folder / f"animation.{kind}").read_bytes()
    assert f'href="animation.{kind}"' in (folder / "report.html").read_text()
    assert not list(folder.glob(".*"))

    result = (folder / "generated_image.png").stat().st_mtime_ns
    (folder / f"animation.{kind}").unlink()
    dry = nst(*pair, *QUICK, "--animation", kind, "--dry_run")
    assert "finished earlier" in dry.out
    assert not (folder / f"animation.{kind}").exists()
    later = nst(*pair, *QUICK, "--animation", kind)
    assert "its animation is made of the frames" in later.err
    assert (folder / f"animation.{kind}").read_bytes() == first
    other = "mp4" if kind == "gif" else "gif"
    nst(*pair, *QUICK, "--animation", other)
    report = (folder / "report.html").read_text()
    assert f'href="animation.{kind}"' in report
    assert f'href="animation.{other}"' in report
    assert (folder / "generated_image.png").stat().st_mtime_ns == result
    (folder / f"animation.{kind}").unlink()
    several = ("--style_image_filename", "painting.png", "mosaic_sun.jpg")
    assert nst(*pair[:2], *several, *QUICK, "--animation", kind).code == 0
    assert len(list(tmp_path.glob(f"output/*/animation.{kind}"))) == 2


def test_a_report_that_was_removed_is_not_missed(finished, nst, pair):
    (finished / "report.html").unlink()
    assert nst(*pair, *QUICK, "--animation", "gif").code == 0
    assert (finished / "animation.gif").exists()
    assert not (finished / "report.html").exists()


def test_frames_that_are_damaged_are_left_out(nst, pair, tmp_path, monkeypatch):
    command = (*pair, *QUICK, "--epochs", 8, "--animation")
    interrupted(nst, monkeypatch, 5, *command, "gif")
    folder = tmp_path / "output/photo__painting"
    (folder / "frame_00002.png").write_bytes(b"garbage")
    assert nst(*command, "gif").code == 0
    with Image.open(folder / "animation.gif") as gif:
        assert gif.n_frames == 3  # of iterations 4 and 6, and the result
    assert '"iteration": 2,' not in (folder / "report.html").read_text()
    assert nst(*command, "mp4").code == 0
    with av.open(str(folder / "animation.mp4")) as film:
        assert len(list(film.decode(video=0))) == 3 + 2000 // 250  # the last for two seconds more


def test_overwrite_removes_what_a_run_made_and_nothing_else(nst, pair, tmp_path):
    nst(*pair, *QUICK, "--animation", "gif", "--output_format", "jpg", "--tensorboard")
    folder = tmp_path / "output/photo__painting"
    for name in ("generated_image.xcf", "animation.blend", "notes.txt"):
        (folder / name).write_text("mine")
    assert nst(*pair, *QUICK, "--overwrite").code == 0
    names = {path.name for path in folder.iterdir()}
    assert {"generated_image.xcf", "animation.blend", "notes.txt"} <= names
    assert "generated_image.png" in names
    assert not {"generated_image.jpg", "animation.gif", "tensorboard"} & names


def test_the_thumbnail_is_a_small_result(run):
    thumbnail = pixels(run / "thumbnail.jpg").astype(float)
    assert np.abs(thumbnail - pixels(run / "generated_image.png")).mean() < 8


def test_style_costs_sum_to_the_style_cost(nst, pair, tmp_path):
    nst(*pair, *QUICK, "--style_layers", "conv1_1:3", "conv2_1:1")
    folder = tmp_path / "output/photo__painting"
    costs, layers = (
        list(csv.DictReader((folder / name).read_text().splitlines()))
        for name in ("costs.csv", "style_costs.csv")
    )
    assert list(layers[0]) == ["iteration", "conv1_1", "conv2_1"]
    for cost, layer in zip(costs, layers, strict=True):
        parts = float(layer["conv1_1"]) + float(layer["conv2_1"])
        assert parts == pytest.approx(float(cost["J_style"]), rel=1e-6)
