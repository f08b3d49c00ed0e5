"""High dynamic range: the curves PQ and HLG, and the tone mapping to standard dynamic range.

Light is relative to reference white, which is 1: 203 cd/m2 (ITU-R BT.2408). Standard dynamic range
is 0..1.
"""

import numpy as np

REFERENCE_WHITE = 203.0  # cd/m2, ITU-R BT.2408
PQ_PEAK = 10_000.0 / REFERENCE_WHITE  # the brightest level of PQ
HLG_PEAK = 1000.0 / REFERENCE_WHITE  # of the display that BT.2100 takes as nominal
HLG_SYSTEM_GAMMA = 1.2  # of that display
STEPS = 1024  # of the curve of the tone mapping

# SMPTE ST 2084
M1, M2 = 2610 / 16384, 2523 / 4096 * 128
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# HLG, ITU-R BT.2100
A = 0.17883277
B, C = 1 - 4 * A, 0.5 - A * np.log(4 * A)


def pq_to_light(levels: np.ndarray) -> np.ndarray:
    """PQ levels 0..1 -> light of the display, 0..PQ_PEAK."""
    power = levels ** (1 / M2)
    light: np.ndarray = (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1) * PQ_PEAK
    return light


def light_to_pq(light: np.ndarray) -> np.ndarray:
    """Light 0..PQ_PEAK -> PQ levels 0..1."""
    power = (light / PQ_PEAK) ** M1
    levels: np.ndarray = ((C1 + C2 * power) / (1 + C3 * power)) ** M2
    return levels


def hlg_to_scene(levels: np.ndarray) -> np.ndarray:
    """HLG levels 0..1 -> light of the scene, 0..1."""
    return np.where(levels <= 0.5, levels**2 / 3, (np.exp((levels - C) / A) + B) / 12)


def hlg_to_light(scene: np.ndarray, luminance: np.ndarray) -> np.ndarray:
    """Light of the scene -> of the display, 0..HLG_PEAK (the OOTF of BT.2100).

    scene: (..., 3) or (..., 1), 0..1. luminance: of the scene, (..., 1), 0..1.
    """
    light: np.ndarray = scene * luminance ** (HLG_SYSTEM_GAMMA - 1) * HLG_PEAK
    return light


def tone_map(light: np.ndarray, peak: float) -> np.ndarray:
    """Compress light to 0..1: the EETF of ITU-R BT.2390 on the largest channel of each pixel.

    light: (..., channels), 0 or more. peak: the brightest that is to be kept apart from white.

    What is dark, and everything if ``peak`` is at most 1, stays as it is. Hues are kept.
    """
    peak = min(peak, PQ_PEAK)
    if peak <= 1:
        return np.minimum(light, 1)
    # In steps of PQ, which are about equal to the eye; between them the curve is straight.
    white, top = light_to_pq(np.array([1.0, peak]))
    level = np.linspace(0, 1, STEPS)
    most = white / top
    knee = 1.5 * most - 0.5
    t = np.maximum(level - knee, 0) / (1 - knee)
    shoulder = (2 * t**3 - 3 * t**2 + 1) * knee
    shoulder += (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    bright = pq_to_light(level * top)
    mapped = pq_to_light(np.where(level < knee, level, shoulder) * top)
    brightest = light.max(axis=-1, keepdims=True)
    gain = np.interp(brightest, bright, mapped) / np.maximum(brightest, 1e-9)
    return np.minimum(light * gain.astype(light.dtype), 1)
