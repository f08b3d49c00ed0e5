"""Every control of the method, through the command line."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import QUICK, ROOT, pixels
from nst.presets import PRESETS
from nst.settings import Settings

LBFGS = ("--optimizer", "lbfgs")


def manifest(folder):
    return json.loads((Path("output") / folder / "run.json").read_text())


def save(path, array):
    Image.fromarray(np.asarray(array, np.uint8)).save(path)
    return path


@pytest.fixture
def masks(tmp_path):
    """Two masks of the photo: its left half, and the rest."""
    left = np.zeros((32, 48))
    left[:, :24] = 255
    return save(tmp_path / "left.png", left), save(tmp_path / "right.png", 255 - left)


@pytest.fixture
def other(tmp_path):
    """A second style."""
    with Image.open(ROOT / "images/mosaic_sun.jpg") as image:
        image.resize((40, 40)).save(tmp_path / "other.png")
    return tmp_path / "other.png"


def test_a_preset_sets_defaults_and_what_is_given_wins(nst, pair):
    given = ("--image_size", 48, "--epochs", 4, "--print_every", 2, "--precision", "float32")
    assert nst(*pair, *given, "--preset", "painting", "--alpha", 7).code == 0
    run = manifest("photo__painting")
    assert run["settings"]["preset"] == "painting"
    expected = {**PRESETS["painting"], "alpha": 7, "image_size": 48, "epochs": 4}
    settings = json.loads(json.dumps(asdict(Settings(**expected))))
    for name in expected:
        assert run["settings"][name] == settings[name]
    changed = run["changed_from_preset"]
    assert changed["alpha"] == 7
    assert "optimizer" not in changed
    # The same settings without the preset's name are the same run.
    options = []
    for name, value in expected.items():
        options += [f"--{name}", *(value if isinstance(value, list) else [value])]
    again = nst(*pair, *given, *options)
    assert "finished earlier" in again.out


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_changes_nothing_by_itself(preset):
    settings = Settings(preset=preset)
    assert settings.changed() == {}
    assert Settings(preset=preset, seed=5).changed() == {"seed": 5}
    assert replace(settings) == settings  # every value counts as given, and is valid


def test_presets_are_what_their_help_says():
    classic, fast, painting, poster = (
        Settings(preset=name) for name in ("classic", "fast", "painting", "poster")
    )
    assert fast.epochs < min(classic.epochs, painting.epochs, poster.epochs)
    assert fast.image_size == classic.image_size < painting.image_size < poster.image_size
    assert classic.optimizer == "adam"
    assert {fast.optimizer, painting.optimizer, poster.optimizer} == {"lbfgs"}


def test_classic_is_the_default():
    assert PRESETS["classic"] == {}
    assert Settings() == Settings(preset="classic")


def test_a_texture_needs_no_content(nst, painting):
    outcome = nst(
        "--alpha", 0, "--style_image_filename", painting, *QUICK, *LBFGS, "--image_size", "30x20"
    )
    assert outcome.code == 0
    assert "Texture   30 x 20, without a content picture" in outcome.err
    run = manifest("texture__painting")
    assert run["files"]["content"] == []
    assert run["final_costs"]["J_content"] == 0
    assert pixels(Path("output/texture__painting/generated_image.png")).shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (("--image_size", "30x20", "--alpha", 0, "--init", "content"), "--init"),
        (("--image_size", "30x20", "--alpha", 0, "--preserve_colors", "match"), "preserve_colors"),
        (("--image_size", "30x"), "WIDTHxHEIGHT, not '30x'"),
        (("--image_size", "20000x20000", "--alpha", 0), "megapixels"),
        (("--image_size", "0x30", "--alpha", 0), "WIDTHxHEIGHT"),
        (("--scales", "many"), "the word auto"),
        (("--scales", 13), "from 1 to 12"),
        (("--optimizer", "sgd"), "adam or lbfgs"),
        (("--preset", "best"), "classic, tutorial, fast, painting, portrait or poster"),
        (("--preserve_colors", "yes"), "luminance"),
        (("--style_scale", 0), "from 0.01"),
        (("--style_weights", 1, 2), "one for each"),
        (("--style_weights", 0), "above 0"),
        (("--style_weights", "x"), "above 0"),
        (("--content_mask", "left.png", "right.png"), "one for each"),
        (("--alpha", 0, "--beta", 0), "nothing to minimise"),
    ],
)
def test_wrong_usage_is_refused_at_once(nst, pair, wrong, word):
    outcome = nst(*QUICK, *pair[2:], *wrong)
    assert outcome.code == 2
    assert word in outcome.err.replace("\n", " ")
    assert not Path("output").exists()


def test_a_texture_has_no_content_picture(nst, pair):
    outcome = nst(*pair, "--alpha", 0, "--image_size", "30x20")
    assert outcome.code == 2
    assert "drop --content_image_filename" in outcome.err


def test_without_beta_the_content_comes_back(nst, pair):
    outcome = nst(
        *pair,
        *QUICK,
        *LBFGS,
        "--beta",
        0,
        "--content_layers",
        "conv1_2",
        "--init",
        "noise",
        "--epochs",
        120,
    )
    assert outcome.code == 0
    assert "the content is reconstructed" in outcome.err
    folder = "photo__reconstruction"
    assert manifest(folder)["files"]["style"] == []
    found = pixels(Path("output", folder, "generated_image.png")).astype(float)
    photo = pixels(Path("photo.png")).astype(float)
    assert np.abs(found - photo).mean() < 6  # of 255; the noise it came from: 70


def test_without_beta_no_style_is_read(nst, photo):
    missing = ("--style_image_filename", "missing.png")
    photo = ("--content_image_filename", photo)
    assert nst(*photo, *missing, *QUICK, "--beta", 0).code == 0
    assert nst(*photo, *missing, *QUICK).code == 3


def test_without_beta_settings_of_the_style_have_no_effect(nst, pair, other):
    outcome = nst(*pair, other, *QUICK, "--beta", 0, "--style_weights", 3, 1)
    assert outcome.code == 0
    assert "style_weights: no effect, as beta is 0" in outcome.err


def test_several_styles_are_mixed(nst, pair, other):
    outcome = nst(*pair, other, *QUICK, "--style_weights", 3, 1)
    assert outcome.code == 0
    assert "weight 0.75" in outcome.err
    assert "weight 0.25" in outcome.err
    run = manifest("photo__painting+other")
    assert len(run["files"]["style"]) == 2
    assert run["settings"]["style_weights"] == [3, 1]
    assert nst(*pair, other, *QUICK, "--style_weights", 1, 3).code == 0
    assert Path("output/photo__painting+other-2").exists()  # other weights, another picture


def test_each_style_has_its_region(nst, pair, other, masks):
    outcome = nst(*pair, other, *QUICK, *LBFGS, "--epochs", 20, "--content_mask", *masks)
    assert outcome.code == 0
    assert outcome.err.count("Mask      ") == 2
    both = pixels(Path("output/photo__painting+other/generated_image.png"))
    assert nst(*pair, *QUICK, *LBFGS, "--epochs", 20).code == 0
    alone = pixels(Path("output/photo__painting/generated_image.png"))
    assert np.abs(both[:, 40:].astype(float) - alone[:, 40:]).mean() > 10


def test_masks_of_content_and_style_are_not_mistaken(nst, pair, masks):
    assert nst(*pair, *QUICK, "--content_mask", masks[0]).code == 0
    assert nst(*pair, *QUICK, "--style_mask", masks[0]).code == 0
    assert len(list(Path("output").glob("*/"))) == 2


@pytest.mark.parametrize("setting", ["--content_mask", "--style_mask"])
def test_masks_that_cannot_be_used(nst, pair, tmp_path, setting):
    black = save(tmp_path / "black.png", np.zeros((32, 48)))
    outcome = nst(*pair, *QUICK, setting, black)
    assert outcome.code == 3
    assert "black.png: the mask is black" in outcome.err
    outcome = nst(*pair, *QUICK, setting, "missing.png")
    assert outcome.code == 3
    assert "missing.png: no such file" in outcome.err
    assert setting in outcome.err
    assert not Path("output").exists()


def test_transparent_parts_of_a_mask_are_black(nst, pair, tmp_path, masks):
    clear = np.full((64, 96, 4), 255)
    clear[:, 48:, 3] = 0
    clear = save(tmp_path / "clear.png", clear)  # twice the size, and stretched to fit
    for mask in (masks[0], clear):
        assert nst(*pair, *QUICK, "--content_mask", mask).code == 0
    one, other = (
        pixels(path / "generated_image.png").astype(float)
        for path in sorted(Path("output").glob("*/"))
    )
    assert np.abs(one - other).mean() < 3


def test_the_style_can_be_resized(nst, pair):
    for options, size in (
        ((), "44 x 33"),
        (("--style_size", 22), "22 x 16 from 44 x 33"),
        (("--style_size", 4000), "44 x 33"),
        (("--style_scale", 2), "88 x 66 from 44 x 33"),
        (("--style_size", "original", "--style_scale", 0.5), "22 x 16 from 44 x 33"),
    ):
        outcome = nst(*pair, *QUICK, *options, "--dry_run")
        assert outcome.code == 0
        (line,) = (line for line in outcome.err.splitlines() if line.startswith("Style "))
        assert line.endswith(f"painting.png, {size}")
    outcome = nst(*pair, *QUICK, "--style_size", 44, "--style_scale", 100, "--max_memory", "1G")
    assert outcome.code in (3, 6)


@pytest.mark.parametrize("mode", ["luminance", "match"])
def test_colours_of_the_content_are_kept(nst, photo, other, mode):
    pair = ("--content_image_filename", photo, "--style_image_filename", other)
    options = (*pair, *QUICK, *LBFGS, "--epochs", 20)
    assert nst(*options).code == 0
    assert nst(*options, "--preserve_colors", mode).code == 0
    photo = pixels(Path("photo.png")).mean(axis=(0, 1))
    away = [
        np.abs(np.diff(pixels(path / "generated_image.png").mean(axis=(0, 1)) - photo)).max()
        for path in sorted(Path("output").glob("*/"))
    ]
    assert away[1] < away[0]


def test_the_total_variation_is_in_the_cost(nst, pair):
    outcome = nst(*pair, *QUICK, "--tv_weight", 100)
    assert outcome.code == 0
    assert "J_tv" in outcome.out
    costs = manifest("photo__painting")["final_costs"]
    parts = 10 * costs["J_content"] + 40 * costs["J_style"] + 100 * costs["J_tv"]
    assert costs["J"] == pytest.approx(parts, rel=1e-5)


@pytest.mark.slow
def test_any_layer_can_be_chosen(nst, pair):
    from nst.vgg.layers import layer_names

    for layer in layer_names("VGG-19"):
        options = ("--content_layers", layer, "--style_layers", layer, "--epochs", 1)
        assert nst(*pair, *QUICK, *options, "--overwrite").code == 0


def test_a_learning_rate_for_lbfgs_is_told_to_have_no_effect(nst, pair):
    assert "no effect" in nst(*pair, *QUICK, *LBFGS, "--learning_rate", 5, "--dry_run").err
    assert "no effect" not in nst(*pair, *QUICK, *LBFGS, "--dry_run").err


def test_every_control_at_once_by_tiles_and_whole(nst, pair, other, masks):
    controls = (
        *pair, other, *QUICK, *LBFGS, "--scales", 2, "--epochs", 8, "--style_weights", 3, 1,
        "--content_mask", *masks, "--style_mask", *masks, "--preserve_colors", "match",
        "--style_scale", 1.5, "--tv_weight", 100, "--pooling", "max", "--alpha", 1000,
        "--content_layers", "conv3_2:2", "pool4", "--style_layers", "conv1_2", "conv3_1:0.5",
    )  # fmt: skip
    made = []
    for name, tiles in (("whole", ()), ("tiled", ("--tile_size", 16))):
        outcome = nst(*controls, *tiles, "--output_dir", name)
        assert outcome.code == 0
        (path,) = Path(name).glob("*/generated_image.png")
        made.append(pixels(path).astype(float))
    assert "tiles, the first with a halo" in outcome.err
    assert np.abs(made[0] - made[1]).mean() < 0.5
