"""Settings -> the command line that gives them."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from nst import ROOT
from nst.settings import Settings

# Role of an input picture -> the setting that names its files.
SETTING_OF = {
    "content": "content_image_filename",
    "style": "style_image_filename",
    "start": "init",
    "content_mask": "content_mask",
    "style_mask": "style_mask",
}
# Settings that concern one execution of the program: no other run takes them over.
OF_ONE_COMMAND = (
    *("dry_run", "overwrite", "exclude", "cluster", "device", "tensorboard", "output_dir"),
)
_OMITTED = {
    *OF_ONE_COMMAND,
    "output_name",
    "keep_state",
    "max_memory",
    "tile_size",
}  # memory does not change the picture


def command_line(settings: Settings, files: Mapping[str, Sequence[Path]]) -> str:
    """Return the shell command that makes the same picture, run in the folder of ``nst_main.py``.

    files: {role: paths} of the input pictures, which replace their names in ``settings``.
    """
    values = {"preset": settings.preset, **settings.changed()}
    for role, paths in files.items():
        if paths:
            values[SETTING_OF[role]] = [_path_text(path) for path in paths]
    if settings.model_path:
        values["model_path"] = _path_text(Path(settings.model_path))
    words = ["python", "nst_main.py"]
    for spec in fields(Settings):
        if spec.name in values and spec.name not in _OMITTED:
            words += [f"--{spec.name}", *option_words(values[spec.name])]
    return shlex.join(words)


def _path_text(path: Path) -> str:
    """A path relative to ROOT if it lies below, else absolute."""
    path = path.absolute()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def option_words(value: Any) -> list[str]:
    """The words that follow an option on the command line; none for a switch."""
    if value is True:
        return []
    if isinstance(value, list | tuple):
        if all(isinstance(item, int) for item in value):
            return ["x".join(map(str, value))]  # WIDTHxHEIGHT of image_size
        pairs = [item if isinstance(item, tuple) else (item,) for item in value]
        return [":".join(map(str, pair)) for pair in pairs]  # conv4_1:0.5 of layer weights
    return [str(value)]
