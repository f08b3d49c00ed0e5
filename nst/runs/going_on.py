"""Which earlier run of the same pictures a new one goes on from, and how the others differ."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nst import layout
from nst.command_line import option_words
from nst.engine.scales import is_extendable
from nst.runs.checkpoint import saved_iteration
from nst.runs.earlier import completed_identity
from nst.settings import Settings

MOST_DIFFERENT = 2  # settings in which a near miss differs
WEIGHTS = "weights_sha256"
EPOCHS = {"epochs"}

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """A run whose position serves one with other epochs.

    folder: of the run. manifest: of the run. iteration: that was saved. in_place: whether it is
    unfinished, so that the new run takes its folder.
    """

    folder: Path
    manifest: Manifest
    iteration: int
    in_place: bool


def differences(identity: dict[str, Any], recorded: Any) -> set[str] | None:
    """Names of the entries in which an identity and a recorded one differ; None without one."""
    other = completed_identity(recorded)
    if not isinstance(other, dict):
        return None
    missing = object()
    names = identity.keys() | other.keys()
    return {name for name in names if identity.get(name, missing) != other.get(name, missing)}


def serves_epochs(settings: Settings, epochs: Any, size: tuple[int, int]) -> bool:
    """Whether a run with other ``epochs`` is, as far as it went, the one of ``settings``.

    size: (height, width) of the picture.
    """
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
        return False
    return is_extendable(settings, size) and is_extendable(replace(settings, epochs=epochs), size)


def find_origin(
    settings: Settings, identity: dict[str, Any], manifests: Mapping[Path, Manifest]
) -> Origin | None:
    """The run with other epochs alone that went furthest, not beyond those of ``settings``.

    Of a finished one the state was kept; one that diverged would do it again.
    """
    origins = []
    for folder, about in manifests.items():
        finished = about.get("status") == layout.FINISHED
        if about.get("status") == "diverged" or not _serves(settings, identity, about):
            continue
        iteration = saved_iteration(folder)
        if iteration is not None and iteration <= settings.epochs:
            origins.append(Origin(folder, about, iteration, not finished))
    return max(origins, key=lambda origin: (origin.iteration, origin.in_place), default=None)


def _serves(settings: Settings, identity: dict[str, Any], about: Manifest) -> bool:
    # A manifest may be forged.
    with contextlib.suppress(LookupError, TypeError, ValueError, ArithmeticError):
        size = about["size"]["height"], about["size"]["width"]
        return differences(identity, about.get("identity")) == EPOCHS and serves_epochs(
            settings, about["identity"]["epochs"], size
        )
    return False


def near_miss(
    settings: Settings, identity: dict[str, Any], manifests: Mapping[Path, Manifest]
) -> str:
    """A line about the run of the same pictures that differs least, empty if all differ much."""
    nearest: tuple[int, bool, str] | None = None
    for folder, about in manifests.items():
        differing = differences(identity, about.get("identity"))
        if differing is None or any(n.endswith("sha256") for n in differing - {WEIGHTS}):
            continue
        if not 0 < len(differing) <= MOST_DIFFERENT:
            continue
        finished = about.get("status") == layout.FINISHED
        # Unfinished ones first, as work waits there; then the latest folder.
        key = len(differing), finished
        if nearest is None or key <= nearest[:2]:
            nearest = *key, _describe(settings, identity, folder, about, differing)
    return nearest[2] if nearest else ""


def _describe(
    settings: Settings,
    identity: dict[str, Any],
    folder: Path,
    about: Manifest,
    differing: set[str],
) -> str:
    finished = about.get("status") == layout.FINISHED
    kind = "a finished" if finished else "an unfinished"
    other = completed_identity(about["identity"])
    parts = []
    for name in sorted(differing):
        if name == WEIGHTS:
            parts.append("other weights")
        elif name not in identity:
            parts.append(f"{name}, a setting of a newer version")
        else:
            parts.append(f"{_option(name, other.get(name))}, not {_option(name, identity[name])}")
    line = f"{folder}: {kind} run of the same pictures, with {' and '.join(parts)}"
    if differing == EPOCHS:
        line += f"; {_why_not(settings, identity, about, folder)}"
    return f"{line}."


def _option(name: str, value: Any) -> str:
    """A setting as it is typed; value: as JSON holds it."""
    if value is None:
        return f"no --{name}"
    if isinstance(value, bool):
        return f"--{name}" if value else f"no --{name}"
    if isinstance(value, list):
        value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return " ".join([f"--{name}", *option_words(value)])


def _why_not(settings: Settings, identity: dict[str, Any], about: Manifest, folder: Path) -> str:
    """Why a run with other epochs alone is not gone on from, and what would help."""
    if about.get("status") == "diverged":
        return "its cost was not finite"
    if not _serves(settings, identity, about):
        return "where there are several scales they share the epochs, so it starts anew"
    iteration = saved_iteration(folder)
    if iteration is not None and iteration > settings.epochs:
        return f"it is at iteration {iteration} already"
    if about.get("status") != layout.FINISHED:
        return "nothing of it was saved"
    if about["identity"]["epochs"] > settings.epochs:
        return "it went further"
    return "its state was not kept: after a run with --keep_state, more epochs go on from its end"
