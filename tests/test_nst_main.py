"""The command line: what a user types, reads and finds."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from conftest import QUICK, ROOT, pixels
from nst.settings import Settings


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
    assert "VGG-16" in done.err
    assert "float32" in done.err

    assert pixels(folder / "generated_image.png").shape == (32, 48, 3)
    assert (pixels(folder / "generated_image.png") == pixels(folder / "frame_00004.png")).all()
    log = list(csv.DictReader((folder / "costs.csv").read_text().splitlines()))
    assert [int(row["iteration"]) for row in log] == [0, 1, 2, 3, 4]
    assert set(log[0]) == {"iteration", "scale", "seconds", "J", "J_content", "J_style", "J_tv"}
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["network"]["name"] == "VGG-16"
    assert manifest["settings"]["epochs"] == 4
    assert manifest["final_costs"]["J"] == pytest.approx(float(log[-1]["J"]), rel=1e-6)


def test_transparency_and_other_starts_and_pooling(nst, pair, photo, painting, tmp_path):
    image = Image.open(photo)
    image.putalpha(Image.new("L", image.size, 77))
    image.save(tmp_path / "clear.png")
    for number, options in enumerate(
        (["--init", painting], ["--init", "style"], ["--pooling", "max"], ["--init", "noise"])
    ):
        done = nst("--content_image_filename", tmp_path / "clear.png", *pair[2:], *QUICK, *options)
        assert done.code == 0
        folder = f"output/clear__painting{f'-{number + 1}' * bool(number)}"
        assert (pixels(tmp_path / folder / "generated_image.png")[:, :, 3] == 77).all()


def test_dry_run_foretells_and_makes_nothing(nst, pair, tmp_path):
    done = nst(*pair, *QUICK, "--dry_run")
    assert done.code == 0
    for words in ("48 x 32", "VGG-16", "the whole picture at once", "Memory", "Time", "4 epochs"):
        assert words in done.err
    assert not (tmp_path / "output").exists()
    tiled = nst(*pair, *QUICK, "--dry_run", "--tile_size", 16)
    assert "halo of" in tiled.err
    long = nst(*pair, *QUICK, "--dry_run", "--epochs", 1_000_000)
    assert "take less" in long.err


def test_a_budget_that_cannot_work_is_refused(nst, pair, tmp_path):
    done = nst(*pair, *QUICK, "--max_memory", "100M")
    assert done.code == 6
    assert "--max_memory" in done.err
    assert "at least" in done.err
    assert not (tmp_path / "output").exists()


def test_tiles_make_the_same_picture(nst, pair, tmp_path):
    whole = nst(*pair, *QUICK)
    tiled = nst(*pair, *QUICK, "--tile_size", 16, "--output_dir", "tiled")
    assert (whole.code, tiled.code) == (0, 0)
    one, other = (
        pixels(tmp_path / folder / "photo__painting/generated_image.png").astype(float)
        for folder in ("output", "tiled")
    )
    assert np.abs(one - other).mean() < 0.05


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-", "> /dev/full", "2> /dev/full"])
def test_standard_streams_that_cannot_be_written(pair, tmp_path, redirect):
    command = shlex.join(map(str, [sys.executable, ROOT / "nst_main.py", *pair, *QUICK]))
    done = subprocess.run(
        ["bash", "-c", f"{command} {redirect}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()


def test_quiet_prints_nothing(nst, pair):
    done = nst(*pair, *QUICK, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_run_in_its_own_process_keeps_tensorflow_silent_and_repeats_bit_for_bit(
    program, pair, tmp_path
):
    results = []
    for name in ("one", "two"):
        process = program(*pair, *QUICK, "--precision", "auto", "--output_dir", tmp_path / name)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0
        assert all(
            re.match("(Content|Style|Network|Precision|Plan|Memory|Time) ", line)
            for line in err.splitlines()
        )
        results.append((tmp_path / name / "photo__painting/generated_image.png").read_bytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-h"], 0, "--content_image_filename"),
        (["--version"], 0, "nst_main.py"),
        (["--alfa", "1"], 2, "--alfa"),
        (["--epochs", "0"], 2, "--epochs: must be a whole number from 1"),
        (["--epochs", "1.5"], 2, "--epochs: must be a whole number"),
        (["--alpha", "-1"], 2, "--alpha: must be a number from 0"),
        (["--beta", "nan"], 2, "--beta"),
        (["--beta", "inf"], 2, "--beta"),
        (["--alpha", "0", "--beta", "0"], 2, "nothing to minimise"),
        (["--learning_rate", "fast"], 2, "--learning_rate: must be a number above 0"),
        (["--learning_rate", "0"], 2, "--learning_rate"),
        (["--print_every", "0"], 2, "--print_every"),
        (["--image_size", "huge"], 2, "--image_size: must be a whole number"),
        (["--noise_ratio", "1.1"], 2, "--noise_ratio: must be a number from 0 to 1"),
        (["--seed", "-1"], 2, "--seed"),
        (["--pooling", "mean"], 2, "avg or max"),
        (["--precision", "float8"], 2, "bfloat16"),
        (["--content_layers", "conv9_1"], 2, "content_layers must name VGG layers"),
        (["--style_layers", "conv1_1", "conv1_1"], 2, "once"),
        (["--style_layers", "conv1_1:x"], 2, "style_layers"),
        (["--quiet", "--verbose"], 2, "not allowed with"),
    ],
)
def test_usage_is_answered_without_loading_anything_heavy(arguments, code, words, tmp_path):
    script = (
        "import sys, nst_main\n"
        "try: nst_main.main(sys.argv[1:])\n"
        "except SystemExit as stop: code = stop.code\n"
        "heavy = {'tensorflow', 'numpy', 'PIL', 'scipy', 'keras'} & set(sys.modules)\n"
        "sys.exit(99 if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    assert words in (done.stderr if code else done.stdout).replace("-c:", "nst_main.py:") or (
        words == "nst_main.py" and done.stdout
    )
    assert not list(tmp_path.iterdir())


def test_help_shows_every_setting_with_its_default(nst):
    text = " ".join(nst("-h").out.split())
    for spec in fields(Settings):
        assert f"--{spec.name}" in text
        if isinstance(spec.default, int | float) and not isinstance(spec.default, bool):
            assert f"(default: {spec.default})" in text


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_is_saved_and_tells_how_to_go_on(program, pair, tmp_path, number, code):
    # A test run in the background of a script inherits that SIGINT is ignored.
    restored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = program(*pair, *QUICK, "--epochs", 1_000_000, **restored)
    folder = tmp_path / "output/photo__painting"
    deadline = time.monotonic() + 120
    while not (folder / "frame_00002.png").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    manifest = json.loads((folder / "run.json").read_text())
    saved = f"{folder.relative_to(tmp_path)}: saved after iteration {manifest['iterations']}"
    assert f"{saved} of 1000000; the same command goes on from there." in err
    assert "Traceback" not in err
    assert (folder / "checkpoint").exists()
    assert manifest["status"] == "interrupted"
    assert (folder / f"frame_{manifest['iterations']:05}.png").exists()


def test_a_bug_is_told_with_its_traceback(nst, pair, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("an accident")

    monkeypatch.setattr("nst.batch.plan", fail)
    done = nst(*pair, *QUICK)
    assert done.code == 70
    assert "RuntimeError: an accident" in done.err
    assert "a bug in this program" in done.err


def test_a_reader_that_goes_away_does_not_stop_the_run(program, pair, tmp_path):
    process = program(*pair, *QUICK)
    process.stdout.close()
    with process.stderr:
        process.stderr.read()
    assert process.wait(timeout=300) == 0
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()


def test_a_cost_that_is_not_finite_keeps_the_last_good_frame(nst, pair, tmp_path, monkeypatch):
    from nst.objective import Objective

    evaluate = Objective.__call__
    calls = []

    def fails_at_the_fourth(self, image):
        calls.append(image)
        costs, gradient = evaluate(self, image)
        return (costs._replace(total=costs.total * np.nan) if len(calls) == 4 else costs), gradient

    monkeypatch.setattr(Objective, "__call__", fails_at_the_fourth)
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
