"""Where a run is resumed: at its own checkpoint, or at the end of another with fewer epochs."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from nst import layout
from nst.runs import manifest
from nst.runs.checkpoint import Checkpoint, Checkpoints, DamagedError
from nst.runs.folder_claim import FolderClaim
from nst.runs.going_on import EPOCHS, differences, serves_epochs


class ResumePoint(NamedTuple):
    """Where a run is resumed.

    checkpoint: None if it starts anew. news: a line for the user. unusable: whether the folder has
    a checkpoint that is to be set aside. frames: {name: path} of the frames of another run that
    this one goes on from.
    """

    checkpoint: Checkpoint | None
    news: str
    unusable: bool = False
    frames: Mapping[str, Path] = MappingProxyType({})


def find_resume_point(claim: FolderClaim, checkpoints: Checkpoints) -> ResumePoint:
    """Return where the run of a claimed folder is resumed; with ``overwrite`` it is not.

    checkpoints: of the folder; what they load they go on from.
    Raises OSError if the folder's own checkpoint cannot be read, and MemoryError.
    """
    point = ResumePoint(None, claim.near)
    if claim.job.settings.overwrite:
        return point
    if claim.unfinished:
        point = _own_checkpoint(claim, checkpoints)
    return point if point.checkpoint else _end_of_origin(claim, point)


def _own_checkpoint(claim: FolderClaim, checkpoints: Checkpoints) -> ResumePoint:
    checkpoint, reason = None, ""
    try:
        checkpoint = checkpoints.load()
        if checkpoint is None:
            reason = "nothing of it was saved"
        elif not _is_usable(checkpoint, claim):
            reason = "its checkpoint is of another run"
    except DamagedError as error:
        reason = f"its checkpoint is damaged ({error})"
    if checkpoint is None or reason:
        news = f"{claim.path}: an unfinished run is started again: {reason}."
        return ResumePoint(None, news, unusable=(claim.path / layout.CHECKPOINT).exists())
    epochs = checkpoint.identity["epochs"]
    other = "" if epochs == claim.job.settings.epochs else f" with --epochs {epochs}"
    after = f"after iteration {checkpoint.position.iteration} of an unfinished run{other}"
    return ResumePoint(checkpoint, _going_on(claim, checkpoint, after))


def _end_of_origin(claim: FolderClaim, otherwise: ResumePoint) -> ResumePoint:
    """The end of a finished run with fewer epochs, whose state was kept; else ``otherwise``."""
    origin = claim.origin
    if origin is None or origin.in_place:
        return otherwise
    try:
        checkpoint = Checkpoints(origin.folder).load()
    except (DamagedError, OSError) as error:
        news = f"{origin.folder}: its state cannot be read ({error}); starting anew."
        return otherwise._replace(news=news)
    if not checkpoint or not _is_usable(checkpoint, claim):
        return otherwise
    every = claim.job.settings.print_every
    frames = layout.frames(origin.folder, checkpoint.position.iteration)
    after = f"after iteration {origin.iteration}, the end of {origin.folder}"
    return otherwise._replace(
        checkpoint=checkpoint,
        news=_going_on(claim, checkpoint, after),
        frames={path.name: path for number, path in frames.items() if number % every == 0},
    )


def _is_usable(checkpoint: Checkpoint, claim: FolderClaim) -> bool:
    """Whether a checkpoint is of this very run, or of one with other epochs that serves it."""
    settings, differing = claim.job.settings, differences(claim.identity, checkpoint.identity)
    if differing == EPOCHS:
        epochs = checkpoint.identity["epochs"]
        within = checkpoint.position.iteration <= settings.epochs
        return within and serves_epochs(settings, epochs, claim.job.size)
    return differing == set()


def _going_on(claim: FolderClaim, checkpoint: Checkpoint, after: str) -> str:
    """A line for the user."""
    line = f"{claim.path}: going on {after}."
    if checkpoint.versions != manifest.versions():
        line += " It was begun with other versions: the picture may differ a little."
    return line
