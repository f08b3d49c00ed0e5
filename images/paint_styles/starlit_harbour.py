"""Paint the starlit harbour in oil, stroke by stroke."""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from canvas import (
    SUPERSAMPLING,
    coordinates,
    mix,
    noise,
    normals,
    palette,
    ramp,
    relief,
    smoothstep,
    table,
)


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
