"""Helpers that the paintings share: colours, coordinates, noise, light and shapes.

Conventions: a picture is `size` wide and 3/4 `size` high; `x`, `y` are coordinates in units of the
picture's height (x in 0..4/3, y in 0..1, downwards); colours are RGB floats in 0..1; strokes are
measured in "units", pixels of a picture 1200 wide, so `unit = size / 1200` is one in real pixels.
"""

import numpy as np
from scipy import interpolate

SUPERSAMPLING = 2  # lines are drawn at twice the size and reduced, which smooths their edges


def palette(codes):
    """Turn hexadecimal colours such as "1f4fb0 ffd633" into an (n, 3) array in 0..1."""
    return np.array([list(bytes.fromhex(code)) for code in codes.split()]) / 255


def table(text):
    """Turn rows of numbers, parted by commas, such as "0.1 0.2, 0.3 0.4", into an array."""
    return np.array([row.split() for row in text.split(",")], float)


def ramp(t, colours):
    """Colours (..., 3) at positions t in 0..1 along evenly spaced palette colours (n, 3)."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(t, stops, channel) for channel in colours.T], axis=-1)


def mix(below, above, amount):
    """Cross-fade two colour images, (h, w, 3) or one colour, by a mask (h, w) in 0..1."""
    return below + (above - below) * amount[..., None]


def smoothstep(low, high, value):
    """Rise smoothly from 0 at `low` to 1 at `high` (or fall, when low > high)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def coordinates(size):
    """Pixel coordinate grids x, y, each (3/4 size, size), in units of the height."""
    height = size * 3 // 4
    y, x = np.mgrid[:height, :size] / height
    return x, y


def noise(rng, shape, cell, octaves=3):
    """Smooth fractal noise (h, w), mean 0 and deviation 1.

    `cell` is the size of the coarsest bumps in pixels, one number or (vertical, horizontal).
    """
    total = np.zeros(shape)
    for octave in range(octaves):
        step = np.maximum(np.broadcast_to(cell, 2) / 2**octave, 1)
        grid = rng.standard_normal([int(n / s) + 4 for n, s in zip(shape, step)])
        rows, columns = (np.arange(n) / s + 1 for n, s in zip(shape, step))
        spline = interpolate.RectBivariateSpline(*map(np.arange, grid.shape), grid)
        total += spline(rows, columns) / 2**octave
    return (total - total.mean()) / total.std()


def relief(height_map, strength):
    """Brightness factor (h, w) about 1 of a surface (h, w) lit from the upper left."""
    dy, dx = np.gradient(height_map)
    return 1 + np.clip(strength * (dx + dy), -0.5, 0.6)


def normals(points):
    """Unit normals (n, 2) of a curve (n, 2)."""
    tangent = np.gradient(points, axis=0)
    return tangent[:, ::-1] * (-1, 1) / (np.hypot(*tangent.T)[:, None] + 1e-9)


def circle(centre, radius, n=40):
    """Polygon (n, 2) of a circle."""
    turn = np.linspace(0, 2 * np.pi, n)
    return np.asarray(centre) + radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
