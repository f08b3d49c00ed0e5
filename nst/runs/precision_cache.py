"""Remember the trial of number types, for each machine, in the user's cache folder.

Any doubt about what is there, and any failure to write, only means that the trial is made again.
"""

import contextlib
import hashlib
import json
import math
import os
import platform
import sys
from pathlib import Path
from typing import Any, TypeGuard

import tensorflow as tf

from nst.engine import precision
from nst.files import read_json_object, write_atomically
from nst.runs.manifest import versions

# Of /proc/cpuinfo: what tells one model from another, on x86 and on ARM.
PROCESSOR = (
    *("vendor_id", "cpu family", "model", "model name", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
)
# Of the environment: what changes how TensorFlow and oneDNN compute.
VARIABLES = (
    *("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE"),
    *("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"),
)


def rates(*dtypes: tf.DType) -> list[float]:
    """``precision.rates`` of this machine, measured on the first call with the same ``dtypes``."""
    names = [dtype.name for dtype in dtypes]
    path, key = None, {**_key(), "dtypes": names}
    if folder := cache_folder():
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        path = folder / f"precision-{digest[:16]}.json"
        known = read_json_object(path)
        remembered = known.get("rates")
        if known.get("key") == key and _are_rates(remembered, len(names)):
            return remembered
    values = precision.rates(*dtypes)
    if path:
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"rates": values, "key": key}, indent=2).encode())
    return values


def cache_folder() -> Path | None:
    """This program's folder in the user's cache folder, which need not exist; None without one."""
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA", "")
    else:
        parent = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(parent):  # the XDG specification ignores others
        home = os.environ.get("HOME", os.path.expanduser("~"))  # "" would expand to the root
        parent = os.path.join(home, ".cache")
    return Path(parent, "nst") if os.path.isabs(parent) else None  # there is no home


def _are_rates(values: Any, count: int) -> TypeGuard[list[float]]:
    """Whether a value of a file is a list of rates that were measured."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) is float and math.isfinite(value) and value > 0 for value in values)
    )


def _key() -> dict[str, Any]:
    """What the rates depend on, as JSON gives it back."""
    devices = tf.config.get_visible_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return {
        "processor": _processor(),
        "threads": [_processors(), tf.config.threading.get_intra_op_parallelism_threads()],
        "gpus": [str(detail.get("device_name")) for detail in details],
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "versions": versions(),
    }


def _processor() -> list[str]:
    """Lines that tell the model of the processor and what it can do."""
    lines = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        first = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n")[0]
        fields = (line.partition(":") for line in first.splitlines())
        lines += [f"{n.strip()}: {v.strip()}" for n, _, v in fields if n.strip() in PROCESSOR]
    return lines


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
