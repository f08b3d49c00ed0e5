"""Names of the files in a run folder, and of the gallery in the output folder."""

from pathlib import Path
from typing import Any

from nst.files import read_json_object
from nst.options import ANIMATIONS, OUTPUT_FORMATS

MARK = "Neural Style Transfer"  # in the metadata of every file that is written, to know it again
RESULT = "generated_image"  # .png, or another of OUTPUT_FORMATS
FRAMES = "frame_[0-9]*.png"
COSTS = "costs.csv"
STYLE_COSTS = "style_costs.csv"
PLOT = "costs.png"
REPORT = "report.html"
THUMBNAIL = "thumbnail.jpg"
ANIMATION = "animation"  # .gif or .mp4
MANIFEST = "run.json"
TENSORBOARD = "tensorboard"  # a folder
# Only in the folder of an unfinished run:
CHECKPOINT = "checkpoint"
CHECKPOINT_DAMAGED = f"{CHECKPOINT}.damaged"
CHECKPOINT_PAIRS = f"{CHECKPOINT}.pairs-*"

RESULTS = (
    FRAMES,
    *(f"{RESULT}.{kind}" for kind in OUTPUT_FORMATS),
    COSTS,
    STYLE_COSTS,
    PLOT,
    REPORT,
    THUMBNAIL,
    *(f"{ANIMATION}.{kind}" for kind in ANIMATIONS),
    MANIFEST,
)
# Temporary files (see nst.files.replacing) that a killed process leaves behind:
LEFTOVERS = tuple(f".{name}.*.part" for name in (*RESULTS, CHECKPOINT, CHECKPOINT_PAIRS))

FINISHED = "finished"  # ``status`` in the manifest
GALLERY = "index.html"  # in the output folder
OTHER_GALLERY = "gallery"  # .html, -2.html ...: where the page index.html is not of this program


def frame_name(iteration: int) -> str:
    """The file name of the frame saved after an iteration."""
    return f"frame_{iteration:05}.png"


def frames(folder: Path, last: int | None = None) -> dict[int, Path]:
    """{iteration: path} of the frames in a folder, ascending, up to iteration ``last`` if given."""
    paths = {}
    for path in folder.glob(FRAMES):
        number = path.stem.removeprefix("frame_")
        if number.isdecimal() and (last is None or int(number) <= last):
            paths[int(number)] = path
    return dict(sorted(paths.items()))


def read_manifest(folder: Path, name: str = MANIFEST) -> dict[str, Any]:
    """The manifest of a run folder; {} if it is missing or unreadable."""
    return read_json_object(folder / name)
