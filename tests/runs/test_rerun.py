"""A picture made again: by the command that its report shows, and from its run.json."""

import html
import json
import os
import shlex
import shutil
import subprocess
from dataclasses import asdict, fields
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import QUICK, ROOT, SCHEMA, run_json
from nst.cli.parser import COMMAND_OPTIONS, build_parser
from nst.command_line import command_line
from nst.parsers import authors_weight
from nst.presets import PRESETS
from nst.runs.job import hash_job
from nst.settings import Settings
from nst.style_losses import STYLE_LOSSES

RESULT = "generated_image.png"


def edited(folder, **changes):
    """Change entries of a manifest, ``a__0__b=value`` for a[0].b; return its path."""
    path = folder / "run.json"
    found = json.loads(path.read_text())
    for name, value in changes.items():
        *keys, last = name.split("__")
        inner = found
        for key in keys:
            inner = inner[int(key) if key.isdecimal() else key]
        inner[last] = value
    path.write_text(json.dumps(found))
    return path


def test_the_schema_knows_every_setting():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    known = SCHEMA["properties"]["settings"]["properties"]
    assert list(known) == [spec.name for spec in fields(Settings)]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--optimizer", "lbfgs", "--scales", 2, "--tile_size", 16),
        ("--init", "photo.png", "--style_layers", "conv1_1:1", "conv3_1:2", "--tv_weight", 3),
        ("--preserve_colors", "match", "--precision", "bfloat16", "--output_format", "tif"),
        ("--style_layers", "conv1_1", "conv3_1", "--padding", "zeros", "--style_loss", "moments"),
    ],
)
def test_a_run_is_made_again_bit_for_bit_in_another_folder(nst, pair, tmp_path, options):
    assert nst(*pair, *QUICK, *options).code == 0
    folder = tmp_path / "output/photo__painting"
    found = run_json(folder)
    again = nst("--from_run", folder / "run.json", "--output_dir", "again")
    assert again.code == 0, again.err
    kind = found["settings"]["output_format"]
    one, other = (
        tmp_path / name / f"photo__painting/generated_image.{kind}" for name in ("output", "again")
    )
    assert one.read_bytes() == other.read_bytes()
    of_again = run_json(tmp_path / "again/photo__painting")
    assert of_again["identity"] == found["identity"]
    assert of_again["evaluation"] == found["evaluation"]
    assert "finished earlier" in nst("--from_run", folder).out  # in place there is nothing to do


def test_textures_and_mixed_regions_are_made_again(nst, pair, photo, tmp_path):
    with Image.open(photo) as image:
        image.convert("L").save(tmp_path / "mask.png")
    texture = ("--alpha", 0, "--image_size", "30x20", "--epochs", 2)
    mixed = ("--style_image_filename", "painting.png", "mosaic_sun.jpg", "--content_mask")
    mixed += ("mask.png", "mask.png", "--style_weights", 3, 1)
    for name, command in (
        ("texture__painting", (*pair[2:], *texture)),
        ("photo__painting+mosaic_sun", (*pair[:2], *QUICK, *mixed)),
    ):
        assert nst(*command).code == 0
        folder = tmp_path / "output" / name
        run_json(folder)
        assert nst("--from_run", folder, "--output_dir", "again").code == 0
        assert (folder / RESULT).read_bytes() == (tmp_path / "again" / name / RESULT).read_bytes()


@pytest.mark.parametrize("layers", [("conv1_1:1", "conv3_1:2"), ("conv1_1", "conv3_1")])
def test_the_command_of_a_report_makes_the_picture_again_anywhere(
    nst, pair, tmp_path, monkeypatch, layers
):
    odd = tmp_path / "it's $HOME 画"
    odd.mkdir()
    photo = shutil.copy(pair[1], odd / "photo of me.png")
    options = ("--style_layers", *layers, "--learning_rate", 0.1 + 0.2)
    done = nst("--content_image_filename", photo, *pair[2:], *QUICK, *options)
    assert done.code == 0
    folder = tmp_path / "output/photo of me__painting"
    recorded = Settings(**run_json(folder)["settings"])
    files = {role: [p.path for p in ps] for role, ps in hash_job(recorded).pictures.items()}
    command = command_line(recorded, files)
    assert command in html.unescape((folder / "report.html").read_text())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = command.replace("python nst_main.py", r"printf '%s\0'")  # as a shell takes it apart
    shell = ["bash", "-c", words]
    words = subprocess.run(shell, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    monkeypatch.chdir(ROOT)
    assert nst(*os.fsdecode(words).split("\0")[:-1], "--output_dir", elsewhere).code == 0
    again = elsewhere / "photo of me__painting" / RESULT
    assert again.read_bytes() == (folder / RESULT).read_bytes()


NAMES = st.sampled_from(["conv1_1", "conv2_1", "conv3_1", "pool5"])
WEIGHTS = st.none() | st.floats(1e-6, 1e6) | st.just(authors_weight("conv2_1"))
LAYERS = st.lists(
    st.tuples(NAMES, WEIGHTS).map(lambda pair: pair if pair[1] else pair[0]),
    min_size=1,
    max_size=3,
    unique_by=lambda layer: layer if isinstance(layer, str) else layer[0],
)


@settings(max_examples=200, deadline=None)
@given(
    values=st.fixed_dictionaries(
        {},
        optional={
            "alpha": st.floats(0.1, 1e12),
            "style_scale": st.floats(0.01, 100),
            "learning_rate": st.floats(1e-300, 1000),
            "style_weights": st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=3),
            "image_size": st.integers(1, 100_000) | st.just("original"),
            "preset": st.sampled_from(list(PRESETS)),
            "content_layers": LAYERS,
            "style_layers": LAYERS,
            "style_loss": st.sampled_from(list(STYLE_LOSSES)),
            "padding": st.sampled_from(["reflect", "zeros"]),
            "scales": st.integers(1, 12) | st.just("auto"),
            "seed": st.integers(0, 2**32 - 1),
            "init": st.sampled_from(["content", "noise", "odd name.png"]),
            "output_format": st.sampled_from(["png", "tif"]),
        },
    )
)
def test_a_command_says_every_setting_exactly(values):
    if STYLE_LOSSES[values.get("style_loss", "gram")].matches:
        values.pop("style_layers", None)  # it has its own
    wanted = Settings(**values)
    files = {"content": [Path("/x/a b.png")], "style": [Path("/x/-c'd.png")]}
    words = shlex.split(command_line(wanted, files))
    assert words[:2] == ["python", "nst_main.py"]
    given = vars(build_parser().parse_args(words[2:]))
    found = Settings(**{n: v for n, v in given.items() if n not in COMMAND_OPTIONS})
    assert found.identity() == wanted.identity()
    recorded = json.loads(json.dumps(asdict(wanted)))  # as --from_run reads them
    assert Settings(**recorded).identity() == wanted.identity()
    assert found.content_image_filename == ("/x/a b.png",)


