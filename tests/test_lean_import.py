"""A large package is imported without another, which can be imported as ever afterwards."""

import gc
import importlib
import sys

import pytest

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
    with lean_import("bulky_one", without="bulky_extra"):
        import bulky_one
    assert not bulky_one.has_extra
    assert not bulky_one.collecting
    assert gc.isenabled()
    import bulky_extra

    assert bulky_extra


def test_nothing_changes_if_one_of_them_is_there_already(packages):
    import bulky_extra

    with lean_import("bulky_one", without="bulky_extra"):
        import bulky_one
    assert bulky_one.has_extra
    assert bulky_one.collecting
    assert sys.modules["bulky_extra"] is bulky_extra


def test_an_import_that_fails_leaves_everything_as_it_was(packages):
    with pytest.raises(ImportError), lean_import("bulky_none", without="bulky_extra"):
        importlib.import_module("bulky_none")
    assert gc.isenabled()
    import bulky_extra

    assert bulky_extra
