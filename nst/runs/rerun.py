"""Make a picture again, from the settings and hashes in its ``run.json``."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst.command_line import OF_ONE_COMMAND, SETTING_OF
from nst.errors import PictureError, UsageError
from nst.files import file_hash
from nst.layout import MANIFEST, read_manifest
from nst.options import OUTPUT
from nst.runs.earlier import completed_settings, unknown_settings
from nst.settings import Settings

if TYPE_CHECKING:  # it imports NumPy
    from nst.engine.evaluation import Evaluation


@dataclass(frozen=True)
class EarlierRun:
    """A run that is to be made again.

    path: of its manifest. recorded: its settings by name, as Settings takes them. hashes:
    {setting: (file, SHA-256) of its pictures}. weights: SHA-256. evaluation: None if the run had
    not begun. versions: of the program and its packages.
    """

    path: Path
    recorded: dict[str, Any]
    hashes: dict[str, list[tuple[Path, str]]]
    weights: str
    evaluation: "Evaluation | None"
    versions: Any

    def settings(self, given: dict[str, Any]) -> Settings:
        """Its settings, but for those that are ``given`` beside it; raises UsageError."""
        if "preset" in given:
            raise UsageError("preset: --from_run has settings of its own; leave out one of them")
        recorded = {
            name: self.recorded[name] for name in self.recorded if name not in self._idle(given)
        }
        return Settings(**{**recorded, **given})

    def check(self, given: dict[str, Any]) -> None:
        """Raise PictureError unless its pictures are what they were.

        given: the settings that the user gave, whose files are not looked at.
        """
        from nst.pictures.find import find_picture  # late, as it imports NumPy

        for setting in set(self.hashes) - set(given) - self._idle(given):
            for path, sha256 in self.hashes[setting]:
                if file_hash(find_picture(str(path), setting)) != sha256:
                    raise PictureError(
                        f"{path}: is not the file that {self.path} was made with (its SHA-256 "
                        f"differs); put that back, or give another with --{setting}"
                    )

    def _idle(self, given: dict[str, Any]) -> set[str]:
        """Its settings that have no meaning with those that are given."""
        alpha = given.get("alpha", self.recorded.get("alpha"))
        is_texture = isinstance(given.get("image_size"), tuple) and not float(alpha or 0)
        return {"content_image_filename", "init"} if is_texture else set()

    def unchanged(self, given: Iterable[str]) -> bool:
        """Whether with the settings ``given`` beside its own the picture is to be the same."""
        groups = {spec.name: spec.metadata["group"] for spec in fields(Settings)}
        return all(groups[name] == OUTPUT or name in OF_ONE_COMMAND for name in given)


def read_run(name: str) -> EarlierRun:
    """Read the ``run.json`` of a run, given by its name or that of its folder.

    Raises UsageError for anything else.
    """
    from nst.engine.evaluation import Evaluation  # late, as they import NumPy
    from nst.pictures.find import shipped_picture

    path = Path(name)
    try:
        path = path / MANIFEST if stat.S_ISDIR(path.stat().st_mode) else path
        path.stat()  # raises for what is not there
        manifest = read_manifest(path.parent, path.name)
        settings = {
            setting: value
            for setting, value in completed_settings(manifest).items()
            if setting not in OF_ONE_COMMAND
        }
        if unknown := unknown_settings(manifest):
            raise UsageError(
                f"from_run: {path}: is of a newer version, with settings that this one does not "
                f"know ({', '.join(unknown)}); use that version"
            )
        evaluation = None
        if manifest.get("evaluation") is not None:
            evaluation = Evaluation.from_json(manifest["evaluation"])
        hashes: dict[str, list[tuple[Path, str]]] = {}
        for role, setting in SETTING_OF.items():
            files = [(Path(f["path"]), str(f["sha256"])) for f in manifest["files"][role]]
            hashes[setting] = [
                (file if file.exists() else shipped_picture(file.name) or file, sha256)
                for file, sha256 in files
            ]
            if files:
                names = [str(file) for file, _ in hashes[setting]]
                settings[setting] = names[0] if setting == "init" else names
        if settings["model_path"] and not Path(settings["model_path"]).exists():
            settings["model_path"] = None  # the weights are known by their hash
        weights = str(manifest["identity"]["weights_sha256"])
        return EarlierRun(path, settings, hashes, weights, evaluation, manifest.get("versions"))
    except OSError as error:
        raise UsageError(
            f"from_run: {name}: {error.strerror}; give the {MANIFEST} of a run"
        ) from None
    except (LookupError, TypeError, ValueError, AttributeError):
        raise UsageError(
            f"from_run: {path}: is not the {MANIFEST} of a run; give one out of a run folder"
        ) from None
