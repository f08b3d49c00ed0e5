"""Ranges, defaults and layer weights."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst.errors import UsageError
from nst.parsers import LayerWeights, Number, authors_weight, memory_size
from nst.settings import Settings
from nst.text import memory_option
from nst.vgg.layers import layer_names


def test_the_defaults_of_the_card():
    settings = Settings()
    assert (settings.epochs, settings.print_every, settings.learning_rate) == (200, 20, 10.0)
    assert (settings.alpha, settings.beta, settings.noise_ratio) == (10.0, 40.0, 0.3)
    assert settings.content_layers == (("conv4_2", 1.0),)
    channels = {"conv1_1": 64, "conv2_1": 128, "conv3_1": 256, "conv4_1": 512, "conv5_1": 512}
    assert settings.style_layers == tuple((name, 250 / c**2) for name, c in channels.items())
    assert (settings.pooling, settings.padding, settings.style_loss) == ("avg", "reflect", "gram")
    assert settings.image_size == 400


@given(st.floats() | st.integers() | st.text() | st.none() | st.booleans())
def test_a_number_is_in_its_range_or_refused(value):
    number = Number(float, 0, 10, above_low=True)
    try:
        parsed = number(value)
    except ValueError as error:
        assert "must be a number above 0 and up to 10, not" in str(error)
    else:
        assert math.isfinite(parsed)
        assert 0 < parsed <= 10


@given(st.integers(1, 10**6))
def test_whole_numbers_are_read_from_text(value):
    assert Settings(epochs=str(value)).epochs == value


@given(st.integers(1, 10**5))
def test_whole_numbers_are_read_as_people_write_them(value):
    for text in (f"{value}.0", f"{value:_}", f" {value} ", f"{value * 10}e-1", f"{value}E0"):
        assert Settings(epochs=text, image_size=text).epochs == value


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1e3", 1000),
        ("1_000", 1000),
        ("1920X1080", (1920, 1080)),
        ("1920\N{MULTIPLICATION SIGN}1080", (1920, 1080)),
        ("1920 x 1080", (1920, 1080)),
        ("1e3x5e2", (1000, 500)),
    ],
)
def test_sizes_of_pictures(text, size):
    texture = {"alpha": 0} if isinstance(size, tuple) else {}
    assert Settings(image_size=text, **texture).image_size == size


@pytest.mark.parametrize(
    "text", ["1.5", "1e-1", "nan", "inf", "1e400", "-3", "1,000", "1e", "0x10", ""]
)
def test_what_is_no_whole_number_is_refused(nst, text, tmp_path):
    done = nst(f"--epochs={text}", "--output_dir", "made")
    assert done.code == 2
    assert done.err.endswith(
        f"error: argument --epochs: must be a whole number from 1 to 1,000,000, not {text!r}\n"
    )
    assert not (tmp_path / "made").exists()
    with pytest.raises(UsageError, match="^image_size must be"):
        Settings(image_size=text)


@pytest.mark.parametrize("text", ["1x", "x", "1x2x3", "1.5x2", "nanxnan", "-1x5", "0X0", "1*2"])
def test_what_is_no_size_of_a_picture_is_refused(text):
    with pytest.raises(UsageError, match="^image_size must be .* or WIDTHxHEIGHT, not"):
        Settings(image_size=text, alpha=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": True},
        {"epochs": 1.5},
        {"alpha": math.nan},
        {"alpha": "1e999"},
        {"learning_rate": None},
        {"image_size": "big"},
        {"overwrite": "yes"},
        {"content_image_filename": ""},
        {"output_dir": "a\0b"},
        {"style_layers": ()},
        {"style_layers": 5},
        {"style_layers": [("conv4_2",)]},
        {"style_layers": [("conv4_2", 0), ("conv3_1", 1)]},
        {"style_layers": "conv4_2:"},
        {"max_memory": "plenty"},
        {"tile_size": 0},
        {"alpha": 0, "beta": 0},
    ],
)
def test_the_library_refuses_what_the_command_line_refuses(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Settings(**wrong)


def test_the_preset_of_the_tutorial_is_the_earlier_letter():
    settings = Settings(preset="tutorial")
    assert settings.style_layers == tuple((f"conv{block}_1", 0.2) for block in range(1, 6))
    assert (settings.padding, settings.optimizer, settings.learning_rate) == ("zeros", "adam", 2.0)
    assert Settings(preset="tutorial", style_layers=["conv1_1"]).style_layers == (
        ("conv1_1", 250 / 64**2),
    )


NAMES = st.sampled_from(["conv1_1", "conv3_4", "pool5", "conv5_4"])
PARSERS = st.sampled_from([LayerWeights(), LayerWeights(authors_weight)])


@given(
    PARSERS,
    st.lists(st.tuples(NAMES, st.floats(1e-3, 1e3)), min_size=1, unique_by=lambda pair: pair[0]),
)
def test_given_weights_sum_to_one_and_read_back(parse, pairs):
    parsed = parse([f"{name}:{weight!r}" for name, weight in pairs])
    assert math.fsum(weight for _, weight in parsed) == pytest.approx(1)
    assert [name for name, _ in parsed] == [name for name, _ in pairs]
    for (_, weight), (_, wanted) in zip(parsed, pairs):
        assert weight / parsed[0][1] == pytest.approx(wanted / pairs[0][1])
    assert parse(parsed) == parsed
    assert parse([f"{name}:{weight}" for name, weight in parsed]) == parsed


@given(st.lists(NAMES, min_size=1, unique=True))
def test_style_layers_without_weights_have_those_of_the_authors(names):
    """They do not sum to 1, and are read back unchanged."""
    channels = {"conv1_1": 64, "conv3_4": 256, "pool5": 512, "conv5_4": 512}
    settings = Settings(style_layers=names)
    assert settings.style_layers == tuple((name, 250 / channels[name] ** 2) for name in names)
    written = [f"{name}:{weight}" for name, weight in settings.style_layers]
    recorded = json.loads(json.dumps(settings.style_layers))
    for again in (written, recorded, settings.style_layers):
        assert Settings(style_layers=again).style_layers == settings.style_layers
    equal = Settings(content_layers=names).content_layers
    assert equal == tuple((name, 1 / len(names)) for name in names)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4G", 4e9),
        ("800M", 8e8),
        ("1.5gb", 1.5e9),
        ("123456", 123456),
        (5e9, 5e9),
        ("0.5G", 5e8),
        ("0.4G", 4e8),
        (" 0.25 T ", 25e10),
        ("1K", 1000),
        ("1kB", 1000),
        ("0.001K", 1),
        (1, 1),
        ("1000T", 1e15),
        ("4GiB", 4 * 2**30),
        ("512MiB", 512 * 2**20),
        ("1.5 gib", 1.5 * 2**30),
        ("4Gi", 4 * 2**30),
        ("8ki", 8192),
        ("1tib", 2**40),
        ("4gb", 4e9),
        ("4 GB", 4e9),
        ("512m", 512e6),
        ("1e3M", 1e9),
        ("4e9", 4e9),
        ("1_000_000", 1e6),
    ],
)
def test_sizes_of_memory(text, size):
    assert memory_size(text) == size
    assert Settings(max_memory=text).max_memory == size


@pytest.mark.parametrize(
    "text",
    ["", "G", "0", "0G", "0.0001K", "-1G", "-0.5G", "nan", "nanG", "inf", "1e999G", "1001T", "1P"]
    + ["4 G B", "0x10M", "4iB", "4PiB", "4Gib ps", "4,5G", "e", True, (4,)],
)
def test_what_is_no_size_of_memory_is_refused(text):
    with pytest.raises(ValueError, match="must be a size such as 800M, 4G or 4GiB, not "):
        memory_size(text)
    with pytest.raises(UsageError, match="^max_memory must be a size"):
        Settings(max_memory=text)


@given(st.integers(1, 9 * 10**14))
def test_a_size_of_memory_is_read_back_as_it_is_told(size):
    assert memory_size(size) == memory_size(str(size)) == size
    told = memory_size(memory_option(size))  # rounded up
    assert size <= told <= 1.02 * size + 10_000_000


@given(st.floats(1e-6, 900), st.sampled_from("KMGT"))
def test_a_size_of_memory_has_any_number_of_decimals(number, unit):
    size = number * 1000 ** (1 + "KMGT".index(unit))
    if size < 1:
        return
    assert memory_size(f"{number!r}{unit}") == pytest.approx(size, abs=1)


@pytest.mark.parametrize("parse", [LayerWeights(), LayerWeights(authors_weight)])
def test_layers_without_a_weight_beside_one_with_count_one(parse):
    assert parse(["conv4_2:3", "pool5"]) == (("conv4_2", 0.75), ("pool5", 0.25))
    assert parse(["conv4_2:3"]) == (("conv4_2", 1.0),)


@pytest.mark.parametrize("count", range(1, 12))
def test_settings_can_be_copied_without_a_change(count):
    layers = layer_names("VGG-19")[:count]
    settings = Settings(
        style_layers=layers, content_layers=[f"{n}:{i + 0.1}" for i, n in enumerate(layers)]
    )
    assert replace(settings) == settings
    assert replace(settings, epochs=7).style_layers == settings.style_layers
