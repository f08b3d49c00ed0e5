"""Masks and transparency of a job, as it is read; and what the command line makes of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import QUICK, ROOT, interrupted, pixels, same_files, save_small
from nst.errors import PictureError, UsageError
from nst.runs import batch
from nst.runs.job import job_remarks, read_job
from nst.runs.manifest import describe
from nst.settings import Settings

LABELS = np.zeros((32, 48), np.uint8)
LABELS[:, 16:] = 1
LABELS[10:, 30:] = 2


def save(path, levels):
    Image.fromarray(np.asarray(levels, np.uint8)).save(path)
    return str(path)


@pytest.fixture
def files(tmp_path, photo, painting, monkeypatch):
    """Names of pictures and masks in an empty folder, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    sticker = save_small("starlit_harbour.jpg", (44, 33), tmp_path / "sticker.png")
    alpha = np.zeros((33, 44), np.uint8)
    alpha[8:30, 10:40] = 255
    with Image.open(sticker) as image:
        image.putalpha(Image.fromarray(alpha))
        image.save(sticker)
    save(tmp_path / "alpha.png", alpha)
    save(tmp_path / "labels.png", LABELS)
    for label in range(3):
        save(tmp_path / f"{label}.png", 255 * (label == LABELS))
        save(tmp_path / f"one_{label}.png", label == LABELS)
    return tmp_path


def settings(files, styles=1, **given):
    names = ("painting.png", "mosaic_sun.jpg", "woodcut_wave.jpg")[:styles]
    return Settings(
        **{
            "content_image_filename": "photo.png",
            "style_image_filename": names,
            "image_size": 40,
            **given,
        }
    )


def same(masks, others):
    """Whether masks are the same bit for bit."""
    assert len(masks) == len(others) > 0
    return all((one == other).all() for one, other in zip(masks, others))


@pytest.mark.parametrize("setting", ["content_mask", "style_mask"])
def test_a_0_1_mask_is_the_0_255_mask_bit_for_bit(files, setting):
    one, other = (
        getattr(read_job(settings(files, **{setting: name})), f"{setting}s")
        for name in ("1.png", "one_1.png")
    )
    assert same(one, other)


def test_a_label_picture_is_separate_masks_bit_for_bit(files):
    separate = read_job(settings(files, 3, content_mask=["0.png", "1.png", "2.png"]))
    label = read_job(settings(files, 3, content_mask="labels.png"))
    assert same(separate.content_masks, label.content_masks)
    (remark,) = job_remarks(label)
    assert "0 -> painting.png, 1 -> mosaic_sun.jpg, 2 -> woodcut_wave.jpg" in remark
    named = settings(files, 2, content_mask="labels.png", mask_colors=["2=1", "0=2", 1])
    with pytest.raises(UsageError, match="mask_colors: style 3 of 2: there is no such style"):
        read_job(named)
    named = replace(named, mask_colors=("2=1", "1=2", "#000000=2"))
    masks = read_job(named).content_masks
    assert same(masks[:1], separate.content_masks[2:])
    assert np.abs(masks[0] + masks[1] - 1).max() < 0.01


def test_label_pictures_of_content_and_style_match_by_colour(files):
    """The same style twice, each time for the part of its own label."""
    save(files / "style_labels.png", LABELS[:, ::-1] + (LABELS[:, ::-1] == 0))  # 1 and 2
    save(files / "two_labels.png", LABELS + (LABELS == 0))
    given = {"style_image_filename": ["painting.png"] * 2, "content_mask": "two_labels.png"}
    job = read_job(settings(files, **given, style_mask="style_labels.png"))
    assert [mask.shape for mask in job.style_masks] == [style.rgb.shape[:2] for style in job.styles]
    assert np.abs(job.style_masks[0] + job.style_masks[1] - 1).max() < 0.01
    assert job.style_masks[1][-1, 0] == job.content_masks[1][-1, -1] == 1


def test_identity_knows_the_colours(files):
    one = settings(files, 2, content_mask="labels.png", mask_colors=["1=1", "2=2"])
    other = replace(one, mask_colors=("2=1", "1=2"))
    assert one.identity() != other.identity()
    assert one.identity() != replace(one, transparent="ignore").identity()
    again = Settings(**json.loads(json.dumps(one.identity() | {"content_mask": ["labels.png"]})))
    assert again.mask_colors == one.mask_colors


# --- Batches --------------------------------------------------------------------------------------


def test_a_folder_has_a_mask_for_each_content(files):
    for name in ("one", "two"):
        save_small("temple.jpg", (48, 32), files / f"{name}.jpg")
    (files / "masks").mkdir()
    (files / "0.png").rename(files / "masks/one.png")
    (files / "labels.png").rename(files / "masks/two.png")
    common = settings(
        files, content_image_filename=["one.jpg", "two.jpg"], content_mask="masks", mask_colors="1"
    )
    common = replace(common, mask_colors=None)
    tasks = batch.plan_batch(common).tasks
    jobs = [read_job(tasks[0].settings(common))]
    assert jobs[0].content_mask[0].path == Path("masks/one.png")
    colours = replace(common, mask_colors=("2=1",))
    jobs.append(read_job(tasks[1].settings(colours)))
    for job, name in zip(jobs, ("one", "two")):
        alone = replace(
            job.settings, content_image_filename=f"{name}.jpg", content_mask=f"masks/{name}.png"
        )
        assert same(job.content_masks, read_job(alone).content_masks)


