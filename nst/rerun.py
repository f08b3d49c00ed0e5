"""Make a picture again: the command of a run, and the settings that its ``run.json`` holds."""

import shlex
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nst import networks
from nst.errors import PictureError, UsageError
from nst.files import file_hash
from nst.parsers import PIXELS, Choice, Number, Optional, switch
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
_OF_ONE_COMMAND = ("dry_run", "overwrite", "cluster", "tensorboard", "output_dir")
_UNSEEN = {*_OF_ONE_COMMAND, "max_memory", "tile_size"}


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

    path: of its manifest. recorded: its settings by name, as Settings takes them. hashes:
    {setting: (file, SHA-256) of its pictures}. weights: SHA-256. evaluation: number type and tiles,
    see ``nst.runs.foresee``. versions: what it was made with.
    """

    path: Path
    recorded: dict[str, Any]
    hashes: dict[str, list[tuple[Path, str]]]
    weights: str
    evaluation: dict[str, Any] | None
    versions: Any

    def settings(self, given: dict[str, Any]) -> Settings:
        """Its settings, but for those that are ``given`` beside it; raises UsageError."""
        if "preset" in given:
            raise UsageError("preset: --from_run has settings of its own; leave out one of them")
        kept = {name: self.recorded[name] for name in self.recorded if name not in _idle(given)}
        return Settings(**{**kept, **given})

    def check(self, given: dict[str, Any]) -> None:
        """Raise PictureError unless its pictures are what they were.

        given: the settings that the user gave, whose files are not looked at.
        """
        from nst import images  # late, as it imports NumPy

        for setting in set(self.hashes) - set(given) - _idle(given):
            for path, sha256 in self.hashes[setting]:
                if file_hash(images.find(str(path), setting)) != sha256:
                    raise PictureError(
                        f"{path}: is not the file that {self.path} was made with (its SHA-256 "
                        f"differs); put that back, or give another with --{setting}"
                    )

    def unchanged(self, given: Iterable[str]) -> bool:
        """Whether with the settings ``given`` beside its own the picture is to be the same."""
        groups = {spec.name: spec.metadata["group"] for spec in fields(Settings)}
        return all(groups[name] == OUTPUT or name in _OF_ONE_COMMAND for name in given)


def _idle(given: dict[str, Any]) -> set[str]:
    """Settings of the earlier run that have no meaning with those that are given."""
    is_texture = isinstance(given.get("image_size"), tuple)  # without a content to start from
    return {"content_image_filename", "init"} if is_texture else set()


def read(name: str) -> Earlier:
    """Read the ``run.json`` of a run, given by its name or that of its folder.

    Raises UsageError for anything else.
    """
    from nst import images, manifest  # late, as they import NumPy

    path = Path(name)
    try:
        path = path / manifest.NAME if stat.S_ISDIR(path.stat().st_mode) else path
        path.stat()  # raises for what is not there
        found = manifest.read(path.parent, path.name)
        settings = {
            setting: value
            for setting, value in found["settings"].items()
            if setting not in _OF_ONE_COMMAND
        }
        evaluation = found.get("evaluation")
        _check_evaluation(evaluation)
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
        return Earlier(path, settings, hashes, weights, evaluation, found.get("versions"))
    except OSError as error:
        raise UsageError(
            f"from_run: {name}: {error.strerror}; give the {manifest.NAME} of a run"
        ) from None
    except (LookupError, TypeError, ValueError, AttributeError):
        raise UsageError(
            f"from_run: {path}: is not the {manifest.NAME} of a run; give one out of a run folder"
        ) from None


def _check_evaluation(found: Any) -> None:
    """Raise one of the errors of a wrong type or value unless it is what ``nst.runs`` records."""
    if found is None:  # it had not begun
        return
    Choice(("float32", "bfloat16", "float16"))(found["precision"])
    for limit in (found["max_memory"], found["tile_size"]):
        Optional(Number(int, 1, 10**15))(limit)
    for plan in found["plans"]:
        switch(plan["keep_content"])
        if plan["cuts"][-1][0] is not None:
            raise ValueError("the last stage goes to the deepest layer")
        for last, tile_size in plan["cuts"]:
            Optional(Choice(networks.layers("VGG-19")))(last)
            Optional(PIXELS)(tile_size)
