"""Print the woodcut of breaking waves from three carved blocks."""

import numpy as np
from PIL import Image, ImageDraw
from scipy import interpolate, ndimage

from canvas import (
    SUPERSAMPLING,
    circle,
    coordinates,
    mix,
    noise,
    normals,
    palette,
    smoothstep,
    table,
)


def curve(text):
    """Smooth curve (200, 2) through the control points of a table (k, 2)."""
    points = table(text)
    t = np.r_[0, np.cumsum(np.sqrt(np.hypot(*np.diff(points, axis=0).T)))]
    return interpolate.CubicSpline(t, points)(np.linspace(0, t[-1], 200))


class Plates:
    """Three printing blocks, "blue", "red" and "ink", cut from polygons in height units."""

    def __init__(self, **blocks):
        """Start from blocks (h, w) in 0..1, SUPERSAMPLING times larger than the picture."""
        self.blocks = {k: Image.fromarray(np.uint8(255 * v.clip(0, 1))) for k, v in blocks.items()}
        self.pens = {name: ImageDraw.Draw(block) for name, block in self.blocks.items()}
        self.scale = self.blocks["ink"].height

    def fill(self, points, **inks):
        """Fill a polygon (n, 2): set each named block to its value in 0..255."""
        flat = (points * self.scale).ravel().tolist()
        for name, value in inks.items():
            self.pens[name].polygon(flat, fill=value)

    def cut(self, points):
        """Clear a polygon on every block, so that what lies behind does not print."""
        self.fill(points, blue=0, red=0, ink=0)

    def line(self, points, width, **inks):
        """Draw a line along points (n, 2) whose width (a number, or n of them) may swell."""
        side = normals(points) * np.broadcast_to(width, len(points))[:, None] / 2
        self.fill(np.r_[points + side, (points - side)[::-1]], **inks)

    def discs(self, centres, radii, line):
        """A cloud of foam: the union of discs in bare paper, outlined in ink `line` wide."""
        for centre, radius in zip(centres, radii):
            self.fill(circle(centre, radius + line), ink=255)
        for centre, radius in zip(centres, radii):
            self.cut(circle(centre, radius))

    def print(self, rng):
        """Print the blocks on warm paper (h, w, 3), unevenly and through the grain of the wood."""
        width, height = (n // SUPERSAMPLING for n in self.blocks["ink"].size)
        shape, unit = (height, width), width / 1200
        fibre = 0.018 * noise(rng, shape, (3 * unit, 30 * unit), 2)
        stain = 0.02 * noise(rng, shape, 200 * unit)
        sheet = palette("f3e5c4") * (1 + fibre + stain)[..., None]
        for block, ink in zip(self.blocks.values(), palette("6aa9c8 d23a24 142050")):
            layer = np.asarray(block.resize((width, height), Image.Resampling.BOX)) / 255
            # No block registers perfectly, and each shows the rings and pores of its own plank.
            layer = ndimage.shift(layer, rng.uniform(-1.5, 1.5, 2) * unit, order=1, mode="nearest")
            rings = 5 * noise(rng, shape, (90 * unit, 500 * unit), 2)
            rings += np.arange(height)[:, None] / (26 * unit)
            pores = noise(rng, shape, (2.2 * unit, 45 * unit), 2)
            film = 0.92 + 0.08 * np.sin(2 * np.pi * rings) + 0.09 * pores - 0.35 * (pores > 2)
            film += 0.05 * noise(rng, shape, 3 * unit, 2)
            sheet = mix(sheet, sheet * ink * 1.08, layer * film.clip(0.35, 1))
        return sheet


def carve_wave(plates, rng, back, front, lines):
    """Carve a breaking wave: lines fan from its foot, between two outlines, to its curling tip."""
    body = np.r_[back, front[::-1]]
    plates.cut(body)
    plates.fill(body, blue=150)
    t = np.linspace(0, 1, len(back))
    gap = np.hypot(*(front - back).T) / lines
    for i, s in enumerate((np.arange(lines) + 0.5) / lines):
        swell = np.sin(3 * np.pi * t + 5 * s + rng.uniform(-0.6, 0.6))
        width = gap * np.clip(0.30 + 0.42 * s**2 + 0.24 * swell, 0.08, 0.80)
        path = back + s * (front - back)
        if i % 3 == 1:
            plates.line(path, gap * 0.75, blue=0)
        part = slice(rng.integers(0, 15), len(t) - rng.integers(1, 25))
        fade = np.sin(np.linspace(0, np.pi, len(t[part]))) ** 0.3
        plates.line(path[part], width[part] * fade, ink=255)
    # Short nicks of the gouge lighten the ink along the form.
    for _ in range(7 * lines):
        start, s, size = rng.integers(0, 150), rng.random(), rng.integers(6, 22)
        nick = (back + s * (front - back))[start : start + size]
        width = 0.004 * np.sin(np.linspace(0, np.pi, size))
        plates.line(nick, width, ink=0, blue=int(rng.choice([0, 150])))
    for outline in (back, front):
        plates.line(outline, 0.007 + 0.004 * np.sin(np.pi * t), ink=255)
    # Foam rides on the crest: rows of discs, the nearer the smaller, with curls drawn inside.
    facing = np.sign(back[-1, 0] - back[0, 0])
    outward = -facing * normals(back)
    for shift, low, high in table("0.026 0.020 0.036, 0 0.015 0.027, -0.026 0.009 0.019"):
        at = np.linspace(0.46 - 2 * shift, 0.999, 22) * len(back) + rng.uniform(-3, 3, 22)
        at = at.astype(int).clip(0, len(back) - 1)
        grow = np.linspace(0.4, 1.2, len(at))
        centres = back[at] + shift * outward[at] * grow[:, None]
        centres += rng.normal(0, 0.004, centres.shape)
        radii = rng.uniform(low, high, len(at)) * grow
        plates.discs(centres, radii, 0.0042)
        for centre, radius in zip(centres, radii):
            turn = np.linspace(0, 4.5, 24) + rng.uniform(0, 6)
            spiral = radius * np.linspace(0.75, 0.15, 24) * [np.cos(turn), np.sin(turn)]
            plates.line(centre + spiral.T, 0.0045 * np.linspace(1, 0.3, 24), ink=255)
    reach = np.array([0.10 * facing, 0.12])
    for drop in back[-1] + (np.abs(rng.normal(0, 1, (70, 2))) - (1, 0.6)) * reach:
        plates.discs([drop], [rng.uniform(0.002, 0.008)], 0.003)


def woodcut_wave(size, rng):
    """Colour woodcut: two breaking waves before a red sun, printed from three blocks on paper."""
    x, y = coordinates(size * SUPERSAMPLING)
    shape, unit = x.shape, size * SUPERSAMPLING / 1200
    # The sky is carved along the contours of psi: wind that coils into scrolls of cloud.
    psi, arms = y + 0.03 * np.sin(4 * x + 1), 0
    for cx, cy, force in table("0.09 0.13 0.2, 0.74 0.10 -0.2, 1.25 0.2 0.2"):
        psi += force * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 0.06**2))
        arms += 2 * np.sign(force) * np.arctan2(y - cy, x - cx) / (2 * np.pi)
    comb = np.abs((psi * 44 + arms) % 1 - 0.5) * 2
    pitch = np.hypot(*np.gradient(psi * 44)) + 1e-3
    tone = 0.40 + 0.20 * noise(rng, shape, 220 * unit) + 0.2 * (0.4 - y)
    tone = np.minimum(tone.clip(0.06, 0.75), 15 * unit * pitch)  # no line wider than 15 units
    stripes = np.sin(2 * np.pi * (5.5 * psi + arms / 2)) > 0.1
    plates = Plates(
        blue=0.8 * smoothstep(0.40, 0.0, y) + 0.5 * stripes,
        red=0 * x,
        ink=smoothstep(tone + 2 * pitch, tone - 2 * pitch, comb),
    )
    sun = circle((0.98, 0.25), 0.145, 120)
    plates.cut(sun)
    plates.fill(sun, red=255)

    back = "1.52 1.1, 1.42 0.80, 1.30 0.56, 1.14 0.44, 1.0 0.47, 0.93 0.58"
    front = "0.92 1.1, 1.02 0.90, 1.12 0.76, 1.12 0.64, 1.04 0.575, 0.945 0.60"
    carve_wave(plates, rng, curve(back), curve(front), 15)
    back = "-0.2 1.1, -0.08 0.72, 0.06 0.40, 0.24 0.17, 0.44 0.10, 0.61 0.16, 0.69 0.29, 0.67 0.38"
    front = "0.72 1.1, 0.55 0.86, 0.42 0.64, 0.385 0.44, 0.45 0.31, 0.56 0.28, 0.65 0.37"
    carve_wave(plates, rng, curve(back), curve(front), 20)
    # Foreground swells, each a band of long lines that swell and break.
    along = np.linspace(-0.05, 1.4, 240)
    for k, level in enumerate([0.80, 0.865, 0.93]):
        crest = level + 0.02 * np.sin(7 * along + k)
        crest -= 0.035 * np.abs(np.sin(3.1 * along + 1.9 * k))
        top = np.stack([along, crest], axis=-1)
        band = np.r_[top, [(1.4, 1.1), (-0.05, 1.1)]]
        plates.cut(band)
        plates.fill(band, blue=200)
        for j in range(9):
            drop = 0.012 * j * (1 + 0.08 * j) + 0.004 * np.sin(15 * along + j)
            path = np.stack([along, crest + drop], axis=-1)
            swell = 0.5 + 0.5 * np.sin(9 * along + 1.7 * j + 2 * k)
            swell += 0.3 * np.sin(23 * along + 5 * j)
            plates.line(path, 0.009 * swell.clip(0, 1.2), ink=255)
            if j % 3 == 1:
                plates.line(path + (0, 0.005), 0.012 * (1 - swell).clip(0, 1), blue=0)
            # The sun glitters where the ink runs thin.
            glitter = (1 - swell).clip(0, 1) * np.exp(-(((along - 0.85) / 0.16) ** 2))
            plates.line(path + (0, 0.006), 0.008 * glitter, red=255, blue=0)
        plates.line(top, 0.008, ink=255)
    return plates.print(rng)
