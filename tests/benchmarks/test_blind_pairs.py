"""The page of blind pairs, in a real browser."""

import json

import pytest
from blind_pairs import make_data, page
from PIL import Image

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


@pytest.fixture
def folders(tmp_path):
    """Two folders of four pictures each, all of one colour; one picture has no partner."""
    for folder, colour in COLOURS.items():
        (tmp_path / folder).mkdir()
        for number in range(4):
            picture = Image.new("RGB", (60, 40), colour)
            picture.save(tmp_path / folder / f"temple__woodcut_wave{number or ''}.png")
    Image.new("RGB", (60, 40)).save(tmp_path / "red/lonely.png")
    return tmp_path / "red", tmp_path / "blue"


def test_pairs_are_shuffled_by_the_seed_alone(folders):
    data = [make_data(folders, seed) for seed in (0, 0, 1, 2, 3)]
    assert data[0] == data[1]
    assert len({json.dumps(one["pairs"]) for one in data}) > 2
    assert len(data[0]["pairs"]) == 4
    assert {pair["left"] for one in data for pair in one["pairs"]} == {0, 1}
    shown = [pair for pair in data[0]["pairs"] if pair["name"] == "temple__woodcut_wave"]
    assert shown[0]["content"].startswith("data:")
    assert shown[0]["style"].startswith("data:")


def test_folders_without_common_names(tmp_path):
    with pytest.raises(ValueError, match="same name"):
        make_data((tmp_path, tmp_path), 0)


def test_votes_are_counted_for_the_folders(folders, tmp_path, visit):
    data = make_data(folders, 5)
    (tmp_path / "pairs.html").write_bytes(page(data))
    visited = visit((tmp_path / "pairs.html").as_uri())
    browser = visited.page
    blue_left = [pair["left"] == 1 for pair in data["pairs"]]
    assert "1 of 4" in browser.inner_text("#progress")
    assert not any(name in browser.inner_text("body") for name in COLOURS)
    browser.click("#left" if blue_left[0] else "#right")
    browser.keyboard.press("ArrowLeft" if blue_left[1] else "ArrowRight")
    browser.keyboard.press("=")
    browser.keyboard.press("Backspace")
    assert "3 of 4" in browser.inner_text("#progress")
    browser.keyboard.press("=")
    browser.keyboard.press("ArrowRight" if blue_left[3] else "ArrowLeft")
    votes = json.loads(browser.input_value("#json"))
    assert votes["counts"] == {"red": 1, "blue": 2, "tie": 1}
    assert [vote["vote"] for vote in votes["votes"]] == ["blue", "blue", "tie", "red"]
    assert "blue: 2" in browser.inner_text("#counts")
    assert "in 100 of 100" in browser.inner_text("#chance")
    browser.keyboard.press("ArrowLeft")  # nothing is left to vote on
    assert json.loads(browser.input_value("#json")) == votes
    assert visited.errors == []
    assert all(url.startswith(("data:", "file:")) for url in visited.requests)


def test_the_picture_shown_left_is_that_of_the_folder(folders, tmp_path, visit):
    data = make_data(folders, 5)
    (tmp_path / "pairs.html").write_bytes(page(data))
    browser = visit((tmp_path / "pairs.html").as_uri()).page
    colour = browser.evaluate(
        """async () => {
          const image = document.querySelector("#left img");
          await image.decode();
          const canvas = document.createElement("canvas");
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          return [...context.getImageData(5, 5, 1, 1).data].slice(0, 3);
        }"""
    )
    assert tuple(colour) == list(COLOURS.values())[data["pairs"][0]["left"]]
