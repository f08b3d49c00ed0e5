"""Save where an unfinished run is, so that the same command resumes it bit for bit.

``checkpoint`` is an ``.npz`` file (checksummed arrays, nothing that is executed) of the position
and the log of costs. The curvature pairs of L-BFGS, by far its largest part, never change once they
are made, so each is written once: the new ones since the last save to a file of their own,
``checkpoint.pairs-*``, which ``checkpoint`` names. ``checkpoint`` is written last and replaced
atomically: at every moment the folder holds a whole checkpoint.
"""

import contextlib
import errno
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nst.engine.evaluation import Evaluation
from nst.engine.optimizers import optimizer_class
from nst.engine.step import Costs, Position
from nst.files import write_atomically
from nst.layout import CHECKPOINT, CHECKPOINT_DAMAGED, CHECKPOINT_PAIRS
from nst.options import OPTIMIZERS

STATES = {name: optimizer_class(name).Saved for name in OPTIMIZERS}
VERSION = 2
ANCHOR = "anchor of the position"  # in the file, beside the arrays of the state


class DamagedError(Exception):
    """A checkpoint is there, but cannot be read."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to be resumed.

    position: where the run is. identity: of the run, see ``nst.runs.manifest``. versions: of the
    program and its packages. log: the costs so far, as ``CostLog.dump`` gives them.
    """

    position: Position
    identity: dict[str, Any]
    versions: dict[str, str]
    evaluation: Evaluation
    log: bytes


@dataclass(frozen=True)
class _Segment:
    """A file with the pairs number first .. last of a scale."""

    scale: int
    first: int
    last: int

    @property
    def name(self) -> str:
        return f"{CHECKPOINT}.pairs-{self.scale}-{self.first}-{self.last}"


def saved_iteration(folder: Path) -> int | None:
    """The iteration of the checkpoint in a run folder; None if there is none that can be read."""
    # Readers meet damaged files with almost any exception.
    with contextlib.suppress(Exception):
        path = folder / CHECKPOINT
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            iteration = json.loads(arrays["saved"].tobytes())["iteration"]
        return iteration if type(iteration) is int else None
    return None


class Checkpoints:
    """The checkpoint of one run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._segments: list[_Segment] = []  # on disk

    def load(self) -> Checkpoint | None:
        """Return the checkpoint, None if there is none.

        Raises DamagedError; OSError and MemoryError where it may be whole, but cannot be read now.
        """
        try:
            arrays = _read(self.folder / CHECKPOINT)
            saved = json.loads(arrays.pop("saved").tobytes())
            if saved["version"] != VERSION:
                raise ValueError(f"it is of version {saved['version']}")
            log = arrays.pop("log").tobytes()
            anchor = arrays.pop(ANCHOR, None)
            segments = [_Segment(*numbers) for numbers in saved["segments"]]
            state = STATES[saved["optimizer"]](**arrays, **saved["numbers"])
            if saved["pairs"]:
                state = state._replace(pairs=self._load_pairs(segments, state.remembered, saved))
            about = saved["about"]
            total, content, style, tv, layers = saved["costs"]
            position = Position(
                saved["iteration"],
                saved["scale"],
                saved["seconds"],
                Costs(total, content, style, tv, tuple(layers)),
                state,
                anchor,
            )
            evaluation = Evaluation.from_json(about)
            checkpoint = Checkpoint(position, about["identity"], about["versions"], evaluation, log)
        except FileNotFoundError as error:
            if error.filename != str(self.folder / CHECKPOINT):
                raise DamagedError(f"{Path(error.filename).name} is missing") from None
            return None
        except MemoryError:
            raise
        except OSError as error:
            # A damaged index makes np.load seek to a negative offset.
            if error.errno not in (None, errno.EINVAL):
                raise
            raise DamagedError(str(error)) from None
        # Readers meet damaged files with almost any exception.
        except Exception as error:
            raise DamagedError(" ".join(str(error).split())[:200] or type(error).__name__) from None
        self._segments = segments
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint by a newer one of the same run; raises OSError.

        If that fails, the one before is still there.
        """
        position = checkpoint.position
        if position.state is None:
            raise ValueError("a position without its state cannot be saved")
        state = position.state.saved()
        fields = state._asdict()
        pairs = fields.pop("pairs", ())
        segments = []
        if pairs:
            segments = self._save_pairs(position.scale, fields["remembered"], pairs)
        arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
        numbers = {name: value for name, value in fields.items() if name not in arrays}
        if position.anchor is not None:
            arrays[ANCHOR] = position.anchor
        saved = {
            "version": VERSION,
            "about": {
                "identity": checkpoint.identity,
                "versions": checkpoint.versions,
                **checkpoint.evaluation.to_json(),
            },
            "iteration": position.iteration,
            "scale": position.scale,
            "seconds": position.seconds,
            "costs": position.costs,
            "optimizer": next(name for name, kind in STATES.items() if isinstance(state, kind)),
            "numbers": numbers,
            "pairs": len(pairs),
            "segments": [(s.scale, s.first, s.last) for s in segments],
        }
        texts = {"saved": json.dumps(saved).encode(), "log": checkpoint.log}
        arrays |= {name: np.frombuffer(text, np.uint8) for name, text in texts.items()}
        write_atomically(self.folder / CHECKPOINT, lambda file: _write(file, arrays))
        self._segments = segments
        self._remove_old(segments)

    def size(self) -> int:
        """Bytes of its files."""
        paths = [self.folder / CHECKPOINT, *(self.folder / s.name for s in self._segments)]
        return sum(path.stat().st_size for path in paths if path.exists())

    def remove(self, unusable: bool = False) -> None:
        """Remove it, the run being finished or started again; raises OSError.

        unusable: keep its main file for inspection, until the run is finished.
        """
        if unusable:
            (self.folder / CHECKPOINT).replace(self.folder / CHECKPOINT_DAMAGED)
        else:
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
            (self.folder / CHECKPOINT_DAMAGED).unlink(missing_ok=True)
        self._segments = []
        self._remove_old([])

    def _save_pairs(self, scale: int, newest: int, pairs: Sequence) -> list[_Segment]:
        """Write the pairs that are not on disk yet; return the segments that hold all of them."""
        oldest = newest - len(pairs) + 1
        segments = [s for s in self._segments if s.scale == scale and s.last >= oldest]
        first = max([oldest, *(s.last + 1 for s in segments)])
        if first <= newest:
            segment = _Segment(scale, first, newest)
            arrays = {
                f"{number}-{part}": array
                for number, pair in enumerate(pairs[first - oldest :], first)
                for part, array in enumerate(pair)
            }
            path = self.folder / segment.name
            write_atomically(path, lambda file: _write(file, arrays))
            segments.append(segment)
        return segments

    def _load_pairs(self, segments: list[_Segment], newest: int, saved: dict) -> tuple:
        pairs = {}
        oldest = newest - saved["pairs"] + 1
        for segment in segments:
            arrays = _read(self.folder / segment.name)
            for number in range(max(oldest, segment.first), segment.last + 1):
                pairs[number] = arrays[f"{number}-0"], arrays[f"{number}-1"]
        return tuple(pairs[number] for number in range(oldest, newest + 1))

    def _remove_old(self, segments: list[_Segment]) -> None:
        names = {segment.name for segment in segments}
        for path in self.folder.glob(CHECKPOINT_PAIRS):
            if path.name not in names:
                path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, np.ndarray]:
    """All the arrays of a file, their checksums verified."""
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _write(file: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    np.savez(file, allow_pickle=False, **arrays)