def test_a_folder_has_a_mask_for_each_style(files):
    (files / "masks").mkdir()
    save(files / "masks/painting.png", np.ones((4, 4)))
    save(files / "masks/mosaic_sun.png", np.tril(np.ones((8, 8))))
    tasks = batch.plan_batch(settings(files, 2, style_mask="masks")).tasks
    for task, name in zip(tasks, ("painting", "mosaic_sun"), strict=True):
        job = read_job(task.settings(settings(files, 2, style_mask="masks")))
        assert [mask.path.name for mask in job.style_mask] == [f"{name}.png"]


# --- Transparency ---------------------------------------------------------------------------------


def test_the_transparency_of_a_style_is_its_mask(files):
    transparent = settings(files, style_image_filename="sticker.png")
    job = read_job(transparent)
    again = read_job(replace(transparent, style_mask=("alpha.png",)))
    assert same(job.style_masks, again.style_masks)
    assert "55 % of it is transparent" in job_remarks(job)[0]
    half = save(files / "half.png", np.full((33, 44), 128))
    (mask,) = read_job(replace(transparent, style_mask=(half,))).style_masks
    assert mask.max() == pytest.approx(128 / 255)
    assert ((mask == 0) == (job.style_masks[0] == 0)).all()
    assert read_job(replace(transparent, transparent="ignore")).style_masks == ()
    mixed = read_job(replace(transparent, style_image_filename=("sticker.png", "painting.png"),
                             style_weights=(1.0, 2.0)))  # fmt: skip
    assert same(mixed.style_masks[:1], job.style_masks)
    assert (mixed.style_masks[1] == 1).all()


def test_the_transparency_of_a_content_is_kept_or_ignored(files):
    given = settings(files, content_image_filename="sticker.png")
    job = read_job(given)
    assert (job.transparency == job.content.transparency).all()
    assert same([job.visible], [job.transparency.astype(np.float32) / 255])
    ignored = read_job(replace(given, transparent="ignore"))
    assert ignored.transparency is ignored.visible is None
    assert read_job(settings(files)).visible is None


@pytest.mark.parametrize("transparent", ["keep", "ignore"])
def test_a_soft_edge_has_no_white_in_it(nst, files, transparent):
    """A start from the content that is not moved: the network sees the same."""
    y, x = np.mgrid[:48, :48]
    opacity = np.clip((22 - np.hypot(y - 24, x - 24)) / 9, 0, 1)
    dark = np.dstack([np.full((48, 48, 3), 20), opacity * 255]).round().astype(np.uint8)
    Image.fromarray(dark).save("soft.png")
    names = ("--content_image_filename", "soft.png", "--style_image_filename", "soft.png")
    still = ("--init", "content", "--learning_rate", 1e-6, "--preserve_colors", "none")
    done = nst(*names, *still, *QUICK, "--transparent", transparent)
    assert done.code == 0, done.err
    with Image.open("output/soft__soft/generated_image.png") as result:
        found = np.asarray(result.convert("RGBA")).astype(int)
    edge = (opacity > 0.1) & (opacity < 0.9)
    if transparent == "keep":
        assert (found[..., 3] == dark[..., 3]).all()
        assert np.abs(found[edge, :3] - 20).max() <= 4
        seen = read_job(settings(files, content_image_filename="soft.png"))
        assert seen.seen(seen.content).max() < 60
    else:
        assert found[edge, :3].max() > 200
        assert (found[..., 3] == 255).all()


def test_transparency_that_hides_everything_is_not_meant(files):
    with Image.open(files / "photo.png") as image:
        image = image.convert("RGBA")
    image.putalpha(0)
    image.save(files / "hidden.png")
    hidden = {"content_image_filename": "hidden.png", "style_image_filename": "hidden.png"}
    job, opaque = read_job(settings(files, **hidden)), read_job(settings(files))
    assert (job.content.rgb == opaque.content.rgb).all()
    assert job.visible is None
    assert job.style_masks == ()
    assert len(job_remarks(job)) == 2
    assert "hides all of it" in job_remarks(job)[0]


def test_a_run_records_what_was_guessed(files):
    job = read_job(settings(files, content_mask="one_1.png"))
    (entry,) = describe(job, {}, "running", {})["files"]["content_mask"]
    assert entry["notes"] == ["a 0/1 mask: its level 1 counts as white"]


# --- The command line -----------------------------------------------------------------------------


