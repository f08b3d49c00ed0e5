"""Paint the style pictures shipped with the project, entirely from numbers.

Usage: python images/paint_styles.py [NAME ...] [--output_dir DIR] [--size 1200]

Conventions: a picture is `size` wide and 3/4 `size` high; `x`, `y` are coordinates in units of the
picture's height (x in 0..4/3, y in 0..1, downwards); colours are RGB floats in 0..1; strokes are
measured in "units", pixels of a picture 1200 wide, so `unit = size / 1200` is one in real pixels.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image, ImageDraw
from scipy import interpolate, ndimage, spatial

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


def curve(text):
    """Smooth curve (200, 2) through the control points of a table (k, 2)."""
    points = table(text)
    t = np.r_[0, np.cumsum(np.sqrt(np.hypot(*np.diff(points, axis=0).T)))]
    return interpolate.CubicSpline(t, points)(np.linspace(0, t[-1], 200))


def normals(points):
    """Unit normals (n, 2) of a curve (n, 2)."""
    tangent = np.gradient(points, axis=0)
    return tangent[:, ::-1] * (-1, 1) / (np.hypot(*tangent.T)[:, None] + 1e-9)


def circle(centre, radius, n=40):
    """Polygon (n, 2) of a circle."""
    turn = np.linspace(0, 2 * np.pi, n)
    return np.asarray(centre) + radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1)


class Oil:
    """A canvas of thick paint: a colour image and a height map, drawn stroke by stroke."""

    def __init__(self, ground, rng):
        """Start from the colours `ground` (h, w, 3) as a thin first coat."""
        self.rows, self.columns = ground.shape[:2]
        self.unit, self.rng = self.columns / 1200, rng
        big = (self.columns * SUPERSAMPLING, self.rows * SUPERSAMPLING)
        self.colour = Image.fromarray(np.uint8(ground.clip(0, 1) * 255)).resize(big)
        self.height = Image.new("L", big, 60)
        self.pens = ImageDraw.Draw(self.colour), ImageDraw.Draw(self.height)

    def layer(self, design, field, width, length, coverage, density=1.0):
        """Cover the canvas with strokes along the unit vectors `field`, coloured by `design`.

        `width` and `length` in units; `coverage` is how many times over the area is painted;
        `density` (h, w) in 0..1 is the chance of keeping a stroke.
        """
        rng, steps = self.rng, 14
        limit = (self.columns - 1, self.rows - 1)
        count = int(coverage * self.rows * self.columns / (width * length * self.unit**2))
        path = [rng.uniform(-0.03, 1.06, (count, 2)) * limit]
        for _ in range(steps - 1):
            column, row = np.clip(path[-1], 0, limit).astype(int).T
            path.append(path[-1] + length * self.unit / steps * field[row, column])
        column, row = np.clip(path[steps // 2], 0, limit).astype(int).T
        keep = rng.random(count) < np.broadcast_to(density, field.shape[:2])[row, column]
        colours = design[row, column] * (1 + 0.1 * rng.standard_normal((count, 1)))
        colours += 0.04 * rng.standard_normal((count, 3))
        for points, colour in zip(np.stack(path, axis=1)[keep], colours[keep]):
            self.stroke(points, width * rng.uniform(0.7, 1.25), colour)

    def stroke(self, path, width, colour):
        """Draw one stroke, `width` units wide, along a path (k, 2) in pixels.

        It is a bundle of bristles, each with a shade of its own and its own beginning and end.
        """
        rng = self.rng
        path, width = path * SUPERSAMPLING, width * self.unit * SUPERSAMPLING
        bristle = max(1.9 * self.unit * SUPERSAMPLING, width / 16)
        count = max(3, round(width / bristle))
        across = np.linspace(-1, 1, count)
        taper = np.sin(np.linspace(0.5, 2.75, len(path))) ** 0.6
        lines = path + (across * width / 2)[:, None, None] * (normals(path) * taper[:, None])
        streak = ndimage.gaussian_filter1d(rng.standard_normal((count, 4)), 0.6, axis=0)
        shades = colour + 0.07 * streak[:, :1] + 0.025 * streak[:, 1:]
        # Paint is pushed out to the sides of a stroke, and each bristle leaves a furrow.
        heights = 110 + 75 * across**4 + 30 * rng.standard_normal(count)
        shades = np.uint8(shades.clip(0, 1) * 255).tolist()
        heights = np.uint8(heights.clip(20, 255)).tolist()
        first, last = rng.integers(0, 3, count), len(path) - rng.integers(0, 4, count)
        for i in range(count):
            points = lines[i, first[i] : last[i]].ravel().tolist()
            self.pens[0].line(points, tuple(shades[i]), int(bristle * 1.5) + 1)
            self.pens[1].line(points, heights[i], int(bristle * 1.5) + 1)

    def dab(self, x, y, length, width, colour, sag=0.0, turn=0.0):
        """One stroke centred at (x, y), bent by `sag` of its length, turned by `turn` radians."""
        t = np.linspace(-0.5, 0.5, 14)
        along = np.stack([t, sag * (1 - 4 * t**2)], axis=-1) * length * self.unit
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        self.stroke(np.array([x, y]) * self.rows + along @ spin, width, colour)

    def finish(self, strength):
        """The lit painting (h, w, 3): colours shaded by the relief of the paint."""
        size = (self.columns, self.rows)
        colour = np.asarray(self.colour.resize(size, Image.Resampling.BOX)) / 255
        height = np.asarray(self.height.resize(size, Image.Resampling.BOX)) / 255
        height = ndimage.gaussian_filter(height, 0.6 * self.unit)
        return colour * relief(height, strength * self.unit)[..., None]


def starlit_harbour(size, rng):
    """Oil, thick impasto: currents of night sky, moon and stars over a harbour and its lights."""
    x, y = coordinates(size)
    shape, unit, horizon = x.shape, size / 1200, 0.655
    wobble = noise(rng, shape, 160 * unit)
    orbs = table(
        "0.30 0.23 0.062, 0.60 0.09 0.024, 1.20 0.11 0.030, 1.07 0.40 0.018, 0.07 0.45 0.019,"
        "0.52 0.42 0.020, 0.06 0.09 0.020, 1.00 0.055 0.019"
    )
    vortices = table(
        "0.84 0.28 0.40 0.115, 0.60 0.30 -0.20 0.07, 1.27 0.36 -0.22 0.08, 0.02 0.27 -0.16 0.07"
    )
    # The sky flows along the contours of psi, so bands coloured by psi run with the strokes.
    psi, arms = y - 0.09 * np.sin(5.2 * x + 0.6) - 0.10 * x, 0
    for cx, cy, force, radius in vortices:
        bump = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
        psi += force * bump
        arms += np.sign(force) * np.arctan2(y - cy, x - cx) * smoothstep(0.1, 0.5, bump)
    for cx, cy, radius in orbs:
        psi += 13 * radius * np.exp(-np.hypot(x - cx, y - cy) / (2.2 * radius))
    dy, dx = np.gradient(ndimage.gaussian_filter(psi, 2 * unit))
    field = np.stack([dy, -dx], axis=-1)
    band = 0.5 * np.sin(2 * np.pi * 6.5 * psi + arms + 0.5 * wobble)
    band += 0.3 * np.sin(2 * np.pi * 17 * psi + 2 * arms + wobble)
    night = palette("0a1038 101f6b 1a3a9e 2461bd 2f92c4 6cc3c4 d4ebcf")
    design = ramp(0.40 + 0.36 * band + 0.12 * (y - 0.3) + 0.04 * wobble, night)
    glow = palette("fffbe0 fff3b0 ffd633 f79d14 2f6cc4 f2cf5a 7fc4b4 2a6cc0")
    halo = np.zeros(shape)
    for cx, cy, radius in orbs:
        r = np.hypot(x - cx, y - cy) / radius
        design = mix(design, ramp(r / 3.4, glow), smoothstep(3.3, 2.6, r + 0.2 * wobble))
        halo += smoothstep(4, 2, r)

    # Hills lie one before the other; strokes follow their slopes.
    hills = table("0.53 0.035 4.0 2.2, 0.575 0.03 6.1 0.2, 0.62 0.022 8.3 4.0")
    for (level, swing, pitch, phase), colours in zip(
        hills, ["25307f 4a62b8", "14265c 2b6f8f", "0d1a3d 2a6a58"]
    ):
        ridge = level + swing * np.sin(pitch * x + phase)
        ridge -= 0.1 * np.exp(-(((x - 1.22) / 0.16) ** 2))
        inside = y > ridge
        slope = np.gradient(ridge, axis=1) * shape[0] + 0.5 * np.sin(9 * x + wobble)
        t = 0.5 + 0.5 * np.sin(70 * (y - ridge) + 2 * wobble)
        design[inside] = ramp(t, palette(colours))[inside]
        field[inside] = np.stack([np.ones(shape), slope], axis=-1)[inside]

    # The village and the lighthouse come last, drawn to guide small strokes over the hills.
    drawing = Image.fromarray(np.uint8(design.clip(0, 1) * 255))
    built = np.zeros(shape)

    def build(corners, colour, slant):
        area = Image.new("1", drawing.size)
        flat = (np.array(corners) * shape[0]).ravel().tolist()
        ImageDraw.Draw(drawing).polygon(flat, "#" + colour)
        ImageDraw.Draw(area).polygon(flat, 1)
        field[area], built[area] = slant, 1

    lamps, at = [], 0.02
    while at < 1.28:
        wide, high = rng.uniform(0.04, 0.07), rng.uniform(0.03, 0.075)
        top, middle, end = horizon - high, at + wide / 2, at + wide
        wall = rng.choice(["15286b", "24408f", "2b2a6e", "3f55a8", "8a5a3c"])
        roof, tip = rng.choice(["c23a24", "8f2c22", "d8742a", "3a2f7a"]), top - 0.6 * wide
        build([(at, horizon), (at, top), (end, top), (end, horizon)], wall, (0.2, 1))
        build([(at - 0.008, top), (middle, tip), (middle, top)], roof, (1, -1))
        build([(end + 0.008, top), (middle, tip), (middle, top)], roof, (1, 1))
        if rng.random() < 0.85:
            lamps.append((middle + rng.uniform(-0.2, 0.2) * wide, top + 0.4 * high))
        at += wide + rng.choice([0.0, 0.01, 0.05])
    for low, high, colour in zip(
        (0.5, 0.42, 0.36), (0.35, 0.385, 0.345), ["f1e8cc", "d2452a", "ffd23a"]
    ):
        build([(1.20, high), (1.24, high), (1.245, low), (1.195, low)], colour, (0, 1))
    build([(1.195, 0.345), (1.22, 0.31), (1.245, 0.345)], "b83a22", (0, 1))
    village = np.asarray(drawing) / 255

    # Water mirrors the scene above, broken by ripples.
    depth = (y - horizon).clip(0) / (1 - horizon)
    water = y > horizon
    ripple = 0.5 * np.sin(75 * depth**0.6 + 2.5 * wobble + 3 * x)
    mirror_row = (horizon - 0.03 - 0.6 * depth * (1 - horizon)) * shape[0] + 12 * unit * ripple
    mirrored = village[mirror_row.astype(int), np.arange(size)[None]]
    sea = ramp(0.42 + 0.55 * ripple, palette("081336 0f2a6b 1c5596 35a0b4"))
    design[water] = (0.6 * sea + 0.4 * mirrored * (0.55, 0.75, 0.95))[water]
    flow = 0.13 * np.cos(14 * x + 30 * depth + wobble)
    field[water] = np.stack([np.ones(shape), flow], axis=-1)[water]

    # The near bank, dark grasses bending towards the light, closes the composition below.
    bank = y > 1.02 - 0.20 * smoothstep(0.62, 0.0, x) + 0.012 * wobble
    t = 0.42 + 0.5 * np.sin(60 * x + 40 * y + 3 * wobble)
    design[bank] = ramp(t, palette("0a1a30 17503f 5f7f2c d9b13a"))[bank]
    lean = 0.5 + 0.5 * np.sin(8 * x + wobble)
    field[bank] = np.stack([lean, -np.ones(shape)], axis=-1)[bank]
    field /= np.linalg.norm(field, axis=-1, keepdims=True) + 1e-9

    canvas = Oil(design, rng)
    patches = smoothstep(-0.6, 0.9, noise(rng, shape, 90 * unit))
    canvas.layer(design, field, 30, 50, 3)
    canvas.layer(design, field, 34, 130, 2.5)
    canvas.layer(design, field, 20, 100, 2.0, 0.3 + 0.7 * patches)
    canvas.layer(design, field, 12, 70, 1.3, 0.15 + 0.85 * patches)
    canvas.layer(design, field, 9, 34, 3, halo)
    canvas.layer(design * 1.25 + 0.06, field, 8, 60, 0.4)
    warm = 0.6 * (band > 0.3) * (y < 0.5)
    canvas.layer(0.35 * design + 0.65 * palette("f0c860"), field, 8, 50, 0.5, warm)
    canvas.layer(village, field, 7, 19, 6, built)
    # Every lamp, and the moon, lets a ladder of light down into the water.
    light = palette("fff3b0 ffd23a f59a1e d8892a")
    for px, py, spread in [(*lamp, 1.0) for lamp in lamps] + [(0.30, 0.0, 2.6)]:
        level, reach = horizon + 0.012, rng.uniform(0.78, 0.90)
        while level < reach:
            deep = (level - horizon) / 0.3
            sway = rng.normal(0, 0.006 + 0.010 * deep) * spread
            colour = ramp(deep + rng.normal(0, 0.15), light)
            length = (22 + 40 * deep) * spread**0.6
            canvas.dab(px + sway, level, length, 6 + 7 * deep, colour, rng.normal(0, 0.05))
            level += (0.011 + 0.018 * deep) * rng.uniform(0.8, 1.5) / spread**0.4
        if py > 0:
            canvas.dab(px, py, 20, 9, light[1])
            canvas.dab(px, py, 20, 9, light[1], turn=1.57)
    # Boats at anchor: hull, gunwale, mast and furled sail in a few strokes each.
    for px, py, scale in table("0.86 0.80 1.25, 1.13 0.885 1.6, 0.64 0.735 0.8"):
        for row, colour in enumerate(palette("0c1230 131a3c 6a2020 c23a24 e8a83a")):
            length = (84 + 9 * row) * scale
            canvas.dab(px, py - 0.007 * row * scale, length, 9 * scale, colour, 0.09)
        mast, sail = palette("c98a3a f3e3b0")
        canvas.dab(px, py - 0.085 * scale, 120 * scale, 5 * scale, mast, turn=1.62)
        canvas.dab(px + 0.02 * scale, py - 0.055 * scale, 70 * scale, 10 * scale, sail, turn=2.3)
    return canvas.finish(2.6)


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


class Watercolour:
    """A sheet of cream paper whose washes add up as optical densities, so colours glaze."""

    def __init__(self, shape, rng):
        """A blank sheet (h, w) with the grain that pigment settles into."""
        self.rng, self.unit, self.shape = rng, shape[1] / 1200, shape
        self.grain = 0.6 * noise(rng, shape, 5 * self.unit, 2) + 0.4 * noise(rng, shape, 2, 1)
        self.ragged = noise(rng, shape, 40 * self.unit, 5)
        self.cloud = noise(rng, shape, 130 * self.unit, 4)
        self.density = np.zeros((*shape, 3))

    def wash(self, points, colour, strength=1.0, soft=1.2, ragged=2.5, edge=0.8, resist=0.0):
        """Lay a wash of `colour` inside a polygon (n, 2) in height units.

        `soft` and `ragged`, in units, blur and roughen its border; `edge` is the extra pigment
        that dries there; `strength` scales the density, and below 0 lifts paint off; `resist`
        keeps the wash off what is painted.
        """
        points = points * self.shape[0]
        pad = int((8 + 3 * soft + 3 * ragged) * self.unit) + 2
        low = np.maximum(points.min(0).astype(int) - pad, 0)
        high = np.minimum(points.max(0).astype(int) + pad, self.shape[::-1])
        if (high <= low).any():
            return
        mask = Image.new("1", tuple((high - low).tolist()))
        ImageDraw.Draw(mask).polygon((points - low).ravel().tolist(), fill=1)
        mask = np.asarray(mask)
        inside = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
        box = slice(low[1], high[1]), slice(low[0], high[0])
        # The same noise, shifted and mirrored at its ends, keeps borders and blooms from repeating.
        pick = tuple(
            np.abs((i + self.rng.integers(2000)) % (2 * n - 2) - n + 1)
            for i, n in zip(np.ogrid[box], self.shape)
        )
        depth = inside / self.unit + ragged * self.ragged[pick]
        pool = (0.75 + 0.32 * self.cloud[pick]).clip(0.15, 1.6)
        rim = edge * np.exp(-np.abs(depth - soft) / 2.6)
        pigment = strength * smoothstep(-soft, soft, depth) * (pool + rim)
        pigment *= (1 + 0.28 * self.grain[box]).clip(0.2, 2)
        pigment *= np.exp(-resist * self.density[box].sum(-1))
        self.density[box] -= pigment[..., None] * np.log(colour)
        self.density[box] = self.density[box].clip(0)

    def finish(self):
        """The dry sheet (h, w, 3): paper seen through the washes, with a little tooth."""
        paint = np.exp(-2.3 * np.tanh(self.density / 2.3))  # no pigment is quite black
        return palette("fbf4e2") * paint * relief(self.grain, 0.03 * self.unit)[..., None]


def petal(centre, angle, length, width, rng):
    """Polygon (40, 2) of an egg-shaped petal or a leaf from `centre` outwards along `angle`."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    along = 0.5 - 0.5 * np.cos(t)
    side = 0.5 * np.sin(t) * (0.45 + 0.75 * along) * (1 + 0.10 * np.sin(5 * t + rng.uniform(0, 6)))
    u, v = length * along, width * side + rng.uniform(-0.25, 0.25) * length * along**2
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(centre) + np.stack([u * c - v * s, u * s + v * c], axis=-1)


