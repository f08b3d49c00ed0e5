"""``run.json``: what a run was made from and with, and how to know it again."""

import contextlib
import functools
import importlib.metadata
import json
import platform
import stat
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nst import __version__
from nst.jobs import Job
from nst.weights import WeightsFile

try:  # not on Windows, where memory is not measured
    import resource
except ImportError:
    resource = None

NAME = "run.json"
LARGEST = 1_000_000  # bytes


def inputs(job: Job) -> dict[str, list[str]]:
    """The SHA-256 of every picture, by role."""
    return {role: [picture.sha256 for picture in found] for role, found in job.pictures.items()}


def identity(job: Job, weights: WeightsFile) -> dict[str, Any]:
    """What decides the picture, on one machine and with the same versions."""
    of_inputs = {f"{role}_sha256": hashes for role, hashes in inputs(job).items()}
    found = {**job.settings.identity(), **of_inputs, "weights_sha256": weights.sha256}
    if job.start:
        found["init"] = "file"
    return json.loads(json.dumps(found))  # as it comes back from the manifest


def read(folder: Path, name: str = NAME) -> dict[str, Any]:
    """The manifest in a folder; empty if there is none that can be read."""
    try:
        about = (folder / name).stat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
            return {}
        manifest = json.loads((folder / name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def describe(
    job: Job, of_run: dict[str, Any], status: str, facts: dict[str, Any]
) -> dict[str, Any]:
    """The manifest of a run. of_run: its ``identity``. facts: what is known beyond the settings."""
    return {
        "status": status,
        "identity": of_run,
        "settings": asdict(job.settings),
        "changed_from_preset": job.settings.changed(),
        "inputs": inputs(job),
        "files": {
            role: [
                {"path": str(p.path.absolute()), "size": p.file_size, "sha256": p.sha256}
                for p in found
            ]
            for role, found in job.pictures.items()
        },
        "versions": versions(),
        **facts,
    }


def now() -> str:
    """The time, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


@functools.cache
def versions() -> dict[str, str]:
    """Of this program and what it stands on."""
    found = {"neural_style_transfer": __version__, "python": platform.python_version()}
    for package in ("tensorflow", "keras", "numpy", "scipy", "pillow", "h5py", "onnx"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def peak_memory() -> int | None:
    """Peak resident memory of this process in bytes, None where it is not measured."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
