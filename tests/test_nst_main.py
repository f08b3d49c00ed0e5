"""The command line: what a user types, reads and finds."""

import csv
import json
import os
import re
import signal

import numpy as np
import pytest
from PIL import Image

from helpers import QUICK, pixels


def test_a_run_prints_its_costs_and_leaves_a_whole_run_folder(nst, pair, tmp_path):
    done = nst(*pair, *QUICK)
    assert done.code == 0
    folder = tmp_path / "output/photo__painting"
    assert sorted(path.name for path in folder.iterdir()) == [
        "costs.csv",
        "costs.png",
        "frame_00002.png",
        "frame_00004.png",
        "generated_image.png",
        "report.html",
        "run.json",
        "style_costs.csv",
        "thumbnail.jpg",
    ]
    header, *rows = done.out.splitlines()
    assert header.split() == ["iteration", "J", "J_content", "J_style"]
    assert [row.split()[0] for row in rows[:-1]] == ["0", "2", "4"]
    assert rows[-1] == "Picture   output/photo__painting/generated_image.png"
    for row in rows[:-1]:
        _, total, content, style = map(float, row.split())
        assert total == pytest.approx(10 * content + 40 * style, rel=1e-3)
    assert float(rows[2].split()[1]) < float(rows[0].split()[1])
    assert "VGG-19" in done.err
    assert "float32" in done.err

    assert pixels(folder / "generated_image.png").shape == (32, 48, 3)
    assert (pixels(folder / "generated_image.png") == pixels(folder / "frame_00004.png")).all()
    log = list(csv.DictReader((folder / "costs.csv").read_text().splitlines()))
    assert [int(row["iteration"]) for row in log] == [0, 1, 2, 3, 4]
    assert set(log[0]) == {"iteration", "scale", "seconds", "J", "J_content", "J_style", "J_tv"}
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["network"]["name"] == "VGG-19"
    assert manifest["settings"]["epochs"] == 4
    assert manifest["final_costs"]["J"] == pytest.approx(float(log[-1]["J"]), rel=1e-6)


def test_transparency_and_other_starts_and_pooling(nst, pair, photo, painting, tmp_path):
    image = Image.open(photo)
    image.putalpha(Image.new("L", image.size, 77))
    image.save(tmp_path / "clear.png")
    variants = (
        ["--init", painting],
        ["--init", "style"],
        ["--pooling", "max"],
        ["--init", "noise"],
    )
    for number, options in enumerate(variants, 1):
        done = nst("--content_image_filename", tmp_path / "clear.png", *pair[2:], *QUICK, *options)
        assert done.code == 0
        folder = "output/clear__painting" if number == 1 else f"output/clear__painting-{number}"
        assert (pixels(tmp_path / folder / "generated_image.png")[:, :, 3] == 77).all()


def test_a_dry_run_prints_its_forecast_and_makes_nothing(nst, pair, tmp_path):
    done = nst(*pair, *QUICK, "--dry_run")
    assert done.code == 0
    for words in ("48 x 32", "VGG-19", "the whole picture at once", "Memory", "Time", "4 epochs"):
        assert words in done.err
    assert not (tmp_path / "output").exists()
    tiled = nst(*pair, *QUICK, "--dry_run", "--tile_size", 16)
    assert "halo of" in tiled.err
    long = nst(*pair, *QUICK, "--dry_run", "--epochs", 1_000_000)
    assert "take less" in long.err


def test_a_budget_that_cannot_work_is_refused_with_one_that_can(nst, pair, tmp_path):
    done = nst(*pair, *QUICK, "--max_memory", "100M")
    assert done.code == 6
    assert "--max_memory" in done.err
    (least,) = re.findall(r"at least (\S+) of memory", done.err)
    assert nst(*pair, *QUICK, "--max_memory", least, "--dry_run").code == 0
    assert not (tmp_path / "output").exists()


def test_tiles_make_the_same_picture(finished, nst, pair, tmp_path):
    assert nst(*pair, *QUICK, "--tile_size", 16, "--output_dir", "tiled").code == 0
    whole, tiled = (
        pixels(folder / "generated_image.png").astype(float)
        for folder in (finished, tmp_path / "tiled/photo__painting")
    )
    assert np.abs(whole - tiled).mean() < 0.05


def test_a_run_in_its_own_process_is_silent_and_the_same_bit_for_bit(nst, program, pair, tmp_path):
    process = program(*pair, *QUICK, "--precision", "auto")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert all(
        re.match("(Content|Style|Network|Device|Precision|Plan|Memory|Time) ", line)
        for line in err.splitlines()
    )
    folder = tmp_path / "output/photo__painting"
    dtype = json.loads((folder / "run.json").read_text())["precision"]
    assert nst(*pair, *QUICK, "--precision", dtype, "--output_dir", "here").code == 0
    for name in ("frame_00002.png", "generated_image.png"):
        one, other = (pixels(made / name) for made in (folder, tmp_path / "here/photo__painting"))
        assert (one == other).all()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RuntimeError("an accident"), 70, ["RuntimeError: an accident", "a bug in this program"]),
        (MemoryError(), 6, ["use a smaller --image_size"]),
        (RuntimeError("can't start new thread"), 6, ["ulimit -u"]),
        (ModuleNotFoundError(name="jinja2"), 2, ["package jinja2 is missing: pip install"]),
    ],
)
def test_errors_that_are_not_of_this_program(nst, pair, monkeypatch, error, code, words):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("nst.runs.batch.plan_batch", fail)
    done = nst(*pair, *QUICK)
    assert done.code == code
    assert all(word in done.err for word in words)
    assert ("Traceback" in done.err) == (code == 70)


