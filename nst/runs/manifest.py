"""``run.json``: what a run was made from and with, and how to know it again."""

import contextlib
import functools
import importlib.metadata
import json
import platform
import sys
import time
from dataclasses import asdict
from typing import Any

from nst import __version__
from nst.runs.job import Job
from nst.vgg.weights import WeightsFile

try:  # not on Windows, where memory is not measured
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

PACKAGES = ("tensorflow", "numpy", "scipy", "pillow")


def inputs(job: Job) -> dict[str, list[str]]:
    """The SHA-256 of every picture, by role."""
    return {
        role: [picture.sha256 for picture in pictures] for role, pictures in job.pictures.items()
    }


def identity(job: Job, weights: WeightsFile) -> dict[str, Any]:
    """What decides the picture, on one machine and with the same versions."""
    values = job.settings.identity()
    values |= {f"{role}_sha256": hashes for role, hashes in inputs(job).items()}
    values["weights_sha256"] = weights.sha256
    if job.start:
        values["init"] = "file"
    return json.loads(json.dumps(values))  # as it comes back from the manifest


def describe(
    job: Job, run_identity: dict[str, Any], status: str, facts: dict[str, Any]
) -> dict[str, Any]:
    """The manifest of a run. facts: entries that do not follow from the job."""
    return {
        "status": status,
        "identity": run_identity,
        "settings": asdict(job.settings),
        "changed_from_preset": job.settings.changed(),
        "inputs": inputs(job),
        "files": {
            role: [
                {
                    "path": str(p.path.absolute()),
                    "size": p.file_size,
                    "sha256": p.sha256,
                    "notes": list(p.notes),
                }
                for p in pictures
            ]
            for role, pictures in job.pictures.items()
        },
        "versions": versions(),
        **facts,
    }


def now() -> str:
    """The time, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of this program, of Python and of the packages that decide the picture."""
    numbers = {"neural_style_transfer": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            numbers[package] = importlib.metadata.version(package)
    return numbers


def peak_memory() -> int | None:
    """Peak resident memory of this process in bytes, None where it is not measured."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
