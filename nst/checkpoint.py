"""Save where an unfinished run is, so that the same command goes on as if it had never stopped.

``checkpoint`` is an ``.npz`` file (checksummed arrays, nothing that is executed) of the position
and the log of costs. The curvature pairs of L-BFGS, by far its largest part, never change once they
are made, so each is written once: the new ones since the last time to a file of their own,
``checkpoint.pairs-*``, which ``checkpoint`` names. It is written last, and replaces the one before
in one step: at every moment the folder holds a whole checkpoint.
"""

import errno
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst.files import write_atomically
from nst.optimizers import AdamState, LBFGSState
from nst.step import Costs, Position

NAME = "checkpoint"
DAMAGED = f"{NAME}.damaged"
FILES = (NAME, f"{NAME}.pairs-*")
STATES = {"adam": AdamState, "lbfgs": LBFGSState}
VERSION = 2


class DamagedError(Exception):
    """A checkpoint is there, but cannot be read."""


@dataclass(frozen=True)
class Checkpoint:
    """What was saved.

    position: where the run is. about: what it was saved with: identity of the run, precision,
    tiles, versions. log: the costs so far, as ``nst.cost_log`` dumps them.
    """

    position: Position
    about: dict[str, Any]
    log: bytes


@dataclass(frozen=True)
class _Segment:
    """A file with the pairs number first .. last of a scale."""

    scale: int
    first: int
    last: int

    @property
    def name(self) -> str:
        return f"{NAME}.pairs-{self.scale}-{self.first}-{self.last}"


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
            arrays = _read(self.folder / NAME)
            saved = json.loads(arrays.pop("saved").tobytes())
            if saved["version"] != VERSION:
                raise ValueError(f"it is of version {saved['version']}")
            log = arrays.pop("log").tobytes()
            segments = [_Segment(*numbers) for numbers in saved["segments"]]
            state = STATES[saved["optimizer"]](**arrays, **saved["numbers"])
            if isinstance(state, LBFGSState):
                state = state._replace(pairs=self._load_pairs(segments, state.remembered, saved))
            *costs, layers = saved["costs"]
            position = Position(
                saved["iteration"],
                saved["scale"],
                saved["seconds"],
                Costs(*costs, tuple(layers)),
                state,
            )
        except FileNotFoundError as error:
            if error.filename != str(self.folder / NAME):
                raise DamagedError(f"{Path(error.filename).name} is missing") from None
            return None
        except MemoryError:
            raise
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):  # seeking to where nothing can be
                raise
            raise DamagedError(str(error)) from None
        # Readers meet damaged files with almost any exception.
        except Exception as error:
            raise DamagedError(" ".join(str(error).split())[:200] or type(error).__name__) from None
        self._segments = segments
        return Checkpoint(position, saved["about"], log)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint by a newer one of the same run; raises OSError.

        If that fails, the one before is still there.
        """
        position, state = checkpoint.position, checkpoint.position.optimizer
        fields = state._asdict()
        pairs = fields.pop("pairs", ())
        segments = self._save_pairs(position.scale, state.remembered, pairs) if pairs else []
        arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
        saved = {
            "version": VERSION,
            "about": checkpoint.about,
            "iteration": position.iteration,
            "scale": position.scale,
            "seconds": position.seconds,
            "costs": position.costs,
            "optimizer": next(name for name, kind in STATES.items() if isinstance(state, kind)),
            "numbers": {name: value for name, value in fields.items() if name not in arrays},
            "pairs": len(pairs),
            "segments": [(s.scale, s.first, s.last) for s in segments],
        }
        texts = {"saved": json.dumps(saved).encode(), "log": checkpoint.log}
        arrays |= {name: np.frombuffer(text, np.uint8) for name, text in texts.items()}
        write_atomically(self.folder / NAME, lambda file: np.savez(file, **arrays))
        self._segments = segments
        self._remove_old(segments)

    def remove(self, damaged: bool = False) -> None:
        """Remove it, the run being finished or started again; raises OSError.

        damaged: keep its main file for a look, until the run is finished.
        """
        if damaged:
            (self.folder / NAME).replace(self.folder / DAMAGED)
        else:
            (self.folder / NAME).unlink(missing_ok=True)
            (self.folder / DAMAGED).unlink(missing_ok=True)
        self._segments = []
        self._remove_old([])

    def _save_pairs(self, scale: int, newest: int, pairs: tuple) -> list[_Segment]:
        """Write the pairs that are not on disk yet; return the segments that hold all of them."""
        oldest = newest - len(pairs) + 1
        segments = [s for s in self._segments if s.scale == scale and s.last >= oldest]
        first = max([oldest, *(s.last + 1 for s in segments)])
        if first <= newest:
            segment = _Segment(scale, first, newest)
            arrays = {
                f"{number}-{part}": array
                for number, pair in enumerate(pairs, oldest)
                for part, array in enumerate(pair)
                if number >= first
            }
            path = self.folder / segment.name
            write_atomically(path, lambda file: np.savez(file, **arrays))
            segments.append(segment)
        return segments

    def _load_pairs(self, segments: list[_Segment], newest: int, saved: dict) -> tuple:
        found = {}
        oldest = newest - saved["pairs"] + 1
        for segment in segments:
            arrays = _read(self.folder / segment.name)
            for number in range(max(oldest, segment.first), segment.last + 1):
                found[number] = arrays[f"{number}-0"], arrays[f"{number}-1"]
        return tuple(found[number] for number in range(oldest, newest + 1))

    def _remove_old(self, segments: list[_Segment]) -> None:
        names = {segment.name for segment in segments}
        for path in self.folder.glob(f"{NAME}.pairs-*"):
            if path.name not in names:
                path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, np.ndarray]:
    """All the arrays of a file, their checksums verified."""
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
