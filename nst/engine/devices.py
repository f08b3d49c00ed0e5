"""The device that evaluates: the processor, or a GPU that TensorFlow sees, and its memory.

TensorFlow is imported where it is needed: a plan can be made without it.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nst.engine.memory import UNKNOWN, Memory, card_memory, cuda_name
from nst.errors import UsageError

# Parts of TensorFlow's messages where memory runs out below it, and the class of the error does not
# say so: in C++, in oneDNN (whose status 1 it is), CUDA and cuDNN.
EXHAUSTED = (
    "bad_alloc",
    "Status: 1, message",
    "out of memory",
    "OUT_OF_MEMORY",
    "STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True)
class Device:
    """A device of TensorFlow.

    name: of TensorFlow's logical device, such as ``GPU:0``. label: for the user. model: as its
    maker calls it, empty for the processor. read_memory: reads the memory of a card; None for a
    device whose memory is the host's.
    """

    name: str = "CPU:0"
    label: str = "CPU"
    model: str = ""
    read_memory: Callable[[], Memory] | None = field(default=None, compare=False)

    @property
    def device_name(self) -> str:
        """The kind of device: another one may have other rates, and differ by rounding."""
        return self.model or self.name.partition(":")[0]

    @property
    def title(self) -> str:
        """Label and model, for the user."""
        return f"{self.label} ({self.model})" if self.model else self.label

    def memory(self) -> Memory | None:
        """Memory of the card as it is now; None for a device whose memory is the host's."""
        return self.read_memory() if self.read_memory else None

    def placed(self) -> contextlib.AbstractContextManager[None]:
        """A context in which TensorFlow computes on the device; of one thread."""
        import tensorflow as tf

        return tf.device(f"/device:{self.name}")


CPU = Device()


def find_device(word: str, alone: bool = False) -> Device:
    """Return the device of a word of ``--device``: auto, cpu, gpu or gpu:N; auto prefers a GPU.

    alone: hide the other GPUs from TensorFlow, which else takes some memory of each. That is for
    the whole process, so the command line does it, and a program decides for itself.
    Raises UsageError for a device that is not there, or that does not start, and TensorFlowError
    without eager execution.
    """
    import tensorflow as tf

    from nst.engine.eager import check_eager

    check_eager()
    # So that CUDA numbers the cards as nvidia-smi does, and as users know them.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    cards = tf.config.list_physical_devices("GPU")
    if word == "cpu" or (word == "auto" and not cards):
        if alone and cards:
            _show(tf, [])
        return CPU
    number = int(word.partition(":")[2] or 0)
    if number >= len(cards):
        raise _missing(word, tf, cards)
    card = cards[number]
    if alone:
        _show(tf, [card])
    for other in cards:
        # Of a card in use, or cut into logical devices, it cannot be changed any more.
        with contextlib.suppress(RuntimeError, ValueError):
            tf.config.experimental.set_memory_growth(other, True)
    logical, limit = _logical_device(word, tf, card)
    model = _model(tf, card)
    try:
        tf.config.list_logical_devices("GPU")  # starts it
    except (RuntimeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"device: {word} does not start ({reason}); use --device cpu, or free its memory"
        ) from None
    name = f"GPU:{logical}"
    read = partial(_read_memory, name, number, model, limit)
    return Device(name, f"GPU:{number}", model, read)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    import tensorflow as tf

    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return True
    return isinstance(error, tf.errors.OpError) and any(part in str(error) for part in EXHAUSTED)


def _show(tf: Any, cards: list[Any]) -> None:
    """Let TensorFlow start these cards alone, unless it has started."""
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices(cards, "GPU")


def _missing(word: str, tf: Any, cards: list[Any]) -> UsageError:
    """The refusal of a device that is not there, with what is there."""
    there = ["cpu"]
    there += [f"gpu:{number} {_model(tf, card)}".rstrip() for number, card in enumerate(cards)]
    advice = "" if cards else ' (a GPU needs pip install "tensorflow[and-cuda]" and its driver)'
    return UsageError(
        f"device: {word} is not there; TensorFlow sees {', '.join(there)}{advice}; give one of "
        "these to --device"
    )


def _model(tf: Any, card: Any) -> str:
    """The name that its maker gave a card, empty where TensorFlow does not know it."""
    with contextlib.suppress(RuntimeError, ValueError):
        return str(tf.config.experimental.get_device_details(card).get("device_name", ""))
    return ""


def _logical_device(word: str, tf: Any, card: Any) -> tuple[int, float | None]:
    """Number of the first logical device of a card, and its limit in bytes, None without one."""
    number = 0
    for other in tf.config.get_visible_devices("GPU"):
        parts = tf.config.get_logical_device_configuration(other) or [None]
        if other == card:
            limit = getattr(parts[0], "memory_limit", None)  # in mebibytes
            return number, None if limit is None else 2.0**20 * limit
        number += len(parts)
    raise UsageError(
        f"device: {word}: this process has started TensorFlow without it; drop --device, or use "
        "another process"
    )


def _read_memory(name: str, number: int, model: str, limit: float | None) -> Memory:
    """Memory of a card: what the driver tells of all processes, and TensorFlow of this one.

    number: of the card among those that this process sees. limit: of the logical device.
    """
    import tensorflow as tf

    try:
        # TensorFlow keeps what it has taken from the driver: at least the peak of what it used.
        held = float(tf.config.experimental.get_memory_info(name)["peak"])
    except (ValueError, RuntimeError, LookupError):
        held = 0.0
    told = card_memory(cuda_name(number), model)
    if told == UNKNOWN and limit is None:
        limit = _limit_at_start(name)
    return Memory(told.total, told.free, held).limited(limit)


def _limit_at_start(name: str) -> float | None:
    """Bytes that TensorFlow found free on a device when it started it; None if it does not say."""
    try:
        from tensorflow.python.client import device_lib

        for device in device_lib.list_local_devices():
            if device.name.endswith(f":{name}"):
                return float(device.memory_limit) or None
    # It is no public part of TensorFlow, and may be gone in another version.
    except Exception:
        return None
    return None
