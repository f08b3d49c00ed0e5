"""Options: help, version, and wrong usage, which is refused at once."""

import json
import os
import subprocess
import sys
from dataclasses import fields

import pytest

from helpers import ROOT
from nst.settings import Settings

CASES = [
    (["-h"], 0, "--content_image_filename"),
    (["--version"], 0, " 0."),
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
    (["--quiet", "--live"], 2, "give a port"),
    (["--live", "70000"], 2, "--live"),
]
IMPORTS = """
import contextlib, io, json, sys, nst_main
for arguments in json.loads(sys.argv[1]):
    sink = io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        with contextlib.suppress(SystemExit):
            nst_main.main(arguments)
print(*sorted({"tensorflow", "numpy", "PIL", "scipy", "keras"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("arguments", "code", "words"), CASES)
def test_usage_is_answered(nst, tmp_path, arguments, code, words):
    done = nst(*arguments)
    assert done.code == code
    assert words in (done.err if code else done.out)
    assert (done.out if code else done.err) == ""
    assert done.err.count("\n") == (1 if code else 0)
    assert not list(tmp_path.iterdir())


def test_usage_is_answered_without_loading_anything_heavy():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, json.dumps([arguments for arguments, _, _ in CASES])],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "\n"


def test_help_shows_every_setting_with_its_default(nst):
    text = " ".join(nst("-h").out.split())
    for spec in fields(Settings):
        assert f"--{spec.name}" in text
        if isinstance(spec.default, int | float) and not isinstance(spec.default, bool):
            assert f"(default: {spec.default})" in text


@pytest.mark.parametrize("flag", ["--content_image_filename", "--alpha", "--output_dir"])
def test_a_value_that_begins_with_a_dash_is_explained(nst, flag):
    done = nst(flag, "-x.jpg")
    assert done.code == 2
    assert f"{flag}=-value" in done.err
    assert done.err.count("\n") == 1
