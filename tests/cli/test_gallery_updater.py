"""The gallery while a command makes pictures, and after it."""

import os

from helpers import QUICK, interrupted, on_step


def test_a_gallery_that_lacks_a_run_is_brought_up_to_date(finished, nst, pair, tmp_path):
    page = tmp_path / "output/index.html"
    old = page.read_text()
    nst(*pair, *QUICK, "--epochs", 2)
    page.write_text(old)  # as if the write had failed
    os.utime(page, (1e9, 1e9))
    assert "finished earlier" in nst(*pair, *QUICK, "--epochs", 2).out
    assert page.read_text().count("<li ") == 2


def test_a_gallery_that_lacks_nothing_is_left_alone(finished, nst, pair, tmp_path):
    (tmp_path / "output/index.html").write_text("mine")
    assert nst(*pair, *QUICK).code == 0
    assert (tmp_path / "output/index.html").read_text() == "mine"


def test_the_gallery_of_a_batch_grows(nst, pair, tmp_path, monkeypatch):
    monkeypatch.setattr("nst.cli.gallery_updater.SECONDS", -1)
    counts = []

    def count(task, step):
        page = tmp_path / "output/index.html"
        if step.iteration == 0:
            counts.append(page.read_text().count("<li ") if page.exists() else 0)

    on_step(monkeypatch, count)
    styles = ("--style_image_filename", "mosaic_sun.jpg", "woodcut_wave.jpg", "painting.png")
    assert nst(*pair[:2], *styles, *QUICK).code == 0
    assert counts == [0, 1, 2]
    assert (tmp_path / "output/index.html").read_text().count("<li ") == 3


def test_a_run_that_is_stopped_is_in_the_gallery(nst, pair, tmp_path, monkeypatch):
    interrupted(nst, monkeypatch, 3, *pair, *QUICK)
    assert "interrupted" in (tmp_path / "output/index.html").read_text()
