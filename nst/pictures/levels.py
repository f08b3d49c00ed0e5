"""Which numbers stand for black and for white in pictures that do not tell, or seem not to."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Levels:
    """The numbers that stand for black and for white."""

    black: float
    white: float

    def share(self, samples: np.ndarray) -> np.ndarray:
        """The samples as shares of white, float32, 0..1; what is beyond is cut off."""
        numbers: np.ndarray = samples.astype("f8" if samples.dtype.itemsize >= 4 else "f4")
        numbers -= self.black
        numbers /= max(self.white - self.black, 1e-9)
        return np.clip(numbers, 0, 1).astype(np.float32)


def low_levels_note(high: float, white: float) -> list[str]:
    """A note on a picture that is dark throughout, as of 10 or 12 bits in numbers of 16."""
    if 0 < high <= white / 4:
        return [f"its grey levels reach {high:g} of {white:g}; it is read as it is, dark"]
    return []


def signed_levels(low: float, high: float, notes: list[str]) -> Levels:
    """The levels of integers that have no fixed white."""
    if low >= 0 and high <= 65535:
        return Levels(0, 255 if high <= 255 else 65535)
    return _all_levels(low, high, notes)


def float_levels(low: float, high: float, notes: list[str]) -> Levels:
    """The levels of floating-point numbers: 0 to 1 or, if they reach further, 0 to 255."""
    if low >= -0.5 and high <= 1.5:  # with overshoot of resampling
        return Levels(0, 1)
    if low >= 0 and high <= 255:
        notes.append(f"its levels reach {high:g}; 255 was taken for white")
        return Levels(0, 255)
    return _all_levels(low, high, notes)


def _all_levels(low: float, high: float, notes: list[str]) -> Levels:
    notes.append(f"its levels {low:g} to {high:g} were mapped to 0..255")
    return Levels(low, high)
