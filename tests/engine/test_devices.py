"""The device that evaluates: cards that TensorFlow is made to see, and logical processors."""

import contextlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import tensorflow as tf

from helpers import QUICK, ROOT, interrupted, pixels
from nst.engine import devices, precision
from nst.engine.devices import CPU, Device, find_device, is_out_of_memory
from nst.engine.memory import Memory
from nst.errors import UsageError
from nst.runs.session import close_session
from nst.settings import Settings

MODELS = ["Card A", "Card B"]


class Cards:
    """Two GPUs that TensorFlow is made to see, none of which can compute."""

    def __init__(self, monkeypatch):
        self.all = [SimpleNamespace(name=f"/physical_device:GPU:{n}") for n in (0, 1)]
        self.visible, self.grown, self.started = self.all, [], False
        self.parts, self.peak = {}, 0
        monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        for owner, functions in (
            (
                tf.config,
                {
                    "list_physical_devices": lambda kind: self.all,
                    "get_visible_devices": lambda kind: self.visible,
                    "set_visible_devices": self.show,
                    "list_logical_devices": self.start,
                    "get_logical_device_configuration": lambda card: self.parts.get(card.name),
                },
            ),
            (
                tf.config.experimental,
                {
                    "set_memory_growth": self.grow,
                    "get_device_details": lambda card: {
                        "device_name": MODELS[self.all.index(card)]
                    },
                    "get_memory_info": lambda name: {"current": 0, "peak": self.peak},
                },
            ),
        ):
            for name, function in functions.items():
                monkeypatch.setattr(owner, name, function)
        monkeypatch.setattr(
            devices, "card_memory", lambda name, model: Memory(8e9 + int(name), 7e9)
        )

    def show(self, cards, kind):
        if self.started:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        self.visible = cards

    def grow(self, card, enabled):
        if self.started:
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        if enabled:
            self.grown.append(card)

    def start(self, kind):
        self.started = True


@pytest.fixture
def cards(monkeypatch):
    return Cards(monkeypatch)


@pytest.mark.parametrize(
    ("word", "alone", "name", "label", "visible"),
    [
        ("auto", False, "GPU:0", "GPU:0", [0, 1]),
        ("gpu", True, "GPU:0", "GPU:0", [0]),
        ("gpu:1", False, "GPU:1", "GPU:1", [0, 1]),
        ("gpu:1", True, "GPU:0", "GPU:1", [1]),
        ("cpu", False, "CPU:0", "CPU", [0, 1]),
        ("cpu", True, "CPU:0", "CPU", []),
    ],
)
def test_the_device_of_a_word(cards, word, alone, name, label, visible):
    device = find_device(word, alone)
    assert (device.name, device.label) == (name, label)
    assert cards.visible == [cards.all[number] for number in visible]
    if word == "cpu":
        assert device == CPU
        assert device.memory() is None
        assert not cards.started
    else:
        assert device.title == f"{label} (Card {'AB'[int(label[-1])]})"
        assert cards.grown == cards.all  # before it was started
        assert device.memory() == Memory(8e9 + int(label[-1]), 7e9)
        assert find_device(word) == device  # again, in a process that has started it


def test_what_this_process_holds_is_not_what_others_hold(cards):
    device = find_device("gpu")
    cards.peak = 3e9
    assert device.memory() == Memory(8e9, 7e9, held=3e9)


def test_a_part_of_a_card(cards):
    parts = [SimpleNamespace(memory_limit=2048), SimpleNamespace(memory_limit=4096)]
    cards.parts = {cards.all[0].name: parts}
    assert find_device("gpu").memory() == Memory(2**31, 2**31)
    assert find_device("gpu:1").name == "GPU:2"


def test_a_card_that_is_not_there_is_refused_with_those_that_are(cards):
    with pytest.raises(UsageError) as refusal:
        find_device("gpu:2")
    assert "cpu, gpu:0 Card A, gpu:1 Card B" in str(refusal.value)
    assert "--device" in str(refusal.value)


def test_a_card_that_the_process_has_hidden_is_refused(cards):
    find_device("gpu:0", alone=True)
    with pytest.raises(UsageError, match="device: gpu:1: this process has started"):
        find_device("gpu:1", alone=True)


def test_a_card_that_does_not_start_is_refused(cards, monkeypatch):
    def fails(kind):
        raise tf.errors.InternalError(None, None, "CUDA_ERROR_NO_DEVICE")

    monkeypatch.setattr(tf.config, "list_logical_devices", fails)
    with pytest.raises(UsageError, match=r"gpu does not start .* use --device cpu"):
        find_device("gpu")


@pytest.mark.parametrize("word", ["GPU", "gpu:", "gpu:-1", "gpu:01", "gpu:1000", "gpu:1.0", "", 0])
def test_words_that_are_no_device(word):
    with pytest.raises(UsageError, match="^device must be auto, cpu, gpu or gpu:N"):
        Settings(device=word)


def test_on_a_cluster_a_card_has_no_number():
    assert Settings(device="gpu", cluster="local").device == "gpu"
    with pytest.raises(UsageError, match="use --device gpu"):
        Settings(device="gpu:0", cluster="local")


@pytest.mark.parametrize("word", ["gpu", "gpu:3"])
def test_a_machine_without_a_card(nst, pair, tmp_path, word):
    refused = nst(*pair, *QUICK, "--device", word)
    assert refused.code == 2
    assert f"device: {word} is not there; TensorFlow sees cpu" in refused.err
    assert "Traceback" not in refused.err
    assert not (tmp_path / "output").exists()


