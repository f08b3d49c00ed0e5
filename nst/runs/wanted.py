"""What a finished run is asked for later, made of what is there: nothing is painted.

Another kind of file, the photo's metadata, an animation, a copy in the output folder, the log of
TensorBoard.
"""

import contextlib
import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst import __version__, layout
from nst.engine.step import COSTS, Costs, Position, Step
from nst.errors import OutputError
from nst.files import output_error
from nst.pages import run_files
from nst.pictures.write import check_side
from nst.runs.flat_copy import FlatCopy, put, wanted_kind, wanted_name
from nst.runs.job import Job
from nst.runs.results import convert, find_source, recorded_results, whole_results
from nst.runs.tensorboard import TensorBoardLog
from nst.text import memory_text, picture_title

Write = Callable[[str, bytes], None]


def provenance(job: Job, about: dict[str, Any]) -> dict[str, str]:
    """What the file of a picture tells of its run, and nothing of this machine.

    about: entries of the manifest: identity, iterations, network, precision.
    """
    versions, network = about.get("versions", {}), about["network"]
    version = versions.get("neural_style_transfer", __version__)
    return {
        "Software": f"{layout.MARK} {version}",
        "Description": picture_title(*job.names),
        "nst:iteration": str(about["iterations"]),
        "nst:identity": json.dumps(about["identity"]),
        "nst:network": f"{network['name']}, SHA-256 {network['sha256']}",
        "nst:precision": about["precision"],
    }


def add_wanted(path: Path, job: Job, found: dict[str, Any], write: Write) -> list[str]:
    """Make what is missing of a finished run; return lines for the user about it.

    path, found: the folder and its manifest. write: writes a file of the folder. Raises OutputError
    and UsageError.
    """
    about, settings = dict(found), job.settings
    lines = _add_result(path, job, about, write)
    picture = path / f"{layout.RESULT}.{settings.output_format}"
    if add_animation(path, picture, settings.animation, about["settings"]["epochs"], write):
        lines.append(f"{path}: its animation is made of the frames that are there.")
    if settings.tensorboard and not (path / layout.TENSORBOARD).exists():
        _log_for_tensorboard(path, about)
        lines.append(f"{path}: its log for TensorBoard is made of its files.")
    if name := wanted_name(job):
        lines += _add_copy(path, job, about, name)
    if about != found:
        write(layout.MANIFEST, json.dumps(about, indent=2).encode())
    every = about["settings"]["print_every"]
    if every != settings.print_every:
        lines.append(f"{path}: its frames stay those of --print_every {every}.")
    if settings.keep_state and not (path / layout.CHECKPOINT).exists():
        lines.append(f"{path}: its state was not kept, and --overwrite would paint it again.")
    return lines


def _add_result(path: Path, job: Job, about: dict[str, Any], write: Write) -> list[str]:
    """Make the kind of picture that is asked for, with or without the photo's metadata."""
    kind, keep = job.settings.output_format, job.settings.keep_metadata
    results, whole = recorded_results(about), whole_results(path, about)
    if kind in whole and results[kind]["keep_metadata"] == keep:
        return []
    name = f"{layout.RESULT}.{kind}"
    source = find_source(path, about)
    if source is None:  # the right kind, in a JPEG that would lose by being compressed again
        has = "has the photo's" if results[kind]["keep_metadata"] else "has no"
        return [f"{path / name}: {has} metadata; --overwrite paints it again."]
    check_side(kind, (about["size"]["height"], about["size"]["width"]))
    data = convert(source, kind, provenance(job, about), job.metadata)
    write(name, data)
    sha256 = hashlib.sha256(data).hexdigest()
    about["results"] = {**results, kind: {"sha256": sha256, "keep_metadata": keep}}
    if kind == about["settings"]["output_format"]:
        about["result_sha256"] = sha256
    line = f"{path / name}: made of {source.path.name}, without painting"
    if kind == "tif" and source.kind != "tif":
        line += "; it has the 8 bits of that (--overwrite paints it again, with 16)"
    return [f"{line}."]


def add_animation(path: Path, picture: Path, kind: str, epochs: int, write: Write | None) -> bool:
    """Make the animation of a run if it is wanted and missing; True if it was made.

    write: adds its link to a report that is there.
    """
    target = path / f"{layout.ANIMATION}.{kind}"
    if kind == "none" or target.exists():
        return False
    try:
        run_files.write_animation(path, picture, epochs, target)
    except OSError as error:
        raise output_error(target, error) from None
    if write:
        with contextlib.suppress(FileNotFoundError):  # a report that is gone is not missed
            report = (path / layout.REPORT).read_bytes()
            write(layout.REPORT, run_files.add_link(report, target.name))
    return True


def _add_copy(path: Path, job: Job, about: dict[str, Any], name: str) -> list[str]:
    """Put the picture in the output folder, unless it is there."""
    kind, before = wanted_kind(job), FlatCopy.recorded(about)
    if kind == job.settings.output_format:
        data = (path / f"{layout.RESULT}.{kind}").read_bytes()
    elif source := find_source(path, about):
        data = convert(source, kind or "", provenance(job, about), job.metadata)
    else:
        raise OutputError(
            f"{path}: is finished as a JPEG alone; give --output_name a name with .jpg, or paint "
            "it again with --overwrite"
        )
    copy = put(Path(job.settings.output_dir), name, data, before)
    about["output_file"] = copy.to_json()
    return [copy_line(job, copy)] if copy != before else []


def copy_line(job: Job, copy: FlatCopy) -> str:
    """Where the copy of a picture is."""
    taken = "" if copy.file == copy.name else f" ({copy.name} is taken)"
    return f"{Path(job.settings.output_dir) / copy.file}: the finished picture{taken}."


def state_line(path: Path, size: int) -> str:
    """What a state that was kept takes."""
    return (
        f"{path}: its state is kept, {memory_text(size)}: more --epochs go on from its end; delete "
        f"{layout.CHECKPOINT}* there when it is not wanted."
    )


def _log_for_tensorboard(path: Path, about: dict[str, Any]) -> None:
    """Write the event file of a finished run from its costs and frames."""
    costs, layers = _rows(path / layout.COSTS), _rows(path / layout.STYLE_COSTS)
    names = list(layers[0])[1:] if layers else []
    frames, last = layout.frames(path), about["iterations"]
    log = TensorBoardLog(path / layout.TENSORBOARD, names)
    for number, row in enumerate(costs):
        iteration = int(row["iteration"])
        of_layers = tuple(float(layers[number][name]) for name in names)
        numbers = (float(row[name]) for name in COSTS)
        position = Position(
            iteration,
            int(row["scale"]),
            float(row["seconds"]),
            Costs.of_numbers((*numbers, *of_layers)),
            None,
        )
        picture = None
        if iteration in frames:
            with Image.open(frames[iteration]) as image:
                picture = np.asarray(image.convert("RGB"), np.float32)
        log.add(Step(position, last, len(about["scales"]), picture), picture is not None)
    log.close()


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none if it is not there."""
    with contextlib.suppress(OSError), open(path, newline="") as file:
        return list(csv.DictReader(file))
    return []