def test_files_that_changed_are_refused_and_may_be_replaced(
    nst, photo, painting, finished, tmp_path
):
    folder = finished
    whole = photo.read_bytes()
    photo.write_bytes(painting.read_bytes())
    again = ("--from_run", folder / "run.json", "--output_dir", "again")
    changed = nst(*again)
    assert changed.code == 3
    assert changed.err.count("\n") == 1
    assert f"{photo}: is not the file" in changed.err
    assert "--content_image_filename" in changed.err
    photo.unlink()
    missing = nst(*again)
    assert missing.code == 3
    assert "no such file; check --content_image_filename" in missing.err
    assert not (tmp_path / "again").exists()
    (tmp_path / "moved.png").write_bytes(whole)
    moved = nst(*again, "--content_image_filename", "moved.png")
    assert moved.code == 0
    result = tmp_path / "again/moved__painting" / RESULT
    assert Image.open(result).tobytes() == Image.open(folder / RESULT).tobytes()
    other = nst(*again, "--content_image_filename", "moved.png", "--epochs", 5)
    assert "moved__painting-2" in other.out


def test_other_weights_are_refused(nst, finished, tmp_path):
    path = edited(finished, identity__weights_sha256="0" * 64)
    done = nst("--from_run", path, "--output_dir", "again")
    assert done.code == 4
    assert "--model_path" in done.err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("content", [None, "", "[1]", "{}", '{"settings": {"epochs": 3}}', "\0"])
def test_what_is_no_run_is_refused(nst, tmp_path, content):
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)
    done = nst("--from_run", path)
    assert done.code == 2
    assert f"from_run: {path}" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"evaluation": "abc"}, 2),
        ({"evaluation": {"precision": "float32"}}, 2),
        ({"evaluation__precision": ["x"]}, 2),
        ({"evaluation__plans": "abc"}, 2),
        ({"evaluation__plans": [{"cuts": [[1]], "keep_content": True}]}, 2),
        ({"evaluation__plans": [{"cuts": [[None, -5]], "keep_content": True}]}, 2),
        ({"evaluation__plans": []}, 0),
        ({"evaluation__plans": [{"cuts": [["conv1_1", 1]], "keep_content": False}]}, 2),
        ({"evaluation__plans": [{"cuts": [[None, 32]], "keep_content": False}]}, 0),
        ({"evaluation": None}, 0),
        ({"versions": 3}, 0),
        ({"files__content__0__path": "x" * 5000}, 2),
        ({"files__content__0__path": "\ud800"}, 2),
        ({"files__content__0__path": "/dev/zero"}, 3),
        ({"settings__output_dir": "\ud800"}, 0),
        ({"settings__model_path": "x" * 5000}, 2),
        ({"settings__init": "\ud800"}, 2),
        ({"settings__alpha": int("9" * 400)}, 2),
        ({"settings": []}, 2),
        ({"identity": 5}, 2),
    ],
    ids=str,
)
def test_hostile_manifests_are_refused_on_one_short_line(nst, finished, tmp_path, changes, code):
    path = edited(finished, **changes)
    done = nst("--from_run", path, "--output_dir", "again")
    assert done.code == code, done.err
    if code:
        assert done.err.count("\n") == 1
        assert len(done.err) < 6000
    assert (tmp_path / "again").exists() == (code == 0)


def test_manifests_that_cannot_be_read(nst, tmp_path):
    for name in ("x" * 5000, "a\nb", "missing/run.json"):
        done = nst("--from_run", name)
        assert done.code == 2
        assert "from_run" in done.err
    os.mkfifo(tmp_path / "run.json")
    assert nst("--from_run", tmp_path).code == 2


def test_other_versions_are_told_of_and_a_texture_needs_no_content(nst, finished):
    path = edited(finished, versions__tensorflow="1.0")
    again = nst("--from_run", path, "--output_dir", "again")
    assert again.code == 0
    assert "of other versions" in again.err
    texture = nst("--from_run", path, "--alpha", 0, "--image_size", "30x20")
    assert texture.code == 0, texture.err
    assert "texture__painting" in texture.out


def test_settings_of_a_run_that_nobody_knows(nst, finished):
    path = edited(finished)
    assert "leave out one" in nst("--from_run", path, "--preset", "fast").err
    edited(finished, settings__of_the_future=1)
    done = nst("--from_run", path)
    assert done.code == 2
    assert "of_the_future" in done.err