def test_a_run_names_its_device_and_is_not_made_again_for_another(nst, pair, tmp_path):
    first = nst(*pair, *QUICK, "--device", "cpu")
    assert first.code == 0
    (line,) = (line for line in first.err.splitlines() if line.startswith("Device "))
    assert line.startswith("Device    CPU, ")
    assert "G free of " in line
    found = json.loads((tmp_path / "output/photo__painting/run.json").read_text())
    device = found["device"]
    assert (device["name"], device["model"]) == ("CPU", None)
    assert 0 < device["free_memory_bytes"] < device["memory_bytes"]
    assert found["evaluation"]["device"] == "CPU"
    assert "finished earlier" in nst(*pair, *QUICK).out


def test_memory_errors_are_known_by_their_words():
    for kind, text in (
        (tf.errors.ResourceExhaustedError, "OOM when allocating tensor"),
        (tf.errors.InternalError, "Failed to allocate: CUDA_ERROR_OUT_OF_MEMORY"),
        (tf.errors.UnknownError, "CUDNN_STATUS_ALLOC_FAILED"),
    ):
        assert is_out_of_memory(kind(None, None, text))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(tf.errors.InternalError(None, None, "shapes differ"))
    assert not is_out_of_memory(ValueError("out of memory"))


# Runs the command line on the second of two logical processors; prints where was computed.
ON_THE_SECOND = """
import sys
import tensorflow as tf
from tensorflow.python.eager import context
processor, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
import nst_main
from nst.engine import devices, precision, tile_graph, tile_graphs
devices.find_device = lambda *_, **__: devices.Device("CPU:1", "CPU:1")
seen = []
def noted(owner, name):
    whole = getattr(owner, name)
    def call(*arguments, **options):
        seen.append((name, context.context().device_name.rpartition("device:")[2]))
        return whole(*arguments, **options)
    setattr(owner, name, call)
noted(precision, "choose")
noted(tile_graph.TileGraph, "__init__")
noted(tile_graph.TileGraph, "style_targets")
noted(tile_graphs.TileGraphs, "run")
code = nst_main.main(sys.argv[1:])
print(*sorted(set(seen)), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.program
def test_all_of_a_run_is_computed_on_the_device(pair, tmp_path, made_once):
    options = (*QUICK, "--tile_size", 16)
    done = subprocess.run(
        [sys.executable, "-c", ON_THE_SECOND, *map(str, (*pair, *options))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen = done.stderr.splitlines()[-1]
    assert seen.count("CPU:1") == 4, seen  # of four functions
    assert "CPU:0" not in seen
    name = "photo__painting/generated_image.png"
    ours, theirs = tmp_path / "output" / name, made_once(*options) / "output" / name
    assert (pixels(ours) == pixels(theirs)).all()


@contextlib.contextmanager
def card(monkeypatch, memory, model="Made up"):
    """Let the command line find a GPU with this memory, which computes as the processor does."""
    device = Device("CPU:0", "GPU:0", model, lambda: memory)
    close_session()  # which may hold another card of this name
    with monkeypatch.context() as patch:
        patch.setattr(devices, "find_device", lambda *_, **__: device)
        yield


def test_the_plan_is_made_for_the_card(nst, monkeypatch):
    command = ("--image_size", "8000x6000", "--alpha", 0, "--precision", "float32", "--dry_run")
    monkeypatch.setattr("nst.engine.budget.free_memory", lambda: 256 * 10**9)
    on_host = nst(*command)
    assert "Plan      the whole picture at once" in on_host.err
    with card(monkeypatch, Memory(8e9, 7.5e9)):
        tiled = nst(*command)
        small = nst(*command, "--max_memory", "600M")
    assert tiled.code == 0, tiled.err
    assert "Device    GPU:0 (Made up), 7.5G free of 8.0G" in tiled.err
    assert " tiles, the first with a halo of " in tiled.err
    assert "on the GPU, and " in tiled.err
    assert small.code == 6
    assert "of memory on the GPU, the budget is 0.6G" in small.err
    assert "--device cpu" in small.err
    with card(monkeypatch, Memory(80e9, 79e9)):
        monkeypatch.setattr("nst.engine.budget.free_memory", lambda: 2 * 10**9)
        refused = nst(*command)
    assert refused.code == 6
    assert "of the host's memory beside the GPU" in refused.err


def test_a_run_on_a_card_tells_both_memories_and_goes_on_elsewhere(
    nst, pair, tmp_path, monkeypatch
):
    with card(monkeypatch, Memory(8e9, None)):
        stopped = interrupted(nst, monkeypatch, 2, *pair, *QUICK)
    assert "Device    GPU:0 (Made up), free memory unknown" in stopped.err
    path = tmp_path / "output/photo__painting/run.json"
    found = json.loads(path.read_text())
    assert found["device"]["memory_bytes"] == 8e9
    assert found["device"]["free_memory_bytes"] is None
    assert found["foretold_host_memory_bytes"] > 0
    assert found["evaluation"]["device"] == "Made up"
    again = nst(*pair, *QUICK)
    assert again.code == 0
    assert "on another device than before: the picture may differ a little" in again.err
    assert json.loads(path.read_text())["evaluation"]["device"] == "CPU"
    with card(monkeypatch, Memory(8e9, 7e9)):
        made_again = nst("--from_run", path, "--output_dir", "again")
    assert made_again.code == 0
    assert "It was made on another device (CPU)" in made_again.err


def test_a_card_that_is_full_is_told(nst, pair, monkeypatch):
    def full(name, measure):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM", {})

    monkeypatch.setattr(precision, "choose", full)
    with card(monkeypatch, Memory(8e9, 1e6)):
        refused = nst(*pair, *QUICK)
    assert refused.code == 6
    assert "GPU:0 (Made up): has no memory left; free some, or give another --device" in refused.err
