"""A large package is imported without another, which can be imported as ever afterwards."""

import gc
import importlib
import os
import subprocess
import sys

import pytest

from helpers import ROOT
from nst.lean_import import lean_import


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A package ``bulky_one``, which imports ``bulky_extra`` if it can and knows of its import."""
    (tmp_path / "bulky_extra.py").write_text("")
    (tmp_path / "bulky_one.py").write_text(
        "import gc\n"
        "collecting = gc.isenabled()\n"
        "try:\n    import bulky_extra\n    has_extra = True\n"
        "except ImportError:\n    has_extra = False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("bulky_one", "bulky_extra"):
        sys.modules.pop(name, None)
    gc.unfreeze()


def test_the_other_is_left_out_and_comes_when_it_is_wanted(packages):
    with lean_import("bulky_one", without=["bulky_extra"]):
        import bulky_one
    assert not bulky_one.has_extra
    assert not bulky_one.collecting
    assert gc.isenabled()
    import bulky_extra

    assert bulky_extra


def test_what_was_imported_before_stays(packages):
    import bulky_extra

    with lean_import("bulky_one", without=["bulky_extra"]):
        import bulky_one
    assert bulky_one.has_extra
    assert sys.modules["bulky_extra"] is bulky_extra


def test_nothing_changes_if_the_package_is_there_already(packages):
    importlib.import_module("bulky_one")
    del sys.modules["bulky_extra"]
    with lean_import("bulky_one", without=["bulky_extra"]):
        assert importlib.import_module("bulky_extra")
        assert gc.isenabled()


def test_an_import_that_fails_leaves_everything_as_it_was(packages):
    with pytest.raises(ImportError), lean_import("bulky_none", without=["bulky_extra"]):
        importlib.import_module("bulky_none")
    assert gc.isenabled()
    import bulky_extra

    assert bulky_extra


def test_the_command_line_imports_tensorflow_without_keras_and_reads_its_weights_later(tmp_path):
    """In a process of its own, as the tests have imported all of them."""
    lines = (
        "import sys, nst_main",
        "assert nst_main.main(['--dry_run', '--quiet', '--precision', 'float32']) == 0",
        "assert not {'keras', 'scipy.sparse', 'h5py', 'matplotlib'} & set(sys.modules)",
        "import tensorflow, h5py, scipy.sparse",
        "from keras.applications import VGG16",
        "assert tensorflow.keras.applications.VGG16 is VGG16",
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "\n".join(lines)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=300)