def watercolour_garden(size, rng):
    """Watercolour: loose flowers and leaves in translucent washes on cream paper."""
    sheet = Watercolour((size * 3 // 4, size), rng)
    rose, violet = palette("e0447a d62560 ee7f9d b81f58"), palette("7a4fb0 5a3aa0 9d7ccf 4a3f9f")
    gold, green = palette("f2b632 e89a1c f6cf5f d97b1a"), palette("6f8f2f 4f7a35 8aa53a 2f6048")
    families = [rose, violet, gold, green]
    # Wet first washes, one hue running into the next.
    for _ in range(30):
        centre, hues = rng.uniform((0, 0), (1.33, 1)), families[rng.integers(4)]
        blob = petal(centre, rng.uniform(0, 6.3), rng.uniform(0.2, 0.4), 0.25, rng)
        sheet.wash(blob, hues[2], 0.32, rng.choice([3, 14, 30]), 12, edge=0.5, resist=1.5)
    flowers = table(
        "0.24 0.68 0.22 0, 0.62 0.40 0.22 1, 1.04 0.62 0.22 0, 0.28 0.24 0.17 2, 1.10 0.20 0.17 1,"
        "0.66 0.82 0.17 2, 0.91 0.35 0.10 2, 0.06 0.43 0.11 1, 0.83 0.10 0.10 0, 1.28 0.42 0.11 2,"
        "1.27 0.86 0.12 1, 0.45 0.93 0.10 0, 0.08 0.10 0.11 0, 0.46 0.07 0.08 1, 0.05 0.92 0.10 2,"
        "0.89 0.91 0.09 1, 0.42 0.50 0.08 0"
    )
    for cx, cy, radius, family in flowers:
        hues, count = families[int(family)], rng.integers(6, 9)
        for ring, reach in enumerate([1.0, 0.72, 0.42]):
            for k in range(count):
                angle = 2 * np.pi * (k + 0.5 * ring) / count + rng.normal(0, 0.15)
                length = radius * reach * rng.uniform(0.85, 1.15)
                shape = petal((cx, cy), angle, length, length * rng.uniform(0.6, 0.85), rng)
                strength, soft = 0.34 + 0.14 * ring, rng.choice([1, 1, 4])
                sheet.wash(shape, hues[rng.integers(4)], strength, soft, resist=0.12)
                for spread in rng.normal(0, 0.22, 3):
                    start = (cx, cy) + 0.15 * length * np.array([np.cos(angle), np.sin(angle)])
                    reach_out = length * rng.uniform(0.4, 0.75)
                    vein = petal(start, angle + spread, reach_out, 0.012, rng)
                    sheet.wash(vein, hues[3], 0.5, ragged=0.8, edge=0.3, resist=0.1)
        # Drops of water push the wet paint into blooms with dark, crinkled borders.
        for spot in (cx, cy) + rng.normal(0, 0.35 * radius, (3, 2)):
            drop = circle(spot, radius * rng.uniform(0.12, 0.3))
            sheet.wash(drop, hues[2], -0.35, ragged=8, edge=-2.2)
        for _ in range(int(200 * radius)):
            spot = (cx, cy) + rng.normal(0, 0.12 * radius, 2)
            dot = petal(spot, rng.uniform(0, 6.3), rng.uniform(0.006, 0.02), 0.010, rng)
            sheet.wash(dot, families[rng.integers(3)][3], 1.0, ragged=0.8)
    # Leaves, then dark hollows, resist the flowers and so lie behind them.
    for _ in range(150):
        cx, cy, radius, _ = flowers[rng.integers(len(flowers))]
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.07, 0.20)
        start = (cx, cy) + radius * rng.uniform(0.6, 1.0) * np.array([np.cos(angle), np.sin(angle)])
        width = length * rng.uniform(0.25, 0.45)
        leaf = petal(start, angle + rng.normal(0, 0.5), length, width, rng)
        sheet.wash(leaf, green[rng.integers(4)], rng.uniform(0.6, 1.2), resist=1.3)
        rib = leaf[0] + np.linspace(0, 0.9, 12)[:, None] * (leaf[20] - leaf[0])
        rib = np.r_[rib, rib[::-1] + 0.003]
        sheet.wash(rib, green[3], 0.7, ragged=0.6, edge=0, resist=0.8)
    for _ in range(18):
        centre, length = rng.uniform((0, 0), (1.33, 1)), rng.uniform(0.1, 0.25)
        blob = petal(centre, rng.uniform(0, 6.3), length, 0.8 * length, rng)
        colour = palette("27406f 1f5a5a 24503a")[rng.integers(3)]
        sheet.wash(blob, colour, 0.95, rng.choice([2, 8, 16]), 9, edge=0.6, resist=1.5)
    for _ in range(450):
        spot, radius = rng.uniform((0, 0), (1.33, 1)), 0.0018 + 0.003 * min(rng.pareto(3), 2.5)
        hue = families[rng.integers(4)][rng.integers(4)]
        sheet.wash(circle(spot, radius), hue, rng.uniform(0.4, 1), ragged=1.3)
    return sheet.finish()


def lay_tiles(rows, design, tile, rng):
    """Set tesserae `tile` pixels wide along the contours of `rows` (h, w), a distance in pixels.

    Each takes its colour from `design` (h, w, 3) and leans its own way in the light; the yellow
    ones are gilt and glint. Returns the picture (h, w, 3).
    """
    height, width = rows.shape
    dy, dx = np.gradient(ndimage.gaussian_filter(rows, 0.1 * tile))
    slope = np.stack([dx, dy], axis=-1) / (np.hypot(dx, dy)[..., None] + 1e-6)

    def sample(array, points):
        column, row = np.clip(points, 0, (width - 1, height - 1)).astype(int).T
        return array[row, column]

    # Scatter, pull onto the middle of the nearest row, then thin out to one seed a tile.
    count = int(12 * width * height / tile**2)
    seeds = rng.uniform(-tile, (width + tile, height + tile), (count, 2))
    for _ in range(2):
        seeds -= (sample(rows, seeds) % tile - tile / 2)[:, None] * sample(slope, seeds)
    kept = np.ones(count, bool)
    for i, near in enumerate(spatial.cKDTree(seeds).query_ball_point(seeds, 0.93 * tile)):
        if kept[i]:
            kept[near] = False
            kept[i] = True
    seeds = seeds[kept]
    count = len(seeds)

    def assign(points):
        """The tile that owns each point (n, 2) and the point's distance to the tile's border."""
        across = sample(slope, seeds)
        _, choice = spatial.cKDTree(seeds).query(points, k=6, workers=2)
        offset = points[:, None] - seeds[choice]
        v = np.abs((offset * across[choice]).sum(-1))
        u = np.abs((offset * across[choice][..., ::-1] * (1, -1)).sum(-1))
        measure = np.maximum(0.9 * u, v)  # a square metric makes square tiles
        order = np.argsort(measure, axis=1)[:, :2]
        best, second = np.take_along_axis(measure, order, axis=1).T
        owner = np.take_along_axis(choice, order[:, :1], axis=1)[:, 0]
        return owner, np.minimum((second - best) / 2, 0.8 * tile - best)

    # Slide the seeds along their rows to the middle of their tiles, which evens the spacing.
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    coarse = grid[:: max(1, int(tile // 5)), :: max(1, int(tile // 5))].reshape(-1, 2)
    for _ in range(3):
        owner, _ = assign(coarse)
        total = np.stack([np.bincount(owner, c, count) for c in coarse.T], axis=-1)
        pixels = np.bincount(owner, minlength=count)[:, None]
        move = np.where(pixels > 0, total / np.maximum(pixels, 1) - seeds, 0)
        along = sample(slope, seeds)[:, ::-1] * (1, -1)
        seeds = seeds + (move * along).sum(-1, keepdims=True) * along
    parts = zip(*map(assign, np.array_split(grid.reshape(-1, 2), 16)))  # in parts, for memory
    owner, border = (np.concatenate(part).reshape(height, width) for part in parts)

    colour = sample(design, seeds)
    gilt = (colour[:, 0] > 0.8) & (colour[:, 1] > 0.55)
    leaf = ramp(rng.random(count), palette("b8740f eaa51e ffcb3d ffe07a"))
    colour[gilt] = 0.5 * colour[gilt] + 0.5 * leaf[gilt]
    colour = colour * (1 + 0.16 * rng.standard_normal((count, 1)))
    colour += 0.035 * rng.standard_normal((count, 3))
    lean = 0.5 * rng.standard_normal((count, 2))
    offset = (grid - seeds[owner]) / tile
    shade = 1 + 0.35 * (offset * lean[owner]).sum(-1) + 0.10 * lean.sum(-1)[owner]
    shade += 0.05 * noise(rng, rows.shape, tile / 3)
    face = colour[owner] * shade[..., None]
    spot = smoothstep(0.9, 0.1, np.linalg.norm(offset - 0.15, axis=-1))
    glint = gilt * smoothstep(0.2, 1.2, lean.sum(-1))
    face = mix(face, palette("fff6cf")[0], 0.75 * glint[owner] * spot)
    unit = tile / 14
    dome = ndimage.gaussian_filter(smoothstep(0, 4.5 * unit, border) * 3, 0.5 * unit)
    grout = palette("241a24") * (1 + 0.18 * noise(rng, rows.shape, 3 * unit, 2))[..., None]
    face *= relief(dome, 0.22 * unit)[..., None]
    return mix(grout, face, smoothstep(0.6 * unit, 1.7 * unit, border))


def mosaic_sun(size, rng):
    """Mosaic: rows of tesserae and gold round a flaming sun, set among peacock feathers."""
    x, y = coordinates(size)
    shape, tile = x.shape, 14 * size / 1200
    cx, cy, scale = 2 / 3, 0.5, 0.128
    r, angle = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    rows, design = r * shape[0], np.zeros((*shape, 3))
    # Feathers overlap like scales, the inner rings upon the outer; each bears an eye.
    plume = palette("ffc531 12868c 1fb5a4 7fd6b0 0f7f86 0d4f73 142a7a")
    pupil = palette("e8203a d81a34 1b1464 2c50d0 14b0b8")
    for ring, radius in enumerate(np.arange(0.98, 0.36, -0.112)):
        count = round(2 * np.pi * radius / 0.205)
        for turn in 2 * np.pi * (np.arange(count) + 0.5 * (ring % 2)) / count:
            out = np.array([np.cos(turn), np.sin(turn)])
            dx, dy = x - cx - radius * out[0], y - cy - radius * out[1]
            d = np.hypot(dx, dy) / scale
            mine = d < 1
            eye = np.hypot(dx - 0.045 * out[0], dy - 0.045 * out[1])[mine] / (0.58 * scale)
            barbs = 0.12 * np.sin(22 * np.arctan2(dy, dx)[mine])
            look = ramp((1 - d[mine]) * 1.1 + barbs * (d[mine] < 0.88), plume)
            look[d[mine] > 0.88] = plume[0]
            look[eye < 1] = ramp(eye, pupil)[eye < 1]
            design[mine], rows[mine] = look, d[mine] * scale * shape[0]
    # Flames sway with the radius; between them lies a ground of lapis strewn with gold.
    sway = (angle + 0.16 * np.sin(16 * r + 0.5)) * 18 / (2 * np.pi)
    off = np.abs(sway - np.round(sway)) * 2
    flame = smoothstep(0.39, 0.17, r) ** 0.8 - off
    steep = np.hypot(1, r * 0.16 * 16 * np.cos(16 * r + 0.5))
    strips = off * r * np.pi / 18 * shape[0] / steep
    ground = palette("10207c 1c3fb4")[(strips // tile).astype(int) % 2]
    ground[rng.random(shape) < 0.02] = plume[0]
    heat = ramp(flame * 1.4, palette("8f0f1f d1202a ee6a1e ffc531 ffe98a"))
    fire = np.where((flame > 0)[..., None], heat, ground)
    sun, hoop, disc = r < 0.40, np.abs(r - 0.405) < 0.0155, r < 0.187
    design[sun], rows[sun] = fire[sun], strips[sun]
    design[hoop] = palette("ffc531")
    bands = palette("fff0a8 ffc531 e8701c b0122a b0122a b0122a ffc531 1746b0 12a5a5 ffc531")
    face = bands[(r / 0.187 * 9.99).astype(int).clip(0, 9)]
    reach = 0.40 - 1.7 * np.abs(r / 0.187 - 0.47)
    face[np.abs((angle * 12 / (2 * np.pi)) % 1 - 0.5) < reach] = palette("ffb02a")
    design[disc] = face[disc]
    rows[disc | hoop] = (r * shape[0])[disc | hoop]
    return lay_tiles(rows, design, tile, rng)


PAINTINGS = {
    "starlit_harbour": starlit_harbour,
    "woodcut_wave": woodcut_wave,
    "watercolour_garden": watercolour_garden,
    "mosaic_sun": mosaic_sun,
}


def main():
    """Paint the named pictures, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PAINTINGS))
    parser.add_argument("--output_dir", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    parser.add_argument("--size", type=int, default=1200, help="long side in pixels")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(PAINTINGS)
    if unknown:
        parser.error(f"unknown painting: {', '.join(sorted(unknown))}")
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PAINTINGS:
        picture = PAINTINGS[name](arguments.size, np.random.default_rng(2015))
        image = Image.fromarray(np.uint8(picture.clip(0, 1) * 255 + 0.5))
        image.save(arguments.output_dir / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
