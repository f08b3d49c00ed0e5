"""Make a picture again: the command of a run, and the settings that its ``run.json`` holds."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nst.errors import PictureError, UsageError
from nst.files import file_hash
from nst.settings import OUTPUT, Settings

# The setting that names the files of each role.
SETTING_OF = {
    "content": "content_image_filename",
    "style": "style_image_filename",
    "start": "init",
    "content_mask": "content_mask",
    "style_mask": "style_mask",
}
# Settings that have no meaning for another run, or are the other run's own.
_OF_ONE_COMMAND = ("dry_run", "overwrite", "cluster", "tensorboard")
_UNSEEN = {*_OF_ONE_COMMAND, "output_dir", "max_memory", "tile_size"}


def command(settings: Settings, files: dict[str, Sequence[Path]]) -> str:
    """The command line that makes a picture, in the folder of ``nst_main.py``, for a shell.

    files: the pictures by role; they are named by their whole paths.
    """
    named = {SETTING_OF[role]: list(map(_whole_path, paths)) for role, paths in files.items()}
    values = {"preset": settings.preset, **settings.changed()}
    values |= {name: paths for name, paths in named.items() if paths}
    if settings.model_path:
        values["model_path"] = _whole_path(Path(settings.model_path))
    words = ["python", "nst_main.py"]
    for spec in fields(Settings):
        if spec.name in values and spec.name not in _UNSEEN:
            words += [f"--{spec.name}", *_words(values[spec.name])]
    return shlex.join(words)


def _whole_path(path: Path) -> str:
    """An absolute path, but for what lies in this program's own folder."""
    path, root = path.absolute(), Path(__file__).resolve().parent.parent
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _words(value: Any) -> list[str]:
    """A setting as the command line takes it."""
    if value is True:
        return []
    if isinstance(value, list | tuple):
        if all(isinstance(item, int) for item in value):
            return ["x".join(map(str, value))]  # an image size
        pairs = [item if isinstance(item, tuple) else (item,) for item in value]
        return [":".join(map(str, pair)) for pair in pairs]
    return [str(value)]


@dataclass(frozen=True)
class Earlier:
    """A run that is to be made again.

    path: of its manifest. settings: by name, to be given to Settings. hashes: {setting: (file,
    SHA-256) of its pictures}. weights: SHA-256. evaluation: number type and tiles, see
    ``nst.runs.foresee``. versions: what it was made with.
    """

    path: Path
    settings: dict[str, Any]
    hashes: dict[str, list[tuple[Path, str]]]
    weights: str
    evaluation: dict[str, Any] | None
    versions: dict[str, str]

    def check(self, given: Iterable[str]) -> None:
        """Raise PictureError unless its pictures are what they were.

        given: the settings that the user gave, whose files are not looked at.
        """
        for setting in set(self.hashes) - set(given):
            for path, sha256 in self.hashes[setting]:
                try:
                    same = file_hash(path) == sha256
                except OSError as error:
                    raise PictureError(
                        f"{path}: {error.strerror}; {self.path} was made with it: put it back, or "
                        f"say where it is with --{setting}"
                    ) from None
                if not same:
                    raise PictureError(
                        f"{path}: is not the file that {self.path} was made with (its SHA-256 "
                        f"differs); put that back, or give another with --{setting}"
                    )

    def unchanged(self, given: Iterable[str]) -> bool:
        """Whether with the settings ``given`` beside its own the picture is to be the same."""
        groups = {spec.name: spec.metadata["group"] for spec in fields(Settings)}
        return all(groups[name] == OUTPUT or name in _OF_ONE_COMMAND for name in given)


def read(name: str) -> Earlier:
    """Read the ``run.json`` of a run, given by its name or that of its folder.

    Raises UsageError for anything else.
    """
    from nst import images, manifest  # late, as they import NumPy

    path = Path(name)
    path = path / manifest.NAME if path.is_dir() else path
    if not path.exists():
        raise UsageError(f"from_run: {path}: no such file; give the {manifest.NAME} of a run")
    try:
        found = manifest.read(path.parent, path.name)
        settings = {
            setting: value
            for setting, value in found["settings"].items()
            if setting not in _OF_ONE_COMMAND
        }
        hashes: dict[str, list[tuple[Path, str]]] = {}
        for role, setting in SETTING_OF.items():
            files = [(Path(file["path"]), str(file["sha256"])) for file in found["files"][role]]
            hashes[setting] = [
                (p if p.exists() else images.shipped(p.name) or p, sha256) for p, sha256 in files
            ]
            if files:
                names = [str(p) for p, _ in hashes[setting]]
                settings[setting] = names[0] if setting == "init" else names
        if settings["model_path"] and not Path(settings["model_path"]).exists():
            settings["model_path"] = None  # the weights are known by their hash
        weights = str(found["identity"]["weights_sha256"])
        return Earlier(
            path, settings, hashes, weights, found.get("evaluation"), dict(found["versions"])
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(
            f"from_run: {path}: is not the {manifest.NAME} of a run; give one out of a run folder"
        ) from None