def almost_clear(path):
    with Image.open(ROOT / "images/temple.jpg") as image:
        image = image.convert("RGBA").resize((96, 64))
    alpha = np.zeros((64, 96), np.uint8)
    alpha[0, 0] = 255
    image.putalpha(Image.fromarray(alpha))
    image.save(path)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--content_mask", "twos.png"), 3, "twos.png: the mask is almost black"),
        (("--style_mask", "twos.png"), 3, "its brightest level is 2 of 255"),
        (("--content_mask", "labels.png"), 3, "labels.png: the mask is almost black"),
        (("--content_mask", "masks"), 3, "photo.png, such as photo.png; add it"),
        (("--content_mask", "labels.png", "--mask_colors", "7"), 3, "has no 7"),
        (("--content_mask", "labels.png", "--mask_colors", "1", "2"), 2, "no such style"),
        (("--content_mask", "labels.png", "--mask_colors", "1=0"), 2, "which begin with 1"),
        (("--content_mask", "labels.png", "--mask_colors", "reddish"), 2, "such as red"),
        (("--content_mask", "labels.png", "--mask_colors", "1", "1=1"), 2, "there twice"),
        (("--mask_colors", "red"), 2, "give the label picture as --content_mask"),
        (("--transparent", "no"), 2, "keep or ignore"),
        (("--content_image_filename", "clear.png"), 3, "clear.png: almost all of this content"),
        (("--style_image_filename", "clear.png"), 3, "clear.png: almost all of this style"),
    ],
)
def test_masks_are_refused_before_anything_starts(nst, files, pair, options, code, words):
    save(files / "twos.png", 2 * (LABELS == 1))
    almost_clear(files / "clear.png")
    (files / "masks").mkdir()
    save(files / "masks/another.png", LABELS)
    done = nst(*pair, *QUICK, *options)
    assert done.code == code
    assert words in " ".join(done.err.split())
    assert not (files / "output").exists()


def test_a_missing_mask_of_a_batch_is_told_before_it_starts(nst, files, pair):
    (files / "masks").mkdir()
    save(files / "masks/photo.png", 255 * LABELS)
    names = ("--content_image_filename", "photo.png", "painting.png", "sticker.png")
    done = nst(*pair[2:], *names, *QUICK, "--content_mask", "masks")
    assert done.code == 3
    assert "no mask for painting.png" in done.err
    assert "so for 1 other picture" in done.err
    assert not (files / "output").exists()


def test_a_region_where_the_content_is_transparent_is_refused(files):
    save(files / "edge.png", 255 * np.pad(np.ones((2, 44)), ((0, 31), (0, 0))))
    job = settings(files, content_image_filename="sticker.png", content_mask="edge.png")
    with pytest.raises(PictureError, match=r"sticker.png: is transparent where a --content_mask"):
        read_job(job)


@pytest.mark.slow
def test_a_label_picture_with_a_transparent_content(nst, files, painting):
    """By tiles, in two styles, with the result that of separate masks and the transparency."""
    image = Image.open(files / "photo.png").convert("RGBA")
    image.putalpha(Image.fromarray(np.where(LABELS == 2, 0, 255).astype(np.uint8)))
    image.save(files / "clear.png")
    common = ("--content_image_filename", "clear.png", "--style_image_filename", painting,
              "mosaic_sun.jpg", *QUICK, "--tile_size", 16)  # fmt: skip
    for folder, options in (
        ("labels", ("--content_mask", "labels.png", "--mask_colors", "0", "1")),
        ("masks", ("--content_mask", "0.png", "1.png")),
    ):
        done = nst(*common, *options, "--output_dir", folder)
        assert done.code == 0, done.err
    names = "clear__painting+mosaic_sun"
    one, other = (
        pixels(files / f"{name}/{names}/generated_image.png") for name in ("labels", "masks")
    )
    assert (one == other).all()
    assert (one[:, :, 3] == np.where(LABELS == 2, 0, 255)).all()
    assert (one[LABELS == 2][:, :3] == 255).all()
    record = json.loads((files / f"labels/{names}/run.json").read_text())
    assert "0 -> painting.png" in record["files"]["content_mask"][0]["notes"][0]
    again = nst("--from_run", f"labels/{names}", "--output_dir", "again")
    assert again.code == 0, again.err
    assert (pixels(files / f"again/{names}/generated_image.png") == one).all()


@pytest.mark.slow
def test_a_run_with_masks_and_transparency_goes_on_bit_for_bit(nst, files, monkeypatch):
    command = ("--content_image_filename", "sticker.png", "--style_image_filename", "sticker.png",
               *QUICK, "--content_mask", "labels.png", "--mask_colors", "2")  # fmt: skip
    save(files / "labels.png", np.pad(np.full((20, 20), 2), ((8, 5), (12, 12))))
    assert nst(*command, "--output_dir", "whole").code == 0
    interrupted(nst, monkeypatch, 2, *command, "--output_dir", "stopped")
    again = nst(*command, "--output_dir", "stopped")
    assert "going on after iteration 2" in again.err
    same_files(files / "whole", files / "stopped")
    other = nst(*command, "--transparent", "ignore", "--output_dir", "stopped")
    assert "sticker__sticker-2" in other.out
