"""The trial of dtypes is remembered in the user's cache folder, and made again in any doubt."""

import json
import os
import stat

import pytest
import tensorflow as tf

from helpers import QUICK
from nst.engine import precision
from nst.runs import precision_cache
from nst.runs.session import Session, close_session
from nst.vgg import weights


@pytest.fixture
def trials(monkeypatch, tmp_path):
    """The trials that were made, one list of dtypes each, beside a cache folder of its own."""
    made = []

    def rates(*dtypes):
        made.append([dtype.name for dtype in dtypes])
        return [float(len(made)) * 1e11] * len(dtypes)

    monkeypatch.setattr(precision, "rates", rates)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


def chosen(name="auto"):
    """The precision of a new session, as of a new process."""
    return Session(weights.find(None, "vgg19", None)).precision(name)


def files(tmp_path):
    return sorted((tmp_path / "cache/nst").iterdir())


def test_a_later_process_takes_what_was_measured(trials, tmp_path):
    first = chosen()
    assert chosen() == first
    assert trials == [["float32", "bfloat16"]]
    (path,) = files(tmp_path)
    assert json.loads(path.read_text())["rates"] == [1e11, 1e11]


def test_each_set_of_dtypes_has_its_own_trial(trials, tmp_path):
    for _ in range(2):
        assert chosen("float32").rate == 1e11
        assert chosen("bfloat16").rate == 2e11
        assert chosen("auto").rate == 3e11
    assert len(trials) == len(files(tmp_path)) == 3


def test_the_command_line_makes_no_second_trial(trials, nst, pair):
    for _ in range(2):
        close_session()
        assert nst(*pair, *QUICK, "--precision", "auto", "--overwrite").code == 0
    assert trials == [["float32", "bfloat16"]]


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("versions", {"tensorflow": "3.0"}),
        ("_processors", 64),
        ("_processor", ["another one"]),
    ],
)
def test_another_machine_or_version_makes_its_own(trials, monkeypatch, tmp_path, what, value):
    chosen()
    monkeypatch.setattr(precision_cache, what, lambda: value)
    for _ in range(2):
        assert chosen().rate == 2e11


def test_another_graphics_card_or_variable_makes_its_own(trials, monkeypatch):
    chosen()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert chosen().rate == 2e11
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda device: {"device_name": "A100"}
    )
    assert chosen().rate == 3e11


def changed(**values):
    """A change of the remembered JSON."""
    return lambda old: json.dumps({**json.loads(old), **values}).encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda old: b"",
        lambda old: old[: len(old) // 2],
        lambda old: b"\0\xff" * 99,
        lambda old: b"[1, 2]",
        lambda old: b"[" * 100_000,
        lambda old: b" " * 2_000_000 + old,
        changed(key={"processor": "of another machine"}),
        changed(rates=None),
        changed(rates=[1.0]),
        changed(rates=[1.0, -1.0]),
        changed(rates=[1.0, 0.0]),
        changed(rates=[1.0, float("nan")]),
        changed(rates=[1.0, float("inf")]),
        changed(rates=[1.0, "fast"]),
        changed(rates=[1.0, True]),
        changed(rates={"float32": 1.0, "bfloat16": 1.0}),
    ],
)
def test_a_damaged_file_is_made_again(trials, tmp_path, damage):
    chosen()
    (path,) = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert chosen().rate == 2e11
    assert chosen().rate == 2e11
    assert files(tmp_path) == [path]


def test_a_folder_in_the_place_of_the_file_is_left_alone(trials, tmp_path):
    chosen()
    (path,) = files(tmp_path)
    path.unlink()
    path.mkdir()
    assert chosen().rate == 2e11
    assert files(tmp_path) == [path]  # and nothing half written beside it


def test_a_file_in_the_place_of_the_folder_is_left_alone(trials, tmp_path):
    (tmp_path / "cache").write_text("mine")
    assert [chosen().rate, chosen().rate] == [1e11, 2e11]
    assert (tmp_path / "cache").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(trials, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert [chosen().rate, chosen().rate] == [1e11, 2e11]


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"XDG_CACHE_HOME": "/somewhere", "HOME": "/home/me"}, "/somewhere/nst"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.cache/nst"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/nst"),
        ({"HOME": "/home/me"}, "/home/me/.cache/nst"),
        ({"HOME": ""}, None),
        ({"HOME": "relative"}, None),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="names of folders of POSIX")
def test_the_folder(monkeypatch, variables, folder):
    monkeypatch.delenv("XDG_CACHE_HOME")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = precision_cache.cache_folder()
    assert (found and str(found)) == folder


def test_without_a_home_the_trial_is_made_each_time(trials, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "")
    assert [chosen().rate, chosen().rate] == [1e11, 2e11]
