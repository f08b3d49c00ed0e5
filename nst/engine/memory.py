"""What is known of memory: the host's, and that of a card, as its driver tells it."""

import contextlib
import importlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from nst.text import memory_text

MEBIBYTE = 2**20  # the unit of nvidia-smi and of TensorFlow's limits
ANSWER_SECONDS = 20  # of a driver that is waking up
QUERY = "index,uuid,name,memory.total,memory.free"


@dataclass(frozen=True)
class Memory:
    """Memory of the host or of a card, in bytes; None where it is not known.

    total: all there is. free: what this process may still take. held: what it took already, and
    can use again. The rest is what others hold.
    """

    total: float | None
    free: float | None
    held: float = 0.0

    def describe(self) -> str:
        """``7.1G free of 8.0G``, or what of it is known."""
        if self.free is None:
            return "free memory unknown"
        free = f"{memory_text(self.free)} free"
        return free if self.total is None else f"{free} of {memory_text(self.total)}"

    def limited(self, limit: float | None) -> "Memory":
        """The same if this process may hold no more than ``limit`` bytes."""
        if limit is None:
            return self
        total = limit if self.total is None else min(self.total, limit)
        left = max(0.0, limit - self.held)
        return Memory(total, left if self.free is None else min(self.free, left), self.held)


UNKNOWN = Memory(None, None)


def cuda_name(number: int, environment: Mapping[str, str] = os.environ) -> str:
    """What CUDA_VISIBLE_DEVICES calls the card that a process sees as ``number``: index or UUID.

    Without it the cards are numbered as nvidia-smi does, given CUDA_DEVICE_ORDER=PCI_BUS_ID.
    Empty for a card that it hides.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return str(number)
    names = [name.strip() for name in visible.split(",")]
    return names[number] if number < len(names) else ""


def card_memory(cuda_name: str, model: str = "") -> Memory:
    """Memory of an NVIDIA card of all processes, UNKNOWN where the driver does not tell.

    cuda_name: as of ``cuda_name``. model: as TensorFlow names it, to be sure that it is the same
    card; cards may be numbered otherwise there.
    """
    for tell in (_nvml_rows, _nvidia_smi_rows):
        for index, uuid, name, total, free in tell():
            if cuda_name == index or (cuda_name[:4] == "GPU-" and uuid.startswith(cuda_name)):
                return Memory(total, free) if model in ("", name) else UNKNOWN
    return UNKNOWN


Row = tuple[str, str, str, float, float]  # index, UUID, name, total and free memory in bytes


def _nvidia_smi_rows() -> list[Row]:
    """What nvidia-smi tells of the cards; none where it is missing, or does not work."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    rows: list[Row] = []
    for line in told.stdout.splitlines():
        with contextlib.suppress(ValueError):  # "[N/A]" of a card without memory of its own
            index, uuid, name, total, free = (part.strip() for part in line.split(","))
            rows.append((index, uuid, name, MEBIBYTE * float(total), MEBIBYTE * float(free)))
    return rows


def _nvml_rows() -> list[Row]:
    """Likewise of NVML, where the package pynvml is installed: there need be no nvidia-smi."""
    rows: list[Row] = []
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            rows.append((str(index), _text(uuid), _text(name), memory.total, memory.free))
    # Its errors are its own, and a package of this name may be anything.
    except Exception:
        return []
    return rows


def _text(value: str | bytes) -> str:
    """Text of NVML, which is bytes in its earlier versions."""
    return value.decode() if isinstance(value, bytes) else value
