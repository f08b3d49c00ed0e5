"""Paint the garden in watercolour, wash upon wash."""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from canvas import circle, noise, palette, relief, smoothstep, table


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
