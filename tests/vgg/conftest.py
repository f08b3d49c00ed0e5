"""What the tests of weights share: a folder for them, and machines that lack the packages."""

import importlib.metadata

import pytest

from nst.runs.session import close_session
from nst.vgg import weights


@pytest.fixture
def models(tmp_path, monkeypatch):
    """An empty folder in place of pretrained-model/."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setattr(weights, "FOLDER", folder)
    return folder


@pytest.fixture
def no_packages(models, monkeypatch):
    """No package that carries weights is installed, and no file is in pretrained-model/."""

    def files(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files)
    close_session()
