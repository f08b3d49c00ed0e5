"""Use from Python: the class, run_job and the generator."""

import numpy as np
import pytest
from PIL import Image

from helpers import ROOT, pixels
from nst.api import run_job
from nst.errors import PictureError, UsageError
from nst.runs.job import read_job
from nst.runs.session import Session
from nst.settings import Settings
from nst_utils import NeuralStyleTransfer, transfer_style

SMALL = {"image_size": 48, "print_every": 2, "precision": "float32"}


def test_it_makes_the_run_folder_of_the_command_line(nst, vgg19, photo, painting, tmp_path):
    steps = []
    transfer = NeuralStyleTransfer(photo, painting, vgg19.file.path, **SMALL)
    image = transfer.run(num_iterations=3, on_step=steps.append)
    assert image.shape == (32, 48, 3)
    assert image.dtype == np.uint8
    folder = tmp_path / "output/photo__painting"
    assert transfer.folder.path.absolute() == folder
    assert (pixels(folder / "generated_image.png") == image).all()
    assert [step.iteration for step in steps] == [0, 1, 2, 3]
    assert (tmp_path / "output/index.html").read_text().count("<li ") == 1

    flags = [word for name, value in SMALL.items() for word in (f"--{name}", value)]
    pair = ["--content_image_filename", photo, "--style_image_filename", painting]
    again = nst(*pair, *flags, "--epochs", 3)
    assert "finished earlier" in again.out  # the very same run, by another way in
    again = nst(*pair, *flags, "--epochs", 3, "--output_dir", "other")
    assert again.code == 0
    other = tmp_path / "other/photo__painting"
    for path in folder.iterdir():
        if path.suffix == ".png":
            assert path.read_bytes() == (other / path.name).read_bytes()

    steps.clear()
    repeated = transfer.run(num_iterations=3, on_step=steps.append)
    assert (repeated == image).all()
    assert not steps  # finished earlier


def test_shipped_pictures_and_packaged_weights_by_default(tmp_path):
    transfer = NeuralStyleTransfer(
        "temple.jpg", "mosaic_sun.jpg", image_size=40, epochs=1, output_dir=tmp_path
    )
    assert transfer.run().shape == (27, 40, 3)


def test_the_array_is_the_colours_of_the_file(tmp_path, capfd):
    content = Image.new("RGBA", (20, 16), (200, 40, 40, 90))
    content.save(tmp_path / "clear.png")
    image = NeuralStyleTransfer(
        tmp_path / "clear.png",
        "mosaic_sun.jpg",
        epochs=1,
        precision="float32",
        output_dir=tmp_path,
        dry_run=True,  # has no meaning here
    ).run(say=None)
    assert capfd.readouterr() == ("", "")
    saved = pixels(tmp_path / "clear__mosaic_sun/generated_image.png")
    assert saved.shape == (16, 20, 4)
    assert (saved[:, :, 3] == 90).all()
    assert (saved[:, :, :3] == image).all()


def test_a_job_with_other_weights_than_its_settings_say(vgg19, photo, painting, tmp_path):
    settings = Settings(
        content_image_filename=photo,
        style_image_filename=painting,
        model_path=tmp_path / "missing.mat",
        epochs=1,
        output_dir=tmp_path / "output",
        **SMALL,
    )
    lines, steps = [], []
    session = Session(vgg19.file, vgg19)
    folder = run_job(read_job(settings), lines.append, steps.append, session)
    assert folder.picture.exists()
    assert [step.iteration for step in steps] == [0, 1]
    assert any("VGG-19" in line for line in lines)


def test_errors_are_exceptions(tmp_path):
    with pytest.raises(UsageError, match="epochs"):
        NeuralStyleTransfer("temple.jpg", "mosaic_sun.jpg", epochs=-1)
    with pytest.raises(UsageError, match="epochs"):
        NeuralStyleTransfer("temple.jpg", "mosaic_sun.jpg").run(num_iterations=0)
    with pytest.raises(PictureError, match="nothing.jpg"):
        NeuralStyleTransfer("nothing.jpg", "mosaic_sun.jpg", output_dir=tmp_path).run()


def test_the_generator_needs_no_folder(vgg19, temple, harbour, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = transfer_style(temple, harbour, vgg19)
    first, second = next(steps), next(steps)
    assert (first.iteration, second.iteration, first.epochs) == (0, 1, 200)
    assert second.costs.total < first.costs.total
    assert not list(tmp_path.iterdir())


def test_every_shipped_picture_has_its_licence():
    text = (ROOT / "images/README.md").read_text()
    for path in (ROOT / "images").glob("*.jpg"):
        assert path.name in text
