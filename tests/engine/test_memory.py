"""What the driver of a card tells, as made-up programs and packages tell it."""

import sys
from types import SimpleNamespace

import pytest

from nst.engine.memory import MEBIBYTE, UNKNOWN, Memory, card_memory, cuda_name

FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"
TOLD = f"0, {FIRST}, Card A, 8192, 7000\n1, {SECOND}, Card B, 24576, 512\n"
CARD_A, CARD_B = (Memory(n * MEBIBYTE, m * MEBIBYTE) for n, m in ((8192, 7000), (24576, 512)))


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put a program in the path, alone, that prints a text."""

    def make(text, code=0):
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{text}END\nexit {code}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    monkeypatch.setitem(sys.modules, "pynvml", None)
    return make


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["0", "1", "2"]),
        ("1", ["1", "", ""]),
        ("2, 0", ["2", "0", ""]),
        (f"{SECOND},{FIRST}", [SECOND, FIRST, ""]),
        ("", ["", "", ""]),
    ],
)
def test_the_cards_that_a_process_sees(visible, names):
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert [cuda_name(number, environment) for number in range(3)] == names


@pytest.mark.parametrize(
    ("name", "model", "memory"),
    [
        ("0", "", CARD_A),
        ("1", "Card B", CARD_B),
        (SECOND, "Card B", CARD_B),
        ("GPU-2222", "", CARD_B),  # the beginning is enough for CUDA
        ("1", "Card A", UNKNOWN),  # cards are numbered otherwise there
        ("2", "", UNKNOWN),
        ("", "", UNKNOWN),
        ("MIG-22222222-bbbb", "", UNKNOWN),  # a part of a card
    ],
)
def test_nvidia_smi_is_asked_for_the_card(nvidia_smi, name, model, memory):
    nvidia_smi(TOLD)
    assert card_memory(name, model) == memory


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("NVIDIA-SMI has failed because it could not talk to the driver\n", 9),
        (TOLD, 1),
        (f"0, {FIRST}, Card A, [N/A], [N/A]\n", 0),
        ("No devices were found\n", 0),
        ("\x00,,,,,,\n", 0),
    ],
)
def test_what_nvidia_smi_does_not_tell_is_unknown(nvidia_smi, text, code):
    nvidia_smi(text, code)
    assert card_memory("0") == UNKNOWN


def test_without_nvidia_smi_it_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert card_memory("0") == UNKNOWN


@pytest.mark.parametrize("kind", [str, str.encode])
def test_nvml_is_asked_where_it_is_installed(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("PATH", str(tmp_path))
    package = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda index: kind([FIRST, SECOND][index]),
        nvmlDeviceGetName=lambda index: kind(["Card A", "Card B"][index]),
        nvmlDeviceGetMemoryInfo=lambda index: SimpleNamespace(total=100 + index, free=50),
    )
    monkeypatch.setitem(sys.modules, "pynvml", package)
    assert card_memory("1", "Card B") == Memory(101, 50)
    assert card_memory(FIRST) == Memory(100, 50)
    del package.nvmlDeviceGetCount  # it is another package of this name
    assert card_memory("1") == UNKNOWN


def test_a_limit_of_the_process_is_kept():
    assert Memory(8e9, 7e9, 1e9).limited(4e9) == Memory(4e9, 3e9, 1e9)
    assert Memory(8e9, 1e9, 1e9).limited(4e9) == Memory(4e9, 1e9, 1e9)
    assert UNKNOWN.limited(4e9) == Memory(4e9, 4e9)
    assert UNKNOWN.limited(None) == UNKNOWN
    assert Memory(8e9, 7e9, 5e9).limited(4e9).free == 0


def test_it_is_told_as_far_as_it_is_known():
    assert Memory(8e9, 7.1e9).describe() == "7.1G free of 8.0G"
    assert Memory(None, 7.1e9).describe() == "7.1G free"
    assert UNKNOWN.describe() == "free memory unknown"