WRAPPED = """Traceback (most recent call last):
  File "pywrap_tensorflow.py", line 73, in <module>
ImportError: DLL load failed while importing _pywrap: a procedure could not be found.


Failed to load the native TensorFlow runtime.
See https://www.tensorflow.org/install/errors for some common causes and solutions."""


def with_tensorflow(folder, code):
    """The environment of a process in which ``import tensorflow`` runs ``code``."""
    (folder / "fake/tensorflow").mkdir(parents=True)
    (folder / "fake/tensorflow/__init__.py").write_text(code)
    return {**os.environ, "PYTHONPATH": str(folder / "fake")}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            "ImportError('libcudnn.so.9: cannot open shared object file')",
            "libcudnn.so.9: cannot open shared object file",
        ),
        (
            f"ImportError({WRAPPED!r})",
            "DLL load failed while importing _pywrap: a procedure could not be found",
        ),
        ("ModuleNotFoundError('No module named x', name='x')", "No module named x"),
        ("TypeError('Descriptors cannot be created directly.')", "Descriptors cannot be created "),
        ("AttributeError()", "AttributeError"),
    ],
)
def test_tensorflow_that_cannot_be_imported_says_why(program, pair, tmp_path, error, reason):
    process = program(*pair, *QUICK, env=with_tensorflow(tmp_path, f"raise {error}"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.count("\n") == 1
    assert f"TensorFlow cannot be loaded: {reason}" in err
    assert err.endswith("; see README, If something goes wrong\n")


def test_without_tensorflow_its_package_is_named(program, pair, tmp_path):
    missing = "raise ModuleNotFoundError('No module named', name='tensorflow')"
    process = program(*pair, *QUICK, env=with_tensorflow(tmp_path, missing))
    assert "package tensorflow is missing: pip install" in process.communicate(timeout=60)[1]
    assert process.returncode == 2


def test_tensorflow_that_ends_the_program_is_heard(program, pair, tmp_path):
    words = "compiled to use AVX instructions, but these are not available on your machine."
    crash = f"import os; os.write(2, b'{words}\\n'); os.abort()"
    process = program(*pair, *QUICK, env=with_tensorflow(tmp_path, crash))
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGABRT
    heading, *said = err.splitlines()
    assert "TensorFlow cannot be loaded, it ended the program" in heading
    assert said == [words]


def test_a_cost_that_is_not_finite_keeps_the_last_good_frame(nst, pair, tmp_path, monkeypatch):
    import nst_utils

    make, calls = nst_utils.make_iteration, []

    def failing_at_the_fourth(*arguments):
        iterate = make(*arguments)

        def iterate_or_fail(image, state):
            calls.append(image)
            image, state, report = iterate(image, state)
            return image, state, report * np.nan if len(calls) == 4 else report

        return iterate_or_fail

    monkeypatch.setattr(nst_utils, "make_iteration", failing_at_the_fourth)
    done = nst(*pair, *QUICK)
    assert done.code == 7
    assert "iteration 3" in done.err
    folder = tmp_path / "output/photo__painting"
    assert sorted(path.name for path in folder.glob("*.png")) == ["frame_00002.png"]
    assert json.loads((folder / "run.json").read_text())["status"] == "diverged"


def test_a_bare_name_is_looked_for_here_first_and_then_in_images(nst, pair, photo, tmp_path):
    (tmp_path / "temple.jpg").write_bytes(photo.read_bytes())
    here = nst("--content_image_filename", "temple.jpg", *pair[2:], *QUICK)
    assert "Content   temple.jpg, 48 x 32" in here.err
    (tmp_path / "temple.jpg").unlink()
    shipped = nst("--content_image_filename", "temple.jpg", *pair[2:], *QUICK)
    assert "images/temple.jpg, 48 x 32 from 640 x 427" in shipped.err


@pytest.mark.parametrize(
    "name", ["with space", "new\nline", "-dash", "ünïcödé 画", "a" * 240, ".x"]
)
def test_odd_file_names(nst, pair, photo, tmp_path, name):
    path = tmp_path / f"{name}.png"
    photo.rename(path)
    done = nst(f"--content_image_filename={path.name}", *pair[2:], *QUICK, "--epochs", 1)
    assert done.code == 0
    missing = nst(f"--content_image_filename={name}.jpg", *pair[2:], *QUICK)
    assert missing.code == 3
    assert missing.err.count("\n") == 1
