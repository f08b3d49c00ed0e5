"""The folder of one run: frames, cost log, manifest and the finished picture."""

import contextlib
import csv
import errno
import importlib.metadata
import io
import itertools
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nst import __version__, images
from nst.errors import OutputError
from nst.files import write_atomically
from nst.jobs import Job
from nst.weights import WeightsFile

try:  # not on Windows, where two runs in one folder are not kept apart and memory is not measured
    import fcntl
    import resource
except ImportError:
    fcntl = resource = None

RESULT = "generated_image.png"
COSTS = "costs.csv"
MANIFEST = "run.json"
OURS = ("frame_*.png", RESULT, COSTS, MANIFEST, ".*.part")
LONGEST_STEM = 100  # bytes; file systems allow 255 for the whole name
FINISHED = "finished"


class Costs(Protocol):
    """Costs of one image, as ``nst_utils.Costs``."""

    total: float
    content: float
    style: float
    tv: float


class Step(Protocol):
    """One iteration, as ``nst_utils.Step``."""

    iteration: int
    scale: int
    image: np.ndarray
    costs: Costs
    seconds: float


class RunFolder:
    """One run's folder below ``--output_dir``; raises OutputError whenever it cannot be written."""

    def __init__(self, job: Job, weights: WeightsFile) -> None:
        """Choose the folder and find out whether it holds this very run; make nothing yet."""
        self.job = job
        self.identity = _identity(job, weights)
        self._rows: list[list[Any]] = []
        self._facts: dict[str, Any] = {}
        self._lock: int | None = None
        self._choose()

    def _choose(self) -> None:
        """Set ``path``, ``unfinished`` and ``finished``.

        The folder is the one of the same pictures, settings and weights if there is one; with
        ``overwrite`` else one of the same pictures; else the first free name.
        """
        job = self.job
        base = Path(job.settings.output_dir) / f"{_stem(job.content.path)}__{_stem(job.style.path)}"
        candidates = (base.with_name(f"{base.name}-{n}") for n in itertools.count(2))
        same_pictures = None
        for path in itertools.chain([base], candidates):
            manifest = _manifest(path)
            if manifest.get("identity") == self.identity or not os.path.lexists(path):
                break
            if same_pictures is None and manifest.get("inputs") == _inputs(job):
                same_pictures, manifest_there = path, manifest
        if not manifest and same_pictures and job.settings.overwrite:
            path, manifest = same_pictures, manifest_there
        self.path = path
        self._is_new = not manifest
        finished = manifest.get("status") == FINISHED and (path / RESULT).exists()
        self.unfinished = bool(manifest) and not finished
        self.finished = finished and not job.settings.overwrite

    def begin(self, **facts: Any) -> None:
        """Make the folder, empty it of an earlier run's files, and write the manifest.

        facts: what is known of the run beyond its settings, for the manifest.
        """
        self._facts = {"started": _now(), **facts}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while self._is_new:
                try:
                    self.path.mkdir()
                    break
                except FileExistsError:  # another process took the name meanwhile
                    self._choose()
            self._keep_others_out()
            for pattern in OURS:
                for old in self.path.glob(pattern):
                    old.unlink()
        except OSError as error:
            raise _cannot_write(self.path, error) from None
        self._write_manifest("running")

    def record(self, step: Step) -> None:
        """Log the costs of a step; save the frame and the log every ``print_every`` iterations."""
        costs = step.costs
        row = [step.iteration, step.scale, f"{step.seconds:.3f}"]
        values = (costs.total, costs.content, costs.style, costs.tv)
        self._rows.append(row + [f"{value:.8g}" for value in values])
        if step.iteration and step.iteration % self.job.settings.print_every == 0:
            self.save_frame(step)

    def save_frame(self, step: Step) -> None:
        """Save the image of a step as ``frame_NNNNN.png`` and the costs so far."""
        self._write(f"frame_{step.iteration:05}.png", self._png(step))
        self._write_costs()

    def end(self, status: str, step: Step) -> None:
        """Close the run: ``finished`` saves the result, anything else the last frame."""
        if status == FINISHED:
            self._write(RESULT, self._png(step))
            self._write_costs()
        else:
            self.save_frame(step)
        self._facts |= {
            "ended": _now(),
            "iterations": step.iteration,
            "seconds": round(step.seconds, 3),
            "peak_memory_bytes": _peak_memory(),
            "final_costs": {
                "J": step.costs.total,
                "J_content": step.costs.content,
                "J_style": step.costs.style,
                "J_tv": step.costs.tv,
            },
        }
        self._write_manifest(status)

    @property
    def picture(self) -> Path:
        """Where the finished picture is."""
        return self.path / RESULT

    def result(self) -> np.ndarray:
        """Return the finished picture, (H, W, 3) uint8 sRGB."""
        return images.read(self.picture).rgb

    def _png(self, step: Step) -> bytes:
        provenance = {
            "Software": f"Neural Style Transfer {__version__}",
            "nst:iteration": str(step.iteration),
            "nst:identity": json.dumps(self.identity),
        }
        return images.png_bytes(step.image, self.job.content.alpha, provenance)

    def _write_costs(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        header = ["iteration", "scale", "seconds", "J", "J_content", "J_style", "J_tv"]
        writer.writerows([header, *self._rows])
        self._write(COSTS, text.getvalue().encode())

    def _write_manifest(self, status: str) -> None:
        job = self.job
        manifest = {
            "status": status,
            "identity": self.identity,
            "settings": asdict(job.settings),
            "inputs": _inputs(job),
            "files": {
                "content": str(job.content.path),
                "style": str(job.style.path),
                "start": str(job.start.path) if job.start else None,
            },
            "versions": _versions(),
            **self._facts,
        }
        self._write(MANIFEST, json.dumps(manifest, indent=2).encode())

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_atomically(self.path / name, data)
        except OSError as error:
            raise _cannot_write(self.path / name, error) from None

    def _keep_others_out(self) -> None:
        """Lock the folder for as long as this process lives or until ``close``."""
        if fcntl is None:
            return
        self._lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"{self.path}: another run is writing this folder; wait for it or change "
                "--output_dir"
            ) from None
        except OSError:
            pass  # a file system without locks

    def close(self) -> None:
        """Let other processes use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _stem(path: Path) -> str:
    stem = path.stem.encode("utf-8", "surrogateescape")[:LONGEST_STEM]
    return stem.decode("utf-8", "ignore") or "picture"


def _inputs(job: Job) -> dict[str, str | None]:
    return {
        "content_sha256": job.content.sha256,
        "style_sha256": job.style.sha256,
        "start_sha256": job.start.sha256 if job.start else None,
    }


def _identity(job: Job, weights: WeightsFile) -> dict[str, Any]:
    """What decides the picture: the same identity makes the same picture."""
    identity = {**job.settings.identity(), **_inputs(job), "weights_sha256": weights.sha256}
    if job.start:
        identity["init"] = "file"
    return json.loads(json.dumps(identity))  # as it comes back from the manifest


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest in a folder; empty if there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _cannot_write(path: Path, error: OSError) -> OutputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    mend = "free some space or change --output_dir" if full else "change --output_dir"
    return OutputError(f"{path}: {error.strerror}; {mend}")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _versions() -> dict[str, str]:
    versions = {"neural_style_transfer": __version__, "python": platform.python_version()}
    for package in ("tensorflow", "numpy", "scipy", "pillow"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _peak_memory() -> int | None:
    """Peak resident memory of this process in bytes, None where it is not measured."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
